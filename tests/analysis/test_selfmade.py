"""Pairs that an index labels itself."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from embedlab_core.analysis import selfmade
from embedlab_core.analysis.apart import mark_apart
from embedlab_core.analysis.calibration import fit
from embedlab_core.analysis.copies import COPY_KINDS
from embedlab_core.analysis.selfmade import LEAST_IMAGES, SelfMade, make_pairs
from embedlab_core.encoders.ensemble import Ensemble
from embedlab_core.encoders.onnx import OnnxEncoder
from embedlab_core.errors import DuplicatesError
from embedlab_core.index.reader import IndexReader
from embedlab_core.metrics import Stopwatch
from tests.support import embed_images

IMAGES = LEAST_IMAGES + 2


def detailed(seed: int) -> Image.Image:
    """Unlike the smooth `picture`, one of which passes for another turned or mirrored."""
    cells = np.random.default_rng(seed).integers(0, 256, (12, 12, 3)).astype(np.uint8)
    return Image.fromarray(cells).resize((96, 96), Image.Resampling.BICUBIC)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, tiny: OnnxEncoder) -> Path:
    """52 pictures, of which the last two are a brighter copy and the bytes of the first."""
    root = tmp_path_factory.mktemp("selfmade")
    (root / "images").mkdir()
    for seed in range(LEAST_IMAGES):
        detailed(seed).save(root / "images" / f"{seed:03d}.png")
    ImageEnhance.Brightness(detailed(0)).enhance(1.2).save(root / "images" / "050.png")
    shutil.copy(root / "images" / "000.png", root / "images" / "051.png")
    embed_images(root / "images", root / "index", tiny)
    return root


@pytest.fixture
def index(folder: Path, tmp_path: Path) -> IndexReader:
    """Of a folder that a test may change."""
    shutil.copytree(folder / "index", tmp_path / "index")
    return IndexReader.open(tmp_path / "index")


def made(index: IndexReader, encoder: OnnxEncoder) -> SelfMade:
    return make_pairs(index, Ensemble([encoder]), seed=0, watch=Stopwatch())


@pytest.fixture(scope="module", autouse=True)
def _fewer_pairs() -> Iterator[None]:
    """The tiny model finds all pictures alike: many more pairs than there is something to learn from."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (("_NEIGHBOURS", 16), ("_FAR", 8), ("_STRANGER_PAIRS", 100)):
            patch.setattr(selfmade, name, value)
        yield


@pytest.fixture(scope="module")
def found(folder: Path, tiny: OnnxEncoder) -> SelfMade:
    return made(IndexReader.open(folder / "index"), tiny)


def own(pairs: SelfMade) -> tuple[int, int]:
    """Pairs of the index itself: duplicates, strangers. Each is there once from either side."""
    alone = pairs.pairs.weights == 1
    return int(pairs.pairs.same[alone].sum()), int((~pairs.pairs.same[alone]).sum())


def test_copies_are_made_and_those_in_the_index_are_found(found: SelfMade) -> None:
    assert found.copies.shape == (IMAGES, len(COPY_KINDS))
    assert own(found)[0] == 6
    assert np.all(found.pairs.scores >= np.quantile(found.copies, 0.005).astype(np.float32))


def test_a_pair_that_a_person_told_apart_is_one_of_strangers_and_all_else_is_as_before(
    found: SelfMade, index: IndexReader, folder: Path, tiny: OnnxEncoder
) -> None:
    for name in ("000.png", "051.png"):
        mark_apart(index, str(folder / "images" / name), str(folder / "images" / "050.png"))
    duplicates, strangers = own(found)
    again = made(index, tiny)
    assert own(again) == (duplicates - 4, strangers + 4)
    assert again.copies.tobytes() == found.copies.tobytes()
    assert np.sort(again.pairs.scores).tobytes() == np.sort(found.pairs.scores).tobytes()


def test_pairs_do_not_depend_on_the_runs_an_index_was_made_in(
    found: SelfMade, folder: Path, tmp_path: Path, tiny: OnnxEncoder
) -> None:
    for part in ("00[3-9].png", "*.png"):
        for path in sorted((folder / "images").glob(part)):
            (tmp_path / "images").mkdir(exist_ok=True)
            shutil.copy(path, tmp_path / "images")
        embed_images(tmp_path / "images", tmp_path / "index", tiny)
    again = made(IndexReader.open(tmp_path / "index"), tiny)
    assert again.copies.tobytes() == found.copies.tobytes()
    assert np.sort(again.pairs.scores).tobytes() == np.sort(found.pairs.scores).tobytes()
    assert own(again) == own(found)


def test_a_folder_without_likely_pairs_has_only_its_copies(
    folder: Path, tmp_path: Path, tiny: OnnxEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "images").mkdir()
    for seed in range(LEAST_IMAGES):
        shutil.copy(folder / "images" / f"{seed:03d}.png", tmp_path / "images")
    embed_images(tmp_path / "images", tmp_path / "index", tiny)
    monkeypatch.setattr(selfmade, "_LOST_COPIES", 0.99)
    index = IndexReader.open(tmp_path / "index")
    pairs = made(index, tiny).pairs
    assert len(pairs) > 0
    assert pairs.same.all()
    found = fit(index, pairs, "copies", 0.99, seed=0)
    assert found.threshold.value == pairs.scores.min()
    assert found.probability(found.threshold.value) == 1
    assert found.probability(found.threshold.value - 0.01) == 0


def test_images_that_are_gone_or_changed_are_counted_and_left_out(
    folder: Path, tmp_path: Path, tiny: OnnxEncoder, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copytree(folder / "images", tmp_path / "images")
    embed_images(tmp_path / "images", tmp_path / "index", tiny)
    (tmp_path / "images" / "003.png").unlink()
    detailed(99).save(tmp_path / "images" / "004.png")
    index = IndexReader.open(tmp_path / "index")
    assert made(index, tiny).copies.shape[0] == IMAGES - 2
    assert "2 images are gone, or not what was embedded; they are left out" in caplog.text
    (tmp_path / "images" / "005.png").unlink()
    with pytest.raises(DuplicatesError, match=f"49 images could be read, .* takes {LEAST_IMAGES}"):
        made(index, tiny)
