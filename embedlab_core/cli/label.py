"""embedlab label"""

from pathlib import Path

import click

from embedlab_core.cli.command import Command
from embedlab_core.cli.options import FilePath, fusion_weight_option, index_option, json_option, reports_errors
from embedlab_core.cli.progress import ProgressBar


@click.command("label", cls=Command)
@index_option
@click.option("--labels", "labels_file", type=FilePath(), help="Labels, one a line, in UTF-8.")
@click.option("--csv", "csv_file", type=FilePath(), help="Also write path, label and scores here.")
@click.option(
    "--vocabulary",
    "vocabulary_file",
    type=FilePath(),
    help="Phrases that name clusters, one a line, in UTF-8.  [default: the one that ships with embedlab]",
)
@click.option(
    "--clusters",
    type=click.IntRange(min=1),
    help="Number of clusters.  [default: the square root of the number of images, at most 50]",
)
@fusion_weight_option
@json_option
@reports_errors
def command(
    index_dir: Path,
    labels_file: Path | None,
    csv_file: Path | None,
    vocabulary_file: Path | None,
    clusters: int | None,
    fusion_weights: tuple[float, ...],
    as_json: bool,
) -> None:
    """Label every image with one of --labels; without them, name what is here.

    Names come from clusters of alike images and a vocabulary.
    """
    from embedlab_core.analysis.labels import phrases_of
    from embedlab_core.api import Index
    from embedlab_core.cli.label_output import clusters_json, clusters_table, labels_json, labels_table, write_csv

    if labels_file is None:
        if csv_file is not None:
            raise click.UsageError("--csv needs --labels: clusters are printed, as a table or with --json")
        phrases = phrases_of(vocabulary_file) if vocabulary_file else ()
        with ProgressBar("encoding phrases") as bar:
            proposed = Index.open(index_dir).clusters(phrases, clusters, fusion_weights, bar)
        lines = clusters_json(proposed) if as_json else clusters_table(proposed)
    else:
        if vocabulary_file is not None or clusters is not None:
            raise click.UsageError("--vocabulary and --clusters propose labels; leave them out with --labels")
        with ProgressBar("encoding labels") as bar:
            labelling = Index.open(index_dir).label(phrases_of(labels_file), fusion_weights, bar)
        if csv_file is not None:
            write_csv(csv_file, labelling)
        lines = labels_json(labelling) if as_json else labels_table(labelling)
    for line in lines:
        click.echo(line)
