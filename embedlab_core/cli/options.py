"""Options and behaviour that several commands share."""

import errno
import functools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import click

from embedlab_core.cli.hints import hint
from embedlab_core.cli.log import Failure, all_lines_alike, log_format_option, say
from embedlab_core.cli.stop import Stopped, stopping
from embedlab_core.errors import EmbedlabError

P = ParamSpec("P")
R = TypeVar("R")


class FiniteRange(click.FloatRange):
    """FloatRange alone lets NaN through, which is below no bound, and infinity where there is none."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is not a number to reckon with", param, ctx)
        return number


class FilePath(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """A path. "~" is the user's home, also behind "=" where no shell expands it; an empty one is nobody's wish."""

    name = "path"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        if not str(value):
            self.fail("an empty path", param, ctx)
        return Path(value).expanduser()


class FolderPath(FilePath):
    """A folder that is there."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        path = super().convert(value, param, ctx)
        if not path.is_dir():
            self.fail(f"{path}: no such folder", param, ctx)
        return path


index_option = click.option(
    "--index", "index_dir", type=FilePath(), required=True, help="Folder of an index made by embed."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
explain_option = click.option("--explain", is_flag=True, help="Add the facts behind each result.")
fusion_weight_option = click.option(
    "--fusion-weight",
    "fusion_weights",
    type=FiniteRange(min=0),
    multiple=True,
    help="Weight of each model of an ensemble, in their order; repeat it for each.  [default: equal]",
)
quiet_option = click.option("--quiet", is_flag=True, help="Print no progress and no statistics; warnings still show.")


class CosineThreshold(FiniteRange):
    """A number in (-1, 1]."""

    def __init__(self) -> None:
        super().__init__(-1, 1, min_open=True)


class QualityFlagList(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """Quality flags with commas between them."""

    name = "flags"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        if isinstance(value, tuple):
            return value
        from embedlab_core.images.quality import FLAGS

        flags = tuple(flag.strip() for flag in value.split(","))
        for flag in flags:
            if flag not in FLAGS:
                self.fail(f"{flag!r} is no quality flag; choose from {', '.join(FLAGS)}", param, ctx)
        return flags


def printable(text: str) -> str:
    """File names that are not valid Unicode, or that would move the cursor, are shown with escapes."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def reports_errors(function: Callable[P, R]) -> Callable[P, R]:
    """Turn an EmbedlabError into one line on stderr and exit code 1, a signal into one line and its exit code, and
    library warnings into lines on stderr; take --log-format, which says how these look."""

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        with stopping(), all_lines_alike(printable):
            try:
                return function(*args, **kwargs)
            except EmbedlabError as error:
                raise Failure(printable(hint(error))) from error
            except Stopped as stopped:
                say(printable(str(stopped)), "error")
                raise click.exceptions.Exit(stopped.exit_code) from None
            except OSError as error:
                if error.errno == errno.EPIPE:
                    raise  # Click ends quietly: whoever read the results has gone.
                # What the system refuses where the library knows nothing better to say: a name that is too long.
                raise Failure(printable(f"{error.filename or 'system'}: {error.strerror or error}")) from error

    return log_format_option(run)
