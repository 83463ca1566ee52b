"""An open_clip model run by torch, on a GPU or, for tests, on the CPU."""

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
from embedlab_core.errors import DeviceError, MissingPackageError, ModelMismatchError, first_line
from embedlab_core.index.manifest import ModelRef
from embedlab_core.packages import needed_for, require

TorchDevice = Literal["cpu", "cuda", "mps"]


class TorchEncoder:
    """The image tower at one batch size, so that a vector does not depend on how many stood beside it.

    Text runs in float32 by ONNX Runtime: prompts are few, and a query need not wait for the GPU.
    """

    def __init__(self, spec: ModelSpec, device: TorchDevice, precision: Precision, batch_size: int) -> None:
        """Raises DeviceError if there is no such device, or neither the model nor the precision can run on it."""
        _require(device, precision)
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
        """uint8 (b, size, size, 3) RGB -> float32 (b, d), unit length. Raises DeviceError if the device fails."""
        import torch

        batch = torch.from_numpy(padded(pixels, self._batch_size))
        try:
            tower = self._image_tower
            with torch.inference_mode(), self._arithmetic():
                # A plain copy: pinning the batch first costs more than it saves, and on MPS a copy that does not block
                # may read memory that is already somebody else's.
                vectors = tower(batch.to(self._device))
            unit = torch.nn.functional.normalize(vectors.float(), dim=1)
            return checked(unit[: len(pixels)].cpu().numpy(), self.spec)
        except torch.OutOfMemoryError as error:
            raise DeviceError(
                f"{self._device}: no memory for {self._batch_size} images at once; use a smaller --batch-size, "
                "--precision bfloat16, or --device cpu"
            ) from error
        # What CUDA and MPS have to say of a device that fails comes as this, and late: at the next copy.
        except RuntimeError as error:
            raise DeviceError(f"{self._device}: torch failed ({first_line(error)}); use --device cpu") from error

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
        """float32 means float32: cuDNN's default of TF32 convolutions keeps 10 bits of mantissa. And one result for one
        batch: cuDNN may choose among algorithms that differ in their last bits."""
        import torch

        # `flags` turns cuDNN off unless it is told not to.
        with (
            torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False),
            torch.autocast(self._device, getattr(torch, self._precision), enabled=self._precision != "float32"),
        ):
            yield


def available_device() -> TorchDevice | None:
    """None also without torch. Raises MissingPackageError if torch is there and cannot be loaded."""
    try:
        require("a GPU", "torch")
    except MissingPackageError:
        return None
    with needed_for("looking for a GPU"):
        import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else None


def _require(device: TorchDevice, precision: Precision) -> None:
    require(f"the device {device}", "huggingface_hub", "open_clip", "safetensors")
    with needed_for(f"the device {device}"):
        import torch

    present = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not present[device]:
        raise DeviceError(f"there is no {device} device here that torch can use; use --device cpu or --device auto")
    if device == "cuda" and precision == "bfloat16" and not torch.cuda.is_bf16_supported():
        raise DeviceError("this cuda device has no bfloat16; use --precision float16 or float32")
