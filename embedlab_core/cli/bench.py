"""embedlab bench"""

from pathlib import Path

import click

from embedlab_core.cli.command import Command
from embedlab_core.cli.options import index_option, json_option, reports_errors


@click.group("bench")
def command() -> None:
    """Measure an index on this machine."""


@command.command("ann", cls=Command)
@index_option
@click.option(
    "--queries", type=click.IntRange(min=1), default=200, show_default=True, help="Images of the index that ask."
)
@click.option("--k", type=click.IntRange(min=1), default=10, show_default=True, help="Results that are compared.")
@click.option(
    "--rerank", type=click.IntRange(min=1), default=400, show_default=True, help="Candidates that are ranked exactly."
)
@json_option
@reports_errors
def bench_ann(index_dir: Path, queries: int, k: int, rerank: int, as_json: bool) -> None:
    """Compare exact and approximate search: latency of single queries, and recall@k."""
    from embedlab_core.api import Index
    from embedlab_core.cli.output import ann_bench_json, ann_bench_table

    render = ann_bench_json if as_json else ann_bench_table
    for line in render(Index.open(index_dir).bench_ann(queries, k, rerank)):
        click.echo(line)
