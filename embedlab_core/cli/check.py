"""embedlab check"""

from pathlib import Path

import click

from embedlab_core.cli.command import Command
from embedlab_core.cli.duplicate_options import threshold_option
from embedlab_core.cli.options import index_option, json_option, reports_errors


@click.command("check", cls=Command)
@index_option
@threshold_option
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@json_option
@reports_errors
def command(index_dir: Path, dup_threshold: float, files: tuple[str, ...], as_json: bool) -> None:
    """Say whether image files are already in the index: the same bytes, or a near-duplicate of what.

    With --json, one object a line for each file.
    """
    from embedlab_core.api import Index
    from embedlab_core.cli.duplicates_output import checked_json, checked_table

    checked = Index.open(index_dir).check(files, dup_threshold)
    for line in checked_json(checked) if as_json else checked_table(checked):
        click.echo(line)
