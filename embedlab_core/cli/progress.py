"""The one look of progress: a bar with the time left on a terminal, and nothing elsewhere."""

import sys
import time
from contextlib import AbstractContextManager, ExitStack, suppress
from typing import Any, Self

import click

from embedlab_core.cli.log import current_lines

# Seconds between two looks.
_PAUSE = 0.1


class ProgressBar(AbstractContextManager["ProgressBar"]):
    """What the library calls with (done, total). Another total begins another bar: the next stage. left: what was still
    to do at the last call; None before the first."""

    def __init__(self, label: str, quiet: bool = False) -> None:
        self.left: int | None = None
        self._label = label
        self._hidden = quiet or current_lines().as_json or sys.stderr is None or not sys.stderr.isatty()
        self._bar: Any = None
        self._open = ExitStack()
        self._shown = 0.0

    def __enter__(self) -> Self:
        return self

    def __call__(self, done: int, total: int) -> None:
        self.left = total - done
        now = time.monotonic()
        if self._hidden or (self.left and now < self._shown + _PAUSE):
            return
        self._shown = now
        # A terminal that has gone must not end the work.
        with suppress(OSError):
            if self._bar is None or self._bar.length != total or self._bar.pos > done:
                self._begin(total)
            self._bar.update(done - self._bar.pos)

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._open.close()

    def _begin(self, total: int) -> None:
        self._open.close()
        bar: Any = click.progressbar(length=total, label=self._label, file=sys.stderr, show_pos=True)
        self._bar = self._open.enter_context(bar)
