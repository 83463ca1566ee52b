"""embedlab calibrate"""

from pathlib import Path

import click

from embedlab_core.cli.command import Command
from embedlab_core.cli.options import FilePath, FiniteRange, index_option, json_option, reports_errors
from embedlab_core.cli.progress import ProgressBar


@click.command("calibrate", cls=Command)
@index_option
@click.option(
    "--pairs",
    "pairs_file",
    type=FilePath(),
    metavar="FILE",
    help="Labelled pairs: CSV with the columns path_a, path_b and same (1 or 0).  [default: make them]",
)
@click.option(
    "--precision",
    type=FiniteRange(0.5, 1, max_open=True),
    default=0.99,
    show_default=True,
    help="Share of the pairs found that have to be duplicates.",
)
@click.option(
    "--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="Of the images that are drawn."
)
@json_option
@reports_errors
def command(index_dir: Path, pairs_file: Path | None, precision: float, seed: int, as_json: bool) -> None:
    """Find the duplicate threshold for your images, for --dup-threshold auto.

    Without labels, copies are made of some images, and the likest images of the index are laid over each other to see
    which are copies already: about a minute. The index gets calibration.json, and curves as CSV and PNG.
    """
    from embedlab_core.api import Index
    from embedlab_core.cli.duplicates_output import calibration_json, calibration_table

    with ProgressBar("calibrating") as bar:
        calibration = Index.open(index_dir).calibrate(pairs_file, precision, seed, bar)
    for line in calibration_json(calibration) if as_json else calibration_table(calibration):
        click.echo(line)
