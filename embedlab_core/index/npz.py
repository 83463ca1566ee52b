"""Uncompressed .npz files whose arrays can be memory-mapped in place.

`numpy.savez` writes the same format, but starts arrays at odd offsets, where a float32 matrix cannot be handed to BLAS
without a copy; and `numpy.load(mmap_mode=…)` ignores .npz. Files written here are read by `numpy.load` as usual.
"""

import errno
import mmap
import struct
import tokenize
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
# What zipfile and NumPy's header parser let out on damaged input.
_DAMAGED = (
    OSError,
    ValueError,
    EOFError,
    NotImplementedError,
    struct.error,
    tokenize.TokenError,
    zipfile.BadZipFile,
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

    Raises IndexDamagedError if the file is missing, cut short, compressed, or holds pickled objects;
    IndexUnreadableError if the system does not give it.
    """
    try:
        with path.open("rb") as file:
            # One map for the file: a map for each array would cost a file descriptor each.
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        with zipfile.ZipFile(path) as archive, path.open("rb") as file:
            return {info.filename.removesuffix(".npy"): _map_member(mapped, file, info) for info in archive.infolist()}
    except _DAMAGED as error:
        if isinstance(error, OSError) and error.errno in _REFUSALS:
            raise IndexUnreadableError(path, error) from error
        raise IndexDamagedError(
            f"{path}: this part of the index is damaged ({error}); run embed again on the same folder to repair it"
        ) from error


def _map_member(mapped: mmap.mmap, file: IO[bytes], info: zipfile.ZipInfo) -> Array:
    if info.compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"{info.filename} is compressed")
    file.seek(info.header_offset)
    header = file.read(_LOCAL_HEADER)
    name_length, extra_length = struct.unpack("<HH", header[26:30])
    start = info.header_offset + _LOCAL_HEADER + name_length + extra_length
    file.seek(start)
    version = np.lib.format.read_magic(file)
    if version != (1, 0):
        raise ValueError(f"{info.filename} has npy version {version}")
    shape, fortran_order, dtype = np.lib.format.read_array_header_1_0(file)
    if dtype.hasobject or fortran_order:
        raise ValueError(f"{info.filename} is not a plain C-ordered array")
    offset = file.tell()
    if offset + dtype.itemsize * int(np.prod(shape, dtype=np.int64)) > start + info.file_size:
        raise ValueError(f"{info.filename} is shorter than its header says")
    return np.ndarray(shape, dtype, buffer=mapped, offset=offset)
