"""One look of progress for the commands that take long: a bar on a terminal, nothing elsewhere."""

import os
import pty
import re
import subprocess
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest

from embedlab_core.api import Index
from embedlab_core.encoders.onnx import OnnxEncoder
from tests.support import ROOT, embed_images, picture, run_cli, save_pictures

Env = dict[str, str]
COUNT = 60


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory, tiny: OnnxEncoder) -> Path:
    """Enough images to calibrate."""
    root = tmp_path_factory.mktemp("sixty")
    save_pictures(root / "images", range(COUNT))
    for seed in range(2):
        picture(seed, (60, 50)).save(root / "images" / f"again-{seed}.png")
    embed_images(root / "images", root / "index", tiny)
    return root / "index"


def shown_on_a_terminal(arguments: Sequence[str | Path], env: Env) -> str:
    near, far = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "embedlab.py", *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, **env},
        stdout=subprocess.DEVNULL,
        stderr=far,
    )
    os.close(far)
    shown = b""
    try:
        while data := os.read(near, 100_000):
            shown += data
    except OSError:  # EIO: the program has closed its end.
        pass
    os.close(near)
    assert process.wait(timeout=60) == 0
    return shown.decode()


@pytest.mark.parametrize(
    ("command", "label", "last"),
    [
        ("label", "encoding phrases", r"(\d+)/\1"),
        ("label --labels {labels}", "encoding labels", r"(\d+)/\1"),
        ("calibrate", "calibrating", rf"{COUNT + 2}/{COUNT + 2}"),
    ],
)
def test_what_takes_long_shows_how_far_it_is(
    index: Path, tiny_env: Env, tmp_path: Path, command: str, label: str, last: str
) -> None:
    (tmp_path / "labels.txt").write_text("red\ngreen\nblue\n")
    arguments = [*command.format(labels=tmp_path / "labels.txt").split(), "--index", str(index)]
    if command != "calibrate":
        (index / "queries.sqlite").unlink(missing_ok=True)
    env = {**tiny_env, "XDG_CACHE_HOME": str(tmp_path)}
    shown = shown_on_a_terminal(arguments, env)
    assert label in shown
    assert re.search(last, shown)
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l")
    for silent in ([], ["--log-format", "json"]):
        (index / "queries.sqlite").unlink(missing_ok=True)
        assert label not in run_cli(*arguments, *silent, env=env).stderr
    assert label not in shown_on_a_terminal([*arguments, "--log-format", "json"], env)


def test_calibrate_tells_its_stages_from_first_to_last(index: Path) -> None:
    told: list[tuple[int, int]] = []
    Index.open(index).calibrate(progress=lambda done, total: told.append((done, total)))
    assert told[:2] == [(1, COUNT + 2), (2, COUNT + 2)]
    stages = [[told[0]]]
    for before, after in pairwise(told):
        if after[0] != before[0] + 1:
            stages.append([])
        stages[-1].append(after)
    assert all(stage[-1][0] == stage[-1][1] for stage in stages)
    assert len(stages) == 3
