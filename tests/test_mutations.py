"""Whatever happens to a file that is read back: a typed error, or an answer. Never another exception."""

import json
import random
import shutil
import sqlite3
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from embedlab_core import Index
from embedlab_core.analysis.apart import APART, mark_apart
from embedlab_core.analysis.calibration import CALIBRATION, fit, load_calibration, save_calibration
from embedlab_core.analysis.labelled import LabelledPairs
from embedlab_core.analysis.plan import load_plan
from embedlab_core.encoders.onnx import OnnxEncoder
from embedlab_core.encoders.spec import MODEL_JSON, load_model_spec
from embedlab_core.errors import EmbedlabError
from embedlab_core.index.manifest import MANIFEST
from embedlab_core.index.skipped import SKIPPED
from embedlab_core.search.cache import CACHE
from tests.support import embed_images, run_cli, save_pictures
from tests.tiny_model import write_tiny_model

MUTATIONS = 1000
ODD: list[Any] = [
    None, True, False, 0, -1, 5, 2**31, 2**63, -(2**63) - 1, 10**400, 0.5, -0.0, 1e308, "", "x", "..", "/", "a\0b",
    "\ud800", "\udc80", "x" * 500, "1", "null", [], [[]], {}, {"a": 1}, [None], [1, "a"], [[[[[[]]]]]],
]  # fmt: skip
TEXTS = ["NaN", "Infinity", "-Infinity", "1e999", "[" * 3000, "1" + "0" * 5000, '"\\ud800"', '"\\udc80"', "nul", ""]

Mutate = Callable[[bytes, random.Random], bytes]


def of_bytes(data: bytes, chance: random.Random) -> bytes:
    """Some bytes changed, removed, added or cut off."""
    changed = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        place = chance.randrange(len(changed) + 1)
        match chance.randrange(4):
            case 0:
                changed[place : place + 1] = bytes([chance.randrange(256)])
            case 1:
                del changed[place : place + chance.randint(1, 16)]
            case 2:
                changed[place:place] = chance.randbytes(chance.randint(1, 16))
            case 3 if chance.random() < 0.2:
                del changed[place:]
    return bytes(changed)


def of_values(data: bytes, chance: random.Random) -> bytes:
    """One or two values of a JSON document, or of one of its lines, are others, or gone."""
    lines = data.decode().splitlines() if data.count(b"\n{") else [data.decode()]
    number = chance.randrange(len(lines))
    document = json.loads(lines[number])
    for _ in range(chance.randint(1, 2)):
        places = list(places_of(document))
        if not places:
            break
        holder, key = chance.choice(places)
        match chance.randrange(5):
            case 0:
                del holder[key]
            case 1:
                other, other_key = chance.choice(places)
                holder[key] = json.loads(json.dumps(other.get(other_key) if isinstance(other, dict) else None))
            case _:
                holder[key] = chance.choice(ODD)
    text = json.dumps(document)
    if chance.random() < 0.2 and places_of(document):
        text = text.replace(chance.choice(["0", "1", '"', ":", "[", "null"]), chance.choice(TEXTS), 1)
    lines[number] = text
    return "\n".join(lines).encode()


def places_of(document: Any) -> Iterator[tuple[Any, Any]]:
    """Every place in a document, as what holds it and its key or number there."""
    keys = list(document) if isinstance(document, dict) else range(len(document)) if isinstance(document, list) else []
    for key in keys:
        yield document, key
        yield from places_of(document[key])


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index with all that is ever read back, its model, and a plan."""
    root = tmp_path_factory.mktemp("mutations")
    model = write_tiny_model(root / "models", "tiny")
    save_pictures(root / "images", range(6))
    shutil.copy(root / "images" / "000.png", root / "images" / "copy.png")
    (root / "images" / "broken.png").write_bytes(b"\x89PNG")
    embed_images(root / "images", root / "index", OnnxEncoder(load_model_spec(model)))
    reader = Index.open(root / "index").reader
    mark_apart(reader, *reader.paths(np.array([1, 2])))
    scores = np.linspace(-0.5, 1, 80, dtype=np.float32)
    pairs = LabelledPairs(scores, scores > 0.4, np.ones(80), np.arange(80))
    save_calibration(reader, fit(reader, pairs, "labels", 0.9, 0))
    Index.open(root / "index").plan_dedupe(root / "plan.json")
    return root / "index"


@pytest.fixture(autouse=True)
def surroundings(index: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("EMBEDLAB_WEIGHTS", str(index.parent / "models"))
    with warnings.catch_warnings():
        # A warning of NumPy's is arithmetic on what should have been refused.
        warnings.simplefilter("error", RuntimeWarning)
        yield


def everything(directory: Path) -> None:
    """What reads every column of an index."""
    index = Index.open(directory)
    index.search(text="red", k=3)
    index.analyze(anomaly_top=2, k=2)
    index.quality()


DOCUMENTS: dict[str, Callable[[Path], object]] = {
    MANIFEST: everything,
    SKIPPED: lambda directory: Index.open(directory).quality(),
    CALIBRATION: lambda directory: load_calibration(Index.open(directory).reader),
    APART: lambda directory: Index.open(directory).analyze(anomaly_top=2, k=2),
    "../plan.json": lambda directory: load_plan(directory.parent / "plan.json"),
    f"../models/tiny/{MODEL_JSON}": lambda directory: Index.open(directory).search(text="red"),
}


@pytest.mark.parametrize("mutate", [of_bytes, of_values])
@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_that_was_changed_is_a_typed_error_or_an_answer(index: Path, name: str, mutate: Mutate) -> None:
    assert_all_end_well(index / name, mutate, lambda: DOCUMENTS[name](index), MUTATIONS // 2)


def test_a_shard_that_was_changed_is_a_typed_error_or_an_answer(index: Path) -> None:
    (shard,) = (index / "shards").glob("*.npz")
    assert_all_end_well(shard, of_headers, lambda: everything(index), MUTATIONS // 2)


def of_headers(data: bytes, chance: random.Random) -> bytes:
    """Some bytes changed, mostly in what describes the arrays; the length stays, as the manifest has it."""
    changed = bytearray(data)
    starts = [place for place in range(len(data)) if data.startswith((b"\x93NUMPY", b"PK"), place)]
    for _ in range(chance.randint(1, 4)):
        place = chance.choice(starts) + chance.randrange(100) if chance.random() < 0.8 else chance.randrange(len(data))
        changed[min(place, len(data) - 1)] = chance.choice(b"0123456789(),<>|fiuUSObd\x00\xff")
    return bytes(changed)


def test_a_cache_that_was_changed_is_never_an_error(index: Path) -> None:
    Index.open(index).search(text="red")
    path = index / CACHE
    wanted = Index.open(index).search(text="red").hits
    rows = chance_rows(random.Random(0))
    with closing(sqlite3.connect(path)) as connection:
        for values in rows:
            with connection:
                connection.execute("UPDATE queries SET vector = ?, cut = ?, unknown = ?", values)
            assert Index.open(index).search(text="red").hits == wanted
    assert_all_end_well(path, of_bytes, lambda: Index.open(index).search(text="red"), 100)


def chance_rows(chance: random.Random) -> list[tuple[Any, ...]]:
    values = [None, 0, 5, 2**62, 0.5, "", "text", b"", bytes(3), bytes(64), b"\xff" * 64, b"\x7f" * 64]
    return [tuple(chance.choice(values) for _ in range(3)) for _ in range(100)]


def test_the_program_says_so_in_one_line(index: Path) -> None:
    """A few of them, from start to end."""
    chance = random.Random(1)
    for name, command in ((MANIFEST, ["analyze"]), (CALIBRATION, ["analyze", "--dup-threshold", "auto"])):
        whole = (index / name).read_bytes()
        for _ in range(3):
            (index / name).write_bytes(of_values(whole, chance))
            ran = run_cli(*command, "--index", index)
            assert "Traceback" not in ran.stderr
            assert ran.code in (0, 1)
            if ran.code:
                assert ran.error
        (index / name).write_bytes(whole)


def assert_all_end_well(path: Path, mutate: Mutate, use: Callable[[], object], count: int) -> None:
    whole = path.read_bytes()
    errors = 0
    try:
        for seed in range(count):
            path.write_bytes(mutate(whole, random.Random(seed)))
            try:
                use()
            except EmbedlabError as error:
                errors += 1
                assert len(str(error)) < 1000
            except BaseException as error:
                error.add_note(f"{path.name}, seed {seed}")
                raise
    finally:
        path.write_bytes(whole)
    assert path.name == CACHE or errors > count // 20
