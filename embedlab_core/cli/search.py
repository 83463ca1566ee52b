"""embedlab search"""

from pathlib import Path

import click

from embedlab_core.cli.options import explain_option, fusion_weight_option, index_option, json_option, reports_errors


@click.command("search")
@index_option
@click.option("--query-dir", help="Folder of query images, taken in the order of their names.")
@click.option("--query", "query_files", multiple=True, metavar="FILE", help="A query image; repeatable.")
@click.option("--q-text", "prompts", multiple=True, metavar="TEXT", help="A text prompt; repeatable.")
@click.option(
    "--q-text-file", type=click.Path(path_type=Path), metavar="FILE", help="Text prompts, one a line, in UTF-8."
)
@click.option("--k", type=click.IntRange(min=1), default=5, show_default=True, help="Results for each query.")
@fusion_weight_option
@json_option
@explain_option
@reports_errors
def command(
    index_dir: Path,
    query_dir: str | None,
    query_files: tuple[str, ...],
    prompts: tuple[str, ...],
    q_text_file: Path | None,
    k: int,
    fusion_weights: tuple[float, ...],
    as_json: bool,
    explain: bool,
) -> None:
    """Find the images nearest to query images or text prompts.

    Queries are answered in this order: --query-dir, --query, --q-text, --q-text-file. With --json, one object a line
    for each query.
    """
    from embedlab_core.api import Index
    from embedlab_core.cli.output import search_json, search_table
    from embedlab_core.search.search import QuerySet

    queries = QuerySet(query_dir, query_files, prompts, q_text_file)
    if queries == QuerySet():
        raise click.UsageError("nothing to search for: give --query-dir, --query, --q-text or --q-text-file")
    render = search_json if as_json else search_table
    for line in render(Index.open(index_dir).search_each(queries, k, explain, fusion_weights)):
        click.echo(line)
