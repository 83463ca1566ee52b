"""An open_clip model run by torch on a GPU."""

import contextlib
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from embedlab_core.encoders.base import Precision, TextEmbeddings, checked, padded
from embedlab_core.encoders.onnx import OnnxEncoder
from embedlab_core.encoders.openclip import fetch, find_source, load, weights_sha256
from embedlab_core.encoders.registry import EMBEDDED
from embedlab_core.encoders.spec import ModelSpec
from embedlab_core.errors import DeviceError, ModelMismatchError
from embedlab_core.index.manifest import ModelRef

TorchDevice = Literal["cuda", "mps"]


class TorchEncoder:
    """The image tower at one batch size, so that a vector does not depend on how many stood beside it.

    Text runs in float32 by ONNX Runtime: prompts are few, and a query need not wait for the GPU.
    """

    def __init__(self, spec: ModelSpec, device: TorchDevice, precision: Precision, batch_size: int) -> None:
        """Raises DeviceError if there is no such device or the model cannot run on it."""
        _require(device)
        if spec.name == EMBEDDED:
            raise DeviceError(f"model {spec.name} runs on the CPU only; use --device cpu, or another --backbone")
        self.spec = spec
        self._device = device
        self._precision = precision
        self._batch_size = batch_size
        self._text = OnnxEncoder(spec)

    @property
    def ref(self) -> ModelRef:
        return self.spec.ref(self._precision)

    @property
    def runtime(self) -> str:
        import torch

        return f"torch {torch.__version__} on {self._device}"

    def encode_images(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """uint8 (b, size, size, 3) RGB -> float32 (b, d), unit length."""
        import torch

        batch = torch.from_numpy(padded(pixels, self._batch_size))
        if self._device == "cuda":
            batch = batch.pin_memory()
        with torch.inference_mode(), self._arithmetic():
            vectors = self._image_tower(batch.to(self._device, non_blocking=True))
            unit = torch.nn.functional.normalize(vectors.float(), dim=1)
        return checked(unit[: len(pixels)].cpu().numpy(), self.spec)

    def encode_texts(self, texts: Sequence[str]) -> TextEmbeddings:
        return self._text.encode_texts(texts)

    @cached_property
    def _image_tower(self) -> Any:
        from embedlab_core.encoders.towers import image_tower

        source = find_source(self.spec.name)
        fetch(source)
        loaded = load(source)
        if weights_sha256(loaded) != self.spec.weights_sha256:
            raise ModelMismatchError(
                f"{self.spec.folder}: was exported from other weights than {source.model_name} has now; "
                f"run: embedlab models remove '{self.spec.name}', then pull it again, or use --device cpu"
            )
        return image_tower(loaded).to(self._device)

    @contextlib.contextmanager
    def _arithmetic(self) -> Iterator[None]:
        """float32 means float32: cuDNN's default of TF32 convolutions keeps 10 bits of mantissa."""
        import torch

        if self._precision == "float32":
            with torch.backends.cudnn.flags(allow_tf32=False):
                yield
        else:
            with torch.autocast(self._device, dtype=getattr(torch, self._precision)):
                yield


def available_device() -> TorchDevice | None:
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else None


def _require(device: TorchDevice) -> None:
    import torch

    present = torch.cuda.is_available() if device == "cuda" else torch.backends.mps.is_available()
    if not present:
        raise DeviceError(f"there is no {device} device here that torch can use; use --device cpu or --device auto")
