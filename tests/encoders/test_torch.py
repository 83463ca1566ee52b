"""A GPU is used where there is one, and its absence is said in one line."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch

from embedlab_core.encoders.base import Precision
from embedlab_core.encoders.onnx import OnnxEncoder
from embedlab_core.encoders.open import open_encoder
from embedlab_core.encoders.spec import load_model_spec
from embedlab_core.encoders.torch import TorchDevice, TorchEncoder
from embedlab_core.errors import DeviceError, ModelMismatchError
from embedlab_core.search.similarity import cosines
from tests.checkpoints import write_tiny_vit
from tests.encoders.conftest import Pair, pull_into
from tests.support import picture, run_cli, save_pictures
from tests.tiny_model import write_tiny_model

HOW = "python -m pytest -rs tests/encoders/test_torch.py"
with_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason=f"on a machine with a CUDA device run: {HOW}")
with_mps = pytest.mark.skipif(not torch.backends.mps.is_available(), reason=f"on a Mac with MPS run: {HOW}")
on_each_device = pytest.mark.parametrize(
    "device", ["cpu", pytest.param("cuda", marks=with_cuda), pytest.param("mps", marks=with_mps)]
)
without_cuda = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")


def pixels_of(pair: Pair, count: int) -> npt.NDArray[np.uint8]:
    size = pair.encoder.spec.pixels.size
    return np.stack([np.asarray(picture(seed, (size, size))) for seed in range(count)])


@without_cuda
def test_a_device_that_is_not_there_is_one_line(tiny_env: dict[str, str], tmp_path: Path) -> None:
    save_pictures(tmp_path / "images", range(2))
    command: list[str | Path] = [
        "embed",
        "--images-dir",
        tmp_path / "images",
        "--out",
        tmp_path / "index",
        "--backbone",
        "tiny",
    ]
    ran = run_cli(*command, "--device", "cuda", env=tiny_env)
    assert ran.code == 1
    assert ran.error == "there is no cuda device here that torch can use; use --device cpu or --device auto"
    assert len(ran.stderr.splitlines()) == 1
    assert not (tmp_path / "index").exists()


@without_cuda
def test_auto_is_the_cpu_where_there_is_no_gpu(tiny: OnnxEncoder) -> None:
    if torch.backends.mps.is_available():
        pytest.skip("there is an MPS device here")
    assert isinstance(open_encoder(tiny.spec, "auto", "float32", 4), OnnxEncoder)


def test_auto_runs_the_embedded_model_on_the_cpu_everywhere(tmp_path: Path) -> None:
    lite = load_model_spec(write_tiny_model(tmp_path, "lite"))
    assert isinstance(open_encoder(lite, "auto", "float32", 4), OnnxEncoder)


def test_the_cpu_never_runs_torch_and_has_no_float16(tiny: OnnxEncoder) -> None:
    assert isinstance(open_encoder(tiny.spec, "cpu", "float32", 4), OnnxEncoder)
    with pytest.raises(DeviceError, match="float16 needs a GPU"):
        open_encoder(tiny.spec, "cpu", "float16", 4)


@on_each_device
@pytest.mark.parametrize(("precision", "least"), [("float32", 0.9999), ("bfloat16", 0.99), ("float16", 0.999)])
def test_torch_agrees_with_onnx_runtime(
    tiny_vit: Pair, device: TorchDevice, precision: Precision, least: float
) -> None:
    images = pixels_of(tiny_vit, 6)
    encoder = TorchEncoder(tiny_vit.encoder.spec, device, precision, batch_size=8)
    vectors = encoder.encode_images(images)
    expected = tiny_vit.encoder.encode_images(images)
    assert vectors.dtype == np.float32
    assert cosines(vectors, expected).min() >= least
    # Half precision that rounds like float32 is not half precision.
    assert (np.abs(vectors - expected).max() < 1e-4) == (precision == "float32")
    assert encoder.ref.precision == precision
    assert encoder.runtime == f"torch {torch.__version__} on {device}"


@on_each_device
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_vector_does_not_depend_on_its_place_in_a_torch_batch(
    tiny_vit: Pair, device: TorchDevice, precision: Precision
) -> None:
    images = pixels_of(tiny_vit, 4)
    encoder = TorchEncoder(tiny_vit.encoder.spec, device, precision, batch_size=4)
    together = encoder.encode_images(images)
    assert np.array_equal(np.roll(encoder.encode_images(np.roll(images, 1, axis=0)), -1, axis=0), together)
    assert np.array_equal(np.concatenate([encoder.encode_images(image[None]) for image in images]), together)


@on_each_device
def test_texts_run_as_a_search_runs_them(tiny_vit: Pair, device: TorchDevice) -> None:
    encoder = TorchEncoder(tiny_vit.encoder.spec, device, "float32", batch_size=1)
    expected = OnnxEncoder(tiny_vit.encoder.spec).encode_texts(["a login screen", "a cat"])
    assert np.array_equal(encoder.encode_texts(["a login screen", "a cat"]).vectors, expected.vectors)


@on_each_device
def test_a_checkpoint_that_changed_since_the_export_is_refused(tmp_path: Path, device: TorchDevice) -> None:
    """torch loads the checkpoint, not the export: both must hold the same weights."""
    checkpoint = write_tiny_vit(tmp_path / "checkpoint")
    spec = pull_into(tmp_path / "weights", f"local-dir:{checkpoint}")
    write_tiny_vit(checkpoint, seed=1)
    with pytest.raises(ModelMismatchError, match=r"was exported from other weights .+ embedlab models remove"):
        TorchEncoder(spec, device, "float32", batch_size=1).encode_images(np.zeros((1, 32, 32, 3), np.uint8))


@on_each_device
def test_the_embedded_model_is_refused_by_name(tmp_path: Path, device: TorchDevice) -> None:
    lite = load_model_spec(write_tiny_model(tmp_path, "lite"))
    with pytest.raises(DeviceError, match="model lite runs on the CPU only"):
        TorchEncoder(lite, device, "float32", batch_size=1)


@contextmanager
def before_every_layer(do: Callable[[], None]) -> Iterator[None]:
    """torch's own way to look into, or break, a running model."""
    handle = torch.nn.modules.module.register_module_forward_pre_hook(lambda module, inputs: do())
    try:
        yield
    finally:
        handle.remove()


def test_cudnn_is_on_and_exact_while_a_batch_runs_and_as_it_was_after(tiny_vit: Pair) -> None:
    seen = set()

    def look() -> None:
        cudnn = torch.backends.cudnn
        seen.add((cudnn.enabled, cudnn.deterministic, cudnn.allow_tf32))

    before = (torch.backends.cudnn.enabled, torch.backends.cudnn.deterministic, torch.backends.cudnn.allow_tf32)
    with before_every_layer(look):
        TorchEncoder(tiny_vit.encoder.spec, "cpu", "float32", batch_size=2).encode_images(pixels_of(tiny_vit, 2))
    assert seen == {(True, True, False)}
    look()
    assert before in seen


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"), "no memory for 2 images at once; "),
        (RuntimeError("CUDA error: no kernel image\nCompile with"), r"torch failed \(CUDA error: no kernel image\); "),
    ],
)
def test_a_device_that_fails_is_one_line_with_a_way_out(tiny_vit: Pair, error: Exception, message: str) -> None:
    encoder = TorchEncoder(tiny_vit.encoder.spec, "cpu", "float32", batch_size=2)

    def fail() -> None:
        raise error

    with before_every_layer(fail), pytest.raises(DeviceError, match=f"^cpu: {message}use .*--device cpu$"):
        encoder.encode_images(pixels_of(tiny_vit, 2))
    assert encoder.encode_images(pixels_of(tiny_vit, 2)).shape == (2, 32)


@with_cuda
def test_too_large_a_batch_for_a_gpu_is_one_line(tiny_vit: Pair) -> None:
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(1e-4)
    try:
        encoder = TorchEncoder(tiny_vit.encoder.spec, "cuda", "float32", batch_size=4096)
        with pytest.raises(DeviceError, match="no memory for 4096 images at once; use a smaller --batch-size"):
            encoder.encode_images(pixels_of(tiny_vit, 1))
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
