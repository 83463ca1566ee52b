"""The mean vectors that composed queries are centred on."""

import numpy as np
import numpy.typing as npt

from embedlab_core.encoders.ensemble import Ensemble, joined
from embedlab_core.index.reader import IndexReader
from embedlab_core.search.compose import Means

# Images that stand for an index where the model does not bring a mean, evenly spaced over it.
_SAMPLE = 4096


def means_of(index: IndexReader, ensemble: Ensemble) -> Means:
    """Those of the index's models; for a model that brings none, the mean of the index's images, and no text mean."""
    return Means(image=_mean(index, ensemble, "image"), text=_mean(index, ensemble, "text"))


def _mean(index: IndexReader, ensemble: Ensemble, modality: str) -> npt.NDArray[np.float32]:
    specs = [encoder.spec for encoder in ensemble.encoders]
    if all(modality in spec.means for spec in specs):
        stored: npt.NDArray[np.float32] = joined([np.array([spec.means[modality]], np.float32) for spec in specs])[0]
        return stored
    if modality == "image":
        rows = np.arange(0, len(index), max(1, -(-len(index) // _SAMPLE)))
        mean = index.vectors(rows).mean(axis=0, dtype=np.float64)
        # Of a "pca" store, what its directions keep of the mean.
        whole: npt.NDArray[np.float32] = mean if len(mean) == index.manifest.dim else mean @ index.projection
        return whole.astype(np.float32)
    return np.zeros(index.manifest.dim, dtype=np.float32)
