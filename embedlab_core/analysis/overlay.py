"""Whether a file may go because another shows all that it shows: the two laid over each other, and compared in fine."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from embedlab_core.analysis.registration import SIDE, Gray, placement, registration

# Longer side of the pictures that are compared, in pixels: text of 8 points on a page is 15 pixels high.
FINE = 1600
# Registration below which two pictures are two; see `selfmade`.
_STRANGE = 0.5
# Sides, in pixels, of the steps from coarse to fine in which the place is found, and steps of Gauss and Newton at each.
_LEVELS = (96, 192, 384, 768)
_STEPS = 12
# A pixel is explained by what lies within half a pixel of it in the other picture, give or take these gray levels, or
# this share of the contrast around it, which rounding, compression and resizing change.
_NOISE = 16.0
_SHARE = 0.2
# Sides of the surroundings that contrast is taken in, and of the windows in which unexplained pixels are counted; so
# many in one window are a part of another letter. On a page of 850 x 1100 pixels, honest copies (JPEG of quality 30,
# half the size, brighter) leave at most one; one other digit leaves 13, and 6 at 70 % of the size.
_AROUND = 15
_WINDOW = 7
_STROKE = 3
# Correlation over the whole below which the pictures do not lie over each other.
_ALIGNED = 0.9
# Side of the pictures whose colours are compared, and levels of blue and red difference that may be lost.
_COLOUR_SIDE = 48
_COLOUR_NOISE = 16.0
_COLOUR_SHARE = 0.35
# Gray levels that a border may vary by, and share of it that may vary more.
_PLAIN = 24.0
_SPECKS = 0.01
# Shares of the kept picture that the other may reach beyond it: the rounding of a crop.
_RIM = 0.012

_ELSEWHERE = "they cannot be laid over each other"

_Array = npt.NDArray[np.float32]
_Mask = npt.NDArray[np.bool_]


def difference(kept: Image.Image, moved: Image.Image) -> str | None:
    """Why the file `moved` may not go for `kept`; None if all that it shows is in the kept one too.

    Both: upright, RGB, at most FINE pixels long. They may differ by quarter turns and mirroring, by size, brightness
    and compression, and by a margin: of the kept one anything, of the other one only a plain border. After registration
    as a whole, every pixel has to be explained by its neighbourhood in the other picture: a letter that differs is not.
    """
    if kept.size == moved.size and np.array_equal(np.asarray(kept), np.asarray(moved)):
        return None
    agreement = registration(_square(kept), _square(moved))
    if np.isnan(agreement):
        return "too little is seen to compare them"
    if agreement < _STRANGE:
        return _ELSEWHERE
    for turned, box in _hypotheses(kept, moved):
        reason = _difference(kept, turned, box)
        if reason != _ELSEWHERE:
            return reason
    return _ELSEWHERE


@dataclass(frozen=True, slots=True)
class _Box:
    """Where the one picture lies in the other, in shares of the other's sides."""

    left: float = 0.0
    top: float = 0.0
    width: float = 1.0
    height: float = 1.0

    def inverse(self) -> "_Box":
        return _Box(-self.left / self.width, -self.top / self.height, 1 / self.width, 1 / self.height)


def _square(picture: Image.Image) -> Gray:
    return np.asarray(picture.convert("L").resize((SIDE, SIDE), Image.Resampling.BOX), dtype=np.float32)


def _hypotheses(kept: Image.Image, moved: Image.Image) -> Iterator[tuple[Image.Image, _Box]]:
    """The moved picture, turned, and where it may lie in the kept one: as it is first."""
    yield moved, _Box()
    for swapped in (False, True):
        picture, pattern = (_square(moved), _square(kept)) if swapped else (_square(kept), _square(moved))
        place = placement(picture, pattern)
        box = _Box(place.left, place.top, place.scale, place.scale)
        if swapped:
            # The kept one was turned: turning the other back turns the box too.
            turned, box = _turned_back(moved, box, place.turn), _turned_box(box, place.turn).inverse()
        else:
            turned = _turned(moved, place.turn)
        yield turned, box


def _turned(image: Image.Image, turn: int) -> Image.Image:
    """As `placement` numbers the quarter turns, and from 4 on those that are mirrored after."""
    turned = image.rotate(90 * (turn % 4), expand=True)
    return turned.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if turn >= 4 else turned


def _turned_back(image: Image.Image, box: _Box, turn: int) -> Image.Image:
    plain = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if turn >= 4 else image
    return plain.rotate(-90 * (turn % 4), expand=True)


def _turned_box(box: _Box, turn: int) -> _Box:
    """The box as it lies once what it lies in is turned back."""
    if turn >= 4:
        box = replace(box, left=1 - box.left - box.width)
    for _ in range(turn % 4):
        # A quarter turn clockwise takes (x, y) to (1 - y, x).
        box = _Box(1 - box.top - box.height, box.left, box.height, box.width)
    return box


def _difference(kept_rgb: Image.Image, moved_rgb: Image.Image, box: _Box) -> str | None:
    kept, moved = kept_rgb.convert("L"), moved_rgb.convert("L")
    for side in _LEVELS:
        box = _fitted(kept, moved, box, side)
        if not (0.4 < box.width < 2.5 and 0.4 < box.height < 2.5):
            return _ELSEWHERE
    # Both at the size of the smaller: what it does not show cannot be compared.
    scale = min(1.0, moved.width / (box.width * kept.width), moved.height / (box.height * kept.height))
    size = (max(16, round(kept.width * scale)), max(16, round(kept.height * scale)))
    base, over, seen = _overlay(kept, moved, box, size)
    base, over = _smoothed(base), _smoothed(over)
    # What lies beyond the edge of the one runs into the edge of the other.
    seen[:2] = seen[-2:] = seen[:, :2] = seen[:, -2:] = False
    if seen.sum() < 64 or _correlation(base[seen], over[seen]) < _ALIGNED:
        return _ELSEWHERE
    if not _explained(base, over, seen):
        return "they differ in a detail"
    if not _same_colours(kept_rgb, moved_rgb, box):
        return "they differ in colour"
    return None if _only_border(moved, box) else "one shows more than the other"


def _overlay(kept: Image.Image, moved: Image.Image, box: _Box, size: tuple[int, int]) -> tuple[_Array, _Array, _Mask]:
    """The two as (h, w) of one size, and where both are."""
    width, height = size
    base = np.asarray(kept.convert("F").resize(size, Image.Resampling.LANCZOS))
    # First to about its size, since what follows does not average.
    near = (max(1, round(box.width * width)), max(1, round(box.height * height)))
    shrunk = moved.convert("F").resize(
        near, Image.Resampling.BOX if near[0] <= moved.width else Image.Resampling.BICUBIC
    )
    across, down = near[0] / (box.width * width), near[1] / (box.height * height)
    shift = (-box.left * width * across, -box.top * height * down)
    over = shrunk.transform(
        size, Image.Transform.AFFINE, (across, 0, shift[0], 0, down, shift[1]), Image.Resampling.BICUBIC
    )
    rows, columns = np.arange(height)[:, None] + 0.5, np.arange(width)[None] + 0.5
    edge = 1.5
    seen = (columns >= box.left * width + edge) & (columns <= (box.left + box.width) * width - edge)
    return (
        base,
        np.asarray(over, dtype=np.float32),
        seen & ((rows >= box.top * height + edge) & (rows <= (box.top + box.height) * height - edge)),
    )


def _fitted(kept: Image.Image, moved: Image.Image, box: _Box, side: int) -> _Box:
    """The box after steps of Gauss and Newton on the squared difference, with brightness and contrast free (Lucas and
    Kanade 1981, "An iterative image registration technique")."""
    size = (min(side, kept.width), min(side, kept.height))
    if min(moved.size) < 8 or min(size) < 8:
        return box
    for _ in range(_STEPS):
        base, over, seen = _overlay(kept, moved, box, size)
        if seen.sum() < 64:
            return box
        down, right = np.gradient(over)
        columns = (np.arange(size[0])[None] + 0.5) / size[0] - box.left
        rows = (np.arange(size[1])[:, None] + 0.5) / size[1] - box.top
        # By left, top, width and height of the box, in shares; then by brightness and contrast.
        moves = np.stack([
            -right * size[0], -down * size[1],
            -right * size[0] * columns / box.width, -down * size[1] * rows / box.height,
            np.ones_like(over), over,
        ], axis=-1)[seen]  # fmt: skip
        solved, *_ = np.linalg.lstsq(moves.T @ moves, moves.T @ (base - over)[seen], rcond=1e-9)
        gain = max(0.2, 1 + float(solved[5]))
        step = np.clip(solved[:4] / gain, -0.05, 0.05)
        box = _Box(box.left + step[0], box.top + step[1], box.width + step[2], box.height + step[3])
        if not (0.3 < box.width < 3 and 0.3 < box.height < 3):
            return box
        if np.abs(step).max() < 0.05 / side:
            break
    return box


def _explained(base: _Array, over: _Array, seen: _Mask) -> bool:
    """Whether no stroke of either is missing in the other."""
    return _strokes_found(base, _toned(over, base, seen), seen) and _strokes_found(over, _toned(base, over, seen), seen)


def _same_colours(kept: Image.Image, moved: Image.Image, box: _Box) -> bool:
    """Whether the two are of the same colours, give or take what compression and brightening do to them."""
    size = (_COLOUR_SIDE, _COLOUR_SIDE)
    for one, other in list(zip(kept.convert("YCbCr").split(), moved.convert("YCbCr").split(), strict=True))[1:]:
        base, over, seen = _overlay(one, other, box, size)
        allowed = _COLOUR_NOISE + _COLOUR_SHARE * np.abs(base - 128)
        if seen.any() and float((np.abs(base - over)[seen] > allowed[seen]).mean()) > _SPECKS:
            return False
    return True


def _strokes_found(one: _Array, other: _Array, seen: _Mask) -> bool:
    low, high = _half_step(other, np.minimum), _half_step(other, np.maximum)
    contrast = _extreme(high, _AROUND, np.maximum) - _extreme(low, _AROUND, np.minimum)
    own = _extreme(one, _AROUND, np.maximum) - _extreme(one, _AROUND, np.minimum)
    allowed = np.maximum(_NOISE, _SHARE * np.maximum(contrast, own))
    unexplained = ((one < low - allowed) | (one > high + allowed)) & seen
    table = np.pad(unexplained.astype(np.int64).cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    if min(one.shape) < _WINDOW:
        return not unexplained.any()
    counts = table[_WINDOW:, _WINDOW:] - table[:-_WINDOW, _WINDOW:] - table[_WINDOW:, :-_WINDOW]
    return int((counts + table[:-_WINDOW, :-_WINDOW]).max(initial=0)) < _STROKE


def _half_step(values: _Array, best: Any) -> _Array:
    """The least or greatest within half a pixel of each."""
    padded = np.pad(values, 1, mode="edge")
    result = values.copy()
    for down, right in ((0, 1), (2, 1), (1, 0), (1, 2)):
        beside = padded[down : down + values.shape[0], right : right + values.shape[1]]
        best(result, (values + beside) / 2, out=result)
    return result


def _smoothed(values: _Array) -> _Array:
    """By a small binomial window: ways of resizing differ in less."""
    for axis in (0, 1):
        padded = np.pad(values, [(1, 1) if other == axis else (0, 0) for other in (0, 1)], mode="edge")
        length = values.shape[axis]
        first, middle, last = (padded.take(range(start, start + length), axis=axis) for start in range(3))
        values = ((first + 2 * middle + last) / 4).astype(np.float32)
    return values


def _toned(one: _Array, other: _Array, seen: _Mask) -> _Array:
    """One with the brightness of the other: every gray level becomes the median of what it lies on."""
    levels = np.clip(one / 8, 0, 31).astype(np.int64)
    inside, target = levels[seen], other[seen]
    order = np.argsort(inside, kind="stable")
    _, starts = np.unique(inside[order], return_index=True)
    medians = np.array([np.median(part) for part in np.split(target[order], starts[1:])])
    means = np.array([np.mean(part) for part in np.split(one[seen][order], starts[1:])])
    toned: _Array = np.interp(one, np.maximum.accumulate(means), np.maximum.accumulate(medians)).astype(np.float32)
    return toned


def _extreme(values: _Array, side: int, best: Any) -> _Array:
    """The least or greatest in a window of `side` pixels around each."""
    for axis in (0, 1):
        padding = [(side // 2, side // 2) if other == axis else (0, 0) for other in (0, 1)]
        values = np.pad(values, padding, mode="edge")
        # Of windows twice as long each time.
        reach = 1
        while reach < side:
            step = min(reach, side - reach)
            length = values.shape[axis] - step
            values = best(values.take(range(length), axis=axis), values.take(range(step, step + length), axis=axis))
            reach += step
    return values


def _correlation(one: _Array, other: _Array) -> float:
    if one.std() < 1 or other.std() < 1:
        return 0.0
    return float(np.corrcoef(one, other)[0, 1])


def _only_border(moved: Image.Image, box: _Box) -> bool:
    """Whether what the moved picture shows beyond the kept one is of one colour."""
    pixels = np.asarray(moved, dtype=np.float32)
    inner = box.inverse()
    rows = (np.arange(moved.height) + 0.5) / moved.height
    columns = (np.arange(moved.width) + 0.5) / moved.width
    beyond_rows = (rows < inner.top - _RIM) | (rows > inner.top + inner.height + _RIM)
    beyond_columns = (columns < inner.left - _RIM) | (columns > inner.left + inner.width + _RIM)
    margin = pixels[beyond_rows[:, None] | beyond_columns[None]]
    if not margin.size:
        return True
    return float((np.abs(margin - np.median(margin)) > _PLAIN).mean()) <= _SPECKS
