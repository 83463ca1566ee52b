"""Whether one picture shows what another shows, by laying them over each other: evidence that owes nothing to the
embedding."""

import math
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

# Side of the gray versions whose tiles are compared, and of those that tell where to look: a third of it.
SIDE = 96
_COARSENING = 3
_COARSE = SIDE // _COARSENING
# Shares of a picture's sides that a crop or a border of it may leave.
_SCALES = (1.0, 0.9, 0.82, 0.75)
# Below this the coarse versions do not lie over each other at all, and their tiles need no look.
_PLACED = 0.5
_TILE = 12
# Pixels by which a tile may lie beside its expected place: what the steps of scale and a turn of five degrees leave.
_SLACK = 6
# Standard deviations, in gray levels: of a tile that shows something, and of the noise that none shows less than.
_TEXTURE = 3.0
_NOISE = 0.5
# The share of what is compared that may differ: lettering, a logo.
_SPARED = 0.15
# Corners, in gray levels a pixel, from which on a tile counts in full.
_CORNERED = 4.0
# Tiles of one picture lie where an affine map puts them, to so many pixels.
_STRAY = 1.5
Gray = npt.NDArray[np.float32]


def registration(one: Gray, other: Gray) -> float:
    """How well two pictures agree where they can be laid over each other best, in [0, 1]; NaN if either is blank.

    one, other: float32 (SIDE, SIDE), gray pictures squashed to squares. The place is found by normalised
    cross-correlation (Lewis 1995, "Fast normalized cross-correlation") over the eight quarter turns and mirrorings, a
    few scales, and all shifts of coarse versions. A tile of the one is looked for within a few pixels of its
    place in the other; an affine map through the places found says where tiles lie if the pictures are one. The
    agreement is the 15th percentile of the correlation of a tile with what lies there. Tiles count by their corners
    (Shi and Tomasi 1994, "Good features to track"), since an edge agrees with any edge. Brightness, contrast and small
    turns change little; what is alike in layout only, as buttons with other words are, fails in some tiles.
    """
    if not (_shows_something(one) and _shows_something(other)):
        return math.nan
    placements = [(_place(one, other), one, other), (_place(other, one), other, one)]
    place, picture, pattern = max(placements, key=lambda placed: placed[0].correlation)
    if place.correlation < _PLACED:
        return 0.0
    tiles = _compared_tiles(picture, pattern, place)
    return max(0.0, _quantile(_agreement(tiles), tiles.weights, _SPARED)) if len(tiles.weights) else 0.0


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a pattern, turned and shrunk, lies in a picture. turn: quarter turns against the clock, 4 more if mirrored
    after. scale: of both sides; top, left: in shares of the picture's sides."""

    turn: int
    scale: float
    top: float
    left: float


def placement(picture: Gray, pattern: Gray) -> Placement:
    """Where the pattern lies best in the picture. Both: float32 (SIDE, SIDE)."""
    place = _place(picture, pattern)
    return Placement(place.turn, place.scale, place.top / _COARSE, place.left / _COARSE)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a pattern, turned and shrunk, lies in a picture. top, left: coarse pixels."""

    correlation: float
    turn: int
    scale: float
    top: int
    left: int


def _shows_something(picture: Gray) -> bool:
    return float(picture.std()) >= _TEXTURE


def _place(picture: Gray, pattern: Gray) -> _Place:
    coarse = _shrunk(picture, _COARSE)
    spectrum = np.fft.rfft2(coarse)
    best = _Place(-1.0, 0, 1.0, 0, 0)
    for scale in _SCALES:
        side = round(_COARSE * scale)
        views = _views(_shrunk(pattern, side))
        views = views - views.mean(axis=(1, 2), keepdims=True)
        norms = np.maximum(np.linalg.norm(views, axis=(1, 2), keepdims=True), _NOISE * side)
        products = np.fft.irfft2(spectrum * np.fft.rfft2(views / norms, s=coarse.shape).conj(), s=coarse.shape)
        shifts = _COARSE - side + 1
        correlations = products[:, :shifts, :shifts] / _window_norms(coarse, side)
        turn, top, left = np.unravel_index(int(correlations.argmax()), correlations.shape)
        found = float(correlations[turn, top, left])
        if found > best.correlation:
            best = _Place(found, int(turn), scale, int(top), int(left))
    return best


@dataclass(frozen=True, slots=True)
class _Tiles:
    """The tiles of a placed pattern that show something, or lie on something.

    correlations: (t, 2 * _SLACK + 1, 2 * _SLACK + 1), of a tile with what lies around its place; places: (t, 2) row and
    column among the tiles; weights: (t,) > 0, how much of a corner it shows, and what it lies on.
    """

    correlations: npt.NDArray[np.float64]
    places: npt.NDArray[np.int64]
    weights: npt.NDArray[np.float64]


def _compared_tiles(picture: Gray, pattern: Gray, place: _Place) -> _Tiles:
    side = round(_COARSE * place.scale) * _COARSENING
    count = side // _TILE
    placed = _views(_shrunk(pattern, side))[place.turn][: count * _TILE, : count * _TILE]
    tiles = placed.reshape(count, _TILE, count, _TILE).swapaxes(1, 2)
    tiles = tiles - tiles.mean(axis=(2, 3), keepdims=True)
    tile_norms = np.maximum(np.linalg.norm(tiles, axis=(2, 3)), _NOISE * _TILE)
    padded = np.pad(picture, _SLACK, mode="edge")
    # (count, count, shifts, shifts) and, of the pixels, (..., _TILE, _TILE): views of the surroundings of every tile.
    shifts = 2 * _SLACK + 1
    norms = _surroundings(_window_norms(padded, _TILE), place, shifts)[:count, :count]
    surroundings = _surroundings(padded, place, shifts + _TILE - 1)[:count, :count]
    windows = np.lib.stride_tricks.sliding_window_view(surroundings, (_TILE, _TILE), axis=(2, 3))
    # The mean of a window falls out, since that of the tile is 0.
    products = np.einsum("abij,abklij->abkl", tiles, windows)
    shown = np.maximum(tile_norms, norms[:, :, _SLACK, _SLACK]) >= _TEXTURE * _TILE
    return _Tiles(
        correlations=(products / (tile_norms[:, :, None, None] * norms))[shown],
        places=np.argwhere(shown),
        weights=((_corners(tiles) + _corners(windows[:, :, _SLACK, _SLACK])) / 2)[shown],
    )


def _corners(tiles: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """(...) of (..., _TILE, _TILE), in (0, 1]: the smaller eigenvalue of the mean outer product of the gradients."""
    down, right = np.gradient(tiles.astype(np.float64), axis=(-2, -1))
    dd, rr, dr = ((one * other).mean(axis=(-2, -1)) for one, other in ((down, down), (right, right), (down, right)))
    smaller = (dd + rr) / 2 - np.hypot((dd - rr) / 2, dr)
    # Where nothing has corners, all tiles count alike.
    corners: npt.NDArray[np.float64] = np.clip(np.sqrt(np.maximum(smaller, 0)) / _CORNERED, 1e-6, 1)
    return corners


def _agreement(tiles: _Tiles) -> npt.NDArray[np.float64]:
    """(t,): the best correlation of a tile within _STRAY of where it lies if all tiles move together."""
    flat = tiles.correlations.reshape(len(tiles.places), -1)
    best = np.clip(flat.max(axis=1), 0, None)
    shifts = np.arange(-_SLACK, _SLACK + 1)
    found = np.stack(np.unravel_index(flat.argmax(axis=1), tiles.correlations.shape[1:]), axis=1) - _SLACK
    terms = np.column_stack([np.ones(len(flat)), tiles.places - tiles.places.mean(axis=0)])
    # A slope takes evidence: one or two tiles give none.
    ridge = np.diag([1e-3, 0.05, 0.05])
    weights = best**4 * tiles.weights
    expected = found.astype(np.float64)
    for _ in range(2):
        weighted = terms.T * weights
        expected = terms @ np.linalg.solve(weighted @ terms + ridge, weighted @ found)
        # The second time, tiles that lie elsewhere count little.
        weights = weights / (1 + (np.linalg.norm(found - expected, axis=1) / _STRAY) ** 2)
    down, right = (np.abs(shifts - expected[:, [axis]]) <= _STRAY for axis in (0, 1))
    allowed = np.where(down[:, :, None] & right[:, None, :], tiles.correlations, -1.0)
    agreement: npt.NDArray[np.float64] = allowed.max(axis=(1, 2))
    return agreement


def _quantile(values: npt.NDArray[np.float64], weights: npt.NDArray[np.float64], share: float) -> float:
    order = np.argsort(values, kind="stable")
    below = weights[order].cumsum() - weights[order] / 2
    return float(np.interp(share, below / weights.sum(), values[order]))


def _surroundings(values: npt.NDArray[Any], place: _Place, side: int) -> npt.NDArray[Any]:
    """(a, b, side, side): what lies around every tile, from the place of the pattern on."""
    top, left = place.top * _COARSENING, place.left * _COARSENING
    return np.lib.stride_tricks.sliding_window_view(values, (side, side))[top::_TILE, left::_TILE]


def _window_norms(picture: Gray, side: int) -> npt.NDArray[np.float64]:
    """float64 (s, s): of every window of a picture, the norm of its deviations from its mean."""
    sums, squares = (_window_sums(picture.astype(np.float64) ** power, side) for power in (1, 2))
    norms: npt.NDArray[np.float64] = np.sqrt(np.maximum(squares - sums**2 / side**2, (_NOISE * side) ** 2))
    return norms


def _window_sums(values: npt.NDArray[np.float64], side: int) -> npt.NDArray[np.float64]:
    table = np.pad(values.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    sums: npt.NDArray[np.float64] = (
        table[side:, side:] - table[:-side, side:] - table[side:, :-side] + table[:-side, :-side]
    )
    return sums


def _views(picture: Gray) -> Gray:
    """(8, s, s): the quarter turns of a square, then those of its mirror image."""
    turns = [np.rot90(picture, count) for count in range(4)]
    views: Gray = np.stack(turns + [turn[:, ::-1] for turn in turns]).astype(np.float32)
    return views


def _shrunk(picture: Gray, side: int) -> Gray:
    """(side, side): every pixel the mean of those under it."""
    rows = _shrinking(side)
    shrunk: Gray = (rows @ picture @ rows.T).astype(np.float32)
    return shrunk


@cache
def _shrinking(side: int) -> Gray:
    """float32 (side, SIDE): how much each of SIDE pixels in a row counts in each of `side`."""
    edges = np.linspace(0, SIDE, side + 1)
    starts = np.arange(SIDE)
    covered = np.clip(np.minimum(edges[1:, None], starts + 1) - np.maximum(edges[:-1, None], starts), 0, None)
    shares: Gray = (covered * side / SIDE).astype(np.float32)
    return shares
