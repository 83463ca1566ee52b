"""The project as a grader sees it, and small indexes of the tiny model."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from embedlab_core.encoders.onnx import OnnxEncoder
from tests.support import ASSETS, ROOT, Ran, embed_images, no_network, save_pictures


@dataclass(frozen=True, slots=True)
class Grader:
    """A folder with embedlab.py and assets/ in it, a process without a network, and what `embed` printed there."""

    folder: Path
    embed: Ran

    def run(self, *args: str) -> Ran:
        return run_offline(self.folder, *args)


def run_offline(folder: Path, *args: str) -> Ran:
    prefix, env = no_network()
    done = subprocess.run(
        [*prefix, sys.executable, "embedlab.py", *args],
        cwd=folder,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="session")
def grader(tmp_path_factory: pytest.TempPathFactory) -> Grader:
    """The project's own commands write ./index: they run in a folder that looks like the checkout, not in it."""
    folder = tmp_path_factory.mktemp("grader")
    (folder / "embedlab.py").symlink_to(ROOT / "embedlab.py")
    (folder / "assets").symlink_to(ASSETS)
    return Grader(folder, run_offline(folder, "embed", "--images-dir", "./assets/images", "--out", "./index"))


@pytest.fixture(scope="session")
def tiny_index(tmp_path_factory: pytest.TempPathFactory, tiny: OnnxEncoder) -> Path:
    """Twelve pictures, the last two of them copies of the first. Only for reading."""
    root = tmp_path_factory.mktemp("tiny")
    save_pictures(root / "images", range(10))
    for name in ("010.png", "011.png"):
        (root / "images" / name).write_bytes((root / "images" / "000.png").read_bytes())
    embed_images(root / "images", root / "index", tiny)
    return root / "index"
