"""A folder -> the image files in it, in one stable order."""

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from embedlab_core.errors import ImagesDirError

IMAGE_SUFFIXES = frozenset(
    [
        ".png",
        ".jpg",
        ".jpeg",
        ".jpe",
        ".jfif",
        ".webp",
        ".bmp",
        ".dib",
        ".gif",
        ".tif",
        ".tiff",
        ".heic",
        ".heif",
        ".avif",
    ],
)


@dataclass(frozen=True, slots=True, order=True)
class ImageFile:
    """An image file as it was found.

    Attributes:
        path: relative to its folder, with forward slashes.
        size: bytes.
        mtime_ns: modification time.
        folder: the number of its folder among those of the index.
    """

    path: str
    size: int
    mtime_ns: int
    folder: int = 0

    @property
    def key(self) -> tuple[int, str]:
        """What tells the images of an index apart."""
        return self.folder, self.path


SkipKind = Literal["unreadable", "corrupted", "unusable", "excluded"]


@dataclass(frozen=True, slots=True)
class Skip:
    """A file or folder that is not in the index, and why.

    Attributes:
        path: relative to its folder, with forward slashes.
        reason: why, in words.
        kind: the system would not give it, it is no image that can be decoded, the model sees nothing in it, or its
            quality flags were unwanted.
        folder: the number of its folder among those of the index.
    """

    path: str
    reason: str
    kind: SkipKind = "unreadable"
    folder: int = 0


@dataclass(slots=True)
class Discovery:
    """What is in a folder, or in several.

    Attributes:
        files: sorted by folder, then by path.
        other: how many files are not images by name.
        unreadable: what is named as an image but is none that can be read, and what could not be looked at.
        hidden: folder and path of the latter, files or folders.
    """

    files: list[ImageFile] = field(default_factory=list)
    other: int = 0
    unreadable: list[Skip] = field(default_factory=list)
    hidden: set[tuple[int, str]] = field(default_factory=set)

    def hide(self, path: str, reason: str) -> None:
        self.hidden.add((0, path))
        self.unreadable.append(Skip(path, reason))

    def numbered(self, numbers: Sequence[int]) -> "Discovery":
        """The same with other numbers of folders: `numbers[n]` in place of n."""
        return Discovery(
            files=sorted(
                (replace(file, folder=numbers[file.folder]) for file in self.files), key=lambda file: file.key
            ),
            other=self.other,
            unreadable=[replace(skip, folder=numbers[skip.folder]) for skip in self.unreadable],
            hidden={(numbers[folder], path) for folder, path in self.hidden},
        )


def merged(parts: Sequence[Discovery]) -> Discovery:
    """What is in several folders, numbered in their order."""
    whole = Discovery()
    for number, part in enumerate(parts):
        own = part.numbered([number])
        whole.files += own.files
        whole.other += own.other
        whole.unreadable += own.unreadable
        whole.hidden |= own.hidden
    return whole


def discover(images_dir: Path, recursive: bool = True, leave_out: Path | None = None) -> Discovery:
    """List the images under `images_dir`; symbolic links are followed, each real folder once, under its first name.

    leave_out: a folder under it that is not looked into.

    Raises ImagesDirError if the folder is missing or not a folder.
    """
    if not images_dir.exists():
        raise ImagesDirError(f"{images_dir}: no such folder; give an existing one with --images-dir")
    if not images_dir.is_dir():
        raise ImagesDirError(f"{images_dir}: not a folder; --images-dir wants the folder that holds the images")
    found = Discovery()
    pending = [("", images_dir)]
    seen = _identities(leave_out, but=images_dir)
    while pending:
        prefix, folder = pending.pop()
        try:
            identity = folder.stat()
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name, reverse=True)
        except OSError as error:
            found.hide(prefix.rstrip("/") or ".", f"folder cannot be read ({error.strerror})")
            continue
        if (identity.st_dev, identity.st_ino) in seen:
            continue
        seen.add((identity.st_dev, identity.st_ino))
        for entry in entries:
            path = prefix + entry.name
            is_image_name = Path(entry.name).suffix.lower() in IMAGE_SUFFIXES
            try:
                status = entry.stat()
            except FileNotFoundError as error:
                if is_image_name:
                    found.unreadable.append(Skip(path, f"file cannot be read ({error.strerror})"))
                elif entry.is_symlink():
                    found.hide(path, "link to what is not there")
                continue
            except OSError as error:
                found.hide(path, f"cannot be looked at ({error.strerror})")
                continue
            if stat.S_ISDIR(status.st_mode):
                if recursive:
                    pending.append((f"{path}/", Path(entry.path)))
            elif not is_image_name:
                found.other += 1
            elif stat.S_ISREG(status.st_mode):
                found.files.append(ImageFile(path, status.st_size, status.st_mtime_ns))
            else:
                found.unreadable.append(Skip(path, "not a regular file"))
    found.files.sort()
    found.unreadable.sort(key=lambda skip: skip.path)
    return found


def _identities(folder: Path | None, but: Path) -> set[tuple[int, int]]:
    """Device and inode of `folder`, if it exists and is another one than `but`."""
    try:
        if folder is None or folder.samefile(but):
            return set()
        status = folder.stat()
    except OSError:
        return set()
    return {(status.st_dev, status.st_ino)}


def shown_path(folder: str, path: str) -> str:
    """`path` under `folder` as results print it: forward slashes, no leading "./"."""
    return Path(folder, path).as_posix()
