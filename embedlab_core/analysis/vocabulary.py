"""The phrases that ship with embedlab, and their vectors, which are made once for a user and a model."""

import hashlib
import logging
from importlib.resources import files
from pathlib import Path

import numpy as np
import numpy.typing as npt

from embedlab_core.encoders.ensemble import Ensemble
from embedlab_core.errors import IndexDamagedError, IndexUnreadableError, IndexWriteError
from embedlab_core.index.npz import open_npz, write_npz
from embedlab_core.progress import Progress, untold
from embedlab_core.search.queries import text_queries
from embedlab_core.user_cache import user_cache

log = logging.getLogger(__name__)

# Far from what rounding does to a squared length, and near beside what damage does.
_LENGTH_TOLERANCE = 0.01


def vocabulary() -> tuple[str, ...]:
    """Everyday nouns and screen terms."""
    text = files("embedlab_core.analysis").joinpath("vocabulary.txt").read_text("utf-8")
    return tuple(text.splitlines())


def vocabulary_vectors(ensemble: Ensemble, progress: Progress = untold) -> npt.NDArray[np.float32]:
    """float32 (p, d), unit length, in the order of `vocabulary`.

    Encoding them takes many seconds, so they are kept in the user's cache; where that cannot be read or written, they
    are encoded as if it were empty.
    """
    phrases = vocabulary()
    key = hashlib.sha256("\0".join([*map(str, ensemble.refs), *phrases]).encode()).digest()
    path = user_cache() / f"vocabulary-{key.hex()[:16]}.npz"
    known = _read(path, key, (len(phrases), sum(ref.dim for ref in ensemble.refs)))
    if known is not None:
        return known
    # Its phrases are far shorter than the context of any model: none is cut.
    queries = text_queries(phrases, ensemble, progress=progress)
    vectors = np.stack([query.vector for query in queries])
    try:
        write_npz(path, {"key": np.frombuffer(key, np.uint8), "vectors": vectors})
    except IndexWriteError as error:
        log.debug("%s", error)
    return vectors


def _read(path: Path, key: bytes, shape: tuple[int, int]) -> npt.NDArray[np.float32] | None:
    try:
        arrays = open_npz(path)
    except (IndexDamagedError, IndexUnreadableError) as error:
        log.debug("%s", error)
        return None
    vectors, found = arrays.get("vectors"), arrays.get("key")
    if vectors is None or found is None or found.tobytes() != key:
        return None
    if vectors.shape != shape or vectors.dtype != np.float32:
        return None
    lengths = np.einsum("ij,ij->i", vectors, vectors)
    return vectors if bool((np.abs(lengths - 1) < _LENGTH_TOLERANCE).all()) else None
