"""What the frozen parts of the towers give, kept in files."""

import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
import torch
from tokenizers import Tokenizer
from torch import Tensor

from lite_lib.copies import Pixels
from lite_lib.towers import TextTower

log = logging.getLogger(__name__)
Array = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.int64]


def cached(path: Path, make: Callable[[], npt.NDArray]) -> npt.NDArray:
    """The array of the file, memory-mapped; made first if it is not there."""
    if not path.exists():
        start = time.time()
        array = make()
        np.save(path.with_suffix(".tmp.npy"), array)
        path.with_suffix(".tmp.npy").rename(path)
        log.info("%s %s in %.0f s", path.name, array.shape, time.time() - start)
    return np.load(path, mmap_mode="r")


def session(path: Path, threads: int = 1) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


@dataclass(frozen=True)
class Frozen:
    """What the frozen part of the image tower gives: maps float16 (n, c, h, w), means (n, m) and layouts (n, 8)."""

    maps: npt.NDArray[np.float16]
    means: Array
    layouts: Array

    def __len__(self) -> int:
        return len(self.maps)

    def __getitem__(self, rows: Numbers | slice) -> "Frozen":
        """Those rows, read into memory."""
        return Frozen(np.array(self.maps[rows]), np.array(self.means[rows]), np.array(self.layouts[rows]))


def frozen_part(
    folder: Path, name: str, bottom: Path, count: int, pixels: Callable[[int], Pixels], workers: int
) -> Frozen:
    """Images 0 .. count-1, made by `pixels`, through `bottom`; from files of `folder` called after `name` if there."""
    sessions = [session(bottom) for _ in range(workers)]
    outputs: list[Frozen] = []

    def work(worker: int) -> list[tuple[int, Frozen]]:
        out = []
        for start in range(worker * 8, count, workers * 8):
            batch = np.stack([pixels(i) for i in range(start, min(start + 8, count))])
            maps, means, layouts = sessions[worker].run(None, {"pixels": batch})
            out.append((start, Frozen(maps.astype(np.float16), means, layouts)))
        return out

    def run() -> Frozen:
        if not outputs:
            with ThreadPoolExecutor(workers) as pool:
                found = sorted((part for done in pool.map(work, range(workers)) for part in done), key=lambda p: p[0])
            parts = [part for _, part in found]
            outputs.append(
                Frozen(
                    np.concatenate([part.maps for part in parts]),
                    np.concatenate([part.means for part in parts]),
                    np.concatenate([part.layouts for part in parts]),
                )
            )
        return outputs[0]

    maps = cached(folder / f"{name}-top.npy", lambda: run().maps)
    means = cached(folder / f"{name}-means.npy", lambda: run().means)
    return Frozen(maps, means, cached(folder / f"{name}-layouts.npy", lambda: run().layouts))


@dataclass(frozen=True)
class States:
    """Word states of texts below the trained layers, one text after the other: rows float16 (total, 384)."""

    rows: npt.NDArray[np.float16]
    lengths: Numbers

    def __post_init__(self) -> None:
        object.__setattr__(self, "starts", np.concatenate([[0], np.cumsum(self.lengths)]))

    def padded(self, numbers: Numbers) -> tuple[Tensor, Tensor]:
        """-> states (b, longest, 384) and which of them are words (b, longest)."""
        lengths = self.lengths[numbers]
        out = np.zeros((len(numbers), int(lengths.max()), 384), np.float32)
        for row, number in enumerate(numbers):
            out[row, : lengths[row]] = self.rows[self.starts[number] : self.starts[number + 1]]
        return torch.from_numpy(out), torch.from_numpy(np.arange(out.shape[1]) < lengths[:, None])


def text_states(path: Path, tower: TextTower, tokenizer: Tokenizer, texts: Sequence[str]) -> States:
    """States of the texts below the trained layers, kept in the file `path`."""
    ids = [encoding.ids for encoding in tokenizer.encode_batch(list(texts))]
    lengths = np.array([len(row) for row in ids])
    starts = np.concatenate([[0], np.cumsum(lengths)])

    @torch.no_grad()
    def make() -> npt.NDArray[np.float16]:
        out = np.empty((int(lengths.sum()), 384), np.float16)
        order = np.argsort(lengths, kind="stable")
        at = 0
        while at < len(order):
            size = lengths[order[at]]
            batch = [i for i in order[at : at + 256] if lengths[i] == size]
            for i, row in zip(batch, tower.bottom(torch.tensor([ids[i] for i in batch])).numpy(), strict=True):
                out[starts[i] : starts[i + 1]] = row
            at += len(batch)
        return out

    return States(cached(path, make), lengths)
