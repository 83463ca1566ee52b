"""Files -> rows of an index: read and decode in threads, encode in batches, in the order of the files."""

import hashlib
import io
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from embedlab_core.encoders.ensemble import Ensemble
from embedlab_core.errors import ImageDecodeError
from embedlab_core.images.decode import DecodedImage, PixelSpec, decode_image, memory_needed
from embedlab_core.images.discover import ImageFile, Skip
from embedlab_core.images.memory import MemoryBudget, opening_bytes
from embedlab_core.images.phash import phash
from embedlab_core.images.quality import Quality, QualityFlag, quality_flags, quality_scores
from embedlab_core.images.read import FileTooLargeError, open_file
from embedlab_core.index.rows import NOT_CAPTURED, Rows
from embedlab_core.index.skipped import Excluded
from embedlab_core.index.texts import Texts
from embedlab_core.metrics import Stopwatch

# A file of so many bytes is read once. A larger one is hashed and decoded from the disk, one after the other.
_READ_AT_ONCE = 2**26

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
    roots: Sequence[Path],
    files: Iterable[ImageFile],
    specs: tuple[PixelSpec, ...],
    by_content: Mapping[bytes, KnownRow],
    workers: int,
    ahead: int,
    watch: Stopwatch,
    unwanted: Set[QualityFlag] = frozenset(),
) -> Iterator[Outcome]:
    """One outcome a file, in order.

    roots: the folders of images, by number. ahead: how many decoded images wait to be taken, at most. unwanted: images
    with one of these flags are Excluded.
    """

    budget = MemoryBudget()

    def read(file: ImageFile) -> Outcome:
        with watch.stage("decode"):
            outcome = _read(roots[file.folder], file, specs, by_content, budget)
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


@dataclass(frozen=True, slots=True)
class Encoded:
    """What became of a batch.

    Attributes:
        rows: encoded ones first, then reused ones.
        encoded: how many went through the model.
        reused: how many have the content of another image.
        skipped: those that could not be read, or that the model sees nothing in.
        excluded: those that have an unwanted flag.
    """

    rows: list[Rows]
    encoded: int
    reused: int
    skipped: list[Skip]
    excluded: list[Excluded]


def encode_batch(batch: list[Outcome], ensemble: Ensemble, by_content: Mapping[bytes, KnownRow]) -> Encoded:
    """by_content: rows that the index has, or that this run has made, since the batch was read."""
    decoded: dict[bytes, Decoded] = {}
    reused = [outcome for outcome in batch if isinstance(outcome, Reused)]
    twins: list[Decoded] = []
    for outcome in batch:
        if isinstance(outcome, Decoded):
            if known := by_content.get(outcome.sha256):
                reused.append(Reused(outcome.file, known))
            elif outcome.sha256 in decoded:
                twins.append(outcome)
            else:
                decoded[outcome.sha256] = outcome
    pixels = [tuple(image.pixels for image in outcome.images) for outcome in decoded.values()]
    vectors, reasons = ensemble.encode_usable(pixels)
    usable = [outcome for place, outcome in enumerate(decoded.values()) if place not in reasons]
    made = _rows(usable, vectors) if usable else None
    own = {outcome.sha256: KnownRow(made, row) for row, outcome in enumerate(usable)} if made else {}
    why = {outcome.sha256: reasons[place] for place, outcome in enumerate(decoded.values()) if place in reasons}
    unusable = [outcome for outcome in (*decoded.values(), *twins) if outcome.sha256 in why]
    reused += [Reused(twin.file, own[twin.sha256]) for twin in twins if twin.sha256 in own]
    return Encoded(
        rows=[*([made] if made else []), *map(_reused_row, reused)],
        encoded=len(usable),
        reused=len(reused),
        skipped=[
            *(outcome for outcome in batch if isinstance(outcome, Skip)),
            *(Skip(one.file.path, why[one.sha256], "unusable", one.file.folder) for one in unusable),
        ],
        excluded=[outcome for outcome in batch if isinstance(outcome, Excluded)],
    )


def _read(
    root: Path,
    file: ImageFile,
    specs: tuple[PixelSpec, ...],
    by_content: Mapping[bytes, KnownRow],
    budget: MemoryBudget,
) -> Decoded | Reused | Skip:
    try:
        with open_file(root / file.path) as raw:
            opened = io.BufferedReader(raw)
            # The head alone says what it is: a file that is no picture is not read.
            with budget.reserve(opening_bytes(opened)):
                needed = memory_needed(opened, max(spec.size for spec in specs))
            is_read = file.size <= _READ_AT_ONCE
            with budget.reserve(needed + (file.size if is_read else 0)):
                opened.seek(0)
                return _decoded(file, io.BytesIO(opened.read()) if is_read else opened, specs, by_content)
    except ImageDecodeError as error:
        return Skip(file.path, str(error), "corrupted", file.folder)
    except FileTooLargeError as error:
        return Skip(file.path, str(error.strerror), folder=file.folder)
    except OSError as error:
        return Skip(file.path, f"file cannot be read ({error.strerror or error})", folder=file.folder)
    except MemoryError:
        return Skip(file.path, "not enough memory to read it", folder=file.folder)


def _decoded(
    file: ImageFile,
    source: "io.BytesIO | io.BufferedReader[io.FileIO]",
    specs: tuple[PixelSpec, ...],
    by_content: Mapping[bytes, KnownRow],
) -> Decoded | Reused:
    digest = hashlib.file_digest(source, "sha256").digest()
    if known := by_content.get(digest):
        return Reused(file, known)
    images = tuple(decode_image(source, spec) for spec in specs)
    first = images[0]
    quality = Quality(quality_scores(first.pixels, first.missing), first.width, first.height)
    return Decoded(file, digest, images, quality, phash(first.pixels))


def _rows(decoded: list[Decoded], vectors: npt.NDArray[np.float32]) -> Rows:
    return Rows(
        vectors=vectors,
        full=np.empty((len(decoded), 0), np.float32),
        folders=np.array([outcome.file.folder for outcome in decoded], dtype=np.int32),
        paths=Texts.of([outcome.file.path for outcome in decoded]),
        sha256=np.array([list(outcome.sha256) for outcome in decoded], dtype=np.uint8),
        sizes=np.array([outcome.file.size for outcome in decoded], dtype=np.int64),
        mtimes=np.array([outcome.file.mtime_ns for outcome in decoded], dtype=np.int64),
        widths=np.array([outcome.quality.width for outcome in decoded], dtype=np.int32),
        heights=np.array([outcome.quality.height for outcome in decoded], dtype=np.int32),
        captured=np.array([_captured(outcome.images[0]) for outcome in decoded], dtype=np.int64),
        quality=np.array([outcome.quality.scores for outcome in decoded], dtype=np.float32),
        phashes=np.array([outcome.phash for outcome in decoded], dtype=np.uint64),
        pixel_hashes=np.array([outcome.images[0].pixel_hash for outcome in decoded], dtype=np.uint64),
    )


def _captured(image: DecodedImage) -> int:
    return NOT_CAPTURED if image.captured is None else image.captured


def _reused_row(outcome: Reused) -> Rows:
    known, file = outcome.known, outcome.file
    return replace(
        known.rows.take(slice(known.row, known.row + 1)),
        folders=np.array([file.folder], dtype=np.int32),
        paths=Texts.of([file.path]),
        sizes=np.array([file.size], dtype=np.int64),
        mtimes=np.array([file.mtime_ns], dtype=np.int64),
    )


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
