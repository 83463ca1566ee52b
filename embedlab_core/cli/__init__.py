"""The command line: parse options, call the library, print. No logic lives here."""

from typing import Any


def __getattr__(name: str) -> Any:
    """`main`, the program's group of commands, is imported when it is asked for: `cli.start` comes before Click."""
    if name == "main":
        from embedlab_core.cli.program import main

        return main
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
