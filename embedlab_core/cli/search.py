"""embedlab search"""

import os
from pathlib import Path

import click

from embedlab_core.cli.command import Command
from embedlab_core.cli.options import (
    CosineThreshold,
    FilePath,
    FiniteRange,
    explain_option,
    fusion_weight_option,
    index_option,
    json_option,
    reports_errors,
)


@click.command("search", cls=Command)
@index_option
@click.option("--query-dir", type=FilePath(), help="Folder of query images, taken in the order of their names.")
@click.option("--query", "query_files", multiple=True, metavar="FILE", help="A query image; repeatable.")
@click.option("--q-text", "prompts", multiple=True, metavar="TEXT", help="A text prompt; repeatable.")
@click.option("--q-text-file", type=FilePath(), metavar="FILE", help="Text prompts, one a line, in UTF-8.")
@click.option(
    "--combine",
    is_flag=True,
    help="Make one query of all images and prompts. Each may begin with a weight, as in '2:a golden retriever'; before "
    "a digit leave a space, as in '2: 10 apples', since 10:30 is a time.",
)
@click.option(
    "--minus-text", "minus_prompts", multiple=True, metavar="TEXT", help="A prompt to take away; with --combine."
)
@click.option(
    "--minus-image", "minus_files", multiple=True, metavar="FILE", help="An image to take away; with --combine."
)
@click.option(
    "--templates/--no-templates",
    default=False,
    show_default=True,
    help="Average each prompt over several ways to say it, such as 'a photo of …' and 'a screenshot of …'.",
)
@click.option("--k", type=click.IntRange(min=1), default=5, show_default=True, help="Results for each query.")
@click.option("--min-score", type=CosineThreshold(), help="Leave out results with a lower cosine similarity.")
@click.option(
    "--min-band",
    metavar="BAND",
    help="Leave out results below this band of the model: related or near-duplicate for images, related or match for "
    "prompts. A prompt of which the model knows no word has no bands, and then no results.",
)
@click.option(
    "--path-glob", metavar="PATTERN", help="Only images whose path matches, as in '*/2024/*.jpg'; * matches / too."
)
@click.option("--exclude-query", is_flag=True, help="Leave out the query images themselves, by content.")
@click.option(
    "--diversity",
    type=FiniteRange(0, 1),
    default=0.0,
    show_default=True,
    help="Trade relevance for results unlike each other (maximal marginal relevance).",
)
@click.option("--collapse-duplicates", is_flag=True, help="Leave out near-duplicates of a better result.")
@click.option(
    "--ann", is_flag=True, help="Approximate candidates, ranked exactly; for indexes of 10,000 images and more."
)
@click.option(
    "--rerank",
    type=click.IntRange(min=1),
    default=400,
    show_default=True,
    help="Candidates that --ann ranks exactly; at least --k.",
)
@fusion_weight_option
@json_option
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV instead of a table.")
@click.option("-0", "--print0", "as_paths", is_flag=True, help="Print only paths, each ended by NUL, for xargs -0.")
@click.option("--preview", is_flag=True, help="Show thumbnails, in terminals that can (kitty, iTerm2, sixel).")
@explain_option
@reports_errors
def command(
    index_dir: Path,
    query_dir: Path | None,
    query_files: tuple[str, ...],
    prompts: tuple[str, ...],
    q_text_file: Path | None,
    combine: bool,
    minus_prompts: tuple[str, ...],
    minus_files: tuple[str, ...],
    templates: bool,
    k: int,
    min_score: float | None,
    min_band: str | None,
    path_glob: str | None,
    exclude_query: bool,
    diversity: float,
    collapse_duplicates: bool,
    ann: bool,
    rerank: int,
    fusion_weights: tuple[float, ...],
    as_json: bool,
    as_csv: bool,
    as_paths: bool,
    preview: bool,
    explain: bool,
) -> None:
    """Find the images nearest to query images or text prompts.

    Queries are answered in this order: --query-dir, --query, --q-text, --q-text-file. With --json, one object a line
    for each query.
    """
    from embedlab_core.api import Index
    from embedlab_core.cli.output import search_csv, search_json, search_paths, search_table
    from embedlab_core.cli.preview import thumbnails
    from embedlab_core.cli.weights import weighted_image, weighted_prompt
    from embedlab_core.search.queries import prompts_of
    from embedlab_core.search.search import QuerySet, SearchOptions

    folder = None if query_dir is None else str(query_dir)
    queries = QuerySet(folder, query_files, prompts, q_text_file, minus_files, minus_prompts)
    if combine:
        queries = QuerySet(
            folder,
            [weighted_image(text) for text in query_files],
            [weighted_prompt(text) for text in (*prompts, *(prompts_of(q_text_file) if q_text_file else ()))],
            None,
            [weighted_image(text) for text in minus_files],
            [weighted_prompt(text) for text in minus_prompts],
        )
    if queries == QuerySet():
        raise click.UsageError("nothing to search for: give --query-dir, --query, --q-text or --q-text-file")
    if as_json + as_csv + as_paths > 1:
        raise click.UsageError("--json, --csv and -0 exclude each other")
    if explain and (as_csv or as_paths):
        raise click.UsageError("--explain adds to the table and to --json; leave it out with --csv and -0")
    if preview and (as_json or as_csv or as_paths):
        raise click.UsageError("--preview goes with the table; leave it out with --json, --csv and -0")
    if (minus_prompts or minus_files) and not combine:
        raise click.UsageError("--minus-text and --minus-image need --combine")
    if ann and rerank < k:
        raise click.UsageError("--rerank must be at least --k")
    options = SearchOptions(
        k=k,
        explain=explain,
        fusion_weights=fusion_weights,
        combine=combine,
        templates=templates,
        diversity=diversity,
        collapse_duplicates=collapse_duplicates,
        min_score=min_score,
        min_band=min_band,
        path_glob=path_glob,
        exclude_query=exclude_query,
        ann=ann,
        rerank=rerank,
    )
    results = Index.open(index_dir).search_each(queries, options)
    if as_paths:
        click.echo(os.fsencode("".join(search_paths(results))), nl=False)
    elif as_csv:
        for line in search_csv(results):
            click.echo(os.fsencode(line))
    elif as_json:
        for line in search_json(results, explain):
            click.echo(line)
    else:
        for line in search_table(results, thumbnails() if preview else None):
            click.echo(line)
