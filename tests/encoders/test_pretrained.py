"""What the true weights of ViT-B-32 are known to see. Without them these tests are skipped."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from embedlab_core.encoders.folders import find_model
from embedlab_core.encoders.onnx import OnnxEncoder
from embedlab_core.images.decode import decode_image
from tests.support import ASSETS, Vectors, picture

PINNED = Path(__file__).with_name("pinned.json")
RECORDING = "EMBEDLAB_RECORD_PINS"

# Values of each vector that are pinned, and how far another processor may be from them.
VALUES, TOLERANCE = 16, 1e-3

LABELS: dict[str, dict[str, list[str]]] = json.loads((ASSETS / "labels.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def encoder() -> OnnxEncoder:
    spec = find_model("ViT-B-32")
    if spec is None:
        pytest.skip("needs the true weights: embedlab models pull ViT-B-32")
    return OnnxEncoder(spec, many=True)


@pytest.fixture(scope="module")
def images(encoder: OnnxEncoder) -> dict[str, Vectors]:
    """The vector of every image of assets/images, by its file name."""
    paths = sorted((ASSETS / "images").iterdir())
    pixels = [decode_image(path.read_bytes(), encoder.spec.pixels).pixels for path in paths]
    batches = [encoder.encode_images(np.stack(pixels[start : start + 16])) for start in range(0, len(pixels), 16)]
    return dict(zip([path.name for path in paths], np.concatenate(batches), strict=True))


def scores(encoder: OnnxEncoder, images: dict[str, Vectors], prompt: str) -> dict[str, float]:
    """Cosine of a prompt with every image, highest first."""
    (vector,) = encoder.encode_texts([prompt]).vectors
    found = {name: float(image @ vector) for name, image in images.items()}
    return dict(sorted(found.items(), key=lambda item: -item[1]))


@pytest.mark.parametrize("prompt", ["a cat", "login screen", "bar chart", "pie chart", "brick wall", "an astronaut"])
def test_the_first_image_shows_what_the_prompt_says(
    encoder: OnnxEncoder, images: dict[str, Vectors], prompt: str
) -> None:
    assert next(iter(scores(encoder, images, prompt))) in LABELS["prompts"][prompt]


@pytest.mark.parametrize("prompt", LABELS["prompts"])
def test_labelled_images_score_above_the_others(encoder: OnnxEncoder, images: dict[str, Vectors], prompt: str) -> None:
    found = scores(encoder, images, prompt)
    labelled = [found[name] for name in LABELS["prompts"][prompt]]
    others = [score for name, score in found.items() if name not in LABELS["prompts"][prompt]]
    assert np.mean(labelled) > np.mean(others) + 0.02


def test_a_cat_is_more_a_cat_than_a_dog_or_a_rocket(encoder: OnnxEncoder, images: dict[str, Vectors]) -> None:
    prompts = ["a photo of a cat", "a photo of a dog", "a photo of a rocket"]
    texts = encoder.encode_texts(prompts).vectors
    for name in LABELS["prompts"]["a cat"]:
        assert prompts[int(np.argmax(texts @ images[name]))] == "a photo of a cat", name


def test_two_pictures_of_one_thing_are_nearer_than_two_of_different_ones(images: dict[str, Vectors]) -> None:
    cats, charts = ([images[name] for name in LABELS["prompts"][prompt]] for prompt in ("a cat", "bar chart"))
    among = np.mean([first @ second for group in (cats, charts) for first in group for second in group])
    between = np.mean([cat @ chart for cat in cats for chart in charts])
    assert among > between + 0.1


def test_vectors_are_those_of_the_day_they_were_pinned(encoder: OnnxEncoder) -> None:
    size = encoder.spec.pixels.size
    drawn = encoder.encode_images(np.stack([np.asarray(picture(seed, (size, size))) for seed in range(3)]))
    prompts = ["a cat", "login screen", "ein rotes Fahrrad"]
    written = encoder.encode_texts(prompts).vectors
    actual = {f"picture {seed}": vector[:VALUES].tolist() for seed, vector in enumerate(drawn)}
    actual |= {prompt: vector[:VALUES].tolist() for prompt, vector in zip(prompts, written, strict=True)}
    if os.environ.get(RECORDING):
        PINNED.write_text(json.dumps({"weights": encoder.spec.weights_sha256, "vectors": actual}, indent=1) + "\n")
    if not PINNED.exists():
        pytest.skip(f"nothing is pinned yet: {RECORDING}=1 python -m pytest {Path(__file__).name}")
    pinned = json.loads(PINNED.read_text("utf-8"))
    assert encoder.spec.weights_sha256 == pinned["weights"]
    for name, vector in actual.items():
        assert vector == pytest.approx(pinned["vectors"][name], abs=TOLERANCE), name
