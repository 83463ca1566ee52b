"""Which runtime runs a model: ONNX Runtime on the CPU, OpenVINO for bfloat16 there, torch on a GPU."""

from typing import Literal

from embedlab_core.encoders.base import Encoder, Precision
from embedlab_core.encoders.onnx import OnnxEncoder
from embedlab_core.encoders.registry import EMBEDDED
from embedlab_core.encoders.spec import ModelSpec
from embedlab_core.errors import DeviceError

Device = Literal["cpu", "cuda", "mps", "auto"]


def default_batch_size(device: Device) -> int:
    """Images encoded together where the user says nothing.

    On a CPU the activations of 8 images still fit its caches, and the next batch is decoded meanwhile; a GPU is filled
    by hundreds of rows.
    """
    return 8 if device == "cpu" else 128


def open_encoder(spec: ModelSpec, device: Device, precision: Precision, batch_size: int) -> Encoder:
    """An encoder for many batches. "auto" is the GPU if there is one that can run the model. Raises DeviceError."""
    if device == "auto" and spec.name == EMBEDDED:
        device = "cpu"
    if device == "auto":
        from embedlab_core.encoders.torch import available_device

        device = available_device() or "cpu"
    if device != "cpu":
        from embedlab_core.encoders.torch import TorchEncoder

        return TorchEncoder(spec, device, precision, batch_size)
    if precision == "bfloat16":
        from embedlab_core.encoders.openvino import OpenVinoEncoder

        return OpenVinoEncoder(spec, batch_size)
    if precision == "float16":
        raise DeviceError("float16 needs a GPU; on the CPU use --precision float32 or bfloat16")
    return OnnxEncoder(spec, many=True)
