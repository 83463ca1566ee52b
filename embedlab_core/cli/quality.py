"""embedlab quality"""

from pathlib import Path

import click

from embedlab_core.cli.command import Command
from embedlab_core.cli.options import index_option, json_option, reports_errors


@click.command("quality", cls=Command)
@index_option
@json_option
@reports_errors
def command(index_dir: Path, as_json: bool) -> None:
    """List images that are corrupted, blank, low in entropy, dark, overexposed, blurred, tiny, extremely long, or
    truncated: a part of the file is missing, and with it a part of the picture."""
    from embedlab_core.api import Index
    from embedlab_core.cli.quality_output import quality_json, quality_table

    render = quality_json if as_json else quality_table
    for line in render(Index.open(index_dir).quality()):
        click.echo(line)
