"""A disk that takes no byte more: what can be answered is, and nothing half-written is left behind."""

import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT, Ran, picture

Env = dict[str, str]


def run_without_room(*arguments: str, env: Env) -> Ran:
    """Every write to a file fails."""
    done = subprocess.run(
        [sys.executable, "embedlab.py", *arguments],
        cwd=ROOT,
        env={**os.environ, **env, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)),
    )
    return Ran(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("search --index {index} --q-text red", 0),
        ("search --index {index} --query {images}/000.png", 0),
        ("analyze --index {index}", 0),
        ("label --index {index} --labels {labels}", 0),
        ("quality --index {index}", 0),
        ("check --index {index} {images}/000.png", 0),
        ("calibrate --index {index} --pairs {pairs}", 1),
        ("mark --index {index} --not-duplicate {images}/000.png {images}/010.png", 1),
        ("dedupe --index {index} --plan {root}/plan.json", 1),
        ("embed --images-dir {images} --out {index}", 1),
        ("embed --images-dir {images} --out {root}/new --backbone tiny", 1),
    ],
)
def test_nothing_half_written_is_left(tiny_index: Path, tiny_env: Env, tmp_path: Path, command: str, code: int) -> None:
    shutil.copytree(tiny_index.parent, tmp_path, dirs_exist_ok=True)
    images, index = tmp_path / "images", tmp_path / "index"
    (tmp_path / "labels.txt").write_text("red\ngreen\n")
    pairs = [f"{images}/{left:03d}.png,{images}/{right:03d}.png,{int(left == 0)}\n" for left, right in PAIRS]
    (tmp_path / "pairs.csv").write_text("path_a,path_b,same\n" + "".join(pairs))
    if command.startswith("embed"):
        picture(77).save(images / "077.png")
    before = {path.relative_to(tmp_path): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    places = {"root": tmp_path, "images": images, "index": index}
    places |= {"labels": tmp_path / "labels.txt", "pairs": tmp_path / "pairs.csv"}
    ran = run_without_room(*command.format_map(places).split(), env=tiny_env)
    assert ran.code == code, ran.stderr
    assert "Traceback" not in ran.stderr
    after = {path.relative_to(tmp_path): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    # The lock of a folder that is to become an index is empty by nature.
    after.pop(Path("new", ".lock"), None)
    assert after == before


PAIRS = [(0, 10), (0, 11), *((left, right) for left in range(1, 9) for right in range(left + 1, 10))]
