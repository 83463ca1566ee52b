"""A folder -> the image files in it, in one stable order."""

import os
import stat
from dataclasses import dataclass, field
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
    """path: relative to the images folder, with forward slashes. size: bytes. mtime_ns: modification time."""

    path: str
    size: int
    mtime_ns: int


SkipKind = Literal["unreadable", "corrupted", "unusable", "excluded"]


@dataclass(frozen=True, slots=True)
class Skip:
    """A file or folder that is not in the index, and why.

    kind: the system would not give it, it is no image that can be decoded, the model sees nothing in it, or its quality
    flags were unwanted.
    """

    path: str
    reason: str
    kind: SkipKind = "unreadable"


@dataclass(slots=True)
class Discovery:
    """files: sorted by path. other: how many files are not images by name. unreadable: what could not be looked at."""

    files: list[ImageFile] = field(default_factory=list)
    other: int = 0
    unreadable: list[Skip] = field(default_factory=list)


def discover(images_dir: Path, recursive: bool = True) -> Discovery:
    """List the images under `images_dir`; symbolic links are followed, each real folder once, under its first name.

    Raises ImagesDirError if the folder is missing or not a folder.
    """
    if not images_dir.exists():
        raise ImagesDirError(f"{images_dir}: no such folder; give an existing one with --images-dir")
    if not images_dir.is_dir():
        raise ImagesDirError(f"{images_dir}: not a folder; --images-dir wants the folder that holds the images")
    found = Discovery()
    pending = [("", images_dir)]
    seen: set[tuple[int, int]] = set()
    while pending:
        prefix, folder = pending.pop()
        try:
            identity = folder.stat()
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name, reverse=True)
        except OSError as error:
            found.unreadable.append(Skip(prefix.rstrip("/") or ".", f"folder cannot be read ({error.strerror})"))
            continue
        if (identity.st_dev, identity.st_ino) in seen:
            continue
        seen.add((identity.st_dev, identity.st_ino))
        for entry in entries:
            path = prefix + entry.name
            is_image_name = Path(entry.name).suffix.lower() in IMAGE_SUFFIXES
            try:
                status = entry.stat()
            except OSError as error:
                if is_image_name:
                    found.unreadable.append(Skip(path, f"file cannot be read ({error.strerror})"))
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


def shown_path(folder: str, path: str) -> str:
    """`path` under `folder` as results print it: forward slashes, no leading "./"."""
    return Path(folder, path).as_posix()
