"""Files -> rows of an index: read and decode in threads, encode in batches, in the order of the files."""

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from embedlab_core.encoders.ensemble import Ensemble
from embedlab_core.errors import ImageDecodeError
from embedlab_core.images.decode import DecodedImage, PixelSpec, decode_image
from embedlab_core.images.discover import ImageFile, Skip
from embedlab_core.images.phash import phash
from embedlab_core.images.quality import Quality, QualityFlag, quality_flags, quality_scores
from embedlab_core.index.rows import Rows
from embedlab_core.index.skipped import Excluded
from embedlab_core.metrics import Stopwatch

# Bytes of the largest file that is read, by every worker at once.
_LARGEST_FILE = 2**30

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class KnownRow:
    """A row that is in the index already."""

    rows: Rows
    row: int

    @property
    def quality(self) -> Quality:
        return self.rows.quality_of(self.row)


@dataclass(frozen=True, slots=True)
class Decoded:
    """A file that has to be encoded. images: its pixels as each model wants them."""

    file: ImageFile
    sha256: bytes
    images: tuple[DecodedImage, ...]
    quality: Quality
    phash: int


@dataclass(frozen=True, slots=True)
class Reused:
    """A file whose content the index knows under another name or time."""

    file: ImageFile
    known: KnownRow


Outcome = Decoded | Reused | Excluded | Skip


def read_outcomes(
    root: Path,
    files: Iterable[ImageFile],
    specs: tuple[PixelSpec, ...],
    by_content: Mapping[bytes, KnownRow],
    workers: int,
    ahead: int,
    watch: Stopwatch,
    unwanted: Set[QualityFlag] = frozenset(),
) -> Iterator[Outcome]:
    """One outcome a file, in order. At most `ahead` decoded images wait to be taken. Images with an `unwanted` flag are
    Excluded."""

    def read(file: ImageFile) -> Outcome:
        with watch.stage("decode"):
            outcome = _read(root, file, specs, by_content)
        if isinstance(outcome, Skip):
            return outcome
        quality = outcome.known.quality if isinstance(outcome, Reused) else outcome.quality
        return outcome if unwanted.isdisjoint(quality_flags(quality)) else Excluded(file, quality)

    return _ordered_map(read, files, workers, ahead)


def batches(outcomes: Iterable[Outcome], batch_size: int, most: int) -> Iterator[list[Outcome]]:
    """Consecutive outcomes, cut as soon as `batch_size` of them need encoding or `most` have gathered."""
    batch: list[Outcome] = []
    to_encode = 0
    for outcome in outcomes:
        batch.append(outcome)
        to_encode += isinstance(outcome, Decoded)
        if to_encode == batch_size or len(batch) == most:
            yield batch
            batch, to_encode = [], 0
    if batch:
        yield batch


def encode_batch(batch: list[Outcome], ensemble: Ensemble) -> tuple[list[Rows], list[Skip]]:
    """The rows of a batch: encoded ones first, then reused ones; and the images that cannot be used after all. Skipped
    and excluded files have no rows."""
    decoded = [outcome for outcome in batch if isinstance(outcome, Decoded)]
    rows = [_reused_row(outcome) for outcome in batch if isinstance(outcome, Reused)]
    pixels = [tuple(image.pixels for image in outcome.images) for outcome in decoded]
    vectors, reasons = ensemble.encode_usable(pixels)
    if len(vectors):
        usable = [outcome for place, outcome in enumerate(decoded) if place not in reasons]
        rows.insert(0, _rows(usable, vectors))
    return rows, [Skip(decoded[place].file.path, reason, "unusable") for place, reason in sorted(reasons.items())]


def _read(
    root: Path, file: ImageFile, specs: tuple[PixelSpec, ...], by_content: Mapping[bytes, KnownRow]
) -> Decoded | Reused | Skip:
    if file.size > _LARGEST_FILE:
        return Skip(file.path, f"{file.size / 2**30:.1f} GiB are too many for a picture")
    try:
        data = (root / file.path).read_bytes()
    except OSError as error:
        return Skip(file.path, f"file cannot be read ({error.strerror or error})")
    except MemoryError:
        return Skip(file.path, "not enough memory to read it")
    digest = hashlib.sha256(data).digest()
    if known := by_content.get(digest):
        return Reused(file, known)
    try:
        images = tuple(decode_image(data, spec) for spec in specs)
    except ImageDecodeError as error:
        return Skip(file.path, str(error), "corrupted")
    pixels = images[0].pixels
    quality = Quality(quality_scores(pixels), images[0].width, images[0].height)
    return Decoded(file, digest, images, quality, phash(pixels))


def _rows(decoded: list[Decoded], vectors: npt.NDArray[np.float32]) -> Rows:
    return Rows(
        vectors=vectors,
        full=np.empty((len(decoded), 0), np.float32),
        paths=np.array([outcome.file.path for outcome in decoded], dtype=np.str_),
        sha256=np.array([list(outcome.sha256) for outcome in decoded], dtype=np.uint8),
        sizes=np.array([outcome.file.size for outcome in decoded], dtype=np.int64),
        mtimes=np.array([outcome.file.mtime_ns for outcome in decoded], dtype=np.int64),
        widths=np.array([outcome.quality.width for outcome in decoded], dtype=np.int32),
        heights=np.array([outcome.quality.height for outcome in decoded], dtype=np.int32),
        quality=np.array([outcome.quality.scores for outcome in decoded], dtype=np.float32),
        phashes=np.array([outcome.phash for outcome in decoded], dtype=np.uint64),
    )


def _reused_row(outcome: Reused) -> Rows:
    known, file = outcome.known, outcome.file
    arrays = known.rows.take(slice(known.row, known.row + 1)).arrays()
    arrays["paths"] = np.array([file.path], dtype=np.str_)
    arrays["sizes"] = np.array([file.size], dtype=np.int64)
    arrays["mtimes"] = np.array([file.mtime_ns], dtype=np.int64)
    return Rows(**arrays)


def _ordered_map(
    function: Callable[[Item], Result], items: Iterable[Item], workers: int, ahead: int
) -> Iterator[Result]:
    """`map` over threads, in order, never more than `ahead` items in front of the consumer."""
    pool = ThreadPoolExecutor(workers, thread_name_prefix="decode")
    window: deque[Future[Result]] = deque()
    try:
        for item in items:
            window.append(pool.submit(function, item))
            if len(window) >= ahead:
                yield window.popleft().result()
        while window:
            yield window.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
