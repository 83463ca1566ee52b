"""Labelled pairs that an index makes of itself: copies of its own images, and how its likest images compare."""

import hashlib
import logging
import math
import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from embedlab_core.analysis.anomalies import nearest_of
from embedlab_core.analysis.apart import rows_apart
from embedlab_core.analysis.copies import COPY_KINDS, PICTURE_SIZE, make_copies
from embedlab_core.analysis.groups import component_labels
from embedlab_core.analysis.labelled import LabelledPairs, joined
from embedlab_core.analysis.pairs import Pairs
from embedlab_core.analysis.registration import SIDE, registration
from embedlab_core.encoders.ensemble import Ensemble, Pixels
from embedlab_core.errors import DuplicatesError
from embedlab_core.images.decode import PixelSpec, decode_image, decode_picture
from embedlab_core.images.read import read_file
from embedlab_core.index.reader import IndexReader
from embedlab_core.metrics import Stopwatch
from embedlab_core.progress import Progress, untold
from embedlab_core.search.similarity import cosines

log = logging.getLogger(__name__)

# Images needed for a figure that is worth its name: 50 have 350 copies.
LEAST_IMAGES = 50
_COPIED_IMAGES = 300
# Images whose likest others are looked at, as many as give at most so many pairs: a pair takes some 10 ms.
_COMPARED_IMAGES = 2000
_COMPARED_PAIRS = 5000
_NEIGHBOURS = 32
# Neighbours from this one on are taken to be no copies; so many pairs of them tell how well strangers agree: the
# quantile of their registrations below which a likely pair is one of strangers too.
_FAR = 16
_STRANGER_PAIRS = 500
_USUAL = 0.99
# Registration that says "the same picture", and below which they are two. Of 1,610 copies of photographs, screens and
# charts, of all COPY_KINDS, 97 % reach the first, and one in 120 falls below the second; of 9,238 pairs of different
# photographs, widgets, screens and charts two reach the first, and all but six fall below the second.
_REGISTERED = 0.75
_STRANGE = 0.5
# Copies with a lower cosine than all but this share are too changed to be looked for.
_LOST_COPIES = 0.005
# Copies that an image is taken to have beside those found in the index: with none there would be nothing to find.
_EXPECTED_COPIES = 0.05
_BATCH = 8

_Mask = npt.NDArray[np.bool_]
_GRAY = PixelSpec(SIDE, "squash", "bicubic", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


@dataclass(frozen=True, slots=True)
class SelfMade:
    """copies: float32 (c, k), the cosine of k copies with each of c images, in the order of COPY_KINDS."""

    pairs: LabelledPairs
    copies: npt.NDArray[np.float32]


def make_pairs(
    index: IndexReader, ensemble: Ensemble, seed: int, watch: Stopwatch, progress: Progress = untold
) -> SelfMade:
    """Copies of a sample of the images are duplicates; so are two images of the index if one can be laid over the
    other. All other likely pairs of the index are strangers.

    `progress` counts the images that are copied, then the pairs that are laid over each other.
    Raises DuplicatesError if fewer than LEAST_IMAGES images are there to be read.
    """
    order = _shuffled(index, seed)
    with watch.stage("encode"):
        places, copies = _copy_scores(index, ensemble, order[:_COPIED_IMAGES], seed, progress)
    if len(copies) < LEAST_IMAGES:
        raise DuplicatesError(
            f"{index.directory}: {len(copies)} images could be read, and calibrating without labels takes "
            f"{LEAST_IMAGES}; give labelled pairs with --pairs, or a number as --dup-threshold"
        )
    if missing := len(order[:_COPIED_IMAGES]) - len(copies):
        log.warning("%s: %d images are gone, or not what was embedded; they are left out", index.directory, missing)
    floor = np.quantile(copies, _LOST_COPIES).astype(np.float32)
    with watch.stage("compare"):
        own, compared = _own_pairs(index, order[:_COMPARED_IMAGES], floor, progress)
    made = LabelledPairs(
        scores=copies.ravel(),
        same=np.ones(copies.size, dtype=np.bool_),
        weights=np.full(copies.size, _EXPECTED_COPIES * compared / copies.size),
        units=np.repeat(places, copies.shape[1]),
    )
    return SelfMade(joined(made.take(made.scores >= floor), own), copies)


def _shuffled(index: IndexReader, seed: int) -> npt.NDArray[np.int64]:
    """All row numbers in an order that depends on the contents of the images, not on the shards they lie in."""
    digests = np.concatenate([np.empty((0, 8), np.uint8), *(shard.sha256[:, :8] for shard in index.shards)])
    salt = np.random.default_rng(seed).integers(2**64, dtype=np.uint64)
    return np.argsort(np.ascontiguousarray(digests).view(np.uint64).ravel() ^ salt, kind="stable")


def _copy_scores(
    index: IndexReader, ensemble: Ensemble, rows: npt.NDArray[np.int64], seed: int, progress: Progress
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Places (c,) in `rows` of the images that can still be read, and the cosines (c, k) of their copies."""
    files = _files(index, rows)
    places: list[int] = []
    scores = [np.empty((0, len(COPY_KINDS)), np.float32)]
    with ThreadPoolExecutor() as pool:
        # A few at a time: the pixels of all copies, for every model, wait to be encoded.
        for start in range(0, len(rows), _BATCH):
            chunk = range(start, min(start + _BATCH, len(rows)))
            made = pool.map(partial(_copies_of, specs=ensemble.pixel_specs, seed=seed), [files[i] for i in chunk])
            for place, pixels in zip(chunk, made, strict=True):
                vectors, unusable = ensemble.encode_usable(pixels)
                if len(vectors) and not unusable:
                    scaled = vectors if index.column_scale is None else vectors * index.column_scale
                    original = np.repeat(index.vectors(rows[place : place + 1]), len(vectors), axis=0)
                    scores.append(cosines(original, index.exact_queries(scaled))[None])
                    places.append(place)
                progress(place + 1, len(rows))
    return np.array(places, dtype=np.int64), np.concatenate(scores)


def _copies_of(file: "_File", specs: tuple[PixelSpec, ...], seed: int) -> list[Pixels]:
    data = _content(file)
    if data is None:
        return []
    copies = make_copies(decode_picture(data, PICTURE_SIZE), random.Random(f"{seed}-{file.digest.hex()}"))
    return [tuple(decode_image(copy, spec).pixels for spec in specs) for copy in copies]


def _own_pairs(
    index: IndexReader, rows: npt.NDArray[np.int64], floor: np.float32, progress: Progress
) -> tuple[LabelledPairs, int]:
    """The pairs of the first of `rows` with the images nearest to them, from the cosine `floor` on, and how many of
    `rows` they are of."""
    alone = np.arange(len(index))
    near, distances = nearest_of(index, rows, index.vectors(rows), alone, min(_NEIGHBOURS, len(index)))
    scores = (1.0 - distances).astype(np.float32)
    likely = scores >= floor
    affordable = likely.sum(axis=1).cumsum() <= _COMPARED_PAIRS
    units, columns = np.nonzero(likely & affordable[:, None])
    left, right = rows[units], near[units, columns]
    pairs = Pairs(np.minimum(left, right), np.maximum(left, right), scores[units, columns])
    compared = int(affordable.sum())
    far = near[:compared, _FAR:].ravel()
    strangers = Pairs(np.repeat(rows[:compared], near.shape[1] - _FAR), far, np.zeros(far.size, np.float32))
    step = max(1, len(strangers) // _STRANGER_PAIRS)
    same, known = _same_pictures(index, pairs, strangers.take(np.arange(len(strangers)) % step == 0), progress)
    own = LabelledPairs(pairs.scores, same, np.ones(len(pairs)), units)
    return own.take(known), compared


def _same_pictures(index: IndexReader, pairs: Pairs, strangers: Pairs, progress: Progress) -> tuple[_Mask, _Mask]:
    """bool (m,), bool (m,): whether the two show one picture, and whether that is clear.

    They do if they have the same bytes, if they can be laid over each other far better than `strangers` can, or if
    other pairs link them; never if a person has told them apart. Where strangers share a layout, as forms and icons
    do, copies have to agree in more.
    """
    if not len(pairs):
        return np.zeros(0, dtype=np.bool_), np.zeros(0, dtype=np.bool_)
    usual = _registrations(index, strangers, progress)
    usual = usual[~np.isnan(usual)]
    unclear = float(np.quantile(usual, _USUAL)) if usual.size else _REGISTERED
    agreement = _registrations(index, pairs, progress)
    same_bytes = (index.column("sha256", pairs.left) == index.column("sha256", pairs.right)).all(axis=1)
    linked = same_bytes | (agreement >= max(_REGISTERED, (1 + unclear) / 2))
    told_apart = {(min(pair), max(pair)) for pair in rows_apart(index)}
    labels = component_labels(len(index), pairs.take(linked), sorted(told_apart))
    same = labels[pairs.left] == labels[pairs.right]
    apart = [pair in told_apart for pair in zip(pairs.left.tolist(), pairs.right.tolist(), strict=True)]
    strange = min(_REGISTERED, max(_STRANGE, unclear))
    return same, same | (agreement < strange) | np.array(apart, dtype=np.bool_)


def _registrations(index: IndexReader, pairs: Pairs, progress: Progress) -> npt.NDArray[np.float64]:
    """float64 (m,): NaN where an image is blank or can no longer be read."""
    rows = np.unique(np.concatenate([pairs.left, pairs.right]))
    low, high = np.minimum(pairs.left, pairs.right), np.maximum(pairs.left, pairs.right)
    once, places = np.unique(np.stack([low, high]), axis=1, return_inverse=True)
    with ThreadPoolExecutor() as pool:
        grays = dict(zip(rows.tolist(), pool.map(_gray, _files(index, rows)), strict=True))

        def compared(one: int, other: int) -> float:
            left, right = grays[one], grays[other]
            return math.nan if left is None or right is None else registration(left, right)

        values = []
        for value in pool.map(compared, *once.tolist()):
            values.append(value)
            progress(len(values), once.shape[1])
    return np.array(values, dtype=np.float64)[places.ravel()]


def _gray(file: "_File") -> npt.NDArray[np.float32] | None:
    data = _content(file)
    if data is None:
        return None
    pixels = decode_image(data, _GRAY).pixels
    return np.asarray(Image.fromarray(pixels).convert("L"), dtype=np.float32)


@dataclass(frozen=True, slots=True)
class _File:
    """An image of the index, and what its bytes were."""

    path: str
    digest: bytes


def _files(index: IndexReader, rows: npt.NDArray[np.int64]) -> list[_File]:
    if not rows.size:
        return []
    digests = index.column("sha256", rows)
    return [_File(str(path), digest.tobytes()) for path, digest in zip(index.files(rows), digests, strict=True)]


def _content(file: _File) -> bytes | None:
    """Its bytes; None if it is gone or has changed since it was embedded."""
    try:
        data = read_file(Path(file.path))
    except OSError:
        return None
    return data if hashlib.sha256(data).digest() == file.digest else None
