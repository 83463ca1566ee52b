"""Vectors of earlier queries are kept beside the index."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from embedlab_core.search.cache import CACHE, CachedVector, QueryCache
from tests.support import run_cli, save_pictures


def test_a_vector_comes_back_as_it_was_put(tmp_path: Path) -> None:
    cache = QueryCache(tmp_path, "model")
    vector = np.array([0.6, -0.8], np.float32)
    cache.put({b"a": CachedVector(vector, cut=True)})
    found = cache.get([b"a", b"b"])
    assert list(found) == [b"a"]
    assert np.array_equal(found[b"a"].vector, vector)
    assert found[b"a"].cut


def test_another_model_has_vectors_of_its_own(tmp_path: Path) -> None:
    QueryCache(tmp_path, "one").put({b"a": CachedVector(np.ones(1, np.float32))})
    assert QueryCache(tmp_path, "other").get([b"a"]) == {}


@pytest.mark.parametrize("content", [b"", b"not a database", b"SQLite format 3\0" + bytes(200)])
def test_a_damaged_cache_is_an_empty_one(tmp_path: Path, content: bytes) -> None:
    (tmp_path / CACHE).write_bytes(content)
    cache = QueryCache(tmp_path, "model")
    cache.put({b"a": CachedVector(np.ones(1, np.float32))})
    assert set(cache.get([b"a"])) <= {b"a"}


def test_a_folder_that_is_not_there_is_an_empty_cache(tmp_path: Path) -> None:
    assert QueryCache(tmp_path / "gone", "model").get([b"a"]) == {}


def test_a_repeated_query_loads_no_model(tmp_path: Path, tiny_root: Path) -> None:
    root = tmp_path / "models"
    shutil.copytree(tiny_root, root)
    env = {"EMBEDLAB_WEIGHTS": str(root)}
    save_pictures(tmp_path / "images", range(4))
    run_cli("embed", "--images-dir", tmp_path / "images", "--out", tmp_path / "index", "--backbone", "tiny", env=env)
    search = ["search", "--index", tmp_path / "index", "--query", tmp_path / "images" / "002.png", "--q-text", "red"]
    first = run_cli(*search, env=env)
    assert (first.code, first.stderr) == (0, "")
    for name in ("image.onnx", "text.onnx", "tokenizer.json"):
        # Same size, so that only loading it would show the damage.
        (root / "tiny" / name).write_bytes(bytes((root / "tiny" / name).stat().st_size))
    assert run_cli(*search, env=env).stdout == first.stdout
    assert run_cli(*search, "--q-text", "blue", env=env).code == 1


def test_an_index_that_cannot_be_written_is_searched_all_the_same(tmp_path: Path, tiny_env: dict[str, str]) -> None:
    save_pictures(tmp_path / "images", range(4))
    index = tmp_path / "index"
    run_cli("embed", "--images-dir", tmp_path / "images", "--out", index, "--backbone", "tiny", env=tiny_env)
    (index / CACHE).mkdir()
    ran = run_cli("search", "--index", index, "--q-text", "red", env=tiny_env)
    assert (ran.code, ran.stderr) == (0, "")
