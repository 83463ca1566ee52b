"""Files that are either wholly there or not there at all."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import IO

from embedlab_core.errors import IndexWriteError

TEMPORARY_PREFIX = ".tmp-"


def replace_file(path: Path, write: Callable[[IO[bytes]], object]) -> str:
    """Call `write` on a temporary file beside `path`, flush it to disk, rename it to `path`, and return its sha256.

    A process killed at any moment leaves the old file or the new one. Raises IndexWriteError.
    """
    temporary = path.with_name(f"{TEMPORARY_PREFIX}{os.getpid()}-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("w+b") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
            file.seek(0)
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        temporary.replace(path)
    except OSError as error:
        raise IndexWriteError(
            f"{path}: cannot be written ({error.strerror or error}); free some space or choose another folder, "
            "then run the command again"
        ) from error
    finally:
        _discard(temporary)
    return digest


def replace_text(path: Path, text: str) -> str:
    """`replace_file` for UTF-8 text; names that are not valid Unicode keep their bytes."""
    return replace_file(path, lambda file: file.write(text.encode("utf-8", "surrogateescape")))


def file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _discard(path: Path) -> None:
    try:
        path.unlink()
    except OSError:
        # It was renamed, or never made, or its folder is not writable: nothing to clean up.
        return
