"""Pairs marked apart, fused hashes with their evidence, and thresholds that depend on the surroundings."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embedlab_core.analysis.apart import APART, mark_apart, rows_apart
from embedlab_core.analysis.duplicates import DuplicateOptions, find_duplicates
from embedlab_core.analysis.groups import Grouping
from embedlab_core.analysis.hashes import HASH_BITS, HashUse
from embedlab_core.analysis.pairs import Pairs
from embedlab_core.analysis.thresholds import limits_of
from embedlab_core.encoders.onnx import OnnxEncoder
from embedlab_core.errors import DuplicatesError
from embedlab_core.images.phash import phash
from embedlab_core.index.reader import IndexReader
from tests.support import (
    Vectors,
    embed_images,
    make_index,
    make_rows,
    open_writer,
    picture,
    random_units,
    save_pictures,
    unit,
)

# The cosine of these two is 0.8: too far for the embedding alone, near enough to confirm a hash.
APART_VECTORS = unit([[1, 0], [0.8, 0.6]])


def hashed_index(directory: Path, vectors: Vectors, hashes: list[int], contrast: float = 50) -> IndexReader:
    rows = make_rows(vectors, [f"{row}.png" for row in range(len(vectors))])
    quality = np.full_like(rows.quality, contrast, np.float32)
    digests = np.arange(32 * len(vectors), dtype=np.uint8).reshape(-1, 32)
    with open_writer(directory, vectors.shape[1]) as writer:
        writer.append(replace(rows, quality=quality, phashes=np.array(hashes, np.uint64), sha256=digests))
    return IndexReader.open(directory)


def groups(index: IndexReader, hashes: HashUse) -> list[tuple[str, ...]]:
    found = find_duplicates(index, DuplicateOptions(0.92, hashes=hashes), explain=False)
    return [group.paths for group in found.groups]


@pytest.mark.parametrize(("bits", "matches"), [(0, True), (HASH_BITS, True), (HASH_BITS + 1, False)])
def test_hashes_match_up_to_a_number_of_bits_and_only_if_asked(tmp_path: Path, bits: int, matches: bool) -> None:
    index = hashed_index(tmp_path, APART_VECTORS, [0b1010, 0b1010 ^ (2**bits - 1) << 8])
    assert groups(index, "none") == []
    assert groups(index, "upright") == ([("0.png", "1.png")] if matches else [])


@pytest.mark.parametrize(("cosine", "matches"), [(0.721, True), (0.719, False)])
def test_a_hash_counts_only_if_the_embedding_agrees_roughly(tmp_path: Path, cosine: float, matches: bool) -> None:
    vectors = unit([[1, 0], [cosine, np.sqrt(1 - cosine**2)]])
    assert bool(groups(hashed_index(tmp_path, vectors, [7, 7]), "upright")) is matches


def test_blank_images_never_match_by_hash(tmp_path: Path) -> None:
    assert groups(hashed_index(tmp_path, APART_VECTORS, [7, 7], contrast=4.9), "turned") == []


@pytest.mark.parametrize("view", ["mirrored", "turned"])
def test_turned_copies_match_only_with_rotations_and_say_so(tmp_path: Path, view: str) -> None:
    pixels = np.asarray(picture(3, (224, 224)))
    other = pixels[:, ::-1] if view == "mirrored" else np.rot90(pixels)
    index = hashed_index(tmp_path, APART_VECTORS, [phash(pixels), phash(np.ascontiguousarray(other))])
    assert groups(index, "upright") == []
    (group,) = find_duplicates(index, DuplicateOptions(0.92, hashes="turned"), explain=True).groups
    assert group.facts is not None
    assert [pair.evidence for pair in group.facts.evidence] == [("turned hash",)]


def test_evidence_names_all_that_holds(tmp_path: Path) -> None:
    rows = make_rows(np.ones((2, 1), np.float32), ["b", "a"])
    with open_writer(tmp_path, 1) as writer:
        writer.append(replace(rows, quality=np.full_like(rows.quality, 50)))
    (group,) = find_duplicates(IndexReader.open(tmp_path), DuplicateOptions(0.92, hashes="turned"), explain=True).groups
    assert group.facts is not None
    (pair,) = group.facts.evidence
    assert (pair.paths, pair.cosine) == (("a", "b"), 1)
    assert pair.evidence == ("identical bytes", "embedding", "hash")


def test_other_bytes_of_the_same_pixels_are_told(tmp_path: Path, tiny: OnnxEncoder) -> None:
    (tmp_path / "images").mkdir()
    picture(1).save(tmp_path / "images" / "a.png")
    picture(1).save(tmp_path / "images" / "b.bmp")
    picture(1).resize((24, 20)).save(tmp_path / "images" / "c.png")
    embed_images(tmp_path / "images", tmp_path / "index", tiny)
    index = IndexReader.open(tmp_path / "index")
    (group,) = find_duplicates(index, DuplicateOptions(0.92), explain=True).groups
    assert group.facts is not None
    evidence = {tuple(Path(path).name for path in pair.paths): pair.evidence for pair in group.facts.evidence}
    # The tightest pair and the loosest; the third is only counted.
    assert evidence.pop(("a.png", "b.bmp")) == ("identical pixels", "embedding")
    assert list(evidence.values()) == [("embedding",)]
    assert group.spread.pair_count == 3


@given(st.integers(0, 10**6))
def test_a_union_holds_every_pair_of_both_once(seed: int) -> None:
    chance = np.random.default_rng(seed)
    parts = []
    for _ in range(2):
        left, right = np.nonzero(np.triu(chance.random((6, 6)) < 0.3, 1))
        parts.append(Pairs(left, right, (left + right).astype(np.float32)))
    both = Pairs.union(*parts)
    found = list(zip(both.left.tolist(), both.right.tolist(), both.scores.tolist(), strict=True))
    wanted = {row for part in parts for row in zip(part.left.tolist(), part.right.tolist(), strict=True)}
    assert found == [(left, right, left + right) for left, right in sorted(wanted)]


def test_a_list_of_the_first_format_is_of_the_first_folder(tmp_path: Path) -> None:
    index = make_index(tmp_path, random_units(3, 4), paths=["a", "b", "c"])
    (tmp_path / APART).write_text('{"format": 1, "pairs": [["a", "b"]]}')
    mark_apart(index, "b", "c")
    assert rows_apart(index) == [(0, 1), (1, 2)]
    assert json.loads((tmp_path / APART).read_text())["format"] == 2


def test_a_mark_follows_the_content_of_its_images(tmp_path: Path, tiny: OnnxEncoder) -> None:
    save_pictures(tmp_path / "images", range(3))
    embed_images(tmp_path / "images", tmp_path / "out", tiny)
    index = IndexReader.open(tmp_path / "out")
    first, _, third = index.paths(np.arange(3))
    mark_apart(index, third, first)
    mark_apart(index, first, third)
    assert rows_apart(index) == [(0, 2)]
    # The names change places, and there is a copy of one of them.
    (tmp_path / "images" / "000.png").rename(tmp_path / "images" / "zzz.png")
    (tmp_path / "images" / "002.png").rename(tmp_path / "images" / "000.png")
    shutil.copy(tmp_path / "images" / "000.png", tmp_path / "images" / "copy.png")
    embed_images(tmp_path / "images", tmp_path / "out", tiny)
    index = IndexReader.open(tmp_path / "out")
    names = [path for _, path in index.keys]
    found = {frozenset((names[one], names[other])) for one, other in rows_apart(index)}
    assert found == {frozenset(("zzz.png", "000.png")), frozenset(("zzz.png", "copy.png"))}


def test_a_mark_says_nothing_of_an_index_that_holds_no_images(tmp_path: Path) -> None:
    index = make_index(tmp_path, random_units(2, 4), ["a", "b"])
    mark_apart(index, "a", "b")
    assert rows_apart(replace(index, shards=(), manifest=replace(index.manifest, shards=()))) == []


def test_images_marked_apart_are_in_no_group_together_and_the_rest_stays(tmp_path: Path) -> None:
    index = make_index(tmp_path, np.ones((3, 1), np.float32), ["a", "b", "c"])
    mark_apart(index, "c", "a")
    mark_apart(index, "a", "c")
    assert rows_apart(index) == [(0, 2)]
    found = find_duplicates(index, DuplicateOptions(), explain=False)
    assert [group.paths for group in found.groups] == [("a", "b")]


@pytest.mark.parametrize("grouping", ["components", "complete", "medoid"])
@given(st.integers(0, 1000))
@settings(max_examples=20)
def test_groups_do_not_depend_on_the_order_of_the_rows(
    new_index: Callable[..., IndexReader], grouping: Grouping, seed: int
) -> None:
    chance = np.random.default_rng(seed)
    names = [f"{letter}.png" for letter in "abcdefghij"]
    vectors = unit(np.eye(3)[chance.integers(3, size=10)] + 0.35 * chance.normal(size=(10, 3)))
    vectors[1] = vectors[2] = vectors[0]
    found = []
    for order in (range(10), chance.permutation(10).tolist()):
        index = new_index(vectors[list(order)], [names[row] for row in order])
        mark_apart(index, "a.png", "c.png")
        options = DuplicateOptions(0.9, grouping=grouping)
        found.append([group.paths for group in find_duplicates(index, options, explain=False).groups])
    assert found[0] == found[1]


def test_a_mark_of_an_image_that_left_the_index_does_no_harm(tmp_path: Path) -> None:
    mark_apart(make_index(tmp_path / "old", np.ones((2, 1), np.float32), ["a", "gone"]), "a", "gone")
    index = make_index(tmp_path / "new", np.ones((2, 1), np.float32), ["a", "b"])
    (tmp_path / "new" / APART).write_bytes((tmp_path / "old" / APART).read_bytes())
    assert len(find_duplicates(index, DuplicateOptions(), explain=False).groups) == 1


SHORT_DIGEST = '{"format": 2, "pairs": [[{"sha256": "zz", "path": "/a"}, {"sha256": "00", "path": "/b"}]]}'


@pytest.mark.parametrize(
    "text", ["", "[]", '{"format": 3, "pairs": []}', '{"format": 1, "pairs": [["a"]]}', SHORT_DIGEST]
)
def test_a_list_that_cannot_be_read_is_named(tmp_path: Path, text: str) -> None:
    index = make_index(tmp_path, np.ones((2, 1), np.float32))
    (tmp_path / APART).write_text(text)
    with pytest.raises(DuplicatesError, match=r"not_duplicates\.json.*repair it"):
        find_duplicates(index, DuplicateOptions(), explain=False)


@pytest.mark.parametrize("threshold", [-1.0, 1.01, float("nan")])
def test_a_threshold_that_is_no_cosine_is_refused(tmp_path: Path, threshold: float) -> None:
    with pytest.raises(DuplicatesError, match=r"\(-1, 1\]"):
        limits_of(make_index(tmp_path, np.ones((2, 1), np.float32)), threshold)


def mixed(chance: np.random.Generator) -> tuple[Vectors, set[tuple[int, int]]]:
    """60 forms, all alike, and 60 photos, with copies of ten of each: rows 60..69 and 130..139."""
    forms = unit(5 * chance.normal(size=64) + 0.9 * chance.normal(size=(60, 64)))
    photos = unit(chance.normal(size=(60, 64)))
    copies = [unit(forms[:10] + 0.004 * chance.normal(size=(10, 64)))]
    copies.append(unit(photos[:10] + 0.07 * chance.normal(size=(10, 64))))
    truth = {(row, row + 60) for row in range(10)} | {(row + 70, row + 130) for row in range(10)}
    return np.concatenate([forms, copies[0], photos, copies[1]]), truth


def test_adaptive_finds_the_copies_of_a_mixed_set_where_every_single_threshold_errs(tmp_path: Path) -> None:
    vectors, truth = mixed(np.random.default_rng(0))
    index = make_index(tmp_path, vectors)

    def errors(threshold: object) -> int:
        options = DuplicateOptions(threshold, "complete")  # type: ignore[arg-type]
        labels = find_duplicates(index, options, explain=False).labels
        same = {(i, j) for i in range(len(labels)) for j in range(i + 1, len(labels)) if labels[i] == labels[j]}
        return len(same ^ truth)

    assert min(errors(float(threshold)) for threshold in np.arange(0.5, 1, 0.01)) >= 5
    assert errors("adaptive") == 0


def test_adaptive_limits_of_a_single_image_need_no_neighbours(tmp_path: Path) -> None:
    assert limits_of(make_index(tmp_path, np.ones((1, 1), np.float32)), "adaptive").shape == (1,)


@pytest.mark.parametrize(("hashes", "same"), [((5, 5), True), ((5, 6), False), ((0, 6), True), ((0, 0), True)], ids=str)
def test_identical_pixels_have_one_hash_where_both_are_known(
    tmp_path: Path, hashes: tuple[int, int], same: bool
) -> None:
    rows = make_rows(np.ones((2, 1), np.float32), ["a", "b"])
    quality = np.full_like(rows.quality, 50)
    quality[np.array(hashes) == 0, 4:] = np.nan  # As an older index has them.
    digests = np.arange(64, dtype=np.uint8).reshape(2, 32)
    with open_writer(tmp_path, 1) as writer:
        pixel_hashes = np.array(hashes, np.uint64)
        writer.append(replace(rows, quality=quality, sha256=digests, pixel_hashes=pixel_hashes))
    (group,) = find_duplicates(IndexReader.open(tmp_path), DuplicateOptions(0.92), explain=True).groups
    assert group.facts is not None
    assert ("identical pixels" in group.facts.evidence[0].evidence) is same
