"""Perceptual hash: 64 bits that survive re-encoding and resizing."""

from functools import cache

import numpy as np
import numpy.typing as npt
from PIL import Image

_SIDE = 32
_LOW = 8


def phash(pixels: npt.NDArray[np.uint8]) -> int:
    """64-bit DCT hash of uint8 (h, w, 3) RGB pixels.

    The sign, against their median, of the 8 x 8 lowest frequencies of a 32 x 32 grayscale image (Zauner 2010,
    "Implementation and Benchmarking of Perceptual Image Hash Functions").
    """
    gray = np.asarray(Image.fromarray(pixels).convert("L").resize((_SIDE, _SIDE)), dtype=np.float64)
    basis = _dct_basis()
    low = (basis @ gray @ basis.T).ravel()
    bits = low > np.median(low[1:])
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


@cache
def _dct_basis() -> npt.NDArray[np.float64]:
    """The first 8 rows of the type-II DCT of length 32, (8, 32)."""
    frequency = np.arange(_LOW)[:, None]
    position = np.arange(_SIDE)[None, :]
    return np.cos(np.pi * frequency * (2 * position + 1) / (2 * _SIDE))


def turned_hashes(hashes: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """uint64 (n,) -> (8, n): the hashes of the pictures in all quarter turns and mirrorings, upright first.

    Mirroring a picture changes the sign of its odd frequencies, transposing it swaps the axes. The median that signs
    are taken against moves with them, so a turned hash is within a few bits of that of the turned picture.
    """
    bits = np.unpackbits(hashes.astype(">u8").view(np.uint8).reshape(-1, 8), axis=1).reshape(-1, _LOW, _LOW)
    odd = (np.arange(_LOW) % 2).astype(np.uint8)
    views = []
    for base in (bits, bits.transpose(0, 2, 1)):
        for rows in (0, 1):
            for columns in (0, 1):
                views.append(base ^ ((rows * odd[:, None] + columns * odd[None, :]) % 2))
    packed = np.packbits(np.stack(views).reshape(8, len(hashes), _LOW * _LOW), axis=2)
    return packed.view(">u8")[..., 0].astype(np.uint64)
