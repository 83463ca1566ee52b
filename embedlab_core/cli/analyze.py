"""embedlab analyze"""

from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import click

from embedlab_core.cli.command import Command
from embedlab_core.cli.duplicate_options import duplicate_options
from embedlab_core.cli.options import explain_option, fusion_weight_option, index_option, json_option, reports_errors

if TYPE_CHECKING:
    from embedlab_core.analysis.anomalies import AnomalyMethod
    from embedlab_core.analysis.duplicates import DuplicateOptions


@click.command("analyze", cls=Command)
@index_option
@duplicate_options(default_grouping="components")
@click.option(
    "--anomaly-top",
    type=click.IntRange(min=0),
    default=8,
    show_default=True,
    help="Number of the most isolated images to list.",
)
@click.option(
    "--anomaly-method",
    type=click.Choice(["knn", "lof", "kde"]),
    default="knn",
    show_default=True,
    help="How oddness is measured: distance to the nearest neighbours, local outlier factor, or kernel density.",
)
@click.option(
    "--k",
    type=click.IntRange(min=1),
    help="Neighbours that decide how isolated one is.  [default: 5, or all others if there are fewer]",
)
@click.option(
    "--ann",
    is_flag=True,
    help="Compare images with those that the ANN index finds near them, not with all; from 10,000 images on.",
)
@click.option("--q-text", "labels", multiple=True, metavar="TEXT", help="A label to sort images by; repeatable.")
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    default=20,
    show_default=True,
    help="The most groups that the table lists; 0 for all. JSON has all.",
)
@fusion_weight_option
@json_option
@explain_option
@reports_errors
def command(
    index_dir: Path,
    duplicates: "DuplicateOptions",
    anomaly_top: int,
    anomaly_method: "AnomalyMethod",
    k: int | None,
    ann: bool,
    labels: tuple[str, ...],
    limit: int,
    fusion_weights: tuple[float, ...],
    as_json: bool,
    explain: bool,
) -> None:
    """Group near-duplicates and rank the most isolated images."""
    from embedlab_core.api import Index
    from embedlab_core.cli.duplicates_output import analysis_json, analysis_table
    from embedlab_core.cli.label_output import counts_table, label_facts
    from embedlab_core.cli.quality_output import flagged_entries, quality_table

    index = Index.open(index_dir)
    analysis = index.analyze(duplicates, anomaly_top, k, fusion_weights, anomaly_method, explain, ann, labels)
    labelling, quality = analysis.labelling, analysis.quality
    lines: Iterable[str]
    if as_json:
        facts = {"quality_flags": flagged_entries(quality)} if quality else {}
        facts |= label_facts(analysis, labelling, explain) if labelling else {}
        lines = analysis_json(index.manifest, analysis, explain, facts)
    else:
        lines = chain(
            analysis_table(index.manifest, analysis, explain, limit),
            counts_table(labelling) if labelling else (),
            quality_table(quality) if quality else (),
        )
    for line in lines:
        click.echo(line)
