"""Approximate nearest neighbours: candidates from an inverted file, which the stored vectors then rank exactly."""

import hashlib
import importlib
import json
import logging
import math
import os
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from embedlab_core.documents import Natural, Text, read_document
from embedlab_core.errors import IndexWriteError
from embedlab_core.index.files import replace_file, replace_text
from embedlab_core.index.manifest import Manifest
from embedlab_core.index.reader import IndexReader
from embedlab_core.packages import needed_for
from embedlab_core.search.filters import Filter
from embedlab_core.search.rank import exact_candidates

log = logging.getLogger(__name__)

FILE = "ann.faiss"
DESCRIPTION = "ann.json"

# Up to here an exact search takes a few milliseconds, and training cells on so few images would lose recall.
LEAST_ROWS = 10_000
# Candidates that are ranked exactly, and the share of the cells that is looked through: on a million 512-d vectors
# these two reach a recall@10 of 0.99 with a margin (benchmarks/scale.py).
RERANK = 400
_PROBED = 3 / 16
# The same share where every image of the index is asked for.
_JOINED = 1 / 32
# Cells are searched in so many principal dimensions, as 8-bit integers: 128 bytes an image.
_DIMS = 128
_TRAINING_ROWS_PER_CELL = 64
# What the lists hold of an image beside its code.
_ROW_BYTES = 8


@dataclass(frozen=True, slots=True)
class _Description:
    """key: of the index that it was made from. bytes: of the file. head_bytes, head_sha256: of what comes before
    the lists of codes and rows.

    faiss takes sizes from the head as they stand there, and crashes on wrong ones. Damage in the lists, which are too
    large to be read at every opening, only costs recall.
    """

    key: Text
    bytes: Natural
    head_bytes: Natural
    head_sha256: Text


class AnnIndex:
    """An inverted file over the images of an index (IVF; Jégou et al. 2011) from faiss (Douze et al. 2024).

    It lies in the index, is memory-mapped, and is the same for the same vectors. It gives candidates only.
    """

    def __init__(self, index: IndexReader, searcher: Any) -> None:
        self._index = index
        self._searcher = searcher

    @classmethod
    def open(cls, index: IndexReader) -> "AnnIndex | None":
        """The ANN index of an index, made if there is none or if it is another's; None for a small index, which is
        searched exactly. Raises IndexWriteError if it cannot be saved."""
        if len(index) < LEAST_ROWS:
            return None
        with needed_for("approximate search"):
            import faiss  # noqa: F401
        searcher = _load(index)
        if searcher is None:
            with _locked(index.directory):
                # Another process may have built it while this one waited.
                searcher = _load(index) or _rebuilt(index)
        return cls(index, searcher)

    def candidates(
        self, queries: npt.NDArray[np.float32], count: int, filters: Sequence[Filter] = ()
    ) -> list[npt.NDArray[np.int64]]:
        """For each query (q, d) the rows of about `count` images near it that its filter lets through.

        Where a filter leaves too few in the cells that are looked through, all rows are scanned.
        """
        import faiss

        # Threads would share one query's cells, and wait for each other longer than they work.
        faiss.omp_set_num_threads(1)
        found = []
        masks = [query_filter.mask(len(self._index)) for query_filter in filters] or [None] * len(queries)
        for number, (query, mask) in enumerate(zip(self._index.scan_queries(queries), masks, strict=True)):
            possible = len(self._index) if mask is None else int(mask.sum())
            _, (rows,) = self._searcher.search(query[None], count, params=self._parameters(mask))
            rows = np.array(sorted(set(rows[self._known(rows)].tolist())), dtype=np.int64)
            if rows.size < min(count, possible):
                (rows,) = exact_candidates(
                    self._index, queries[number : number + 1], count, filters[number : number + 1]
                )
            found.append(rows)
        return found

    def join(self, vectors: npt.NDArray[np.float32], count: int) -> npt.NDArray[np.int64]:
        """int64 (q, count): the rows of images near many vectors (q, d) of the index itself; -1 where there are none.

        Only a few cells are looked through: the closest neighbours of an image tend to share its own.
        """
        import faiss

        faiss.omp_set_num_threads(os.cpu_count() or 1)
        _, rows = self._searcher.search(np.ascontiguousarray(vectors), count, params=self._parameters(None, _JOINED))
        found: npt.NDArray[np.int64] = np.where(self._known(rows), rows, -1)
        return found

    def _known(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Which of these are rows of the index: -1 stands for none, and a damaged file may hold anything."""
        return (rows >= 0) & (rows < len(self._index))

    def _parameters(self, mask: npt.NDArray[np.bool_] | None, probed: float = _PROBED) -> Any:
        # Its stubs know only the constructors of C++.
        faiss: Any = importlib.import_module("faiss")
        cells = faiss.extract_index_ivf(self._searcher).nlist
        options: dict[str, Any] = {"nprobe": math.ceil(probed * cells)}
        if mask is not None:
            options["sel"] = faiss.IDSelectorBitmap(np.packbits(mask, bitorder="little"))
        inner = faiss.SearchParametersIVF(**options)
        is_rotated = isinstance(self._searcher, faiss.IndexPreTransform)
        return faiss.SearchParametersPreTransform(index_params=inner) if is_rotated else inner


def _key(manifest: Manifest) -> str:
    """Of all that decides the file: the vectors, how they are stored, and the library."""
    import faiss

    parts = [faiss.__version__, manifest.store, *(str(model) for model in manifest.models)]
    parts += [shard.sha256 for shard in manifest.shards]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _load(index: IndexReader) -> Any | None:
    """Its searcher, memory-mapped; None if there is none that fits."""
    import faiss

    path = index.directory / FILE
    try:
        description = read_document(index.directory / DESCRIPTION, _Description)
        if (description.key, description.bytes) != (_key(index.manifest), path.stat().st_size):
            return None
        with path.open("rb") as file:
            head = file.read(min(description.head_bytes, description.bytes))
        if hashlib.sha256(head).hexdigest() != description.head_sha256:
            return None
        return faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
    except (OSError, ValueError, RuntimeError):  # RuntimeError is what faiss says of a file that it cannot read.
        return None


def _rebuilt(index: IndexReader) -> Any:
    path = index.directory / FILE
    if path.exists():
        log.warning("%s: damaged, or of another state of the index; building it anew", path)
    _save(index, _build(index))
    return _load(index)


def _build(index: IndexReader) -> Any:
    import faiss

    width = next(block.shape[1] for _, block in index.blocks(1))
    cells = 2 ** round(math.log2(math.sqrt(len(index))))
    reduction = f"PCA{_DIMS}," if width > _DIMS else ""
    searcher = faiss.index_factory(width, f"{reduction}IVF{cells},SQ8", faiss.METRIC_INNER_PRODUCT)
    clustering = faiss.extract_index_ivf(searcher).cp
    clustering.max_points_per_centroid = _TRAINING_ROWS_PER_CELL
    step = max(1, len(index) // (_TRAINING_ROWS_PER_CELL * cells))
    # The inner loops of the training add up in the order of the threads.
    faiss.omp_set_num_threads(1)
    searcher.train(np.concatenate([block[-start % step :: step] for start, block in index.blocks()]))
    for _, block in index.blocks():
        searcher.add(np.ascontiguousarray(block))
    return searcher


def _save(index: IndexReader, searcher: Any) -> None:
    import faiss

    data = faiss.serialize_index(searcher).tobytes()
    head = data[: len(data) - len(index) * (faiss.extract_index_ivf(searcher).code_size + _ROW_BYTES)]
    description = _Description(_key(index.manifest), len(data), len(head), hashlib.sha256(head).hexdigest())
    replace_file(index.directory / FILE, lambda file: file.write(data))
    replace_text(index.directory / DESCRIPTION, json.dumps(asdict(description)) + "\n")


def _locked(directory: Path) -> AbstractContextManager[object]:
    """Against two processes that build it at once."""
    from filelock import FileLock

    try:
        return FileLock(directory / ".ann.lock").acquire()
    except OSError as error:
        raise IndexWriteError(
            f"{directory}: the ANN file cannot be kept here ({error.strerror or error}); search without --ann"
        ) from error
