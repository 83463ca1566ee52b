"""embedlab dedupe"""

from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from embedlab_core.cli.command import Command
from embedlab_core.cli.duplicate_options import duplicate_options
from embedlab_core.cli.options import FilePath, FolderPath, printable, reports_errors

if TYPE_CHECKING:
    from embedlab_core.analysis.duplicates import DuplicateOptions
    from embedlab_core.analysis.keeper import Keep


_PREFERENCES = ("protect", "prefer", "keep")


@click.command("dedupe", cls=Command)
@click.option("--index", "index_dir", type=FilePath(), help="Folder of an index; to write a plan.")
@click.option("--plan", "plan_file", type=FilePath(), metavar="FILE", help="The plan to write or apply.")
@duplicate_options(default_grouping="complete")
@click.option(
    "--protect",
    multiple=True,
    type=FolderPath(),
    metavar="DIR",
    help="A folder of which nothing is to move; repeatable.",
)
@click.option(
    "--prefer",
    multiple=True,
    type=FolderPath(),
    metavar="DIR",
    help="A folder whose images are kept rather than others; repeatable, the first counts most.",
)
@click.option(
    "--keep",
    type=click.Choice(["largest", "oldest", "newest"]),
    help="Which image of a group to keep.  [default: the original: with a capture date, not compressed again or "
    "enlarged, then the largest, the oldest]",
)
@click.option("--apply", "apply", is_flag=True, help="Move the files that the plan names.")
@click.option("--move-to", type=FilePath(), metavar="DIR", help="Where --apply moves them.")
@click.option("--undo", type=FilePath(), metavar="FILE", help="Move back what this plan moved.")
@reports_errors
def command(
    index_dir: Path | None,
    plan_file: Path | None,
    duplicates: "DuplicateOptions",
    protect: tuple[Path, ...],
    prefer: tuple[Path, ...],
    keep: "Keep | None",
    apply: bool,
    move_to: Path | None,
    undo: Path | None,
) -> None:
    """Plan which copies to move away, move them, or move them back. Nothing is ever deleted.

    First write a plan (--index and --plan), read it, then --apply it; --undo takes it back.
    """
    if apply or undo:
        _refuse_planning_options()
    if apply != (move_to is not None):
        raise click.UsageError("--apply and --move-to go together")
    if undo:
        if plan_file or apply:
            raise click.UsageError("--undo stands alone")
        _undo(undo)
    elif not plan_file:
        raise click.UsageError("give --plan FILE, or --undo FILE")
    elif move_to:
        _apply(plan_file, move_to)
    elif index_dir:
        from embedlab_core.api import Index
        from embedlab_core.cli.duplicates_output import plan_lines
        from embedlab_core.cli.progress import ProgressBar

        with ProgressBar("comparing groups") as bar:
            plan = Index.open(index_dir).plan_dedupe(plan_file, duplicates, protect, prefer, keep, bar)
        for line in plan_lines(plan_file, plan):
            click.echo(line)
    else:
        raise click.UsageError("give --index to write a plan, or --apply to carry it out")


def _apply(plan_file: Path, move_to: Path) -> None:
    from embedlab_core.analysis.moves import apply_plan
    from embedlab_core.errors import DuplicatesError, PlanAppliedError

    try:
        plan = apply_plan(plan_file, move_to)
    except PlanAppliedError as error:
        raise DuplicatesError(f"{error}: embedlab dedupe --undo {error.plan_file}") from error
    click.echo(f"{len(plan.moves)} images moved to {plan.move_to}; undo with: embedlab dedupe --undo {plan_file}")


def _undo(plan_file: Path) -> None:
    from embedlab_core.analysis.moves import undo_plan
    from embedlab_core.errors import DuplicatesError

    undone = undo_plan(plan_file)
    for stayed in undone.stayed:
        click.echo(printable(f"{stayed.path}: {stayed.reason}"), err=True)
    if undone.stayed:
        raise DuplicatesError(
            f"{plan_file}: {undone.back} images are back, {len(undone.stayed)} "
            f"{'is not and is' if len(undone.stayed) == 1 else 'are not and are'} named above; "
            "clear the way and run the same command again"
        )
    click.echo(f"{undone.back} images are back in {', '.join(undone.plan.folders)}")


def _refuse_planning_options() -> None:
    """A plan is carried out as it was written: what made it would change nothing now."""
    context = click.get_current_context()
    for parameter in context.command.params:
        planning = parameter.name in ("index_dir", "dup_threshold", "grouping", "fuse", "rotations", *_PREFERENCES)
        if planning and context.get_parameter_source(str(parameter.name)) is ParameterSource.COMMANDLINE:
            raise click.UsageError(f"{parameter.opts[0]} is for writing a plan; leave it out with --apply and --undo")
