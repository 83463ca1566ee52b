"""Uncompressed .npz files whose arrays can be memory-mapped in place.

`numpy.savez` writes the same format, but starts arrays at odd offsets, where a float32 matrix cannot be handed to BLAS
without a copy; and `numpy.load(mmap_mode=…)` ignores .npz. Files written here are read by `numpy.load` as usual.
"""

import errno
import math
import mmap
import re
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from embedlab_core.errors import IndexDamagedError, IndexUnreadableError
from embedlab_core.index.files import replace_file

Array = npt.NDArray[Any]

_ALIGNMENT = 64
_LOCAL_HEADER = 30
# Zip extra-field id that zipalign uses for padding (Android APK Signature Scheme documentation).
_PADDING_ID = 0xD935
_EPOCH = (1980, 1, 1, 0, 0, 0)
# What zipfile lets out on damaged input.
_DAMAGED = (OSError, ValueError, EOFError, OverflowError, NotImplementedError, struct.error, zipfile.BadZipFile)

_NPY_START = b"\x93NUMPY\x01\x00"
# The header that NumPy writes for a plain array. NumPy's own parser takes any Python literal: a damaged one ends in an
# error of any kind, or in an array of another kind than was written.
_NPY_HEADER = re.compile(
    rb"\{'descr': '(?P<dtype>[<|](?:b1|[iu][1248]|f[248]|[US][1-9]\d{0,6}))', 'fortran_order': False, "
    rb"'shape': \((?P<shape>\d{1,19}(?:, \d{1,19}){0,3}),?\), \} *\n"
)

# What says nothing about the file.
_REFUSALS = (errno.EACCES, errno.EPERM, errno.EMFILE, errno.ENFILE, errno.ENOMEM)


def write_npz(path: Path, arrays: Mapping[str, Array]) -> str:
    """Write `arrays` atomically and return the file's sha256. The same arrays give the same bytes.

    Raises IndexWriteError if there is no room or no permission.
    """
    return replace_file(path, lambda file: _write(file, arrays))


def _write(file: IO[bytes], arrays: Mapping[str, Array]) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            info = zipfile.ZipInfo(f"{name}.npy", _EPOCH)
            padding = -(file.tell() + _LOCAL_HEADER + len(info.filename.encode()) + 4) % _ALIGNMENT
            info.extra = struct.pack("<HH", _PADDING_ID, padding) + bytes(padding)
            with archive.open(info, "w") as member:
                np.lib.format.write_array(member, np.ascontiguousarray(array), allow_pickle=False)


def open_npz(path: Path) -> dict[str, Array]:
    """Memory-map every array of an .npz that `write_npz` or `numpy.savez` wrote. Nothing is read until it is used.

    The arrays are C-ordered, of one to four axes, and of numbers, truth values, text or bytes.
    Raises IndexDamagedError if the file is missing, cut short, compressed, or holds anything else;
    IndexUnreadableError if the system does not give it.
    """
    try:
        with path.open("rb") as file:
            # One map for the file: a map for each array would cost a file descriptor each.
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            with zipfile.ZipFile(file) as archive:
                members = {info.filename: info for info in archive.infolist()}
                if len(members) < len(archive.infolist()):
                    raise ValueError("two arrays have one name")
        return {name.removesuffix(".npy"): _map_member(mapped, info) for name, info in members.items()}
    except _DAMAGED as error:
        if isinstance(error, OSError) and error.errno in _REFUSALS:
            raise IndexUnreadableError(path, error) from error
        raise IndexDamagedError(
            f"{path}: this part of the index is damaged ({error}); run embed again on the same folder to repair it"
        ) from error


def _map_member(mapped: mmap.mmap, info: zipfile.ZipInfo) -> Array:
    if info.compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"{info.filename} is compressed")
    local = mapped[info.header_offset : info.header_offset + _LOCAL_HEADER]
    name_length, extra_length = struct.unpack("<HH", local[26:30])
    start = info.header_offset + _LOCAL_HEADER + name_length + extra_length
    if mapped[start : start + len(_NPY_START)] != _NPY_START:
        raise ValueError(f"{info.filename} lacks the magic number of npy version 1.0")
    header = start + len(_NPY_START) + 2
    (header_length,) = struct.unpack("<H", mapped[header - 2 : header])
    match = _NPY_HEADER.fullmatch(mapped[header : header + header_length])
    if match is None:
        raise ValueError(f"{info.filename} is not a plain C-ordered array")
    dtype, shape = np.dtype(match["dtype"].decode()), tuple(map(int, match["shape"].split(b", ")))
    offset = header + header_length
    if offset + dtype.itemsize * math.prod(shape) > min(start + info.file_size, len(mapped)):
        raise ValueError(f"{info.filename} is shorter than its header says")
    return np.ndarray(shape, dtype, buffer=mapped, offset=offset)
