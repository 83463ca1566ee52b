"""What the pixels of a file say of its history: whether it was compressed before, enlarged or blurred."""

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from embedlab_core.images.decode import decode_errors

# Pictures of more pixels are not looked at: what is decoded here is decoded whole.
_MOST_PIXELS = 2**26
# To look at a picture it is decoded at no reduced scale.
WHOLE = 2**15
# Side of the part, from the middle, that is looked at.
_SIDE = 1024

# Blocks of 8 x 8 pixels that are looked at, and coefficients (row, column) of their cosine transform: low ones, which
# every picture has enough of.
_BLOCKS = 4096
_LEAST_BLOCKS = 64
_COEFFICIENTS = ((0, 1), (1, 0), (1, 1), (0, 2), (2, 0), (2, 1), (1, 2), (3, 0), (0, 3))
# Bins on each side of 0 of a coefficient's histogram, the width of the mean that smooths it, and the length it is
# transformed at: its comb of peaks has a period of 2 to 20 bins.
_BINS = 64
_SMOOTH = 9
_TRANSFORM = 256
_LONGEST_PERIOD = 20
# A comb this many times as strong as at other places of the grid is none by chance: once compressed photographs come to
# at most 1.25; once more, at a higher quality than before, and on the same grid, they come to 2.5 and more.
_COMB = 1.4
_FOREIGN_COMB = 1.7
# Places 8 * down + right of the grid that the own place of a JPEG is compared with.
_OTHER_PLACES = (18, 28, 35, 36, 45)

# Rows of luma of one JPEG quality: the table of Annex K of the standard (ITU-T T.81), in zigzag order or not, has this
# mean at quality 50.
_STANDARD_MEAN = 57.625
# A copy of a JPEG is at least so much worse than it, and at most so many times as large or small.
_WORSE = 3
_ALIKE = 1.5

# Smaller pictures show whether a larger one has detail of its own: with less than this share of theirs it has been
# enlarged. Of photographs with their reductions, also soft ones, none falls below; what was doubled does.
_ENLARGED = 0.62
# The same for pictures of one size: what was blurred falls below, what was compressed again does not.
_BLURRED = 0.8
_SAME_SIZE = 0.95
# Side at which a border is looked for, levels that a plain one may vary by, and the share of each of its inner edges
# that the picture has to touch.
_FRAME_SIDE = 256
_PLAIN = 12
_FILLED = 0.7
# Enlarging leaves a ripple of known period, this many times as strong as any other.
_RIPPLE = 5.0
# Frequencies near multiples of 1/8, which are those of JPEG's blocks, tell nothing; in steps of the spectrum.
_GUARD = 4

Luma = npt.NDArray[np.uint8]
_Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """What the pixels of a file say.

    Attributes:
        width: pixels, as stored.
        height: pixels, as stored.
        framed: whether a plain border goes all around it.
        quality: of a JPEG, 1 to 100, as its quantization says; None for others.
        recompressed: whether it shows the grid of a JPEG that it was before.
        luma: uint8 (h, w), its middle at full size.
        detail: how much of the middle is gone at half the size, against what then goes at a quarter; 0 if it is blank.
    """

    width: int
    height: int
    framed: bool
    quality: float | None
    recompressed: bool
    luma: Luma
    detail: float


def look_at(data: bytes) -> Look | None:
    """None for a picture too large, or too small, to be looked at. Raises ImageDecodeError."""
    with decode_errors(data), Image.open(io.BytesIO(data)) as image:
        width, height = image.size
        if width * height > _MOST_PIXELS:
            return None
        tables = getattr(image, "quantization", None)
        left, top = (max(0, (side - _SIDE) // 2) // 8 * 8 for side in (width, height))
        part = image.crop((left, top, min(width, left + _SIDE), min(height, top + _SIDE)))
        part = part.convert("RGB").convert("L")
        small = image.reduce(max(1, min(width, height) // _FRAME_SIDE)).convert("RGB").convert("L")
    luma = np.asarray(part)
    table = np.array(tables[0], dtype=np.float64) if tables else None
    quality = None if table is None else jpeg_quality(table)
    return Look(width, height, _framed(np.asarray(small)), quality, _recompressed(luma, table), luma, _detail(part))


def jpeg_quality(table: npt.NDArray[np.float64]) -> float:
    """The quality at which libjpeg would quantize as coarsely. table: (64,), of luma."""
    scale = float(table.mean()) / _STANDARD_MEAN
    return float(np.clip(50 / scale if scale > 1 else 100 - 50 * scale, 1, 100))


def copy_signs(looks: Sequence[Look | None]) -> list[int]:
    """For each of several pictures of one thing the strongest sign that it is a copy of another of them: 3 if it has a
    border that another lacks, 2 if it was compressed before, 1 if it was enlarged, blurred, or compressed more than
    another of about its size; else 0."""
    return [_sign(look, [other for other in looks if other and other is not look]) for look in looks]


def _sign(look: Look | None, others: Sequence[Look]) -> int:
    if look is None:
        return 0
    if look.framed and any(not other.framed for other in others):
        return 3
    if look.recompressed or any(_decoded(look, other) for other in others):
        return 2
    return int(any(_enlarged(look, other) or _blurred(look, other) or _worse(look, other) for other in others))


def _decoded(look: Look, other: Look) -> bool:
    """Whether a picture without loss has the very pixels of a JPEG: compressing it would not have kept them."""
    return look.quality is None and other.quality is not None and np.array_equal(look.luma, other.luma)


def _framed(luma: Luma) -> bool:
    """Whether a rectangle in the picture fills it but for a border of one level. What stands free on a plain ground
    touches the box around it in a few places; a framed picture touches it nearly everywhere."""
    inside = np.abs(luma.astype(np.int16) - int(luma[0, 0])) > _PLAIN
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    if not rows.size:
        return False
    top, bottom, left, right = rows[0], rows[-1], columns[0], columns[-1]
    if not (top and left and bottom < luma.shape[0] - 1 and right < luma.shape[1] - 1):
        return False
    box = inside[top : bottom + 1, left : right + 1]
    # Shrinking blends the outermost line of the picture with the border.
    edges = (box[1:3].any(axis=0), box[-3:-1].any(axis=0), box[:, 1:3].any(axis=1), box[:, -3:-1].any(axis=1))
    return all(edge.mean() > _FILLED for edge in edges)


def _pixels(look: Look) -> int:
    return look.width * look.height


def _enlarged(look: Look, other: Look) -> bool:
    if _pixels(other) >= _SAME_SIZE * _pixels(look):
        return False
    return look.detail < _ENLARGED * other.detail or _ripples(look, other)


def _blurred(look: Look, other: Look) -> bool:
    same = _SAME_SIZE <= _pixels(other) / _pixels(look) <= 1 / _SAME_SIZE
    return same and look.detail < _BLURRED * other.detail


def _worse(look: Look, other: Look) -> bool:
    if look.quality is None or other.quality is None or other.recompressed:
        return False
    alike = 1 / _ALIKE <= _pixels(other) / _pixels(look) <= _ALIKE
    return alike and look.quality <= other.quality - _WORSE


def _recompressed(luma: Luma, table: npt.NDArray[np.float64] | None) -> bool:
    """Whether coefficients bunch at multiples of a step, as quantizing leaves them, at some place of the grid more than
    elsewhere; of a JPEG at its own place, whether they do so among the multiples of its own steps.

    Popescu and Farid 2004, "Statistical tools for digital forensics", section 3.
    """
    places = [_blocks(luma[down:, right:]) for down in range(8) for right in range(8)]
    if min(map(len, places)) < _LEAST_BLOCKS:
        return False
    plain, least = np.ones(64), _COMB
    if table is not None:
        own, *others = (_comb(places[place], table) for place in (0, *_OTHER_PLACES))
        if own > _COMB * float(np.median(others)):
            return True
        # Its own grid shows a little at places in the same rows and columns.
        places, least = places[1:], _FOREIGN_COMB
    combs = [_comb(blocks, plain) for blocks in places]
    return max(combs) > least * float(np.median(combs))


def _blocks(luma: Luma) -> npt.NDArray[np.float32]:
    """float32 (n, 64), evenly spaced; without blocks that are cut off at black or white, where steps are lost."""
    down, right = (side // 8 for side in luma.shape)
    chosen = np.arange(0, down * right, max(1, down * right // _BLOCKS))
    grid = luma[: down * 8, : right * 8].reshape(down, 8, right, 8)
    blocks = grid[chosen // max(right, 1), :, chosen % max(right, 1)].reshape(-1, 64)
    sound = (blocks.max(axis=1, initial=0) < 254) & (blocks.min(axis=1, initial=255) > 1)
    found: npt.NDArray[np.float32] = blocks[sound].astype(np.float32)
    return found


def _comb(blocks: npt.NDArray[np.float32], steps: npt.NDArray[np.float64]) -> float:
    """The median over coefficients of how strong the comb of peaks in their histograms is; 0 where there is none."""
    width = 2 * _BINS + 1
    wanted = np.array([steps[8 * row + column] for row, column in _COEFFICIENTS])
    bins = np.rint(blocks @ _basis() / wanted).astype(np.int64) + _BINS
    # One histogram of all: that of each coefficient begins where the last one ends.
    places = bins + width * np.arange(len(wanted))
    counts = np.bincount(places[(bins >= 0) & (bins < width)], minlength=width * len(wanted)).astype(np.float64)
    counts = counts.reshape(len(wanted), width)
    # The peak at 0 is every picture's.
    counts[:, _BINS] = 0
    counts = counts[counts.sum(axis=1) >= _LEAST_BLOCKS]
    if not len(counts):
        return 0.0
    padded = np.pad(counts, ((0, 0), (_SMOOTH // 2, _SMOOTH // 2)), mode="edge")
    rest = counts - np.lib.stride_tricks.sliding_window_view(padded, _SMOOTH, axis=1).mean(axis=2)
    rest[:, _BINS - 2 : _BINS + 3] = 0
    spectrum = np.abs(np.fft.rfft(rest, _TRANSFORM))[:, _TRANSFORM // _LONGEST_PERIOD :]
    return float(np.median(spectrum.max(axis=1) / np.sqrt(counts.sum(axis=1))))


@cache
def _basis() -> npt.NDArray[np.float32]:
    """float32 (64, c): what gives the coefficients of blocks (n, 64), as JPEG scales them."""
    places = np.arange(8)
    waves = 0.5 * np.cos((2 * places[None] + 1) * places[:, None] * math.pi / 16)
    waves[0] /= math.sqrt(2)
    return np.stack([np.outer(waves[row], waves[column]).ravel() for row, column in _COEFFICIENTS], 1).astype(
        np.float32
    )


def _detail(part: Image.Image) -> float:
    whole = part.convert("F")
    half = _reduced(whole)
    coarse = _loss(half, _reduced(half))
    return _loss(whole, half) / coarse if coarse else 0.0


def _reduced(image: Image.Image) -> Image.Image:
    size = (max(1, image.width // 2), max(1, image.height // 2))
    return image.resize(size, Image.Resampling.BOX)


def _loss(image: Image.Image, reduced: Image.Image) -> float:
    """Gray levels, root mean square."""
    back = np.asarray(reduced.resize(image.size, Image.Resampling.BICUBIC))
    return float(np.sqrt(np.mean((np.asarray(image) - back) ** 2)))


def _ripples(look: Look, other: Look) -> bool:
    """Whether the second differences of a picture vary with the period that enlarging the other to its size leaves.

    Gallagher 2005, "Detection of linear and cubic interpolation in JPEG compressed images".
    """
    factors = (look.width / other.width, look.height / other.height)
    if abs(factors[0] / factors[1] - 1) > 0.02:  # It is cropped, or turned: the factor is not known.
        return False
    return all(
        _ripple(lines, factor) > _RIPPLE for lines, factor in zip((look.luma, look.luma.T), factors, strict=True)
    )


def _ripple(lines: npt.NDArray[Any], factor: float) -> float:
    """How many times as strong the ripple of one factor is as the others are; 0 where it cannot be told from JPEG's."""
    length = lines.shape[1] - 2
    frequency = (1 / factor) % 1
    place = min(frequency, 1 - frequency) * length
    blocks = np.arange(9) * length / 8
    if length < _SIDE // 4 or np.abs(blocks - place).min() <= _GUARD:
        return 0.0
    ripple = np.log(np.abs(np.diff(lines.astype(np.float32), 2, axis=1)).mean(axis=0) + 0.5)
    ripple = ripple - np.convolve(np.pad(ripple, 8, mode="edge"), np.full(17, 1 / 17), "valid")
    spectrum = np.abs(np.fft.rfft(ripple * np.hanning(length)))
    numbers = np.arange(len(spectrum))
    usual: _Mask = (np.abs(numbers[:, None] - blocks).min(axis=1) > _GUARD) & (numbers > length / 20)
    found = spectrum[max(0, int(place) - 1) : int(place) + 3].max()
    return float(found / max(np.median(spectrum[usual]), 1e-9))
