"""Appending, replacing, dropping and merging rows; damage, locks, and files that are not ours."""

import multiprocessing
import os
import resource
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest

from embedlab_core.errors import IndexWriteError, ModelMismatchError, NotAnIndexError
from embedlab_core.index.npz import write_npz
from embedlab_core.index.reader import SHARDS, IndexReader, projection_name
from embedlab_core.index.writer import SHARD_ROWS, IndexWriter
from tests.support import Vectors, as_ordinary_user, columns, make_rows, open_writer, random_units, unit

VECTORS = random_units(8, 4)


def paths(directory: Path) -> list[str]:
    return [path for shard in IndexReader.open(directory).shards for path in shard.paths.tolist()]


def shard_files(directory: Path) -> list[str]:
    return sorted(path.name for path in (directory / SHARDS).iterdir())


def append(writer: IndexWriter, names: str, vectors: Vectors = VECTORS) -> None:
    writer.append(make_rows(vectors[: len(names)], list(names)))


def test_appended_rows_stay_in_order_and_are_on_disk_at_once(tmp_path: Path) -> None:
    with open_writer(tmp_path, 4) as writer:
        append(writer, "ab")
        assert paths(tmp_path) == ["a", "b"]
        append(writer, "dc")
        assert paths(tmp_path) == ["a", "b", "d", "c"]
    index = IndexReader.open(tmp_path)
    assert len(index) == 4
    assert np.array_equal(index.vectors(np.array([2, 0])), VECTORS[[0, 0]])


def test_a_row_of_a_known_path_replaces_the_old_one(tmp_path: Path) -> None:
    with open_writer(tmp_path, 4) as writer:
        append(writer, "abc")
        append(writer, "xy")
        append(writer, "bz", VECTORS[5:7])
    assert sorted(paths(tmp_path)) == ["a", "b", "c", "x", "y", "z"]
    table = columns(IndexReader.open(tmp_path))
    assert table["b"]["vectors"] == VECTORS[5].tobytes()
    assert table["a"]["vectors"] == VECTORS[0].tobytes()
    assert table["c"]["vectors"] == VECTORS[2].tobytes()


def test_a_shard_whose_every_row_is_replaced_is_gone(tmp_path: Path) -> None:
    with open_writer(tmp_path, 4) as writer:
        append(writer, "ab")
        append(writer, "ba")
        assert paths(tmp_path) == ["b", "a"]
    assert len(shard_files(tmp_path)) == 1


def test_dropped_paths_are_gone_and_unknown_ones_are_ignored(tmp_path: Path) -> None:
    with open_writer(tmp_path, 4) as writer:
        append(writer, "abc")
        append(writer, "de")
        writer.drop([(0, "b"), (0, "d"), (0, "e"), (0, "nowhere"), (1, "a")])
        assert paths(tmp_path) == ["a", "c"]
        append(writer, "b")
    assert paths(tmp_path) == ["a", "c", "b"]


def test_dropping_everything_leaves_an_empty_index(tmp_path: Path) -> None:
    with open_writer(tmp_path, 4) as writer:
        append(writer, "abc")
        writer.drop([(0, "a"), (0, "b"), (0, "c")])
        writer.finish(writer.manifest)
    assert len(IndexReader.open(tmp_path)) == 0
    assert shard_files(tmp_path) == []


def test_finish_merges_small_shards_in_order(tmp_path: Path) -> None:
    with open_writer(tmp_path, 4) as writer:
        for names in ("ca", "b", "fed"):
            append(writer, names)
        assert len(shard_files(tmp_path)) == 3
        writer.finish(writer.manifest)
    assert len(shard_files(tmp_path)) == 1
    assert paths(tmp_path) == ["c", "a", "b", "f", "e", "d"]
    assert columns(IndexReader.open(tmp_path))["e"]["vectors"] == VECTORS[1].tobytes()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        # Half a full shard is left alone; what is smaller is merged with its neighbours up to a full one.
        ([SHARD_ROWS // 2, 1, 2], [SHARD_ROWS // 2, 3]),
        ([SHARD_ROWS // 2 - 1, 1], [SHARD_ROWS // 2]),
        ([SHARD_ROWS // 2 - 1, SHARD_ROWS // 2 - 1, 2], [SHARD_ROWS]),
        ([SHARD_ROWS // 2 - 1, SHARD_ROWS // 2 - 1, 3], [SHARD_ROWS - 2, 3]),
    ],
)
def test_shards_are_merged_up_to_their_full_size(tmp_path: Path, before: list[int], after: list[int]) -> None:
    names = np.char.mod("%06d", np.arange(sum(before)))
    with open_writer(tmp_path, 1) as writer:
        for part in np.split(names, np.cumsum(before)[:-1]):
            writer.append(make_rows(np.ones((len(part), 1), np.float32), part.tolist()))
        writer.finish(writer.manifest)
    index = IndexReader.open(tmp_path)
    assert [len(shard) for shard in index.shards] == after
    assert paths(tmp_path) == names.tolist()


def test_a_long_run_keeps_few_files_open(tmp_path: Path) -> None:
    names = [f"{number:03d}" for number in range(100)]
    with open_writer(tmp_path, 4) as writer:
        for name in names:
            writer.append(make_rows(VECTORS[:1], [name]))
            assert len(shard_files(tmp_path)) <= 32
        assert sorted(paths(tmp_path)) == names


def test_a_shard_that_may_not_be_read_is_not_taken_for_a_damaged_one() -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        root.chmod(0o777)
        with as_ordinary_user():
            with open_writer(root / "index", 4) as writer:
                append(writer, "ab")
            shard = root / "index" / SHARDS / "000000.npz"
            shard.chmod(0)
            with pytest.raises(IndexWriteError, match=r"000000\.npz: cannot be read \(Permission denied\)"):
                open_writer(root / "index", 4)
            shard.chmod(0o644)
        assert paths(root / "index") == ["a", "b"]


def test_a_second_writer_goes_on_where_the_first_ended(tmp_path: Path) -> None:
    with open_writer(tmp_path, 4) as writer:
        append(writer, "ab")
    with open_writer(tmp_path, 4) as writer:
        assert [path for rows in writer.shards for path in rows.paths] == ["a", "b"]
        append(writer, "cb", VECTORS[2:])
    assert paths(tmp_path) == ["a", "c", "b"]


def test_a_new_shard_never_takes_the_name_of_one_that_a_reader_has_open(tmp_path: Path) -> None:
    with open_writer(tmp_path, 4) as writer:
        append(writer, "ab")
    reader = IndexReader.open(tmp_path)
    with open_writer(tmp_path, 4) as writer:
        append(writer, "ab", VECTORS[4:])
        append(writer, "cd", VECTORS[6:])
    assert np.array_equal(reader.vectors(np.arange(2)), VECTORS[:2])
    assert reader.paths(np.arange(2)) == ["a", "b"]


def test_a_second_writer_at_the_same_time_is_refused_and_names_the_index(tmp_path: Path) -> None:
    with open_writer(tmp_path / "index", 4), pytest.raises(IndexWriteError, match="index: another embed run"):
        open_writer(tmp_path / "index", 4)
    with open_writer(tmp_path / "index", 4) as writer:
        append(writer, "a")


def test_the_lock_is_free_again_after_a_refused_model(tmp_path: Path) -> None:
    with open_writer(tmp_path, 4, model="first") as writer:
        append(writer, "a")
    with pytest.raises(ModelMismatchError, match=r"first.*second"):
        open_writer(tmp_path, 4, model="second")
    with open_writer(tmp_path, 4, model="first"):
        assert paths(tmp_path) == ["a"]


@pytest.mark.parametrize("damage", ["flip", "cut", "delete", "replace"])
def test_a_damaged_shard_is_named_and_left_out_and_no_other(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    with open_writer(tmp_path, 4) as writer:
        for names in ("ab", "cd", "ef"):
            append(writer, names)
    shard = tmp_path / SHARDS / "000001.npz"
    data = shard.read_bytes()
    match damage:
        case "flip":
            place = data.index(VECTORS[1].tobytes())
            shard.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        case "cut":
            shard.write_bytes(data[:-30])
        case "delete":
            shard.unlink()
        case "replace":
            shard.write_bytes((tmp_path / SHARDS / "000000.npz").read_bytes())
    with open_writer(tmp_path, 4) as writer:
        assert [path for rows in writer.shards for path in rows.paths] == ["a", "b", "e", "f"]
        (warning,) = caplog.messages
        assert "000001.npz" in warning
        assert "2 images are embedded again" in warning
        append(writer, "cd", VECTORS[4:])
    assert sorted(paths(tmp_path)) == ["a", "b", "c", "d", "e", "f"]
    assert columns(IndexReader.open(tmp_path))["c"]["vectors"] == VECTORS[4].tobytes()


def test_what_killed_runs_left_is_removed(tmp_path: Path) -> None:
    with open_writer(tmp_path, 4) as writer:
        append(writer, "a")
    tmp = ".embedlab-tmp"
    for name in (f"{tmp}-123-manifest.json", f"{tmp}-123-calibration.json", f"{tmp}-124-calibration.json"):
        (tmp_path / name).write_text("{")
    os.utime(tmp_path / f"{tmp}-123-calibration.json", (0, 0))
    (tmp_path / SHARDS / f"{tmp}-123-000001.npz").write_bytes(b"half")
    # Files that no manifest names.
    shutil.copy(tmp_path / SHARDS / "000000.npz", tmp_path / SHARDS / "000001.npz")
    write_npz(tmp_path / projection_name(VECTORS), {"projection": VECTORS})
    with open_writer(tmp_path, 4) as writer:
        writer.finish(writer.manifest)
    # The other calibration may be about to be renamed: that command takes no lock.
    left = [f"{tmp}-124-calibration.json", ".lock", "manifest.json", "shards"]
    assert sorted(path.name for path in tmp_path.iterdir()) == left
    assert shard_files(tmp_path) == ["000000.npz"]


def test_files_of_the_user_in_the_folder_are_left_alone(tmp_path: Path) -> None:
    with open_writer(tmp_path, 4) as writer:
        append(writer, "a")
    own = ["notes.txt", ".tmp-2020-notes.txt", "project/.embedlab-tmp-1-x", ".embedlab-tmp-1-folder/x"]
    own += ["shards/my-data.npz", "shards/000007.npz", "projection-0.npz"]
    for name in own:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("mine")
        os.utime(tmp_path / name, (0, 0))
    np.savez(tmp_path / SHARDS / "000123.npz", vectors=VECTORS)
    with open_writer(tmp_path, 4) as writer:
        append(writer, "a")
        writer.drop([(0, "a")])
        writer.finish(writer.manifest)
    assert all((tmp_path / name).read_text() == "mine" for name in own)
    assert np.array_equal(np.load(tmp_path / SHARDS / "000123.npz")["vectors"], VECTORS)


@pytest.mark.parametrize("entry", ["manifest.json", "shards/000001.npz", "photo.jpg", ".hidden"])
def test_no_index_is_made_among_other_files(tmp_path: Path, entry: str) -> None:
    (tmp_path / entry).parent.mkdir(exist_ok=True)
    (tmp_path / entry).write_text('{"name": "my app"}')
    with pytest.raises(NotAnIndexError, match=f"not an index of embedlab .*{Path(entry).parts[0]}"):
        open_writer(tmp_path, 4)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [Path(entry).name]


@pytest.mark.parametrize("entry", [".lock", ".embedlab-tmp-12-manifest.json", ".DS_Store"])
def test_an_index_is_made_where_a_killed_run_or_a_file_manager_left_something(tmp_path: Path, entry: str) -> None:
    (tmp_path / entry).touch()
    with open_writer(tmp_path, 4) as writer:
        append(writer, "a")
    assert paths(tmp_path) == ["a"]


def _append_with_little_room(directory: Path) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
    with open_writer(directory, 64) as writer, pytest.raises(IndexWriteError, match=r"000001\.npz: cannot be written"):
        writer.append(make_rows(random_units(500, 64), [f"new{number}" for number in range(500)]))


def test_no_room_leaves_the_old_index_whole(tmp_path: Path) -> None:
    with open_writer(tmp_path, 64) as writer:
        writer.append(make_rows(random_units(3, 64), ["a", "b", "c"]))
    before = columns(IndexReader.open(tmp_path))
    child = multiprocessing.get_context("spawn").Process(target=_append_with_little_room, args=(tmp_path,))
    child.start()
    child.join()
    assert child.exitcode == 0
    assert columns(IndexReader.open(tmp_path)) == before
    assert shard_files(tmp_path) == ["000000.npz"]


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(IndexWriteError, match="file: cannot be written"):
        open_writer(tmp_path / "file", 4)


def test_vectors_keep_every_bit(tmp_path: Path) -> None:
    vectors = unit(np.random.default_rng(3).normal(size=(100, 7)) * 1e-3)
    with open_writer(tmp_path, 7) as writer:
        writer.append(make_rows(vectors, [str(number) for number in range(100)]))
    assert IndexReader.open(tmp_path).vectors(np.arange(100)).tobytes() == vectors.tobytes()
