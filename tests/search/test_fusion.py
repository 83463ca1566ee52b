"""One similarity out of several models."""

from pathlib import Path

import numpy as np
import pytest

from embedlab_core.analysis.analyze import analyze
from embedlab_core.analysis.duplicates import DuplicateOptions
from embedlab_core.embed import EmbedOptions, embed_folders
from embedlab_core.encoders.ensemble import Ensemble
from embedlab_core.encoders.onnx import OnnxEncoder
from embedlab_core.errors import QueryError
from embedlab_core.images.decode import decode_image
from embedlab_core.index.reader import IndexReader
from embedlab_core.search.fusion import fused_index, fused_queries
from embedlab_core.search.queries import image_queries
from embedlab_core.search.rank import top_k
from tests.support import run_cli, save_pictures


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    save_pictures(folder, range(20))
    return folder


@pytest.fixture(scope="module")
def both(images: Path, tiny: OnnxEncoder, other: OnnxEncoder, tmp_path_factory: pytest.TempPathFactory) -> IndexReader:
    out = tmp_path_factory.mktemp("both")
    embed_folders([str(images)], out, Ensemble([tiny, other]), EmbedOptions())
    return IndexReader.open(out)


def query(images: Path, ensemble: Ensemble) -> np.ndarray:
    ((found,), _) = image_queries([str(images / "003.png")], ensemble)
    return found.vector[None]


def test_an_ensemble_holds_the_vectors_of_its_models_side_by_side(
    both: IndexReader, images: Path, tiny: OnnxEncoder, other: OnnxEncoder
) -> None:
    data = (images / "000.png").read_bytes()
    parts = [
        encoder.encode_images(decode_image(data, encoder.spec.pixels).pixels[None])[0] for encoder in (tiny, other)
    ]
    assert both.manifest.models == (tiny.ref, other.ref)
    assert both.vectors(np.array([0]))[0] == pytest.approx(np.concatenate(parts) / np.sqrt(2), abs=1e-6)


def test_a_single_model_is_left_as_it_is(images: Path, tiny: OnnxEncoder, tmp_path: Path) -> None:
    embed_folders([str(images)], tmp_path, Ensemble([tiny]), EmbedOptions())
    index = IndexReader.open(tmp_path)
    vector = query(images, Ensemble([tiny]))
    assert np.array_equal(fused_queries(index, vector), vector)
    assert fused_index(index) is index


def test_all_weight_on_one_model_ranks_and_scores_as_that_model_alone(
    both: IndexReader, images: Path, tiny: OnnxEncoder, other: OnnxEncoder, tmp_path: Path
) -> None:
    embed_folders([str(images)], tmp_path, Ensemble([other]), EmbedOptions())
    (alone,) = top_k(IndexReader.open(tmp_path), query(images, Ensemble([other])), 20)
    (fused,) = top_k(both, fused_queries(both, query(images, Ensemble([tiny, other])), (0.0, 1.0)), 20)
    assert [hit.path for hit in fused] == [hit.path for hit in alone]
    assert [hit.score for hit in fused] == pytest.approx([hit.score for hit in alone], abs=1e-5)


def test_the_ranking_is_that_of_the_mean_of_z_scores(
    both: IndexReader, images: Path, tiny: OnnxEncoder, other: OnnxEncoder
) -> None:
    vector = query(images, Ensemble([tiny, other]))
    stored = both.vectors(np.arange(len(both)))
    cosines = [2 * vector[:, part] @ stored[:, part].T for part in (slice(0, 16), slice(16, 32))]
    z_scores = sum((cosine[0] - cosine.mean()) / cosine.std() for cosine in cosines)
    (hits,) = top_k(both, fused_queries(both, vector), 20)
    assert [hit.row for hit in hits] == np.argsort(-z_scores, kind="stable").tolist()
    assert hits[0].score == pytest.approx(1, abs=1e-5)


def test_images_compared_with_each_other_are_fused_too(both: IndexReader) -> None:
    fused = fused_index(both, (1.0, 3.0))
    vectors = fused.vectors(np.arange(len(both)))
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)
    assert len(analyze(fused, DuplicateOptions(0.999), 3, 5).anomalies) == 3


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ((1.0,), "1 fusion weights for 2"),
        ((0.0, 0.0), "all fusion"),
        ((float("nan"), 1.0), "numbers from 0"),
        ((-1.0, 2.0), "numbers from 0"),
    ],
)
def test_weights_that_do_not_fit_are_refused(both: IndexReader, weights: tuple[float, ...], message: str) -> None:
    with pytest.raises(QueryError, match=message):
        fused_index(both, weights)


def test_only_the_ratio_of_weights_counts(both: IndexReader) -> None:
    rows = np.arange(len(both))
    assert np.array_equal(fused_index(both, (1e308, 1e308)).vectors(rows), fused_index(both).vectors(rows))


def test_the_program_makes_and_searches_an_ensemble(images: Path, tmp_path: Path, tiny_env: dict[str, str]) -> None:
    arguments = ["--images-dir", str(images), "--out", tmp_path / "index", "--backbone", "tiny", "--backbone", "other"]
    assert run_cli("embed", *arguments, env=tiny_env).code == 0
    ran = run_cli("search", "--index", tmp_path / "index", "--query", images / "004.png", "--k", "1", env=tiny_env)
    assert (ran.code, ran.stderr) == (0, "")
    assert "004.png" in ran.stdout.splitlines()[1]
    again = run_cli("embed", "--images-dir", str(images), "--out", tmp_path / "index", env=tiny_env)
    assert "model tiny + other" in again.stderr
    refused = run_cli("embed", *arguments[:-2], env=tiny_env)
    assert refused.code == 1
    assert "made by tiny" in refused.stderr
