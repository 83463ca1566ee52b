"""Timings and counts of one run."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from embedlab_core.index.files import replace_text

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


def save_metrics(index_dir: Path, metrics: dict[str, Any]) -> None:
    replace_text(index_dir / METRICS, json.dumps(metrics, indent=1) + "\n")
