"""Where an image is light and dark: the only part of its vector that was not trained.

Means over a tower's maps forget places, so that two pictures of galaxies, or of coins, are as alike to the heads as
copies. The lowest waves of the brightness, as perceptual hashes take them (Zauner 2010), tell such pictures apart and
stay put under blur, compression, grayscale and changes of size. They are weighted by their frequency, since the
amplitudes of pictures fall with it (Field 1987): else the first would be all.
"""

import math

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]

THUMB = 32  # pixels across the thumbnail whose waves are taken
WAVES = 3  # in each direction, without the mean: 3 * 3 - 1 = heads.LAYOUT
FAINT = 0.2  # length of the waves of pixels in [-1, 1] below which they weigh less than full: a flat image has none
LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601


def waves() -> Array:
    """The lowest DCT-II basis images but the constant one (8, THUMB, THUMB), by rows of the image, then columns."""
    x = (np.arange(THUMB) + 0.5) * math.pi / THUMB
    basis = math.sqrt(2 / THUMB) * np.cos(np.arange(WAVES)[:, None] * x)
    basis[0] /= math.sqrt(2)
    frequency = np.add.outer(np.arange(WAVES), np.arange(WAVES))
    both = np.einsum("ab,ay,bx->abyx", frequency, basis, basis)
    return both.reshape(-1, THUMB, THUMB)[1:].astype(np.float32)
