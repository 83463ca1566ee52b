"""Zero-shot labels with the tiny model, whose colour words are near pictures of that colour."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from embedlab_core.analysis.labels import NONE, phrases_of
from embedlab_core.api import Index
from embedlab_core.encoders.onnx import OnnxEncoder
from embedlab_core.errors import LabelError
from embedlab_core.search.templates import averaged, template_prompts
from tests.support import embed_images, unit


@pytest.fixture
def index(tmp_path: Path, tiny: OnnxEncoder, monkeypatch: pytest.MonkeyPatch, tiny_root: Path) -> Index:
    """Two red pictures, a blue one, and one that is neither."""
    monkeypatch.setenv("EMBEDLAB_WEIGHTS", str(tiny_root))
    (tmp_path / "images").mkdir()
    for name, colour in {"a": "red", "b": "blue", "c": "#fe0000", "d": "white"}.items():
        Image.new("RGB", (20, 20), colour).save(tmp_path / "images" / f"{name}.png")
    embed_images(tmp_path / "images", tmp_path / "index", tiny)
    return Index.open(tmp_path / "index")


def test_each_image_gets_the_nearest_label_and_unrelated_ones_none(index: Index) -> None:
    labelling = index.label(["red", "blue"])
    found = {Path(image.path).stem: image for image in labelling.images}
    assert {name: image.label for name, image in found.items()} == {"a": "red", "b": "blue", "c": "red", "d": NONE}
    assert labelling.counts == {"red": 2, "blue": 1, NONE: 1}
    assert list(labelling.counts) == ["red", "blue", NONE]


def test_a_probability_is_the_softmax_at_the_models_logit_scale(index: Index) -> None:
    labelling = index.label(["red", "blue"])
    words = [index.ensemble.encode_texts(template_prompts(label)).vectors for label in ("red", "blue")]
    cosines = index.reader.vectors(np.arange(4)) @ averaged(np.stack(words)).T
    odds = np.exp(20.0 * cosines)
    assert [image.probability for image in labelling.images] == pytest.approx(
        (odds.max(axis=1) / odds.sum(axis=1)).tolist(), rel=1e-4
    )
    assert [image.score for image in labelling.images] == pytest.approx(cosines.max(axis=1).tolist(), abs=1e-6)


def test_one_label_is_certain_among_itself_but_not_of_every_image(index: Index) -> None:
    labelling = index.label(["blue"])
    assert {image.probability for image in labelling.images} == {1.0}
    assert labelling.counts["blue"] == 1


def test_a_group_has_the_label_of_most_of_its_images_and_of_equals_the_first(index: Index) -> None:
    labelling = index.label(["red", "blue"])
    a, b, c, d = (image.path for image in labelling.images)
    assert labelling.most_common([[a, b, c], [b, a], [d]]) == ["red", "red", NONE]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([], "no labels given"),
        (["red", " "], "an empty label"),
        (["red", "blue", "Red "], "label 'red' is given 2 times"),
        ([NONE], "stands for images that no label fits"),
    ],
)
def test_labels_that_mean_nothing_or_twice_the_same_are_refused(index: Index, labels: list[str], message: str) -> None:
    with pytest.raises(LabelError, match=message):
        index.label(labels)


def test_phrases_are_the_lines_of_a_file_that_are_not_blank(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_bytes("\ufeffa cat\r\n\n  été \n".encode())
    assert phrases_of(tmp_path / "labels.txt") == ("a cat", "été")


def test_a_prompt_is_the_first_of_its_templates_and_their_mean_is_a_unit_vector() -> None:
    prompts = template_prompts("a cat")
    assert prompts[0] == "a cat"
    assert len(set(prompts)) == len(prompts)
    assert all("a cat" in prompt for prompt in prompts)
    vectors = unit([[[1, 0], [0, 1]], [[1, 0], [1, 0]]])
    assert averaged(vectors) == pytest.approx(np.array([[0.5**0.5, 0.5**0.5], [1, 0]]))
