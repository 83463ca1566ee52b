"""A program of its own: embed the same folder again and again, each run killed one file operation later than the last.

python -m tests.index.killed_runs MODEL IMAGES BASE OUT [STORE] makes OUT/000, OUT/001 and so on, each a copy of the
index BASE (if there is one) as a run left it that was killed (SIGKILL) before its first, second, ... operation on a
file of the index. It ends when a run gets through.
"""

import itertools
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

from embedlab_core import embed
from embedlab_core.encoders.onnx import OnnxEncoder
from embedlab_core.encoders.spec import load_model_spec
from embedlab_core.index.store import Store
from tests.support import embed_images


def kill_before(operation: int, out: Path) -> None:
    """SIGKILL this process before its `operation`-th write-open, rename, removal or new folder under `out`."""
    left = itertools.count(operation, -1)

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        changes = event in {"os.rename", "os.remove", "os.mkdir"}
        changes |= event == "open" and bool(arguments[2] & (os.O_WRONLY | os.O_RDWR))
        if changes and os.fspath(arguments[0]).startswith(str(out)) and next(left) == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)


def main(model: Path, images: Path, base: Path, root: Path, store: Store | None) -> None:
    embed.FLUSH_SECONDS = 0.0
    for operation in itertools.count():
        out = root / f"{operation:03d}"
        if base.exists():
            shutil.copytree(base, out)
        child = os.fork()
        if child == 0:
            code = 1
            try:
                kill_before(operation, out)
                encoder = OnnxEncoder(load_model_spec(model))
                embed_images(images, out, encoder, batch_size=3, workers=1, store=store)
                code = 0
            finally:
                os._exit(code)
        status = os.waitpid(child, 0)[1]
        if not os.WIFSIGNALED(status):
            sys.exit(os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:5]), Store.parse(sys.argv[5]) if sys.argv[5:] else None)
