"""What many tests need: small indexes with given vectors, small pictures, and the program as a user starts it."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from embedlab_core.embed import EmbedOptions, EmbedReport, embed_folders
from embedlab_core.encoders.base import Encoder
from embedlab_core.encoders.ensemble import Ensemble
from embedlab_core.images.quality import QualityScores
from embedlab_core.index.manifest import ModelRef
from embedlab_core.index.reader import IndexReader
from embedlab_core.index.rows import NOT_CAPTURED, Rows
from embedlab_core.index.texts import Texts
from embedlab_core.index.writer import IndexWriter

ROOT = Path(__file__).resolve().parents[1]
ASSETS = ROOT / "assets"
LITE = ROOT / "weights" / "lite"

Vectors = npt.NDArray[np.float32]


def unit(vectors: npt.ArrayLike) -> Vectors:
    """Rows scaled to length 1."""
    raw = np.asarray(vectors, dtype=np.float64)
    scaled: Vectors = (raw / np.linalg.norm(raw, axis=-1, keepdims=True)).astype(np.float32)
    return scaled


def random_units(count: int, dim: int, seed: int = 0) -> Vectors:
    return unit(np.random.default_rng(seed).normal(size=(count, dim)))


def make_rows(vectors: Vectors, paths: Sequence[str]) -> Rows:
    count = len(paths)
    return Rows(
        vectors=vectors,
        full=np.empty((count, 0), np.float32),
        folders=np.zeros(count, np.int32),
        paths=Texts.of(paths),
        sha256=np.zeros((count, 32), np.uint8),
        sizes=np.arange(count, dtype=np.int64),
        mtimes=np.arange(count, dtype=np.int64),
        widths=np.full(count, 4, np.int32),
        heights=np.full(count, 3, np.int32),
        captured=np.full(count, NOT_CAPTURED, np.int64),
        quality=np.zeros((count, len(QualityScores._fields)), np.float32),
        phashes=np.zeros(count, np.uint64),
        pixel_hashes=np.zeros(count, np.uint64),
    )


def open_writer(directory: Path, dim: int, model: str = "synthetic", images_dir: str = ".") -> IndexWriter:
    writer = IndexWriter(directory, (ModelRef(model, "0" * 12, dim),), [images_dir])
    writer.begin()
    return writer


def make_index(
    directory: Path,
    vectors: Vectors,
    paths: Sequence[str] | None = None,
    parts: Iterable[Sequence[int]] | None = None,
) -> IndexReader:
    """An index of these vectors. `parts`: which of them go into each shard, in this order; all into one by default."""
    names = [f"{number:03d}.png" for number in range(len(vectors))] if paths is None else list(paths)
    with open_writer(directory, vectors.shape[1]) as writer:
        for part in [range(len(vectors))] if parts is None else parts:
            rows = np.array(part, dtype=np.int64)
            writer.append(make_rows(vectors[rows], [names[row] for row in rows]))
    return IndexReader.open(directory)


def columns(index: IndexReader) -> dict[str, dict[str, Any]]:
    """Every column of every image, by its relative path."""
    table = {}
    for shard in index.shards:
        arrays = {name: array for name, array in shard.arrays().items() if not name.startswith("path")}
        for row, path in enumerate(shard.paths):
            table[path] = {name: array[row].tobytes() for name, array in arrays.items()}
    return table


def vectors_of(directory: Path) -> dict[str, bytes]:
    """The bytes of every vector of an index on disk, by relative path."""
    return {path: row["vectors"] for path, row in columns(IndexReader.open(directory)).items()}


def embed_images(
    images: Path,
    out: Path,
    encoder: Encoder,
    progress: Callable[[int, int], None] = lambda done, total: None,
    **options: Any,
) -> EmbedReport:
    """embed_folders with one model. `options` are fields of EmbedOptions."""
    return embed_folders([str(images)], out, Ensemble([encoder]), EmbedOptions(**options), progress)


def picture(seed: int, size: tuple[int, int] = (48, 40)) -> Image.Image:
    """A small photograph-like picture: smooth colour fields that differ with the seed."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 4, 3)).astype(np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)


def save_pictures(folder: Path, seeds: Iterable[int]) -> None:
    """`folder`/000.png and so on, each named after its seed."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        picture(seed).save(folder / f"{seed:03d}.png")


@contextmanager
def as_ordinary_user() -> Iterator[None]:
    """Root reads everything, so permissions mean something only to another user."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@dataclass(frozen=True, slots=True)
class Ran:
    code: int
    stdout: str
    stderr: str

    @property
    def error(self) -> str:
        """The one line that says what went wrong. Fails if there is none, more than one, or anything on stdout."""
        assert self.stdout == ""
        assert "Traceback" not in self.stderr
        lines = [line for line in self.stderr.splitlines() if line.startswith("Error: ")]
        assert len(lines) == 1, self.stderr
        assert self.stderr.splitlines()[-1] == lines[0]
        return lines[0].removeprefix("Error: ")


def run_python(*args: str | bytes | Path, cwd: Path = ROOT, env: Mapping[str, str] | None = None) -> Ran:
    """A Python process of its own. Its output keeps bytes that are not UTF-8 as surrogates."""
    done = subprocess.run(
        [sys.executable, *map(os.fsencode, args)],
        cwd=cwd,
        env={**os.environ, **(env or {})},
        capture_output=True,
        timeout=120,
        check=False,
    )
    return Ran(done.returncode, done.stdout.decode("utf-8", "surrogateescape"), done.stderr.decode("utf-8", "replace"))


def run_cli(*args: str | bytes | Path, cwd: Path = ROOT, env: Mapping[str, str] | None = None) -> Ran:
    return run_python("embedlab.py", *args, cwd=cwd, env=env)


def no_network() -> tuple[list[str], dict[str, str]]:
    """A command prefix and an environment that leave a process no network.

    A network namespace of its own where the system lets us make one; elsewhere a sitecustomize (tests/offline) that
    refuses every connection, and proxies that lead nowhere.
    """
    closed = "http://127.0.0.1:9"
    proxies = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), closed)
    if tool := shutil.which("unshare"):
        prefix = [tool, "--net", "--map-root-user"]
        if subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode == 0:
            return prefix, proxies
    return [], {**proxies, "PYTHONPATH": str(ROOT / "tests" / "offline")}
