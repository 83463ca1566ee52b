"""One interface over all runtimes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from embedlab_core.encoders.spec import ModelSpec
from embedlab_core.errors import ModelError, VectorError
from embedlab_core.index.manifest import ModelRef

# A unit vector that went through float32 arithmetic has a norm this close to 1.
_NORM_TOLERANCE = 1e-3


Precision = Literal["float32", "bfloat16", "float16"]


@dataclass(frozen=True, slots=True)
class TextEmbeddings:
    """vectors: float32 (n, d), unit length. truncated: the prompts that were longer than the model's context. unknown:
    those of which the tokenizer knows no word, see `Words`."""

    vectors: npt.NDArray[np.float32]
    truncated: tuple[str, ...]
    unknown: tuple[str, ...] = ()


class Encoder(Protocol):
    """Pixels or text -> unit vectors in one space. The same input gives the same vector, whatever stands beside it."""

    @property
    def spec(self) -> ModelSpec: ...

    @property
    def ref(self) -> ModelRef:
        """The model and the precision it runs in, as an index records them."""
        ...

    @property
    def runtime(self) -> str:
        """What runs it: library, version, and device where it is not the CPU."""
        ...

    def encode_images(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """uint8 (b, size, size, 3) RGB -> float32 (b, d), unit length. Raises ModelError; VectorError if only some of
        them have no such vector."""
        ...

    def encode_texts(self, texts: Sequence[str]) -> TextEmbeddings:
        """Raises ModelError."""
        ...


def padded(pixels: npt.NDArray[np.uint8], batch_size: int) -> npt.NDArray[np.uint8]:
    """uint8 (b, h, w, 3), b <= batch_size -> (batch_size, h, w, 3), the missing images black."""
    missing = batch_size - len(pixels)
    return np.pad(pixels, ((0, missing), (0, 0), (0, 0), (0, 0))) if missing else pixels


def checked(vectors: npt.NDArray[np.float32], spec: ModelSpec) -> npt.NDArray[np.float32]:
    """Let through only unit vectors: a zero or NaN would make every later comparison meaningless.

    Raises VectorError, and ModelError if they have another length than model.json says.
    """
    if vectors.shape[1:] != (spec.dim,):
        raise ModelError(
            f"{spec.folder}: model {spec.name} gave vectors of shape {vectors.shape[1:]}, not of {spec.dim} dimensions "
            "as its model.json says; restore the folder"
        )
    norms = np.linalg.norm(vectors, axis=1)
    wrong = np.flatnonzero(~(np.abs(norms - 1) < _NORM_TOLERANCE))  # NaN is less than nothing
    if wrong.size:
        what = f"a vector of length {norms[wrong[0]]:g}"
        raise VectorError(
            f"{spec.folder}: model {spec.name} gave {what}; restore the folder",
            tuple(wrong.tolist()),
            f"model {spec.name} gives it {what}",
        )
    return vectors
