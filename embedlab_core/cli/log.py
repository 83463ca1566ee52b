"""Lines on stderr, as text or, with --log-format json, as one JSON object a line."""

import json
import logging
from collections.abc import Callable
from typing import IO, Any, ParamSpec, TypeVar

import click

P = ParamSpec("P")
R = TypeVar("R")

_META = "embedlab.log_format"


def log_format_option(function: Callable[P, R]) -> Callable[P, R]:
    """--log-format, kept in Click's context: the command itself need not know of it."""
    return click.option(
        "--log-format",
        type=click.Choice(["text", "json"]),
        default="text",
        show_default=True,
        expose_value=False,
        is_eager=True,
        callback=_remember,
        help="Lines on stderr: text, or one JSON object each with `level` and `message`.",
    )(function)


def say(message: str, level: str = "info", prefix: str = "") -> None:
    """One line on stderr. prefix: said before the message in text only."""
    click.echo(_line(message, level, prefix), err=True)


class LogHandler(logging.Handler):
    """Prints through Click, so that a record goes to wherever stderr is now."""

    def __init__(self, printable: Callable[[str], str]) -> None:
        super().__init__(logging.WARNING)
        self._printable = printable

    def emit(self, record: logging.LogRecord) -> None:
        message = self._printable(record.getMessage())
        say(message, record.levelname.lower(), f"{record.levelname.capitalize()}: ")


class Failure(click.ClickException):
    """A failed command: one line on stderr, exit code 1."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        # Click shows it when the context of the command is gone.
        self._line = _line(message, "error", "Error: ")

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(self._line, err=True)


def _line(message: str, level: str, prefix: str) -> str:
    context = click.get_current_context(silent=True)
    as_json = context is not None and context.meta.get(_META) == "json"
    return json.dumps({"level": level, "message": message}) if as_json else f"{prefix}{message}"


def _remember(context: click.Context, parameter: click.Parameter, value: str) -> None:
    context.meta[_META] = value
