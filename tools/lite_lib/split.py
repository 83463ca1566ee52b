"""Training images that no held-out image resembles."""

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components

from embedlab_core.images.phash import phash


def near_equal(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """uint8 (n, 224, 224, 3) -> (n,) the number of each image's group of equal or near-equal pixel content.

    Two images join where their perceptual hashes differ in at most 4 of 64 bits and their 16 x 16 colour thumbnails
    differ by less than 6 % of full scale (root mean square); equal content is the case of distance 0.
    """
    n = len(pixels)
    thumbs = pixels.reshape(n, 16, 14, 16, 14, 3).mean((2, 4), dtype=np.float32).reshape(n, -1) / 255
    hashes = np.array([phash(image) for image in pixels], np.uint64)
    bits = np.unpackbits(hashes.view(np.uint8).reshape(n, 8), axis=1).astype(np.float32) * 2 - 1
    squares = (thumbs**2).sum(1)
    rows, columns = [], []
    for start in range(0, n, 2048):
        part = slice(start, start + 2048)
        bit_distance = (64 - bits[part] @ bits.T) / 2
        distance = squares[part, None] + squares[None] - 2 * thumbs[part] @ thumbs.T
        i, j = np.nonzero((bit_distance <= 4) & (distance < 0.06**2 * thumbs.shape[1]))
        rows.append(i + start)
        columns.append(j)
    i, j = np.concatenate(rows), np.concatenate(columns)
    return connected_components(csr_matrix((np.ones(len(i), bool), (i, j)), (n, n)), directed=False)[1].astype(np.int64)


def train_part(groups: npt.NDArray[np.int64], held: list[int]) -> list[int]:
    """Image numbers without `held` and whatever shares a group (n,) with one of them."""
    closed = set(groups[held].tolist())
    return [i for i, group in enumerate(groups.tolist()) if group not in closed]
