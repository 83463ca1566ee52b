"""Several models as one: their unit vectors stand side by side, scaled so that the whole is a unit vector.

The dot product of two such vectors is the mean of the models' cosines. Weights other than equal ones are put into the
query (`fusion.fused`), so one index serves them all. A single model is the plain case: its vectors pass unchanged.
"""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from embedlab_core.encoders.base import Encoder, TextEmbeddings
from embedlab_core.errors import VectorError
from embedlab_core.images.decode import PixelSpec
from embedlab_core.index.manifest import ModelRef

Pixels = tuple[npt.NDArray[np.uint8], ...]


class Ensemble:
    """The encoders of one index, in the order of its columns."""

    def __init__(self, encoders: Sequence[Encoder]) -> None:
        self.encoders = tuple(encoders)

    @property
    def refs(self) -> tuple[ModelRef, ...]:
        return tuple(encoder.ref for encoder in self.encoders)

    @property
    def runtime(self) -> str:
        return " + ".join(dict.fromkeys(encoder.runtime for encoder in self.encoders))

    @property
    def pixel_specs(self) -> tuple[PixelSpec, ...]:
        return tuple(encoder.spec.pixels for encoder in self.encoders)

    @property
    def context_length(self) -> int:
        return min(encoder.spec.context_length for encoder in self.encoders)

    def encode_images(self, images: Sequence[Pixels]) -> npt.NDArray[np.float32]:
        """b images, each as uint8 (size, size, 3) for every model -> float32 (b, d), unit length."""
        columns = zip(*images, strict=True)
        return joined(
            [encoder.encode_images(np.stack(pixels)) for encoder, pixels in zip(self.encoders, columns, strict=True)]
        )

    def encode_usable(self, images: Sequence[Pixels]) -> tuple[npt.NDArray[np.float32], dict[int, str]]:
        """As `encode_images`, without the images that a model sees nothing in; and why each of those, by its place."""
        reasons: dict[int, str] = {}
        while left := [place for place in range(len(images)) if place not in reasons]:
            try:
                return self.encode_images([images[place] for place in left]), reasons
            except VectorError as error:
                reasons |= {left[row]: error.reason for row in error.rows}
        return np.empty((0, sum(encoder.spec.dim for encoder in self.encoders)), np.float32), reasons

    def encode_texts(self, texts: Sequence[str]) -> TextEmbeddings:
        """n prompts -> float32 (n, d), unit length; truncated: those that any model cut; unknown: those of which none
        of them knows a word."""
        parts = [encoder.encode_texts(texts) for encoder in self.encoders]
        truncated = dict.fromkeys(text for part in parts for text in part.truncated)
        unknown = dict.fromkeys(text for text in texts if all(text in part.unknown for part in parts))
        return TextEmbeddings(joined([part.vectors for part in parts]), tuple(truncated), tuple(unknown))


def joined(parts: Sequence[npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
    """The models' unit vectors (n, d) side by side, as an index holds them."""
    if len(parts) == 1:
        return parts[0]
    return np.concatenate(parts, axis=1) * np.float32(1 / math.sqrt(len(parts)))
