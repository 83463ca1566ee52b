"""A folder -> the image files in it, in one stable order."""

import os
import stat
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Literal

from embedlab_core.errors import ImagesDirError
from embedlab_core.images.formats import is_image_name, needs_extra, suffix_of
from embedlab_core.images.selection import LeftOut, is_excluded, is_hidden

# The times that an index can hold, in nanoseconds: int64, from 1677 to 2262. Its lowest value stands for no time.
_EARLIEST = -(2**63) + 1
_LATEST = 2**63 - 1


@dataclass(frozen=True, slots=True, order=True)
class ImageFile:
    """An image file as it was found.

    Attributes:
        path: relative to its folder, with forward slashes.
        size: bytes.
        mtime_ns: modification time, or the nearest one that an index can hold.
        folder: the number of its folder among those of the index.
    """

    path: str
    size: int
    mtime_ns: int
    folder: int = 0

    @classmethod
    def of(cls, path: str, status: os.stat_result, folder: int = 0) -> "ImageFile":
        return cls(path, status.st_size, min(max(status.st_mtime_ns, _EARLIEST), _LATEST), folder)

    @property
    def key(self) -> tuple[int, str]:
        """What tells the images of an index apart."""
        return self.folder, self.path

    @property
    def is_dated(self) -> bool:
        """Whether the time is the file's own. Without one, only its content tells whether the file has changed."""
        return _EARLIEST < self.mtime_ns < _LATEST


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
        other: how many files are not images by name, by suffix in lower case, "" for none.
        left_out: how many files and folders were not looked at on purpose; of a folder nothing in it is counted.
        unreadable: what is named as an image but is none that can be read, and what could not be looked at.
        unseen: folder and path of the latter, files or folders; "." is the whole folder.
    """

    files: list[ImageFile] = field(default_factory=list)
    other: Counter[str] = field(default_factory=Counter)
    left_out: Counter[LeftOut] = field(default_factory=Counter)
    unreadable: list[Skip] = field(default_factory=list)
    unseen: set[tuple[int, str]] = field(default_factory=set)

    def may_be_there(self, key: tuple[int, str]) -> bool:
        """Whether a file that was not found could not be looked at: it is not known to be gone."""
        folder, path = key
        return bool(self.unseen) and any(
            (folder, str(way)) in self.unseen for way in (path, *PurePosixPath(path).parents)
        )

    def pass_unseen(self, path: str, reason: str, folder: int = 0) -> None:
        self.unseen.add((folder, path))
        self.unreadable.append(Skip(path, reason, folder=folder))

    def sort(self) -> None:
        self.files.sort(key=lambda file: file.key)
        self.unreadable.sort(key=lambda skip: (skip.folder, skip.path))

    def numbered(self, numbers: Sequence[int]) -> "Discovery":
        """The same with other numbers of folders: `numbers[n]` in place of n."""
        made = Discovery(
            files=[replace(file, folder=numbers[file.folder]) for file in self.files],
            other=self.other,
            left_out=self.left_out,
            unreadable=[replace(skip, folder=numbers[skip.folder]) for skip in self.unreadable],
            unseen={(numbers[folder], path) for folder, path in self.unseen},
        )
        made.sort()
        return made


def merged(parts: Sequence[Discovery]) -> Discovery:
    """What is in several folders, numbered in their order."""
    whole = Discovery()
    for number, part in enumerate(parts):
        own = part.numbered([number])
        whole.files += own.files
        whole.other += own.other
        whole.left_out += own.left_out
        whole.unreadable += own.unreadable
        whole.unseen |= own.unseen
    return whole


def discover(
    images_dir: Path,
    recursive: bool = True,
    leave_out: Path | None = None,
    hidden: bool = False,
    exclude: Sequence[str] = (),
    is_index: Callable[[Path], bool] = lambda folder: False,
) -> Discovery:
    """List the images under `images_dir`; symbolic links are followed, each real folder once, under its first name.

    Args:
        images_dir: may have any name itself.
        recursive: also look into the folders in it.
        leave_out: a folder in it that is not looked into.
        hidden: take also what `is_hidden` names.
        exclude: patterns, see `is_excluded`.
        is_index: tells the folders in it that hold an index; curves and thumbnails there are not the user's pictures.

    Raises ImagesDirError if the folder is missing or not a folder.
    """
    require_folder(images_dir)
    found = Discovery()
    pending = [("", images_dir)]
    seen = _identities(leave_out, but=images_dir)
    while pending:
        prefix, folder = pending.pop()
        try:
            identity = folder.stat()
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name, reverse=True)
        except OSError as error:
            found.pass_unseen(prefix.rstrip("/") or ".", f"folder cannot be read ({error.strerror})")
            continue
        if (identity.st_dev, identity.st_ino) in seen:
            continue
        seen.add((identity.st_dev, identity.st_ino))
        if prefix and is_index(folder):
            found.left_out["index"] += 1
            continue
        within = folder.name
        for entry in entries:
            path = prefix + entry.name
            status = _status(entry)
            is_folder = isinstance(status, os.stat_result) and stat.S_ISDIR(status.st_mode)
            if is_folder and not recursive:
                continue
            if not hidden and is_hidden(entry.name, within):
                found.left_out["hidden"] += 1
            elif is_excluded(path, is_folder, exclude):
                found.left_out["excluded"] += 1
            elif is_folder:
                pending.append((f"{path}/", Path(entry.path)))
            else:
                _look_at(entry, path, status, found)
    found.sort()
    return found


def _look_at(entry: "os.DirEntry[str]", path: str, status: os.stat_result | OSError, found: Discovery) -> None:
    """Put what is no folder in its place."""
    if isinstance(status, FileNotFoundError):
        if is_image_name(entry.name):
            found.unreadable.append(Skip(path, f"file cannot be read ({status.strerror})"))
        elif entry.is_symlink():
            found.pass_unseen(path, "link to what is not there")
    elif isinstance(status, OSError):
        found.pass_unseen(path, f"cannot be looked at ({status.strerror})")
    elif not is_image_name(entry.name):
        found.other[suffix_of(entry.name)] += 1
        if needs_extra(entry.name):
            found.unseen.add((0, path))  # What an index has of it was read where the extra was installed.
    elif stat.S_ISREG(status.st_mode):
        found.files.append(ImageFile.of(path, status))
    else:
        found.unreadable.append(Skip(path, "not a regular file"))


def require_folder(images_dir: Path) -> None:
    """Raises ImagesDirError if the folder is missing or not a folder."""
    if not images_dir.exists():
        raise ImagesDirError(f"{images_dir}: no such folder; give an existing one with --images-dir")
    if not images_dir.is_dir():
        raise ImagesDirError(f"{images_dir}: not a folder; --images-dir wants the folder that holds the images")


def _status(entry: "os.DirEntry[str]") -> os.stat_result | OSError:
    try:
        return entry.stat()
    except OSError as error:
        return error


def _identities(folder: Path | None, but: Path) -> set[tuple[int, int]]:
    """Device and inode of `folder`, if it exists and is another one than `but`."""
    try:
        if folder is None or folder.samefile(but):
            return set()
        status = folder.stat()
    except OSError:
        return set()
    return {(status.st_dev, status.st_ino)}


def shown_prefix(folder: str) -> str:
    """What `shown_path` puts before every path under `folder`."""
    return shown_path(folder, "x").removesuffix("x")


def shown_path(folder: str, path: str) -> str:
    """`path` under `folder` as results print it: forward slashes, no leading "./"."""
    return Path(folder, path).as_posix()
