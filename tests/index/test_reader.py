"""Shards seen as one table, and what is said of an index that cannot be read."""

import functools
import json
import re
import tempfile
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embedlab_core.api import Index
from embedlab_core.encoders.onnx import OnnxEncoder
from embedlab_core.errors import (
    EmbedlabError,
    IndexDamagedError,
    IndexMissingError,
    IndexNewerError,
    IndexUnreadableError,
    NotAnIndexError,
)
from embedlab_core.index.manifest import MANIFEST, save_manifest
from embedlab_core.index.reader import SHARDS, IndexReader
from embedlab_core.search.rank import top_k
from tests.support import (
    as_ordinary_user,
    embed_images,
    make_index,
    make_rows,
    open_writer,
    random_units,
    save_pictures,
)

NAMES = [f"{number:03d}.png" for number in range(9)]
VECTORS = random_units(9, 4)


@given(st.lists(st.integers(1, 4), min_size=1, max_size=6), st.integers(1, 5), st.randoms(use_true_random=False))
def test_any_partition_into_shards_and_blocks_is_one_table(
    new_index: Callable[..., IndexReader], sizes: list[int], block_rows: int, chance: Any
) -> None:
    count = sum(sizes)
    vectors = random_units(count, 3)
    parts = np.split(np.arange(count), np.cumsum(sizes)[:-1])
    index = new_index(vectors, parts=parts)
    assert len(index) == count
    blocks = list(index.blocks(block_rows))
    assert [start for start, _ in blocks] == np.cumsum([0, *(len(block) for _, block in blocks)])[:-1].tolist()
    assert all(len(block) <= block_rows for _, block in blocks)
    assert np.array_equal(np.concatenate([block for _, block in blocks]), vectors)
    assert [start for first in range(3) for start, _ in index.blocks(block_rows, first=first, step=3)] == [
        start for first in range(3) for start, _ in blocks[first::3]
    ]
    rows = np.array(chance.choices(range(count), k=7))
    assert np.array_equal(index.vectors(rows), vectors[rows])
    assert index.paths(rows) == [f"{row:03d}.png" for row in rows]


def test_no_rows_are_no_paths_and_no_vectors(tmp_path: Path) -> None:
    index = make_index(tmp_path, VECTORS)
    nothing = np.empty(0, np.int64)
    assert index.paths(nothing) == []
    assert index.vectors(nothing).shape == (0, 4)


def test_paths_begin_with_the_images_folder(tmp_path: Path) -> None:
    with open_writer(tmp_path, 4, images_dir="assets/images") as writer:
        make_index(tmp_path / "other", VECTORS)
        writer.append(IndexReader.open(tmp_path / "other").shards[0])
    assert IndexReader.open(tmp_path).paths(np.array([7])) == ["assets/images/007.png"]


@pytest.mark.parametrize("place", ["nowhere", "folder", "file"])
def test_a_missing_index_is_named_with_the_way_to_make_one(tmp_path: Path, place: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(IndexMissingError, match=f"{place}: no index here; make one with: embedlab embed"):
        IndexReader.open(tmp_path / place)


def test_a_folder_of_pictures_is_not_named_as_a_place_for_an_index(tmp_path: Path) -> None:
    save_pictures(tmp_path, range(1))
    with pytest.raises(IndexMissingError, match=r"no index here; give the folder of an index$"):
        IndexReader.open(tmp_path)


def test_a_manifest_cut_anywhere_is_refused_by_name(tmp_path: Path) -> None:
    make_index(tmp_path, VECTORS)
    text = (tmp_path / MANIFEST).read_text()
    for length in range(len(text.rstrip())):
        (tmp_path / MANIFEST).write_text(text[:length])
        # Of what is cut to less than its first line nobody can say what it was.
        wanted = IndexDamagedError if length >= 24 else NotAnIndexError
        with pytest.raises(wanted, match=r"manifest\.json"):
            IndexReader.open(tmp_path)


@pytest.mark.parametrize(
    "content", [b"", b"null", b"[]", b"{}", b"12", b"\xff\xfe\0", b'{"format": 1}', b'{"name": "an app"}']
)
def test_a_manifest_of_something_else_makes_no_index(tmp_path: Path, content: bytes) -> None:
    (tmp_path / MANIFEST).write_bytes(content)
    with pytest.raises(NotAnIndexError, match=r"not an index of embedlab \(it holds a manifest\.json"):
        IndexReader.open(tmp_path)


@pytest.mark.parametrize("content", [b'{"embedlab": "index"}', b'{"embedlab": "index", "format": "1"}'])
def test_a_manifest_without_its_fields_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / MANIFEST).write_bytes(content)
    with pytest.raises(IndexDamagedError, match=r"manifest\.json: not a readable manifest \(.*format"):
        IndexReader.open(tmp_path)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.just(10**400) | st.floats() | st.text(max_size=5),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(max_size=5), values, max_size=3),
    max_leaves=4,
)


def places(document: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where a value can be replaced: the way to every element of every object and list."""
    keys = document if isinstance(document, dict) else range(len(document)) if isinstance(document, list) else ()
    return [way for key in keys for way in [(*path, key), *places(document[key], (*path, key))]]


@pytest.fixture(scope="module")
def manifest_of_a_run(tmp_path_factory: pytest.TempPathFactory, tiny: OnnxEncoder) -> Path:
    """An index that embed made, in two runs."""
    root = tmp_path_factory.mktemp("run")
    for seeds in (range(3), range(5)):
        save_pictures(root / "images", seeds)
        embed_images(root / "images", root / "index", tiny, exclude_flagged=("tiny",))
    return root / "index" / MANIFEST


@settings(max_examples=600)
@given(st.data())
def test_a_manifest_with_any_value_replaced_gives_an_index_that_works_or_a_refusal(
    manifest_of_a_run: Path, data: st.DataObject
) -> None:
    original = manifest_of_a_run.read_text("utf-8")
    document = json.loads(original)
    *way, last = data.draw(st.sampled_from(places(document)))
    holder = functools.reduce(lambda value, key: value[key], way, document)
    if data.draw(st.booleans()):
        del holder[last]
    else:
        holder[last] = data.draw(JSON)
    try:
        manifest_of_a_run.write_text(json.dumps(document), "utf-8")
        index = Index.open(manifest_of_a_run.parent)
        for hits in top_k(index.reader, random_units(2, 16), 3):
            assert all(isinstance(hit.path, str) for hit in hits)
        index.analyze(0.92)
        save_manifest(manifest_of_a_run.parent, index.reader.manifest)
    except EmbedlabError as error:
        assert "\n" not in str(error)
        assert str(manifest_of_a_run.parent) in str(error)
    finally:
        manifest_of_a_run.write_text(original, "utf-8")


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("seed", "0", "seed: expected int, got str"),
        ("seed", -1, "seed: expected int >= 0"),
        ("models", {}, "models: expected array, got object"),
        ("models", [], "models: expected array of length >= 1"),
        ("folders", [{"given": 3, "absolute": "/"}], "folders[0].given: expected str, got int"),
        ("folders", [], "folders: expected array of length >= 1"),
        ("store", "float8", "store 'float8': must be float32"),
        ("versions", {"numpy": 2}, "versions[...]: expected str, got int"),
    ],
)
def test_a_field_of_the_wrong_kind_is_named(tmp_path: Path, field: str, value: object, reason: str) -> None:
    make_index(tmp_path, VECTORS)
    document = json.loads((tmp_path / MANIFEST).read_text())
    (tmp_path / MANIFEST).write_text(json.dumps({**document, field: value}))
    with pytest.raises(IndexDamagedError, match=rf"manifest\.json: not a readable manifest \({re.escape(reason)}"):
        IndexReader.open(tmp_path)


def test_a_shard_outside_the_index_is_never_opened(tmp_path: Path) -> None:
    make_index(tmp_path / "index", VECTORS)
    manifest = tmp_path / "index" / MANIFEST
    (tmp_path / "index" / SHARDS / "000000.npz").rename(tmp_path / "000000.npz")
    manifest.write_text(manifest.read_text().replace("000000.npz", "../../000000.npz"))
    with pytest.raises(IndexDamagedError, match=r"manifest\.json: .+'\.\./\.\./000000\.npz' is not a file name"):
        IndexReader.open(tmp_path / "index")


def test_an_index_of_a_newer_format_is_refused_with_both_numbers(tmp_path: Path) -> None:
    make_index(tmp_path, VECTORS)
    document = json.loads((tmp_path / MANIFEST).read_text())
    (tmp_path / MANIFEST).write_text(json.dumps({**document, "format": 99}))
    with pytest.raises(IndexNewerError, match=r"format 99, written by a newer embedlab; .* up to 2: upgrade it"):
        IndexReader.open(tmp_path)


def test_the_manifest_says_what_the_index_holds(tmp_path: Path) -> None:
    make_index(tmp_path, VECTORS, parts=[range(4), range(4, 9)])
    document = json.loads((tmp_path / MANIFEST).read_text())
    assert document["format"] == 2
    assert document["count"] == 9
    assert [model["name"] for model in document["models"]] == ["synthetic"]
    assert [shard["rows"] for shard in document["shards"]] == [4, 5]
    for shard in document["shards"]:
        assert shard["bytes"] == (tmp_path / SHARDS / shard["file"]).stat().st_size
        assert len(shard["sha256"]) == 64


@pytest.mark.parametrize("damage", ["cut", "longer", "delete", "rows", "dim", "column", "lengths"])
def test_a_shard_that_is_not_as_described_is_refused_by_name(tmp_path: Path, damage: str) -> None:
    make_index(tmp_path, VECTORS, parts=[range(4), range(4, 9)])
    shard = tmp_path / SHARDS / "000001.npz"
    arrays = {name: array.copy() for name, array in np.load(shard).items()}
    match damage:
        case "cut":
            shard.write_bytes(shard.read_bytes()[:-1])
        case "longer":
            shard.write_bytes(shard.read_bytes() + b"\0")
        case "delete":
            shard.unlink()
        case "rows":
            shard.write_bytes((tmp_path / SHARDS / "000000.npz").read_bytes())
        case "dim":
            np.savez(shard, **{**arrays, "vectors": arrays["vectors"][:, :3]})
        case "column":
            np.savez(shard, **{name: array for name, array in arrays.items() if name != "sha256"})
        case "lengths":
            np.savez(shard, **{**arrays, "sizes": arrays["sizes"][:-1]})
    with pytest.raises(IndexDamagedError, match=r"000001\.npz: this part of the index is damaged .*run embed again"):
        IndexReader.open(tmp_path)


@pytest.mark.parametrize("flip", [0x04, 0xFF])
def test_a_damaged_byte_of_a_shard_gives_an_index_or_a_refusal(tmp_path: Path, flip: int) -> None:
    make_index(tmp_path, VECTORS[:2])
    shard = tmp_path / SHARDS / "000000.npz"
    data = shard.read_bytes()
    # Damage inside an array goes unseen here: its checksum is for embed to look at.
    for place in range(flip % 5, len(data), 5):
        shard.write_bytes(data[:place] + bytes([data[place] ^ flip]) + data[place + 1 :])
        try:
            index = IndexReader.open(tmp_path)
        except EmbedlabError as error:
            assert "000000.npz" in str(error)
        else:
            assert len(index) == 2


def test_an_index_can_be_opened_at_any_moment_of_a_write(tmp_path: Path) -> None:
    make_index(tmp_path, random_units(3, 4))
    done = threading.Event()

    def write() -> None:
        for seed in range(60):
            # The shard of the last round goes as that of this one comes.
            make_index(tmp_path, random_units(3, 4, seed))
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    opened = 0
    while not done.is_set():
        assert len(IndexReader.open(tmp_path)) == 3
        opened += 1
    writer.join()
    assert opened > 60


def test_a_manifest_that_may_not_be_read_is_not_taken_for_a_damaged_one() -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        make_index(root / "index", VECTORS)
        root.chmod(0o755)
        for file in (MANIFEST, f"{SHARDS}/000000.npz"):
            (root / "index" / file).chmod(0)
            with as_ordinary_user(), pytest.raises(IndexUnreadableError, match=r"cannot be read \(Permission denied\)"):
                IndexReader.open(root / "index")
            (root / "index" / file).chmod(0o644)


def test_a_manifest_of_nothing_but_brackets_is_refused(tmp_path: Path) -> None:
    (tmp_path / MANIFEST).write_text('{\n "embedlab": "index",\n "format": ' + "[" * 100_000)
    with pytest.raises(IndexDamagedError, match=r"manifest\.json: not a readable manifest \(nested too deeply\)"):
        IndexReader.open(tmp_path)


def test_a_row_of_a_folder_that_the_index_does_not_have_is_damage(tmp_path: Path) -> None:
    with open_writer(tmp_path, 4) as writer, pytest.raises(IndexDamagedError, match="a folder that the index does not"):
        writer.append(replace(make_rows(VECTORS[:1], ["a"]), folders=np.array([1], np.int32)))
