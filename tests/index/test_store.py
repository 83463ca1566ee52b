"""Vectors stored compressed: the layout, what is lost, and what may follow what."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedlab_core.analysis.thresholds import limits_of
from embedlab_core.encoders.onnx import OnnxEncoder
from embedlab_core.errors import IndexDamagedError, StoreError
from embedlab_core.index.manifest import Manifest, ModelRef
from embedlab_core.index.npz import write_npz
from embedlab_core.index.reader import PROJECTION_PATTERN, IndexReader
from embedlab_core.index.store import Store, decode, fit_projection, project, recall_of
from embedlab_core.index.writer import IndexWriter
from embedlab_core.search.rank import top_k
from tests.support import columns, embed_images, make_rows, random_units, run_cli, save_pictures, unit

MODEL = (ModelRef("synthetic", "0" * 12, 32),)
VECTORS = random_units(60, 32)
NAMES = [f"{number:03}.png" for number in range(60)]


def write(directory: Path, store: str | None, rows: range = range(60)) -> float | None:
    with IndexWriter(directory, MODEL, ".", store and Store.parse(store)) as writer:
        writer.append(make_rows(VECTORS[rows.start : rows.stop], NAMES[rows.start : rows.stop]))
        return writer.finish(Manifest(MODEL, "."))


@pytest.mark.parametrize("text", ["float32", "float16", "int8", "pca:8", "float16+full", "int8+full", "pca:128+full"])
def test_a_store_reads_back_as_it_is_written(text: str) -> None:
    assert str(Store.parse(text)) == text


@pytest.mark.parametrize("text", ["", "float64", "pca", "pca:0", "pca:-1", "pca:x", "float32+full", "int8+", "int8 "])
def test_another_store_is_refused(text: str) -> None:
    with pytest.raises(StoreError, match="must be float32"):
        Store.parse(text)


@given(st.integers(1, 40), st.integers(2, 64), st.integers(0, 10_000))
def test_codes_are_near_the_vector_and_of_unit_length(count: int, dim: int, seed: int) -> None:
    vectors = random_units(count, dim, seed)
    for text, least in (("float16", 0.99999), ("int8", 0.999)):
        decoded = decode(Store.parse(text).encode(vectors, None))
        assert np.linalg.norm(decoded, axis=1) == pytest.approx(1, abs=1e-5)
        assert (decoded * vectors).sum(1).min() > least


def test_a_projection_keeps_cosines_of_vectors_that_lie_in_its_span() -> None:
    basis, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(32, 4)))
    vectors = unit(np.random.default_rng(1).normal(size=(50, 4)) @ basis.T)
    small = project(vectors, fit_projection(vectors, 4))
    assert small.shape == (50, 4)
    assert small @ small.T == pytest.approx(vectors @ vectors.T, abs=1e-5)


def test_recall_counts_the_neighbours_that_survive() -> None:
    assert recall_of(Store.parse("float16"), VECTORS, None) == pytest.approx(1, abs=0.02)
    assert recall_of(Store.parse("pca:2"), VECTORS, fit_projection(VECTORS, 2)) < 0.6


@pytest.mark.parametrize(("store", "width"), [("float16", 32), ("int8", 32), ("pca:8", 8)])
def test_an_index_is_stored_as_asked_and_answers(tmp_path: Path, store: str, width: int) -> None:
    recall = write(tmp_path, store)
    index = IndexReader.open(tmp_path)
    (shard,) = index.shards
    assert shard.vectors.shape == (60, width)
    assert shard.vectors.dtype == Store.parse(store).dtype
    assert shard.full.shape == (60, 0)
    assert recall is not None and 0.2 < recall <= 1
    (hits,) = top_k(index, VECTORS[7:8], 3)
    assert hits[0].path == "007.png"
    assert hits[0].score == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("store", ["float16+full", "int8+full", "pca:8+full"])
def test_where_whole_vectors_are_kept_scores_are_those_of_float32(tmp_path: Path, store: str) -> None:
    write(tmp_path / "whole", "float32")
    write(tmp_path / "codes", store)
    exact, found = (top_k(IndexReader.open(tmp_path / name), VECTORS[:5], 5) for name in ("whole", "codes"))
    scores = [{hit.path: hit.score for hit in hits} for hits in exact]
    for known, hits in zip(scores, found, strict=True):
        assert all(hit.score == known[hit.path] for hit in hits if hit.path in known)
        assert hits[0].path in known


@pytest.mark.parametrize("store", ["int8", "pca:8"])
def test_a_later_run_keeps_the_store(tmp_path: Path, store: str) -> None:
    write(tmp_path, store, range(40))
    write(tmp_path, None, range(40, 60))
    index = IndexReader.open(tmp_path)
    assert index.manifest.store == store
    assert {shard.vectors.dtype for shard in index.shards} == {Store.parse(store).dtype}
    assert [hits[0].path for hits in top_k(index, VECTORS[[3, 55]], 1)] == ["003.png", "055.png"]


@pytest.mark.parametrize("store", ["int8", "pca:8"])
def test_an_index_whose_last_run_was_killed_before_it_compressed_still_answers(tmp_path: Path, store: str) -> None:
    write(tmp_path, store, range(40))
    with IndexWriter(tmp_path, MODEL, ".") as writer:
        writer.append(make_rows(VECTORS[40:], NAMES[40:]))
    assert [hits[0].path for hits in top_k(IndexReader.open(tmp_path), VECTORS[[3, 55]], 1)] == ["003.png", "055.png"]


def test_float32_can_be_compressed_later_and_restored_only_where_it_was_kept(tmp_path: Path) -> None:
    write(tmp_path, "float32")
    write(tmp_path, "int8+full")
    write(tmp_path, "float32")
    assert np.array_equal(IndexReader.open(tmp_path).vectors(np.arange(60)), VECTORS)
    write(tmp_path, "int8")
    with pytest.raises(StoreError, match=r"stored as int8, from which float32 cannot be made"):
        write(tmp_path, "float32")


@pytest.mark.parametrize("damage", ["missing", "another", "unnamed"])
@pytest.mark.parametrize(("store", "kept"), [("pca:8", 0), ("pca:8+full", 60)])
def test_a_lost_projection_costs_only_what_cannot_be_projected_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, store: str, kept: int, damage: str
) -> None:
    write(tmp_path, store)
    (file,) = tmp_path.glob(PROJECTION_PATTERN)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    match damage:
        case "missing":
            file.unlink()
        case "another":
            write_npz(file, {"projection": fit_projection(random_units(60, 32, seed=1), 8)})
        case "unnamed":  # as in an index that an older embedlab made
            del manifest["projection"]
            (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(IndexDamagedError, match="run embed again"):
        IndexReader.open(tmp_path)
    with IndexWriter(tmp_path, MODEL, ".") as writer:
        assert sum(map(len, writer.shards)) == kept
        assert ("60 images are embedded again" in caplog.text) == (not kept)
        if not kept:
            writer.append(make_rows(VECTORS, NAMES))
        writer.finish(Manifest(MODEL, "."))
    index = IndexReader.open(tmp_path)
    assert [hits[0].path for hits in top_k(index, VECTORS[[3, 55]], 1)] == ["003.png", "055.png"]
    assert [path.name for path in tmp_path.glob(PROJECTION_PATTERN)] == [file.name]


def test_a_projection_must_drop_something(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="32 dimensions"):
        write(tmp_path, "pca:32")


def test_the_models_of_an_ensemble_are_not_mixed_by_a_projection(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="ensemble"), IndexWriter(tmp_path, MODEL * 2, ".", Store.parse("pca:8")):
        pass


def test_texts_score_in_a_projected_store_much_as_with_whole_vectors(tmp_path: Path) -> None:
    write(tmp_path / "whole", "float32")
    write(tmp_path / "projected", "pca:24")
    text = unit(VECTORS.mean(axis=0) + random_units(1, 32, seed=7)[0])
    whole, projected = (IndexReader.open(tmp_path / name) for name in ("whole", "projected"))
    rows = np.arange(60)
    wanted = whole.vectors(rows) @ whole.exact_queries(text[None], texts=True)[0]
    short = projected.vectors(rows) @ projected.exact_queries(text[None], texts=True)[0]
    scaled = projected.vectors(rows) @ projected.exact_queries(text[None])[0]
    assert np.abs(short - wanted).mean() < np.abs(scaled - wanted).mean()
    assert np.abs(short).mean() < np.abs(scaled).mean()


def test_a_fixed_threshold_on_a_projected_store_is_warned_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(tmp_path, "pca:8")
    limits_of(IndexReader.open(tmp_path), 0.92)
    assert "pca:8" in caplog.text
    assert "calibrate" in caplog.text
    caplog.clear()
    limits_of(IndexReader.open(tmp_path), "adaptive")
    assert caplog.text == ""


def all_columns(directory: Path) -> dict[str, dict[str, bytes]]:
    return columns(IndexReader.open(directory))


@pytest.mark.parametrize("store", ["pca:3", "pca:3+full"])
def test_a_store_that_grew_is_fitted_again_and_equals_a_fresh_one(
    tmp_path: Path, tiny: OnnxEncoder, store: str
) -> None:
    images, chosen = tmp_path / "images", Store.parse(store)
    save_pictures(images, range(4))
    first = embed_images(images, tmp_path / "grown", tiny, store=chosen)
    assert first.outgrown is None
    save_pictures(images, range(40))
    grown = embed_images(images, tmp_path / "grown", tiny)
    fresh = embed_images(images, tmp_path / "fresh", tiny, store=chosen)
    if not chosen.full:
        # The whole vectors of the first four are gone.
        assert grown.outgrown == 4
        assert all_columns(tmp_path / "grown") != all_columns(tmp_path / "fresh")
        grown = embed_images(images, tmp_path / "grown", tiny, refit=True)
        assert (grown.encoded, grown.unchanged) == (40, 0)
    assert (grown.outgrown, grown.count) == (None, 40)
    assert all_columns(tmp_path / "grown") == all_columns(tmp_path / "fresh")
    assert grown.store_recall == fresh.store_recall
    assert len(list((tmp_path / "grown").glob(PROJECTION_PATTERN))) == 1
    again = embed_images(images, tmp_path / "grown", tiny)
    assert (again.unchanged, again.store_recall, again.outgrown) == (40, None, None)


@pytest.mark.parametrize(("count", "fitted"), [(14, 10), (15, 15)])
def test_a_store_is_fitted_again_when_the_index_has_grown_by_half(tmp_path: Path, count: int, fitted: int) -> None:
    write(tmp_path, "pca:8+full", range(10))
    (before,) = tmp_path.glob(PROJECTION_PATTERN)
    write(tmp_path, None, range(10, count))
    (after,) = tmp_path.glob(PROJECTION_PATTERN)
    assert (after == before) == (fitted == 10)
    assert IndexReader.open(tmp_path).manifest.fitted == fitted


def test_an_older_index_is_taken_to_fit_the_images_it_had(tmp_path: Path) -> None:
    write(tmp_path, "pca:8", range(20))
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    del manifest["fitted"]
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    for rows, outgrown in ((range(20, 29), False), (range(29, 30), True)):
        with IndexWriter(tmp_path, MODEL, ["."]) as writer:
            writer.begin()
            writer.append(make_rows(VECTORS[rows.start : rows.stop], NAMES[rows.start : rows.stop]))
            writer.finish(writer.manifest)
            assert (writer.manifest.fitted, writer.outgrown) == (20, outgrown)


def test_a_vector_is_projected_to_the_same_bits_whatever_it_stands_among() -> None:
    vectors, projection = random_units(700, 512), fit_projection(random_units(80, 512, seed=1), 48)
    together = project(vectors, projection)
    for rows in (slice(3, 4), slice(0, 5), slice(250, 300), slice(699, 700)):
        assert np.array_equal(project(vectors[rows], projection), together[rows])


def test_an_outgrown_store_is_said_in_one_line_with_the_way_out(tmp_path: Path, tiny_env: dict[str, str]) -> None:
    command = ["embed", "--images-dir", tmp_path / "images", "--out", tmp_path / "index", "--backbone", "tiny"]
    save_pictures(tmp_path / "images", range(4))
    assert run_cli(*command, "--store", "pca:3", env=tiny_env).code == 0
    save_pictures(tmp_path / "images", range(12))
    warned = run_cli(*command, "--quiet", env=tiny_env)
    assert warned.stderr == (
        "Warning: the store was fitted to 4 of these 12 images and finds the others less well; "
        "--refit encodes all of them again and fits it anew\n"
    )
    refitted = run_cli(*command, "--quiet", "--refit", env=tiny_env)
    assert (refitted.code, refitted.stderr) == (0, "")
    assert run_cli(*command, "--quiet", env=tiny_env).stderr == ""


def test_only_a_store_that_is_fitted_can_be_fitted_again(tmp_path: Path, tiny: OnnxEncoder) -> None:
    save_pictures(tmp_path / "images", range(2))
    with pytest.raises(StoreError, match="float32 is not fitted to images"):
        embed_images(tmp_path / "images", tmp_path / "index", tiny, refit=True)
