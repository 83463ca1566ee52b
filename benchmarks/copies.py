"""Time and peak memory of finding duplicates where many images are equal, or nearly so.

    python benchmarks/copies.py [--images 12000] [--equal 6000] [--near 1500]

Makes an index of so many images, of which some have the same bytes, and some are an icon that was compressed anew each
time; then groups it, explained and in both groupings, each in a process of its own.
"""

import argparse
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from synthetic import Source
from timing import ROOT

sys.path.insert(0, str(ROOT))
from tests.support import make_rows, open_writer

RUN = """
import resource, sys, time
from pathlib import Path
from embedlab_core.analysis.analyze import analyze
from embedlab_core.analysis.duplicates import DuplicateOptions
from embedlab_core.index.reader import IndexReader

start = time.perf_counter()
index = IndexReader.open(Path(sys.argv[1]))
found = analyze(index, DuplicateOptions(0.92, sys.argv[2]), 8, explain=True)
largest = max((len(group.paths) for group in found.groups), default=0)
print(time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, largest)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--images", type=int, default=12_000)
    parser.add_argument("--equal", type=int, default=6_000)
    parser.add_argument("--near", type=int, default=1_500)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for name, equal, near in (("equal", args.equal, 0), ("nearly equal", 0, args.near)):
            write_copies(Path(folder) / name, args.images, equal, near)
            for grouping in ("components", "complete"):
                seconds, megabytes, largest = measure(Path(folder) / name, grouping)
                print(
                    f"{args.images:,} images, {equal or near:,} {name}, {grouping}: {seconds:.1f} s, "
                    f"{megabytes:.0f} MB, largest group {largest:,}"
                )


def write_copies(directory: Path, count: int, equal: int, near: int) -> None:
    """An index of `count` images: `equal` of them with the same bytes, `near` more with nearly the same vector."""
    vectors = Source(count, 512).draw(count)
    vectors[:equal] = vectors[0]
    rng = np.random.default_rng(1)
    noise = rng.normal(size=(near, 512)) * 0.002
    vectors[equal : equal + near] = vectors[equal] + noise
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    digests = rng.integers(0, 256, (count, 32)).astype(np.uint8)
    digests[:equal] = digests[0]
    names = [f"{number:06d}.jpg" for number in range(count)]
    rows = replace(make_rows(vectors, names), sha256=digests, phashes=digests[:, :8].copy().view(np.uint64).ravel())
    with open_writer(directory, 512) as writer:
        writer.append(rows)


def measure(directory: Path, grouping: str) -> tuple[float, float, int]:
    """(seconds, megabytes at the peak, images of the largest group)"""
    command = [sys.executable, "-c", RUN, str(directory), grouping]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    seconds, megabytes, largest = done.stdout.split()
    return float(seconds), float(megabytes), int(largest)


if __name__ == "__main__":
    main()
