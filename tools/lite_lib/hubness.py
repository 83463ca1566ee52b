"""How near an image is to texts of any kind, which is nothing that should speak for it in a search.

Some vectors are near to many others: hubs (Radovanovic et al. 2010). The inverted softmax (Smith et al. 2017) divides
what an image has of one text by what it has of all; with texts of the training data as all, as QB-Norm (Bogolin et al.
2022) has it, that is a matter of the image alone, and so can be a part of its vector.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.cluster.vq import kmeans2
from scipy.special import logsumexp

Array = npt.NDArray[np.float32]

CENTRES = 2048  # of the texts: 1.6 MB in 16 bits; each text by itself finds no more
ROUNDS = 5  # of k-means
SCALE = 20.0  # of the cosines within the softmax
WEIGHT = 0.7  # of the hubness against the cosine; the whole of it gains less where the candidates are of one kind


@dataclass(frozen=True)
class Bank:
    """centres (k, d): means of texts that are near each other. shares (k,): of all texts, 1 in sum. usual: the hubness
    of the median training image."""

    centres: Array
    shares: Array
    usual: float

    def above(self, meanings: Array) -> Array:
        """Unit vectors (n, d) -> (n,): their hubness less the usual one, in units of cosine."""
        return hubness(meanings, self.centres, self.shares) - np.float32(self.usual)


def hubness(meanings: Array, centres: Array, shares: Array) -> Array:
    """Unit vectors (n, d) -> (n,): log of the mean of exp(SCALE cosine) over the texts, by SCALE."""
    return logsumexp(SCALE * meanings @ centres.T, axis=1, b=shares).astype(np.float32) / np.float32(SCALE)


def fit_bank(texts: Array, meanings: Array, seed: int) -> Bank:
    """texts (m, d), meanings (n, d): unit vectors of a text of each training image, and of the images."""
    centres, labels = kmeans2(texts, CENTRES, iter=ROUNDS, minit="points", seed=seed)
    counts = np.bincount(labels, minlength=CENTRES)
    centres, shares = centres[counts > 0], (counts[counts > 0] / len(texts)).astype(np.float32)
    return Bank(centres, shares, float(np.median(hubness(meanings, centres, shares))))
