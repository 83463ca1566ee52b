"""A model folder that is incomplete or damaged is refused, and the file at fault is named."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from embedlab_core.encoders.base import checked
from embedlab_core.encoders.onnx import OnnxEncoder
from embedlab_core.encoders.spec import Bands, load_model_spec
from embedlab_core.errors import ModelError, VectorError
from tests.tiny_model import write_tiny_model

Document = dict[str, Any]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_tiny_model(tmp_path)


def rewrite(folder: Path, change: Callable[[Document], Any]) -> None:
    document = json.loads((folder / "model.json").read_text())
    change(document)
    (folder / "model.json").write_text(json.dumps(document))


def test_a_whole_folder_is_read(folder: Path) -> None:
    spec = load_model_spec(folder)
    assert (spec.name, spec.dim, spec.context_length, spec.pixels.size) == ("tiny", 16, 8, 16)
    assert spec.pixels.fill == 0
    assert set(spec.files) == {"image.onnx", "text.onnx", "tokenizer.json"}
    assert len(spec.fingerprint) == 12


@pytest.mark.parametrize("name", ["image.onnx", "text.onnx", "tokenizer.json"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(ModelError, match=rf"{name}: this file of model tiny is missing; restore"):
        load_model_spec(folder)


@pytest.mark.parametrize("name", ["image.onnx", "text.onnx", "tokenizer.json"])
def test_a_file_of_the_wrong_size_is_named_with_both_sizes(folder: Path, name: str) -> None:
    size = (folder / name).stat().st_size
    (folder / name).write_bytes((folder / name).read_bytes()[:-1])
    with pytest.raises(ModelError, match=rf"{name}: .* has {size - 1} bytes instead of {size}"):
        load_model_spec(folder)


@pytest.mark.parametrize("content", ["", "{", "null", "[]", '{"format": 1}', "\x00"])
def test_a_description_that_is_no_such_thing_is_named(folder: Path, content: str) -> None:
    (folder / "model.json").write_text(content)
    with pytest.raises(ModelError, match=r"model\.json: not a readable model description"):
        load_model_spec(folder)


def test_a_missing_description_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"nowhere/model\.json: not a readable model description"):
        load_model_spec(tmp_path / "nowhere")


def test_a_newer_format_is_refused_with_both_numbers(folder: Path) -> None:
    rewrite(folder, lambda document: document.update(format=2))
    with pytest.raises(ModelError, match=r"model\.json: .*format 2, but this embedlab reads format 1"):
        load_model_spec(folder)


@pytest.mark.parametrize("key", ["name", "dim", "license", "source", "image", "text", "logit_scale", "bands", "files"])
def test_a_missing_field_is_named(folder: Path, key: str) -> None:
    rewrite(folder, lambda document: document.pop(key))
    with pytest.raises(ModelError, match=rf"model\.json: .*missing required field {key}"):
        load_model_spec(folder)


@pytest.mark.parametrize(
    "change",
    [
        lambda document: document["files"]["image.onnx"].update(sha256="0" * 64),
        lambda document: document["files"]["tokenizer.json"].update(sha256="0" * 64),
        lambda document: document["image"].update(resize="shortest"),
        lambda document: document["image"].update(interpolation="bicubic"),
        lambda document: document["image"].update(mean=[0.5, 0, 0]),
    ],
)
def test_whatever_decides_a_vector_changes_the_fingerprint(folder: Path, change: Callable[[Document], Any]) -> None:
    before = load_model_spec(folder).fingerprint
    rewrite(folder, change)
    assert load_model_spec(folder).fingerprint != before


def test_what_decides_no_vector_keeps_the_fingerprint(folder: Path) -> None:
    before = load_model_spec(folder).fingerprint
    rewrite(folder, lambda document: document.update(license="other", bands={"image": {}, "text": {}}))
    assert load_model_spec(folder).fingerprint == before


@pytest.mark.parametrize("name", ["image.onnx", "text.onnx", "tokenizer.json"])
def test_a_file_of_the_right_size_that_cannot_be_loaded_is_named_in_one_line(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"\xff" * (folder / name).stat().st_size)
    encoder = OnnxEncoder(load_model_spec(folder))
    with pytest.raises(ModelError, match=name) as caught:
        if name == "image.onnx":
            encoder.encode_images(np.zeros((1, 16, 16, 3), np.uint8))
        else:
            encoder.encode_texts(["red"])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("wrong", [[0.0, 0.0], [np.nan, 1.0], [np.inf, 0.0], [2.0, 0.0]])
def test_vectors_that_are_not_of_length_1_are_told_apart_from_the_others(folder: Path, wrong: list[float]) -> None:
    spec = load_model_spec(folder)
    vectors = np.pad(np.array([[1, 0], wrong, [0, 1], wrong], np.float32), ((0, 0), (0, spec.dim - 2)))
    assert checked(vectors[::2], spec) is not None
    with pytest.raises(VectorError, match=r"model \w+ gave a vector of length \S+; restore the folder") as caught:
        checked(vectors, spec)
    assert caught.value.rows == (1, 3)


def test_vectors_of_another_length_than_the_description_says_are_the_folders_fault(folder: Path) -> None:
    rewrite(folder, lambda document: document.update(dim=8, means={}))
    encoder = OnnxEncoder(load_model_spec(folder))
    with pytest.raises(ModelError, match=r"not of 8 dimensions as its model\.json says"):
        encoder.encode_images(np.zeros((1, 16, 16, 3), np.uint8))
    with pytest.raises(ModelError, match=r"not of 8 dimensions as its model\.json says"):
        encoder.encode_texts(["red"])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("format", [1]),
        ("format", None),
        ("name", "\ud800"),
        ("dim", 2**40),
        ("dim", 10**400),
        ("logit_scale", 0),
        ("logit_scale", 10**400),
        ("weights_sha256", "\udc80"),
        ("means", {"image": [0.5] * 15 + [7]}),
        ("means", {"sound": [0.5] * 16}),
        ("dim", "16"),
        ("dim", 0),
        ("image", []),
        ("image", {"size": 16, "resize": "stretch", "interpolation": "bicubic", "mean": [0, 0, 0], "std": [1, 1, 1]}),
        ("image", {"size": 16, "resize": "squash", "interpolation": "bicubic", "mean": [0, 0], "std": [1, 1, 1]}),
        ("text", {"context_length": True}),
        ("text", {"context_length": 8, "cleaning": "fold"}),
        ("logit_scale", None),
        ("bands", {"image": {"near-duplicate": "0.9"}, "text": {}}),
        ("means", {"image": [0.5]}),
        ("bands", {"image": {"near-duplicate": 92}, "text": {}}),
        ("files", {}),
        ("files", {"image.onnx\0": {"sha256": "", "bytes": 0}}),
        ("files", ["image.onnx"]),
        ("files", {"image.onnx": 3}),
    ],
)
def test_a_field_of_the_wrong_kind_is_one_line_that_names_it(folder: Path, field: str, value: Any) -> None:
    rewrite(folder, lambda document: document.update({field: value}))
    with pytest.raises(ModelError, match=r"model\.json: not a readable model description") as caught:
        load_model_spec(folder)
    assert "\n" not in str(caught.value)


def test_the_highest_band_that_a_score_reaches_is_its_name() -> None:
    bands = {"near-duplicate": 0.92, "related": 0.4}
    scores = [-1.0, 0.39999, 0.4, 0.91999, 0.92, 1.0]
    names = ["unrelated", "unrelated", "related", "related", "near-duplicate", "near-duplicate"]
    assert [Bands.name(bands, score) for score in scores] == names
