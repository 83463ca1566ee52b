"""Options of the commands that look for duplicates."""

import functools
from collections.abc import Callable
from typing import Any

import click

from embedlab_core.cli.options import CosineThreshold


def duplicate_options(default_grouping: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Adds the options and hands them to the command as one `duplicates: DuplicateOptions`."""

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        @click.option(
            "--dup-threshold",
            type=CosineThreshold(),
            default=0.92,
            show_default=True,
            help="Images whose cosine similarity is at least this are near-duplicates.",
        )
        @click.option(
            "--grouping",
            type=click.Choice(["components", "complete", "medoid"]),
            default=default_grouping,
            show_default=True,
            help="How pairs become groups: components may chain; in the other two every two images are a pair.",
        )
        @functools.wraps(function)
        def run(*args: Any, dup_threshold: Any, grouping: Any, **kwargs: Any) -> None:
            from embedlab_core.analysis.duplicates import DuplicateOptions

            function(*args, duplicates=DuplicateOptions(dup_threshold, grouping), **kwargs)

        return run

    return decorate
