"""A real model folder of 50 KB, for tests of everything that is not about a model's quality.

The image tower projects a 16 x 16 picture on 16 fixed directions of small whole numbers, so its sums are exact in
float32 and a vector cannot depend on the batch. A colour word's vector is that of a picture in that colour alone.
Mid-grey (128) is projected to zero, which no index may hold.
"""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

SIZE = 16
DIM = 16
CONTEXT_LENGTH = 8
COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255), "white": (255, 255, 255), "black": (0, 0, 0)}

_FLOAT, _UINT8, _INT64 = 1, 2, 7

Constants = dict[str, npt.NDArray[np.float32] | npt.NDArray[np.int64]]


def write_tiny_model(folder: Path, name: str = "tiny", seed: int = 0) -> Path:
    """Make the model folder `folder`/`name`. Another seed gives another model of the same shape."""
    target = folder / name
    target.mkdir(parents=True)
    projection = np.random.default_rng(seed).integers(-3, 4, (SIZE * SIZE * 3, DIM)).astype(np.float32)
    (target / "image.onnx").write_bytes(_image_tower(projection))
    (target / "text.onnx").write_bytes(_text_tower(_words(projection)))
    _save_tokenizer(target / "tokenizer.json")
    files = {
        path.name: {"sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "bytes": path.stat().st_size}
        for path in sorted(target.iterdir())
    }
    document = {
        "format": 1,
        "name": name,
        "dim": DIM,
        "license": "MIT",
        "source": "tests/tiny_model.py",
        "image": {"size": SIZE, "resize": "squash", "interpolation": "bilinear", "mean": [0, 0, 0], "std": [1, 1, 1]},
        "text": {"context_length": CONTEXT_LENGTH},
        "logit_scale": 20.0,
        "bands": {"image": {"related": 0.5, "near-duplicate": 0.92}, "text": {"related": 0.3, "match": 0.6}},
        "means": {"image": [0.0] * DIM, "text": [0.0] * DIM},
        "files": files,
    }
    (target / "model.json").write_text(json.dumps(document), "utf-8")
    return target


def _words(projection: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """One row a word: of the unknown word first, then of the colours."""
    pictures = np.tile(np.array(list(COLOURS.values()), dtype=np.float32), SIZE * SIZE) - 128
    return np.concatenate([np.ones((1, DIM), np.float32), pictures @ projection])


def _save_tokenizer(path: Path) -> None:
    vocabulary = {"[UNK]": 0, **{word: number for number, word in enumerate(COLOURS, start=1)}}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.enable_truncation(CONTEXT_LENGTH)
    tokenizer.save(str(path))


def _image_tower(projection: npt.NDArray[np.float32]) -> bytes:
    nodes = [
        _node("Cast", ["pixels"], "float", to=_FLOAT),
        _node("Sub", ["float", "grey"], "centred"),
        _node("Flatten", ["centred"], "flat", axis=1),
        _node("MatMul", ["flat", "projection"], "projected"),
        _node("LpNormalization", ["projected"], "embedding", axis=1, p=2),
    ]
    constants: Constants = {"grey": np.array(128, np.float32), "projection": projection}
    return _model(nodes, constants, ("pixels", _UINT8, ["b", SIZE, SIZE, 3]), ("embedding", _FLOAT, ["b", DIM]))


def _text_tower(words: npt.NDArray[np.float32]) -> bytes:
    nodes = [
        _node("Gather", ["words", "ids"], "chosen", axis=0),
        _node("ReduceSum", ["chosen", "axes"], "summed", keepdims=0),
        _node("LpNormalization", ["summed"], "embedding", axis=1, p=2),
    ]
    constants: Constants = {"words": words, "axes": np.array([1], np.int64)}
    return _model(nodes, constants, ("ids", _INT64, [1, "l"]), ("embedding", _FLOAT, [1, DIM]))


# What follows writes the few fields of onnx.proto3 that these graphs need: the suite must not depend on `onnx`.


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def _field(number: int, value: int | str | bytes) -> bytes:
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    data = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _node(operator: str, inputs: Iterable[str], output: str, **attributes: int) -> bytes:
    parts = [_field(1, name) for name in inputs] + [_field(2, output), _field(4, operator)]
    parts += [_field(5, _field(1, name) + _field(3, value) + _field(20, 2)) for name, value in attributes.items()]
    return b"".join(parts)


def _tensor(name: str, array: npt.NDArray[np.float32] | npt.NDArray[np.int64]) -> bytes:
    kind = _INT64 if array.dtype == np.int64 else _FLOAT
    dims = b"".join(_field(1, size) for size in array.shape)
    return dims + _field(2, kind) + _field(8, name) + _field(9, array.tobytes())


def _value(name: str, kind: int, shape: list[int | str]) -> bytes:
    dims = b"".join(_field(1, _field(1 if isinstance(size, int) else 2, size)) for size in shape)
    return _field(1, name) + _field(2, _field(1, _field(1, kind) + _field(2, dims)))


def _model(
    nodes: list[bytes],
    constants: Constants,
    source: tuple[str, int, list[int | str]],
    result: tuple[str, int, list[int | str]],
) -> bytes:
    graph = b"".join(_field(1, node) for node in nodes) + _field(2, "tiny")
    graph += b"".join(_field(5, _tensor(name, array)) for name, array in constants.items())
    graph += _field(11, _value(*source)) + _field(12, _value(*result))
    return _field(1, 8) + _field(7, graph) + _field(8, _field(2, 17))
