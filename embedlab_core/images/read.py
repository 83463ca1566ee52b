"""A path -> the bytes of the file, whatever stands there by now."""

import errno
import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Bytes of the largest file that is read: no picture is larger.
LARGEST_FILE = 2**30

# Windows has no such flag, and no pipes among its files.
_NONBLOCK = getattr(os, "O_NONBLOCK", 0)
_LEAST_READ = 2**16


class NotRegularFileError(OSError):
    """A pipe, a socket or a device: it has no content, or none that ends."""


class FileTooLargeError(OSError):
    """More bytes than the caller takes."""


@contextmanager
def open_file(path: Path, most: int = LARGEST_FILE) -> Iterator[io.FileIO]:
    """A regular file of at most `most` bytes, open for reading, unbuffered. It never waits for a pipe's writer or for a
    device.

    What was a file when its folder was listed may be something else now, so the open file itself is looked at.
    Raises OSError; NotRegularFileError and FileTooLargeError are kinds of it. `strerror` is the reason in words.
    """
    with open(path, "rb", buffering=0, opener=_open_at_once) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise NotRegularFileError(errno.EINVAL, "not a regular file", str(path))
        if status.st_size > most:
            size = f"{status.st_size / 2**30:.1f} GiB" if status.st_size >= 2**30 else f"{status.st_size} bytes"
            raise FileTooLargeError(errno.EFBIG, f"{size} are too many for a picture", str(path))
        if _NONBLOCK:
            # Some network file systems would give a part and call it the end.
            os.set_blocking(file.fileno(), True)
        yield file


def read_file(path: Path, most: int = LARGEST_FILE) -> bytes:
    """All bytes of a file that `open_file` opens. Raises OSError as it does."""
    with open_file(path, most) as file:
        size = os.fstat(file.fileno()).st_size
        # The size was true a moment ago: a file that is being written grows, and those of /proc claim to be empty.
        chunks: list[bytes] = []
        left = most + 1
        while left and (chunk := file.read(min(left, max(size + 1, _LEAST_READ)))):
            chunks.append(chunk)
            left -= len(chunk)
    if not left:
        raise FileTooLargeError(errno.EFBIG, f"more than {most} bytes are too many for a picture", str(path))
    return b"".join(chunks)


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | _NONBLOCK)
