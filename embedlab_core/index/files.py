"""Files that are either wholly there or not there at all."""

import hashlib
import os
import re
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

from embedlab_core.errors import FileWriteError, IndexWriteError

# What is called so is a file of embedlab that was not finished, and may be removed.
_TEMPORARY_PREFIX = ".embedlab-tmp-"
_TEMPORARY = re.compile(re.escape(_TEMPORARY_PREFIX) + r"\d+-.+", re.DOTALL)


def replace_file(
    path: Path,
    write: Callable[[IO[bytes]], object],
    fault: type[FileWriteError] = IndexWriteError,
    *,
    durable: bool = True,
) -> str:
    """Call `write` on a temporary file beside `path`, flush it to disk, rename it to `path`, and return its sha256.

    A process killed at any moment leaves the old file or the new one. durable: so does a machine that loses its power;
    waiting for the disk costs more than a search does. Raises `fault`, which is FileWriteError for files outside an
    index.
    """
    temporary = temporary_path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("w+b") as file:
            write(file)
            file.flush()
            if durable:
                os.fsync(file.fileno())
            file.seek(0)
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        temporary.replace(path)
    except OSError as error:
        raise fault(
            f"{path}: cannot be written ({error.strerror or error}); free some space or choose another folder, "
            "then run the command again"
        ) from error
    finally:
        _discard(temporary)
    return digest


def temporary_path(path: Path) -> Path:
    """What a file is called while it is written."""
    return path.with_name(f"{_TEMPORARY_PREFIX}{os.getpid()}-{path.name}")


def is_temporary(name: str) -> bool:
    """Whether a file of this name is one of `temporary_path`."""
    return _TEMPORARY.fullmatch(name) is not None


def remove_leftovers(folder: Path, name: str, older: float = 0.0) -> None:
    """Remove what killed processes left of `replace_file`, for files called `name` (a pattern), if it is at least
    `older` seconds old. The folder may hold other things too: only our own names are touched."""
    for path in folder.glob(f"{_TEMPORARY_PREFIX}[0-9]*-{name}"):
        try:
            status = path.stat()
        except FileNotFoundError:
            continue
        if stat.S_ISREG(status.st_mode) and status.st_mtime <= time.time() - older:
            _discard(path)


def replace_text(path: Path, text: str, fault: type[FileWriteError] = IndexWriteError, *, durable: bool = True) -> str:
    """`replace_file` for UTF-8 text; names that are not valid Unicode keep their bytes."""
    return replace_file(path, lambda file: file.write(text.encode("utf-8", "surrogateescape")), fault, durable=durable)


def file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _discard(path: Path) -> None:
    try:
        path.unlink()
    except OSError:
        # It was renamed, or never made, or its folder is not writable: nothing to clean up, or no way to.
        return
