"""Ctrl-C, SIGTERM and SIGHUP end the program in an orderly way, with the exit code that shells expect: 130, 143, 129.

Around a command, while Python imports the program and when all is done, there is nothing to save: the process ends at
once. An exception would not do: C code that is interrupted while it is imported turns it into another, or prints it.
Within a command the signal becomes an exception, so that what is begun is finished or put back.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

from embedlab_core.cli.lines import asks_for_json, formatted

# Windows has no SIGHUP.
_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))

_SHOW_CURSOR = b"\x1b[?25h"


class Stopped(BaseException):
    """A signal asks the program to end. safe: what was saved, said by the command that knows; "" if there is nothing to
    say. Not a KeyboardInterrupt, of which Click would make its own line and exit code."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number
        self.safe = ""

    @property
    def exit_code(self) -> int:
        return 128 + self.number

    def __str__(self) -> str:
        return f"stopped: {self.safe}" if self.safe else "stopped"


def stop_at_once() -> None:
    """From now on, a signal ends the process with one line."""
    _handle(lambda number, frame: end(number))


def end(number: int) -> NoReturn:
    """End the process here and now, as for this signal."""
    line = formatted(str(Stopped(number)), "error", "", asks_for_json(sys.argv))
    try:
        os.write(2, (_SHOW_CURSOR if os.isatty(2) else b"") + f"{line}\n".encode())
    finally:
        os._exit(Stopped(number).exit_code)


@contextmanager
def stopping() -> Iterator[None]:
    """Within it, the first signal raises Stopped in the main thread. Later ones are ignored: they must not break into
    what is being saved."""
    previous = _handle(_raise)
    hook, sys.unraisablehook = sys.unraisablehook, _raise_again(sys.unraisablehook)
    try:
        yield
    finally:
        sys.unraisablehook = hook
        for number, handler in previous.items():
            signal.signal(number, handler)


def _handle(handler: Callable[[int, FrameType | None], Any]) -> dict[int, Any]:
    """Returns the handlers before. A signal that whoever started us wants ignored (nohup, a job in the background of a
    script) stays ignored."""
    previous = {number: signal.getsignal(number) for number in _SIGNALS}
    taken = {number: before for number, before in previous.items() if before is not signal.SIG_IGN}
    for number in taken:
        signal.signal(number, handler)
    return taken


def _raise(number: int, frame: FrameType | None) -> None:
    if _imports(frame):
        end(number)
    _handle(lambda number, frame: None)
    raise Stopped(number)


def _imports(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def _raise_again(hook: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Where Python cannot pass an exception on, in a destructor or a callback from C, it prints it and forgets it: the
    signal has to come again when that is over."""

    def raise_again(unraisable: Any) -> None:
        if isinstance(unraisable.exc_value, Stopped):
            _handle(_raise)
            threading.Timer(0.01, signal.raise_signal, [unraisable.exc_value.number]).start()
        else:
            hook(unraisable)

    return raise_again
