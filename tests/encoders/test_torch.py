"""A GPU is used where there is one, and its absence is said in one line."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch

from embedlab_core.encoders.onnx import OnnxEncoder
from embedlab_core.encoders.open import open_encoder
from embedlab_core.encoders.spec import load_model_spec
from embedlab_core.encoders.torch import TorchEncoder
from embedlab_core.errors import DeviceError, ModelMismatchError
from tests.checkpoints import write_tiny_vit
from tests.encoders.conftest import Pair, pull_into
from tests.support import picture, run_cli, save_pictures
from tests.tiny_model import write_tiny_model

with_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
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


@with_cuda
@pytest.mark.parametrize(("precision", "least"), [("float32", 0.9999), ("bfloat16", 0.99), ("float16", 0.999)])
def test_cuda_agrees_with_onnx_runtime(tiny_vit: Pair, precision: str, least: float) -> None:
    images = pixels_of(tiny_vit, 6)
    encoder = TorchEncoder(tiny_vit.encoder.spec, "cuda", precision, batch_size=8)  # type: ignore[arg-type]
    agreement = (encoder.encode_images(images) * tiny_vit.encoder.encode_images(images)).sum(axis=1)
    assert agreement.min() >= least
    assert encoder.ref.precision == precision


@with_cuda
def test_a_vector_does_not_depend_on_its_place_in_a_cuda_batch(tiny_vit: Pair) -> None:
    images = pixels_of(tiny_vit, 4)
    encoder = TorchEncoder(tiny_vit.encoder.spec, "cuda", "float32", batch_size=4)
    together = encoder.encode_images(images)
    assert np.array_equal(np.roll(encoder.encode_images(np.roll(images, 1, axis=0)), -1, axis=0), together)
    assert np.array_equal(np.concatenate([encoder.encode_images(image[None]) for image in images]), together)


@with_cuda
def test_a_checkpoint_that_changed_since_the_export_is_refused(tmp_path: Path) -> None:
    """torch loads the checkpoint, not the export: both must hold the same weights."""
    checkpoint = write_tiny_vit(tmp_path / "checkpoint")
    spec = pull_into(tmp_path / "weights", f"local-dir:{checkpoint}")
    write_tiny_vit(checkpoint, seed=1)
    with pytest.raises(ModelMismatchError):
        TorchEncoder(spec, "cuda", "float32", batch_size=1).encode_images(np.zeros((1, 32, 32, 3), np.uint8))
