"""search --preview in a terminal that shows images."""

import contextlib
import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path

from embedlab_core.encoders.onnx import OnnxEncoder
from tests.support import ROOT, embed_images, save_pictures

_SECONDS = 30


def test_a_picture_that_became_a_pipe_has_no_thumbnail_and_the_others_have(
    tmp_path: Path, tiny: OnnxEncoder, tiny_env: dict[str, str]
) -> None:
    images = tmp_path / "images"
    save_pictures(images, range(3))
    embed_images(images, tmp_path / "index", tiny)
    (images / "001.png").unlink()
    os.mkfifo(images / "001.png")
    screen, terminal = pty.openpty()
    running = subprocess.Popen(
        [sys.executable, "embedlab.py", "search", "--index", tmp_path / "index", "--q-text", "red", "--preview"],
        stdout=terminal,
        cwd=ROOT,
        env={**os.environ, **tiny_env, "TERM": "xterm-kitty"},
    )
    os.close(terminal)
    try:
        shown = _until_closed(screen)
        assert running.wait(_SECONDS) == 0
    finally:
        running.kill()
        running.wait()
        os.close(screen)
    assert all(f"{number:03d}.png".encode() in shown for number in range(3))
    assert shown.count(b"\x1b_Ga=T") == 2


def _until_closed(screen: int) -> bytes:
    parts = []
    end = time.monotonic() + _SECONDS
    # Linux says by an error that nobody writes any more.
    with contextlib.suppress(OSError):
        while select.select([screen], [], [], max(0.0, end - time.monotonic()))[0]:
            parts.append(os.read(screen, 65_536))
    return b"".join(parts)
