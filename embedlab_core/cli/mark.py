"""embedlab mark"""

from pathlib import Path

import click

from embedlab_core.cli.command import Command
from embedlab_core.cli.options import index_option, reports_errors


@click.command("mark", cls=Command)
@index_option
@click.option(
    "--not-duplicate",
    "pair",
    nargs=2,
    required=True,
    metavar="A B",
    help="Two images, by their paths as analyze prints them, that are no duplicates.",
)
@reports_errors
def command(index_dir: Path, pair: tuple[str, str]) -> None:
    """Tell analyze and dedupe what it got wrong: two images that never belong to one group."""
    from embedlab_core.api import Index

    Index.open(index_dir).mark_not_duplicate(*pair)
