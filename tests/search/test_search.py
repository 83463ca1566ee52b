"""Queries against an index with the model that made it."""

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from embedlab_core.api import Index
from embedlab_core.embed import EmbedOptions, embed_folders
from embedlab_core.encoders.ensemble import Ensemble
from embedlab_core.encoders.onnx import OnnxEncoder
from embedlab_core.encoders.spec import load_model_spec
from embedlab_core.errors import IndexMissingError, ModelError, ModelMismatchError, QueryError
from embedlab_core.index.store import Store
from embedlab_core.search.search import QuerySet, SearchOptions
from tests.support import embed_images, picture, save_pictures
from tests.tiny_model import COLOURS, write_tiny_model


@pytest.fixture(autouse=True)
def tiny_is_found(tiny_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMBEDLAB_WEIGHTS", str(tiny_root))


@pytest.fixture
def index(tmp_path: Path, tiny: OnnxEncoder) -> Path:
    """Five pictures of one colour each, and three of many."""
    images = tmp_path / "images"
    images.mkdir()
    for name, colour in COLOURS.items():
        Image.new("RGB", (30, 20), colour).save(images / f"{name}.png")
    for seed in range(3):
        picture(seed).save(images / f"{seed}.png")
    embed_images(images, tmp_path / "index", tiny)
    return tmp_path / "index"


@pytest.mark.parametrize("colour", COLOURS)
def test_a_prompt_finds_the_picture_of_its_colour(index: Path, colour: str) -> None:
    (result,) = Index.open(index).search_each(QuerySet(prompts=[colour]), SearchOptions(k=3))
    assert Path(result.hits[0].path).name == f"{colour}.png"
    assert abs(result.hits[0].score - 1) <= 1e-6
    assert (result.query.name, result.query.modality) == (colour, "text")
    assert result.explanations == []


def test_queries_are_answered_folder_first_then_files_prompts_and_prompt_file(index: Path, tmp_path: Path) -> None:
    (tmp_path / "queries").mkdir()
    for name in ("b.png", "a.png"):
        picture(1).save(tmp_path / "queries" / name)
    picture(2).save(tmp_path / "file.png")
    (tmp_path / "prompts.txt").write_text("green\nblack\n")
    files = [str(tmp_path / "file.png"), str(tmp_path / "queries" / "b.png")]
    queries = QuerySet(str(tmp_path / "queries"), files, ["red", "blue"], tmp_path / "prompts.txt")
    results = Index.open(index).search_each(queries, SearchOptions(k=1))
    names = [Path(result.query.name).name for result in results]
    assert names == ["a.png", "b.png", "file.png", "b.png", "red", "blue", "green", "black"]
    hits = [Path(result.hits[0].path).name for result in results]
    assert hits == ["1.png", "1.png", "2.png", "1.png", "red.png", "blue.png", "green.png", "black.png"]


def test_explanations_give_distance_rank_percentile_and_band(index: Path) -> None:
    (result,) = Index.open(index).search_each(QuerySet(prompts=["red"]), SearchOptions(k=8, explain=True))
    assert [entry.rank for entry in result.explanations] == list(range(1, 9))
    assert [entry.distance for entry in result.explanations] == [1 - hit.score for hit in result.hits]
    assert [entry.percentile for entry in result.explanations] == [100 - 12.5 * rank for rank in range(8)]
    for hit, entry in zip(result.hits, result.explanations, strict=True):
        assert entry.band == ("match" if hit.score >= 0.6 else "related" if hit.score >= 0.3 else "unrelated")
    assert result.explanations[0].band == "match"
    assert result.explanations[-1].band == "unrelated"


def test_image_queries_are_banded_by_the_bands_of_images(index: Path, tmp_path: Path) -> None:
    picture(1).save(tmp_path / "q.png")
    (result,) = Index.open(index).search_each(
        QuerySet(query_files=[str(tmp_path / "q.png")]), SearchOptions(k=1, explain=True)
    )
    assert result.explanations[0].band == "near-duplicate"


def test_a_prompt_beyond_the_context_is_cut_with_a_warning(index: Path, caplog: pytest.LogCaptureFixture) -> None:
    (result,) = Index.open(index).search_each(QuerySet(prompts=["red " * 20]), SearchOptions(k=1))
    assert Path(result.hits[0].path).name == "red.png"
    (warning,) = caplog.messages
    assert "prompt cut at 8 tokens: red red" in warning


def test_a_broken_query_image_is_named_and_the_others_are_answered(
    index: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "bad.png").write_bytes(b"broken")
    picture(1).save(tmp_path / "good.png")
    files = [str(tmp_path / name) for name in ("bad.png", "gone.png", "good.png")]
    (result,) = Index.open(index).search_each(QuerySet(query_files=files), SearchOptions(k=1))
    assert Path(result.query.name).name == "good.png"
    assert [Path(message.split(": ")[0]).name for message in caplog.messages] == ["bad.png", "gone.png"]


def test_if_no_query_can_be_read_the_error_names_the_first(
    index: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(QueryError, match=r"gone\.png: file cannot be read"):
        Index.open(index).search_each(QuerySet(query_files=[str(tmp_path / "gone.png")]), SearchOptions(k=1))
    assert caplog.messages == []


def test_a_missing_index_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(IndexMissingError):
        Index.open(tmp_path).search_each(QuerySet(prompts=["red"]), SearchOptions(k=1))


def test_an_empty_index_is_an_error_that_names_it(index: Path) -> None:
    manifest = index / "manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "shards": []}))
    with pytest.raises(QueryError, match="index: the index holds no images"):
        Index.open(index).search_each(QuerySet(prompts=["red"]), SearchOptions(k=1))


def test_a_model_that_has_changed_since_is_refused_with_both_fingerprints(
    index: Path, tmp_path: Path, tiny: OnnxEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = OnnxEncoder(load_model_spec(write_tiny_model(tmp_path / "models", "tiny", seed=5)))
    monkeypatch.setenv("EMBEDLAB_WEIGHTS", str(tmp_path / "models"))
    with pytest.raises(ModelMismatchError) as caught:
        Index.open(index).search_each(QuerySet(prompts=["red"]), SearchOptions(k=1))
    assert tiny.spec.fingerprint in str(caught.value)
    assert changed.spec.fingerprint in str(caught.value)


def test_a_model_that_is_gone_is_named(index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMBEDLAB_WEIGHTS", str(tmp_path / "nothing"))
    with pytest.raises(ModelError, match="model tiny"):
        Index.open(index).search_each(QuerySet(prompts=["red"]), SearchOptions(k=1))


def test_an_index_that_was_moved_answers_with_the_same_paths(index: Path, tmp_path: Path) -> None:
    before = Index.open(index).search_each(QuerySet(prompts=["red"]), SearchOptions(k=8))
    shutil.move(index, tmp_path / "elsewhere")
    after = Index.open(tmp_path / "elsewhere").search_each(QuerySet(prompts=["red"]), SearchOptions(k=8))
    assert after[0].hits == before[0].hits


@pytest.mark.parametrize("store", ["int8", "pca:6", "pca:6+full"])
def test_shares_add_up_to_the_score_in_every_store(tmp_path: Path, tiny: OnnxEncoder, store: str) -> None:
    save_pictures(tmp_path / "images", range(12))
    embed_folders(
        [str(tmp_path / "images")], tmp_path / "index", Ensemble([tiny]), EmbedOptions(store=Store.parse(store))
    )
    result = Index.open(tmp_path / "index").search(
        text=["red", "green"], minus_text="blue", k=5, options=SearchOptions(explain=True)
    )
    for hit, explanation in zip(result.hits, result.explanations, strict=True):
        assert sum(explanation.shares) == pytest.approx(hit.score, abs=1e-5)


def test_shares_add_up_to_the_fused_score_of_an_ensemble(tmp_path: Path, tiny: OnnxEncoder, other: OnnxEncoder) -> None:
    save_pictures(tmp_path / "images", range(12))
    embed_folders([str(tmp_path / "images")], tmp_path / "index", Ensemble([tiny, other]), EmbedOptions())
    options = SearchOptions(explain=True, fusion_weights=(3, 1))
    result = Index.open(tmp_path / "index").search(text=["red", "green"], k=5, options=options)
    for hit, explanation in zip(result.hits, result.explanations, strict=True):
        assert sum(explanation.shares) == pytest.approx(hit.score, abs=1e-5)


def test_a_floor_ends_the_look_behind_copies(index: Path) -> None:
    options = SearchOptions(k=8, collapse_duplicates=True, min_score=0.99)
    (result,) = Index.open(index).search_each(QuerySet(prompts=["red"]), options)
    assert [Path(hit.path).name for hit in result.hits] == ["red.png"]
