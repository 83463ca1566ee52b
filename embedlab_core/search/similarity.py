"""Cosine similarity of unit vectors, exact to the last float32 bit."""

import numpy as np
import numpy.typing as npt

# Equal vectors this near to length 1 are unit vectors whose length was rounded.
_ROUNDED = 0.01


def cosines(left: npt.NDArray[np.float32], right: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Row-wise cosine of two float32 (n, d) arrays of unit vectors -> float32 (n,).

    Summed in float64 and rounded once, so that a pair scores the same wherever its rows lie. A BLAS product does not:
    its last bits depend on a row's place in the block, which would break ties between identical images. Equal vectors
    score exactly 1, whatever their own rounding has left of their length.
    """
    sums: npt.NDArray[np.float64] = np.einsum("ij,ij->i", left, right, dtype=np.float64)
    near = np.flatnonzero(np.abs(sums - 1) < _ROUNDED)
    sums[near[(left[near] == right[near]).all(axis=1)]] = 1.0
    return sums.astype(np.float32)


def product_error(dim: int) -> float:
    """The most by which a float32 BLAS product of two unit vectors of length `dim` can miss `cosines`.

    gamma_d = d * u / (1 - d * u) with unit roundoff u = 2**-24 (Higham 2002, "Accuracy and Stability", section 3.1),
    times the norms, which float32 rounding keeps within a part in a thousand of 1; plus the final rounding. As much
    again for equal vectors: their cosine is 1, but their product is a squared length that was made 1 in float32.
    """
    unit_roundoff = 2.0**-24
    return 2.02 * (dim + 2) * unit_roundoff
