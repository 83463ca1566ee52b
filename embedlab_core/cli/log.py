"""Lines on stderr, as text or, with --log-format json, as one JSON object a line."""

import io
import logging
import os
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import IO, Any, ParamSpec, TextIO, TypeVar

import click

from embedlab_core.cli.lines import asks_for_json, formatted

P = ParamSpec("P")
R = TypeVar("R")

_LINES = "embedlab.lines"
# Bytes of another's line that are waited for before it is shown as it is.
_LONGEST = 2**16


def log_format_option(function: Callable[P, R]) -> Callable[P, R]:
    """--log-format, which `remember_log_format` has read: the command itself need not know of it."""
    return click.option(
        "--log-format",
        type=click.Choice(["text", "json"]),
        default="text",
        show_default=True,
        expose_value=False,
        help="Lines on stderr: text, or one JSON object each with `level` and `message`.",
    )(function)


def remember_log_format(context: click.Context, arguments: Sequence[str]) -> None:
    context.meta[_LINES] = Lines(asks_for_json(arguments))


def say(message: str, level: str = "info", prefix: str = "") -> None:
    """One line on stderr. prefix: said before the message in text only."""
    current_lines().say(message, level, prefix)


def current_lines() -> "Lines":
    """How the command that runs now wants its lines. In the main thread only: Click knows no command in the others."""
    context = click.get_current_context(silent=True)
    lines = None if context is None else context.meta.get(_LINES)
    return lines if isinstance(lines, Lines) else Lines()


class Lines:
    """Says one line after another, from any thread. file: None for wherever stderr is at that moment."""

    def __init__(self, as_json: bool = False, file: TextIO | None = None) -> None:
        self.as_json = as_json
        self._file = file
        self._one_at_a_time = threading.Lock()

    def say(self, message: str, level: str = "info", prefix: str = "") -> None:
        # A terminal that has gone must not end the work.
        with self._one_at_a_time, suppress(OSError):
            click.echo(formatted(message, level, prefix, self.as_json), self._file, err=True)


class Failure(click.ClickException):
    """A failed command: one line on stderr, exit code 1."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        # Click shows it when the context of the command is gone.
        self._line = formatted(message, "error", "Error: ", current_lines().as_json)

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(self._line, err=True)


class WrongUsage(Failure):
    """One line on stderr, exit code 2."""

    exit_code = click.UsageError.exit_code


@contextmanager
def usage_as_asked() -> Iterator[None]:
    """Wrong usage, which Click says in several lines, is one object with --log-format json."""
    try:
        yield
    except click.UsageError as error:
        if not current_lines().as_json:
            raise
        raise WrongUsage(error.format_message()) from error


@contextmanager
def all_lines_alike(printable: Callable[[str], str]) -> Iterator[None]:
    """Warnings of the library and of Python become lines of ours; with --log-format json also whatever else is written
    to stderr, as C libraries do."""
    with _wrapped(current_lines(), printable) as lines:
        handler = _Handler(lines, printable)
        logger, show = logging.getLogger("embedlab_core"), warnings.showwarning
        logger.addHandler(handler)

        def show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
            lines.say(printable(str(message)), "warning", "Warning: ")

        warnings.showwarning = show_warning
        try:
            yield
        finally:
            warnings.showwarning = show
            logger.removeHandler(handler)


class _Handler(logging.Handler):
    def __init__(self, lines: Lines, printable: Callable[[str], str]) -> None:
        super().__init__(logging.WARNING)
        self._lines = lines
        self._printable = printable

    def emit(self, record: logging.LogRecord) -> None:
        message = self._printable(record.getMessage())
        self._lines.say(message, record.levelname.lower(), f"{record.levelname.capitalize()}: ")


@contextmanager
def _wrapped(lines: Lines, printable: Callable[[str], str]) -> Iterator[Lines]:
    """As JSON, `lines` go straight to where stderr leads, and the descriptor of stderr to a thread that makes objects
    of what arrives. A context of Click holds the new lines meanwhile."""
    if not lines.as_json or not _is_descriptor_2(sys.stderr):
        yield lines
        return
    sys.stderr.flush()
    source, sink = os.pipe()
    with os.fdopen(os.dup(2), "w", encoding="utf-8") as file, os.fdopen(source, "rb") as stream:
        straight = Lines(True, file)
        thread = threading.Thread(target=_say_each, args=(stream, straight, printable), daemon=True)
        thread.start()
        os.dup2(sink, 2)
        os.close(sink)
        meta = click.get_current_context().meta
        meta[_LINES] = straight
        try:
            yield straight
        finally:
            meta[_LINES] = lines
            sys.stderr.flush()
            # The pipe ends here, unless a process that was started meanwhile still holds it.
            os.dup2(file.fileno(), 2)
            thread.join(timeout=1)


def _say_each(stream: IO[bytes], lines: Lines, printable: Callable[[str], str]) -> None:
    while line := stream.readline(_LONGEST):
        # Progress bars of others write over their line: what is last is what a terminal would show.
        text = line.decode("utf-8", "replace").rstrip().rpartition("\r")[2].strip()
        if text:
            lines.say(printable(text), "warning")


def _is_descriptor_2(file: TextIO | None) -> bool:
    """Not so where it is closed, or where a test has put something else in its place."""
    try:
        return file is not None and file.fileno() == 2
    except (io.UnsupportedOperation, ValueError):
        return False
