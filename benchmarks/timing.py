"""Whole-process times: start of the interpreter to its end, medians of several runs."""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
EMBEDLAB = [sys.executable, str(ROOT / "embedlab.py")]


def seconds(command: Sequence[str], environment: Mapping[str, str] | None = None, folder: Path = ROOT) -> float:
    """Wall seconds of one run in `folder`. Raises CalledProcessError if it fails."""
    variables = {**os.environ, **(environment or {})}
    # Compiling every module anew would be timed where Python is told not to keep what it has compiled.
    variables.pop("PYTHONDONTWRITEBYTECODE", None)
    started = time.perf_counter()
    subprocess.run(command, cwd=folder, env=variables, capture_output=True, check=True)
    return time.perf_counter() - started


def timed(run: Callable[[], object]) -> float:
    """Wall seconds of one call."""
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def median_seconds(run: Callable[[], float], runs: int = 7) -> float:
    """Median of `runs` runs after one that is not counted."""
    run()
    return statistics.median(run() for _ in range(runs))
