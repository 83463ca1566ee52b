"""The group of all commands."""

import importlib
import io
import sys
from typing import Any

import click

import embedlab_core
from embedlab_core.cli.log import remember_log_format, usage_as_asked

_COMMANDS = (
    "embed",
    "search",
    "analyze",
    "label",
    "quality",
    "calibrate",
    "check",
    "mark",
    "dedupe",
    "models",
    "bench",
)


class _LazyGroup(click.Group):
    """Imports a command's module only when it runs or its help is shown, so that none pays for another's imports."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in _COMMANDS:
            return None
        command = importlib.import_module(f"embedlab_core.cli.{name}").command
        assert isinstance(command, click.Command)
        return command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        remember_log_format(ctx, args)
        with usage_as_asked():
            return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        with usage_as_asked():
            return super().invoke(ctx)


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(embedlab_core.__version__, package_name="embedlab")
def main() -> None:
    """Turn a folder of images into an index that can be searched and checked.

    Results go to stdout; logs, progress and warnings go to stderr. Exit codes: 0 done, 1 failed, 2 wrong usage,
    130 stopped by Ctrl-C, 143 by SIGTERM, 129 by SIGHUP.
    """
    # A console that cannot show every character, such as most on Windows, gets escapes in place of a traceback.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
