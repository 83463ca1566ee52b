"""A run that is killed at any moment leaves a valid index, and the next run ends where an unbroken one would."""

import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from embedlab_core.encoders.onnx import OnnxEncoder
from embedlab_core.errors import IndexMissingError
from embedlab_core.index.reader import SHARDS, IndexReader
from embedlab_core.index.store import Store, project
from tests.support import ASSETS, ROOT, columns, embed_images, picture, run_cli, run_python, save_pictures, vectors_of


def assert_nothing_is_left_over(directory: Path) -> None:
    named = {shard.file for shard in IndexReader.open(directory).manifest.shards}
    assert {path.name for path in (directory / SHARDS).iterdir()} == named
    assert {path.name for path in directory.iterdir()} - {".lock"} == {
        "manifest.json",
        "metrics.json",
        "shards",
        "skipped.jsonl",
    }


def run_until_it_survives(encoder: OnnxEncoder, images: Path, base: Path, out: Path, *store: str) -> list[Path]:
    ran = run_python("-m", "tests.index.killed_runs", encoder.spec.folder, images, base, out, *store)
    assert ran.code == 0, ran.stderr
    return sorted(out.iterdir())[:-1]


def assert_each_can_be_opened_and_finished(killed: list[Path], encoder: OnnxEncoder, images: Path, whole: Path) -> None:
    wanted = columns(IndexReader.open(whole))
    for directory in killed:
        try:
            partial = columns(IndexReader.open(directory))
        except IndexMissingError:
            assert not (directory / "manifest.json").exists()
            partial = {}
        assert len(partial) <= 2 * len(wanted)
        embed_images(images, directory, encoder, batch_size=5, workers=2)
        assert columns(IndexReader.open(directory)) == wanted
        assert_nothing_is_left_over(directory)


def test_a_first_run_may_die_before_any_operation(tmp_path: Path, tiny: OnnxEncoder) -> None:
    images = tmp_path / "images"
    save_pictures(images, range(6))
    embed_images(images, tmp_path / "whole", tiny)
    killed = run_until_it_survives(tiny, images, tmp_path / "nothing", tmp_path / "runs")
    # Two shards at least, each of them and the manifest after it written under another name and renamed.
    assert len(killed) >= 8
    assert_each_can_be_opened_and_finished(killed, tiny, images, tmp_path / "whole")


def test_an_update_may_die_before_any_operation_and_loses_nothing(tmp_path: Path, tiny: OnnxEncoder) -> None:
    images = tmp_path / "images"
    save_pictures(images, range(6))
    embed_images(images, tmp_path / "base", tiny)
    untouched = {path: row for path, row in columns(IndexReader.open(tmp_path / "base")).items() if path > "003.png"}
    (images / "000.png").unlink()
    (images / "001.png").rename(images / "moved.png")
    picture(101).save(images / "002.png")
    picture(102).save(images / "003.png")
    save_pictures(images, range(20, 22))
    embed_images(images, tmp_path / "whole", tiny)
    killed = run_until_it_survives(tiny, images, tmp_path / "base", tmp_path / "runs")
    assert len(killed) >= 8
    for directory in killed:
        # What the update does not touch is there at every moment.
        assert columns(IndexReader.open(directory)).items() >= untouched.items()
    assert_each_can_be_opened_and_finished(killed, tiny, images, tmp_path / "whole")


def test_a_change_of_the_projection_may_die_before_any_operation(tmp_path: Path, tiny: OnnxEncoder) -> None:
    images = tmp_path / "images"
    save_pictures(images, range(6))
    old, new = Store.parse("pca:3+full"), Store.parse("pca:2+full")
    embed_images(images, tmp_path / "base", tiny, store=old)
    shutil.copytree(tmp_path / "base", tmp_path / "whole")
    embed_images(images, tmp_path / "whole", tiny, store=new)
    killed = run_until_it_survives(tiny, images, tmp_path / "base", tmp_path / "runs", str(new))
    assert len(killed) >= 6
    for directory in killed:
        index = IndexReader.open(directory)
        expected = project(index.vectors(np.arange(6)), index.projection) if index.projection is not None else None
        assert np.concatenate([block for _, block in index.blocks()]) == pytest.approx(expected, abs=1e-6)
        embed_images(images, directory, tiny, store=new)
        assert columns(IndexReader.open(directory)) == columns(IndexReader.open(tmp_path / "whole"))
        assert len(list(directory.glob("projection-*"))) == 1


def test_runs_of_the_real_program_killed_at_random_end_like_an_unbroken_one(tmp_path: Path) -> None:
    images = tmp_path / "images"
    images.mkdir()
    for path in sorted((ASSETS / "images").iterdir())[:48]:
        shutil.copy2(path, images)
    arguments = ["embed", "--images-dir", str(images), "--backbone", "lite", "--batch-size", "4"]
    started = time.perf_counter()
    assert run_cli(*arguments, "--out", tmp_path / "whole").code == 0
    seconds = time.perf_counter() - started
    program = (
        "import embedlab_core.embed as e, embedlab_core.cli as c; e.FLUSH_SECONDS = 0; c.main(prog_name='embedlab')"
    )
    chance = random.Random(0)
    for _ in range(5):
        process = subprocess.Popen(
            [sys.executable, "-c", program, *arguments, "--out", str(tmp_path / "out")],
            cwd=ROOT,
            stderr=subprocess.DEVNULL,
        )
        # Past the start of the process, where nothing is written yet.
        time.sleep(seconds * chance.uniform(0.3, 0.9))
        process.send_signal(signal.SIGKILL)
        process.wait()
        if (tmp_path / "out" / "manifest.json").exists():
            IndexReader.open(tmp_path / "out")
    finished = run_cli(*arguments, "--out", tmp_path / "out")
    assert finished.code == 0, finished.stderr
    assert vectors_of(tmp_path / "out") == vectors_of(tmp_path / "whole")
    assert_nothing_is_left_over(tmp_path / "out")


def test_an_interrupted_run_keeps_what_it_has_encoded(tmp_path: Path, tiny: OnnxEncoder) -> None:
    save_pictures(tmp_path / "images", range(10))

    def interrupt(done: int, total: int) -> None:
        assert total == 10
        if done >= 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        embed_images(tmp_path / "images", tmp_path / "out", tiny, interrupt, batch_size=3)
    assert sorted(columns(IndexReader.open(tmp_path / "out"))) == [f"{seed:03d}.png" for seed in range(6)]
    report = embed_images(tmp_path / "images", tmp_path / "out", tiny)
    assert (report.unchanged, report.encoded) == (6, 4)
