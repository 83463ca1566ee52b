"""The vectors of the vocabulary are made once for a user and a model."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from embedlab_core.analysis.vocabulary import vocabulary, vocabulary_vectors
from embedlab_core.encoders.ensemble import Ensemble
from embedlab_core.encoders.onnx import OnnxEncoder
from embedlab_core.index.npz import open_npz, write_npz
from tests.support import Vectors, run_cli, save_pictures


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "embedlab"


class Counted:
    """Progress, as a list of what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[int, int]] = []

    def __call__(self, done: int, total: int) -> None:
        self.told.append((done, total))


def made(encoder: OnnxEncoder) -> tuple[Vectors, int]:
    """The vectors, and how many phrases were encoded for them."""
    progress = Counted()
    vectors = vocabulary_vectors(Ensemble([encoder]), progress)
    return vectors, progress.told[-1][0] if progress.told else 0


def test_they_are_encoded_once_for_each_model(cache: Path, tiny: OnnxEncoder, other: OnnxEncoder) -> None:
    count = len(vocabulary())
    first, encoded = made(tiny)
    assert (first.shape, encoded) == ((count, 16), count)
    again, encoded = made(tiny)
    assert (np.array_equal(first, again), encoded) == (True, 0)
    different, encoded = made(other)
    assert (np.array_equal(first, different), encoded) == (False, count)
    assert len(list(cache.iterdir())) == 2


@pytest.mark.parametrize("damage", ["cut", "empty", "shape", "type", "length", "key", "nan"])
def test_a_damaged_cache_is_made_anew(cache: Path, tiny: OnnxEncoder, damage: str) -> None:
    wanted, _ = made(tiny)
    (path,) = cache.iterdir()
    key, vectors = np.array(open_npz(path)["key"]), np.array(wanted)
    match damage:
        case "cut":
            path.write_bytes(path.read_bytes()[:1000])
        case "empty":
            path.write_bytes(b"")
        case "shape":
            write_npz(path, {"key": key, "vectors": vectors[1:]})
        case "type":
            write_npz(path, {"key": key, "vectors": vectors.astype(np.float64)})
        case "length":
            write_npz(path, {"key": key, "vectors": vectors * np.float32(2)})
        case "key":
            write_npz(path, {"key": key[::-1], "vectors": vectors})
        case "nan":
            vectors[5, 5] = np.nan
            write_npz(path, {"key": key, "vectors": vectors})
    found, encoded = made(tiny)
    assert np.array_equal(found, wanted)
    assert encoded == len(vocabulary())
    assert made(tiny)[1] == 0


def test_a_cache_that_cannot_be_written_costs_only_time(cache: Path, tiny: OnnxEncoder) -> None:
    wanted = vocabulary_vectors(Ensemble([tiny]))
    shutil.rmtree(cache.parent)
    cache.parent.write_text("a file is in the way")
    assert np.array_equal(vocabulary_vectors(Ensemble([tiny])), wanted)
    assert cache.parent.is_file()


def test_another_index_of_the_same_model_needs_no_text_model(cache: Path, tiny_root: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(tiny_root, tmp_path / "models"))
    env = {"EMBEDLAB_WEIGHTS": str(root)}
    for name in ("one", "two"):
        save_pictures(tmp_path / name, range(4))
        command = ["--images-dir", tmp_path / name, "--out", tmp_path / f"{name}-index", "--backbone", "tiny"]
        assert run_cli("embed", *command, env=env).code == 0
    first = run_cli("label", "--index", tmp_path / "one-index", env=env)
    assert (first.code, first.stderr) == (0, "")
    for name in ("text.onnx", "tokenizer.json"):
        # Same size, so that only loading it would show the damage.
        (root / "tiny" / name).write_bytes(bytes((root / "tiny" / name).stat().st_size))
    second = run_cli("label", "--index", tmp_path / "two-index", env=env)
    assert (second.code, second.stderr) == (0, "")
    assert second.stdout == first.stdout.replace("/one/", "/two/")
    assert not (tmp_path / "one-index" / "queries.sqlite").exists()
