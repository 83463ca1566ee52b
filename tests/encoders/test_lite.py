"""The embedded model: small, deterministic, free of torch, and the very one that was shipped."""

import hashlib
import io
import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageOps

from embedlab_core.encoders.onnx import OnnxEncoder
from embedlab_core.images.decode import decode_image
from tests.support import ASSETS, LITE, run_python

PROMPTS = ["login screen", "a photo of a dog", "blue button", "x", "Ünïcödé 日本 🙂", "50 % (off)!", "two words " * 20]

# The first values of the vectors of assets/images/001.* and of a prompt, as the shipped files gave them.
PINNED_IMAGE = [0.031339, 0.020137, -0.019037, 0.001453, -0.034799]
PINNED_PROMPT = [0.080503, -0.032658, -0.074229, 0.078521, 0.024755]


@pytest.fixture(scope="module")
def pixels(lite: OnnxEncoder) -> npt.NDArray[np.uint8]:
    """Seven pictures that come with the project, as the model sees them."""
    paths = sorted((ASSETS / "images").iterdir())[:7]
    return np.stack([decode_image(path.read_bytes(), lite.spec.pixels).pixels for path in paths])


def test_all_files_together_are_at_most_75_mb_and_each_under_50() -> None:
    sizes = [path.stat().st_size for path in LITE.iterdir()]
    assert sum(sizes) <= 75e6
    assert max(sizes) < 50e6


def test_every_file_is_the_one_that_model_json_describes() -> None:
    files = json.loads((LITE / "model.json").read_text("utf-8"))["files"]
    assert files.keys() >= {"image.onnx", "text.onnx", "tokenizer.json"}
    for name, file in files.items():
        assert hashlib.sha256((LITE / name).read_bytes()).hexdigest() == file["sha256"]


def test_it_comes_with_a_model_card() -> None:
    assert len((LITE / "README.md").read_text("utf-8")) > 1000


def test_the_near_duplicate_band_begins_at_the_default_threshold(lite: OnnxEncoder) -> None:
    assert lite.spec.bands.image["near-duplicate"] == 0.92


@pytest.fixture(scope="module")
def pictures(lite_many: OnnxEncoder) -> dict[str, npt.NDArray[np.float32]]:
    """File name -> vector, of all pictures that come with the project."""
    paths = sorted((ASSETS / "images").iterdir())
    seen = np.stack([decode_image(path.read_bytes(), lite_many.spec.pixels).pixels for path in paths])
    return dict(zip([path.name for path in paths], lite_many.encode_images(seen), strict=True))


def test_different_pictures_stay_below_the_default_threshold(pictures: dict[str, npt.NDArray[np.float32]]) -> None:
    groups = json.loads((ASSETS / "labels.json").read_text("utf-8"))["duplicate_groups"]
    group = {name: number for number, members in enumerate(groups) for name in members}
    names = list(pictures)
    cosines = np.stack(list(pictures.values())) @ np.stack(list(pictures.values())).T
    above = {(names[i], names[j]) for i, j in np.argwhere(np.triu(cosines >= 0.92, 1))}
    assert all(group.get(a, a) == group.get(b, b) for a, b in above)


def test_everyday_copies_reach_the_default_threshold(
    lite_many: OnnxEncoder, pictures: dict[str, npt.NDArray[np.float32]]
) -> None:
    found = []
    for name in list(pictures)[::4]:
        image = Image.open(ASSETS / "images" / name).convert("RGB")
        for copy in (
            image,
            image.resize((image.width // 2, image.height // 2)),
            ImageOps.crop(image, image.width // 50),
        ):
            data = io.BytesIO()
            copy.save(data, "JPEG", quality=60)
            seen = decode_image(data.getvalue(), lite_many.spec.pixels).pixels
            found.append(lite_many.encode_images(seen[None])[0] @ pictures[name] >= 0.92)
    assert np.mean(found) >= 0.9


def test_the_means_are_of_vectors_as_long_as_the_models(lite: OnnxEncoder) -> None:
    means = json.loads((LITE / "model.json").read_text("utf-8"))["means"]
    assert means.keys() == {"image", "text"}
    for mean in means.values():
        assert len(mean) == lite.spec.dim
        assert 0 < np.linalg.norm(mean) < 1


def test_image_vectors_are_unit_vectors(lite_many: OnnxEncoder, pixels: npt.NDArray[np.uint8]) -> None:
    vectors = lite_many.encode_images(pixels)
    assert vectors.shape == (7, 512)
    assert vectors.dtype == np.float32
    assert np.abs(np.linalg.norm(vectors.astype(np.float64), axis=1) - 1).max() < 1e-6


def test_prompt_vectors_are_unit_vectors(lite: OnnxEncoder) -> None:
    vectors = lite.encode_texts(PROMPTS).vectors
    assert vectors.shape == (len(PROMPTS), 512)
    assert vectors.dtype == np.float32
    assert np.abs(np.linalg.norm(vectors.astype(np.float64), axis=1) - 1).max() < 1e-6


def test_a_cosine_with_a_prompt_weighs_the_meaning_and_the_hubness_alone(
    lite_many: OnnxEncoder, pixels: npt.NDArray[np.uint8]
) -> None:
    prompts = lite_many.encode_texts(PROMPTS).vectors
    assert not prompts[:, 384:511].any()
    assert np.array_equal(prompts[:, 511], np.full(len(PROMPTS), prompts[0, 511]))
    angle = lite_many.encode_images(pixels)[:, 510:]
    assert np.ptp(np.linalg.norm(angle, axis=1)) < 1e-6
    assert np.ptp(angle[:, 1]) > 1e-3


@pytest.mark.parametrize("size", [1, 2, 3, 4, 7, 32])
def test_an_image_has_the_same_vector_in_any_batch(
    lite_many: OnnxEncoder, pixels: npt.NDArray[np.uint8], size: int
) -> None:
    wanted = lite_many.encode_images(pixels)
    batch = np.arange(size) % 7
    for shift in range(min(size, 3)):
        rows = np.roll(batch, shift)
        assert np.array_equal(lite_many.encode_images(pixels[rows]), wanted[rows])


def test_a_query_has_the_vector_that_embed_gives(
    lite: OnnxEncoder, lite_many: OnnxEncoder, pixels: npt.NDArray[np.uint8]
) -> None:
    cosines = (lite.encode_images(pixels) * lite_many.encode_images(pixels)).sum(axis=1)
    assert np.abs(cosines - 1).max() < 1e-6


def test_a_prompt_has_the_same_vector_beside_any_others(lite: OnnxEncoder) -> None:
    together = lite.encode_texts(PROMPTS).vectors
    for row, prompt in enumerate(PROMPTS):
        assert np.array_equal(lite.encode_texts([prompt]).vectors[0], together[row])
        assert np.array_equal(lite.encode_texts([prompt, "y", prompt]).vectors[2], together[row])


def test_an_image_and_a_prompt_have_the_vectors_that_were_pinned(lite: OnnxEncoder) -> None:
    (path,) = (ASSETS / "images").glob("001.*")
    image = lite.encode_images(decode_image(path.read_bytes(), lite.spec.pixels).pixels[None])[0]
    prompt = lite.encode_texts(["login screen"]).vectors[0]
    assert image[:5] == pytest.approx(PINNED_IMAGE, abs=1e-4)
    assert prompt[:5] == pytest.approx(PINNED_PROMPT, abs=1e-4)


def test_case_does_not_matter_in_a_prompt(lite: OnnxEncoder) -> None:
    vectors = lite.encode_texts(["Login Screen", "login screen"]).vectors
    assert np.array_equal(vectors[0], vectors[1])


def test_a_prompt_is_cut_at_the_context_length_and_told(lite: OnnxEncoder) -> None:
    # Every "a" is one token; the model's own start and end tokens count too.
    fits, long = " ".join("a" * (lite.spec.context_length - 2)), " ".join("a" * (lite.spec.context_length - 1))
    encoded = lite.encode_texts([fits, long, f"{long} b"])
    assert encoded.truncated == (long, f"{long} b")
    assert np.array_equal(encoded.vectors[1], encoded.vectors[2])


def test_embedding_and_searching_import_no_torch(tmp_path: Path) -> None:
    program = """
import sys
from embedlab_core.cli import main
out = sys.argv[1]
for arguments in (
    ["embed", "--images-dir", "assets/queries", "--out", out, "--backbone", "lite"],
    ["search", "--index", out, "--query-dir", "assets/queries", "--json"],
    ["search", "--index", out, "--q-text", "login screen", "--json"],
    ["analyze", "--index", out, "--json"],
):
    main(arguments, standalone_mode=False)
heavy = {"torch", "torchvision", "transformers", "open_clip", "timm", "sklearn", "scipy", "matplotlib"}
print(sorted(heavy & set(sys.modules)), "onnxruntime" in sys.modules)
"""
    ran = run_python("-c", program, tmp_path / "index")
    assert ran.code == 0, ran.stderr
    assert ran.stdout.splitlines()[-1] == "[] True"
