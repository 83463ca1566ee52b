"""Vectors of earlier queries are kept beside the index."""

import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest

from embedlab_core.search.cache import CACHE, CachedVector, QueryCache
from tests.support import run_cli, save_pictures


def test_a_vector_comes_back_as_it_was_put(tmp_path: Path) -> None:
    cache = QueryCache(tmp_path, "model", 2)
    vector = np.array([0.6, -0.8], np.float32)
    cache.put({b"a": CachedVector(vector, cut=True, unknown=True)})
    found = cache.get([b"a", b"b"])
    assert list(found) == [b"a"]
    assert np.array_equal(found[b"a"].vector, vector)
    assert (found[b"a"].cut, found[b"a"].unknown) == (True, True)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("vector", None),
        ("vector", "text"),
        ("vector", 5),
        ("vector", b""),
        ("vector", bytes(7)),
        ("vector", bytes(12)),
        ("vector", np.array([0, 0], "<f4").tobytes()),
        ("vector", np.array([np.nan, 1], "<f4").tobytes()),
        ("vector", np.array([3e38, 3e38], "<f4").tobytes()),
        ("cut", None),
        ("cut", "yes"),
        ("unknown", 2),
        ("unknown", b"1"),
    ],
)
def test_a_damaged_row_is_one_that_is_not_there(tmp_path: Path, column: str, value: object) -> None:
    cache = QueryCache(tmp_path, "model", 2)
    good = CachedVector(np.array([0.6, -0.8], np.float32))
    cache.put({b"a": good, b"b": good})
    with sqlite3.connect(tmp_path / CACHE) as connection:
        connection.execute(f"UPDATE queries SET {column} = ? WHERE digest = ?", (value, b"a"))
    connection.close()
    assert list(cache.get([b"a", b"b"])) == [b"b"]
    cache.put({b"a": good})
    assert len(cache.get([b"a", b"b"])) == 2


def test_what_an_earlier_version_kept_is_dropped(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / CACHE) as connection:
        connection.execute("CREATE TABLE vectors (model TEXT, digest BLOB, vector BLOB, cut INTEGER)")
    connection.close()
    cache = QueryCache(tmp_path, "model", 1)
    cache.put({b"a": CachedVector(np.ones(1, np.float32))})
    assert list(cache.get([b"a"])) == [b"a"]
    with sqlite3.connect(tmp_path / CACHE) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    connection.close()
    assert tables == ["queries"]


def test_another_model_has_vectors_of_its_own(tmp_path: Path) -> None:
    QueryCache(tmp_path, "one", 1).put({b"a": CachedVector(np.ones(1, np.float32))})
    assert QueryCache(tmp_path, "other", 1).get([b"a"]) == {}


@pytest.mark.parametrize("content", [b"", b"not a database", b"SQLite format 3\0" + bytes(200)])
def test_a_damaged_cache_is_an_empty_one(tmp_path: Path, content: bytes) -> None:
    (tmp_path / CACHE).write_bytes(content)
    cache = QueryCache(tmp_path, "model", 2)
    cache.put({b"a": CachedVector(np.ones(1, np.float32))})
    assert set(cache.get([b"a"])) <= {b"a"}


def test_a_folder_that_is_not_there_is_an_empty_cache(tmp_path: Path) -> None:
    assert QueryCache(tmp_path / "gone", "model", 1).get([b"a"]) == {}


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
