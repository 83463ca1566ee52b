"""Options of the commands that look for duplicates."""

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from embedlab_core.cli.options import CosineThreshold

if TYPE_CHECKING:
    from embedlab_core.analysis.hashes import HashUse


class _Threshold(CosineThreshold):
    """A cosine, "auto" or "adaptive"."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return value if value in ("auto", "adaptive") else super().convert(value, param, ctx)


threshold_option = click.option(
    "--dup-threshold",
    type=_Threshold(),
    metavar="NUMBER|auto|adaptive",
    default=0.92,
    show_default=True,
    help="Images whose cosine is at least this are near-duplicates. auto: as `embedlab calibrate` "
    "found. adaptive: by how alike the neighbours of each image are.",
)


def duplicate_options(default_grouping: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Adds the options and hands them to the command as one `duplicates: DuplicateOptions`."""

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        @threshold_option
        @click.option(
            "--grouping",
            type=click.Choice(["components", "complete", "medoid"]),
            default=default_grouping,
            show_default=True,
            help="How pairs become groups: components may chain; in the other two every two images are a pair.",
        )
        @click.option(
            "--fuse",
            type=click.Choice(["hash"]),
            help="Also take near perceptual hashes for duplicates, if the cosine agrees roughly.",
        )
        @click.option(
            "--rotations", is_flag=True, help="With --fuse hash: also hashes of mirrored and quarter-turned pictures."
        )
        @functools.wraps(function)
        def run(*args: Any, dup_threshold: Any, grouping: Any, fuse: Any, rotations: bool, **kwargs: Any) -> None:
            from embedlab_core.analysis.duplicates import DuplicateOptions

            if rotations and not fuse:
                raise click.UsageError("--rotations compares perceptual hashes: give --fuse hash too")
            hashes: HashUse = "turned" if rotations else "upright" if fuse else "none"
            function(*args, duplicates=DuplicateOptions(dup_threshold, grouping, hashes), **kwargs)

        return run

    return decorate
