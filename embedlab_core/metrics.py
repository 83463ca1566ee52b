"""Timings and counts of one run."""

import json
import logging
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from embedlab_core.errors import IndexWriteError
from embedlab_core.index.files import replace_text

log = logging.getLogger(__name__)

METRICS = "metrics.json"


class Stopwatch:
    """Seconds by stage. Stages that run in several threads at once add up to more than the total."""

    def __init__(self) -> None:
        self._stages: dict[str, float] = {}
        self._started = time.perf_counter()
        self._lock = threading.Lock()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            spent = time.perf_counter() - started
            with self._lock:
                self._stages[name] = self._stages.get(name, 0.0) + spent

    def seconds(self) -> dict[str, float]:
        total = time.perf_counter() - self._started
        return {name: round(value, 4) for name, value in {**self._stages, "total": total}.items()}


@contextmanager
def recorded(index_dir: Path, command: str, **counts: int) -> Iterator[Stopwatch]:
    """Time a command on an index of `images` images (one of `counts`) and write its metrics when it has succeeded."""
    watch = Stopwatch()
    yield watch
    seconds = watch.seconds()
    save_metrics(index_dir, command, counts, seconds, round(counts["images"] / max(seconds["total"], 1e-4), 1))


def save_metrics(
    index_dir: Path,
    command: str,
    counts: Mapping[str, Any],
    seconds: Mapping[str, float],
    images_per_second: float,
) -> None:
    """Replace metrics.json in one step, so that a reader never sees half of it.

    Where it cannot be written (a read-only index, a full disk), the command has still done its work.
    """
    document = {
        "command": command,
        **counts,
        "images_per_second": images_per_second,
        "peak_memory_mb": _peak_memory_mb(),
        "seconds": dict(seconds),
    }
    path = index_dir / METRICS
    try:
        replace_text(path, json.dumps(document, indent=1) + "\n", durable=False)
    except IndexWriteError as error:
        log.debug("%s", error)


def _peak_memory_mb() -> float | None:
    """The most memory this process has held at once; None where the system does not tell (Windows)."""
    try:
        # Linux: what getrusage says there, a process inherits from the one that started it.
        status = Path("/proc/self/status").read_text("ascii", "replace")
        return round(int(status.partition("VmHWM:")[2].split()[0]) / 2**10, 1)
    except (OSError, LookupError, ValueError):
        pass
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Bytes on macOS, KiB elsewhere.
    return round(peak / (2**20 if sys.platform == "darwin" else 2**10), 1)
