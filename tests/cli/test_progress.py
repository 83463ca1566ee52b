"""One look of progress for the commands that take long: a bar on a terminal, nothing elsewhere."""

import os
import pty
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from embedlab_core.encoders.onnx import OnnxEncoder
from tests.support import ROOT, embed_images, picture, run_cli, save_pictures

Env = dict[str, str]
COUNT = 50
SHOW = "\x1b[?25h"


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


@pytest.mark.parametrize("command", ["label", "label --labels {labels}"])
def test_label_shows_how_far_it_is_on_a_terminal_alone(
    index: Path, tiny_env: Env, tmp_path: Path, command: str
) -> None:
    (tmp_path / "labels.txt").write_text("red\ngreen\nblue\n")
    arguments = [*command.format(labels=tmp_path / "labels.txt").split(), "--index", str(index)]
    for number, extra in enumerate(([], ["--log-format", "json"])):
        (index / "queries.sqlite").unlink(missing_ok=True)
        shown = shown_on_a_terminal([*arguments, *extra], {**tiny_env, "XDG_CACHE_HOME": str(tmp_path / f"{number}")})
        assert bool(re.search(r"encoding (labels|phrases) .* (\d+)/\2", shown)) == (not extra)
        assert bool(shown) == (not extra)
    (index / "queries.sqlite").unlink(missing_ok=True)
    assert run_cli(*arguments, env={**tiny_env, "XDG_CACHE_HOME": str(tmp_path / "2")}).stderr == ""


def test_calibrate_shows_its_stages_one_after_another(index: Path, tiny_env: Env) -> None:
    shown = shown_on_a_terminal(["calibrate", "--index", index], tiny_env)
    bars = [bar for bar in shown.split(SHOW) if "calibrating" in bar]
    assert len(bars) == 3
    assert f"{COUNT + 2}/{COUNT + 2}" in bars[0]
    assert all(re.search(r"(\d+)/\1\D*$", bar) for bar in bars)
    assert re.search(r"\d\d:\d\d:\d\d", shown)  # The time left.
    assert shown.rindex(SHOW) > shown.rindex("\x1b[?25l")
