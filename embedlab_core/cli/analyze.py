"""embedlab analyze"""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from embedlab_core.cli.duplicate_options import duplicate_options
from embedlab_core.cli.options import explain_option, fusion_weight_option, index_option, json_option, reports_errors

if TYPE_CHECKING:
    from embedlab_core.analysis.duplicates import DuplicateOptions


@click.command("analyze")
@index_option
@duplicate_options(default_grouping="components")
@click.option(
    "--anomaly-top", type=click.IntRange(min=0), default=8, show_default=True, help="Number of anomalies to list."
)
@click.option(
    "--k", type=click.IntRange(min=1), default=5, show_default=True, help="Neighbours that decide how isolated one is."
)
@fusion_weight_option
@json_option
@explain_option
@reports_errors
def command(
    index_dir: Path,
    duplicates: "DuplicateOptions",
    anomaly_top: int,
    k: int,
    fusion_weights: tuple[float, ...],
    as_json: bool,
    explain: bool,
) -> None:
    """Group near-duplicates and rank the most isolated images."""
    from embedlab_core.api import Index
    from embedlab_core.cli.duplicates_output import analysis_json, analysis_table

    index = Index.open(index_dir)
    analysis = index.analyze(duplicates, anomaly_top, k, fusion_weights, explain)
    render = analysis_json if as_json else analysis_table
    for line in render(index.manifest, analysis, explain):
        click.echo(line)
