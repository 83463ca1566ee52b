"""A list of files -> the image files that it names, as `discover` would find them."""

import codecs
import os
import stat
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from embedlab_core.images.discover import Discovery, ImageFile, Skip, require_folder
from embedlab_core.images.selection import is_excluded


def names_in(data: bytes) -> tuple[str, ...]:
    """The names in a list, in its order: ended by NUL bytes, as `find -print0` writes them, or else one a line.

    UTF-8, in which bytes that are not keep their value; after a byte order mark also UTF-16, as PowerShell writes it.
    """
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        text = data.decode("utf-16", "replace")
    else:
        text = data.removeprefix(codecs.BOM_UTF8).decode("utf-8", "surrogateescape")
    # Not splitlines(), which also splits at characters that names may hold.
    names = text.split("\0") if "\0" in text else [line.removesuffix("\r") for line in text.split("\n")]
    return tuple(name for name in names if name.strip())


def listed(images_dirs: Sequence[Path], names: Sequence[str], exclude: Sequence[str] = ()) -> Discovery:
    """The files that `names` are of, each in the first of the images folders that it lies in.

    Names are absolute or from the current directory on. All files are taken, whatever their suffix, hidden or not, but
    for those that a pattern of `exclude` matches (see `is_excluded`). A name outside of all folders, of nothing, or of
    what is no file, is unreadable; the first kind is reported with the first folder, by its absolute path.

    Raises ImagesDirError if a folder is missing or not a folder.
    """
    for folder in images_dirs:
        require_folder(folder)
    identities = [folder.stat() for folder in images_dirs]
    found = Discovery()

    @cache
    def place_of(folder: Path) -> tuple[int, str] | None:
        """The number of the images folder that `folder` lies in, and its path there with a slash at its end."""
        for above in (folder, *folder.parents):
            try:
                status = above.stat()
            except OSError:
                continue
            for number, identity in enumerate(identities):
                if os.path.samestat(status, identity):
                    below = folder.relative_to(above).as_posix()
                    return number, "" if below == "." else f"{below}/"
        return None

    for file in dict.fromkeys(Path(name).absolute() for name in names):
        # Behind a symbolic link, ".." leads elsewhere than its spelling tells.
        folder = file.parent.resolve() if ".." in file.parts else file.parent
        place = place_of(folder)
        if place is None:
            where = " or ".join(map(str, images_dirs))
            found.unreadable.append(Skip(file.as_posix(), f"does not lie in {where}"))
            continue
        number, prefix = place
        _look_at(file, number, prefix + file.name, exclude, found)
    # One file may be named in several ways.
    found.files = list(dict.fromkeys(found.files))
    found.sort()
    return found


def _look_at(file: Path, folder: int, path: str, exclude: Sequence[str], found: Discovery) -> None:
    names = path.split("/")
    ways = ["/".join(names[:depth]) for depth in range(1, len(names))]
    if any(is_excluded(way, True, exclude) for way in ways) or is_excluded(path, False, exclude):
        found.left_out["excluded"] += 1
        return
    try:
        status = file.stat()
    except (FileNotFoundError, NotADirectoryError):
        found.unreadable.append(Skip(path, "no such file", folder=folder))
    except OSError as error:
        found.pass_unseen(path, f"cannot be looked at ({error.strerror})", folder)
    else:
        if stat.S_ISREG(status.st_mode):
            found.files.append(ImageFile.of(path, status, folder))
        elif stat.S_ISDIR(status.st_mode):
            found.unreadable.append(Skip(path, "a folder; name the files in it", folder=folder))
        else:
            found.unreadable.append(Skip(path, "not a regular file", folder=folder))
