"""The model folder run by OpenVINO on the CPU in bfloat16: twice the speed where the processor has it."""

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from embedlab_core.encoders.base import TextEmbeddings, checked, padded
from embedlab_core.encoders.onnx import OnnxEncoder
from embedlab_core.encoders.spec import ModelSpec
from embedlab_core.errors import DeviceError, ModelError
from embedlab_core.index.manifest import ModelRef
from embedlab_core.packages import needed_for

if TYPE_CHECKING:
    import openvino


class OpenVinoEncoder:
    """The image tower in bfloat16, at one batch size, so that a vector does not depend on how many stood beside it.

    Text runs in float32 by ONNX Runtime: prompts are few.
    """

    def __init__(self, spec: ModelSpec, batch_size: int) -> None:
        """Raises MissingPackageError without OpenVINO, and DeviceError if the processor has no bfloat16."""
        self.spec = spec
        self._batch_size = batch_size
        self._text = OnnxEncoder(spec)
        self._core = _core()

    @property
    def ref(self) -> ModelRef:
        return self.spec.ref("bfloat16")

    @property
    def runtime(self) -> str:
        import openvino

        return f"openvino {openvino.__version__}"

    def encode_images(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """uint8 (b, size, size, 3) RGB -> float32 (b, d), unit length."""
        output = self._image_tower(padded(pixels, self._batch_size))[0]
        vectors = np.array(output[: len(pixels)], dtype=np.float32)
        with np.errstate(invalid="ignore"):  # `checked` says it better.
            unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return checked(unit, self.spec)

    def encode_texts(self, texts: Sequence[str]) -> TextEmbeddings:
        return self._text.encode_texts(texts)

    @cached_property
    def _image_tower(self) -> "openvino.CompiledModel":
        path = self.spec.folder / "image.onnx"
        size = self.spec.pixels.size
        try:
            model = self._core.read_model(str(path))
            model.reshape([self._batch_size, size, size, 3])
            hints = {"INFERENCE_PRECISION_HINT": "bf16", "PERFORMANCE_HINT": "LATENCY"}
            return cast("openvino.CompiledModel", self._core.compile_model(model, "CPU", hints))
        except RuntimeError as error:
            raise ModelError(f"{path}: OpenVINO cannot load it ({error}); use --precision float32") from error


def _core() -> Any:
    with needed_for("bfloat16 on the CPU"):
        import openvino
    core = openvino.Core()
    if "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        raise DeviceError("this processor has no bfloat16; use --precision float32")
    return core
