"""OpenVINO in bfloat16: near the float32 vectors, and never mixed with them."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from embedlab_core.encoders.open import open_encoder
from embedlab_core.encoders.openvino import OpenVinoEncoder
from tests.encoders.conftest import Pair
from tests.support import picture, run_cli, save_pictures

openvino = pytest.importorskip("openvino", reason="needs the extra: pip install 'embedlab[openvino]'")

pytestmark = pytest.mark.skipif(
    "BF16" not in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"),
    reason="this processor has no bfloat16",
)


def pixels_of(pair: Pair, count: int) -> npt.NDArray[np.uint8]:
    size = pair.encoder.spec.pixels.size
    return np.stack([np.asarray(picture(seed, (size, size))) for seed in range(count)])


def test_bfloat16_is_near_float32(tiny_vit: Pair) -> None:
    images = pixels_of(tiny_vit, 8)
    fast = OpenVinoEncoder(tiny_vit.encoder.spec, batch_size=8).encode_images(images)
    agreement = (fast * tiny_vit.encoder.encode_images(images)).sum(axis=1)
    assert 0.995 <= agreement.min() < 1 - 1e-6


def test_a_vector_does_not_depend_on_its_place_in_a_batch(tiny_vit: Pair) -> None:
    encoder = OpenVinoEncoder(tiny_vit.encoder.spec, batch_size=4)
    images = pixels_of(tiny_vit, 4)
    together = encoder.encode_images(images)
    for shift in range(1, 4):
        turned = encoder.encode_images(np.roll(images, shift, axis=0))
        assert np.array_equal(np.roll(turned, -shift, axis=0), together)
    assert np.array_equal(np.concatenate([encoder.encode_images(image[None]) for image in images]), together)


def test_prompts_run_in_float32(tiny_vit: Pair) -> None:
    fast = OpenVinoEncoder(tiny_vit.encoder.spec, batch_size=4).encode_texts(["a cat"]).vectors
    assert np.allclose(fast, tiny_vit.encoder.encode_texts(["a cat"]).vectors, atol=1e-6)


def test_the_cpu_runs_bfloat16_with_openvino(tiny_vit: Pair) -> None:
    encoder = open_encoder(tiny_vit.encoder.spec, "cpu", "bfloat16", batch_size=4)
    assert isinstance(encoder, OpenVinoEncoder)
    assert encoder.ref.precision == "bfloat16"
    assert encoder.runtime.startswith("openvino ")


def test_two_precisions_in_one_index_are_refused_with_both_named(tiny_vit: Pair, tmp_path: Path) -> None:
    save_pictures(tmp_path / "images", range(3))
    spec = tiny_vit.encoder.spec
    command: list[str | Path] = [
        "embed",
        "--images-dir",
        tmp_path / "images",
        "--out",
        tmp_path / "index",
        "--quiet",
        "--batch-size",
        "4",
    ]
    env = {"EMBEDLAB_WEIGHTS": str(spec.folder.parent)}
    first = run_cli(*command, "--backbone", spec.name, "--precision", "bfloat16", env=env)
    assert first.code == 0, first.stderr
    # Without --backbone it is the index's own model: its precision must not slip in unsaid either.
    for backbone in (["--backbone", spec.name], []):
        ran = run_cli(*command, *backbone, env=env)
        assert ran.code == 1
        assert f"{spec.fingerprint}, bfloat16" in ran.error
        assert f"{spec.fingerprint}, float32" in ran.error
