"""Carrying out a plan, and undoing it. No content is ever lost: a file is removed only where its bytes also lie."""

import os
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from embedlab_core.analysis.plan import Plan, PlannedFile, load_plan, save_plan
from embedlab_core.errors import DuplicatesError
from embedlab_core.index.files import file_sha256

_CHUNK = 1 << 20


def apply_plan(plan_file: Path, move_to: Path) -> Plan:
    """Move every planned file to the same relative path under `move_to`.

    Everything is checked before the first move: all files of the plan, keepers too, must have the bytes that they had
    when they were embedded, and no target may exist. The plan records the start, so that a run that stops half-way can
    be undone. Raises DuplicatesError.
    """
    plan = load_plan(plan_file)
    if plan.state != "planned":
        raise DuplicatesError(
            f"{plan_file}: this plan was already applied to {plan.move_to}; "
            f"undo it with: embedlab dedupe --undo {plan_file}"
        )
    root, target = Path(plan.images_dir), move_to.resolve()
    folders, ends = _real_folders(root, plan), {(target / file.path).parent for file in plan.moves}
    if any(end.is_relative_to(folder) for end in ends for folder in folders):
        raise DuplicatesError(f"{move_to}: lies inside {root}, where embed would find the copies again; choose another")
    _refuse(plan_file, "changed or gone since they were embedded", _changed(root, plan))
    _refuse(plan_file, "one file under two names", _shared(root, plan))
    _refuse(plan_file, f"already in {target}", [file.path for file in plan.moves if _there(target / file.path)])
    plan = replace(plan, state="applying", move_to=str(target))
    save_plan(plan_file, plan)
    for file in plan.moves:
        _move(root / file.path, target / file.path, plan_file)
    plan = replace(plan, state="applied")
    save_plan(plan_file, plan)
    return plan


def undo_plan(plan_file: Path) -> Plan:
    """Move everything back, also after a run that stopped half-way; the plan can then be applied again.

    Checked before the first move: each file must have its bytes at its old place or at its new one, and nothing else
    may stand in its old place. Raises DuplicatesError.
    """
    plan = load_plan(plan_file)
    if plan.state == "planned" or plan.move_to is None:
        raise DuplicatesError(f"{plan_file}: this plan was not applied; there is nothing to undo")
    root, target = Path(plan.images_dir), Path(plan.move_to)
    home = [file for file in plan.moves if _has_bytes(root / file.path, file)]
    away = [file for file in plan.moves if file not in home]
    _refuse(plan_file, f"changed or gone in {target}", [f.path for f in away if not _has_bytes(target / f.path, f)])
    unfinished = [file for file in away if _begins(root / file.path, target / file.path)]
    foreign = [file.path for file in away if file not in unfinished and _there(root / file.path)]
    _refuse(plan_file, f"something else stands in {root}", foreign)
    # A run that stopped between the two steps of a move left the file in both places, or a part of it in the new one.
    for file in home:
        if _begins(target / file.path, root / file.path):
            (target / file.path).unlink()
    for file in unfinished:
        (root / file.path).unlink()
    for file in away:
        _move(target / file.path, root / file.path, plan_file)
    plan = replace(plan, state="planned", move_to=None)
    save_plan(plan_file, plan)
    return plan


def _move(source: Path, target: Path, plan_file: Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # Both ways of making the target fail if it exists, unlike a rename.
        if source.is_symlink():
            _relink(source, target)
        else:
            _link_or_copy(source, target)
        source.unlink()
    except OSError as error:
        raise DuplicatesError(
            f"{source}: cannot be moved to {target} ({error.strerror or error}); what was moved before it can be moved "
            f"back with: embedlab dedupe --undo {plan_file}"
        ) from error


def _relink(source: Path, target: Path) -> None:
    """A relative link would lead elsewhere from another folder."""
    leads_to = source.readlink()
    if not leads_to.is_absolute():
        leads_to = Path(os.path.relpath(source.resolve(), target.parent.resolve()))
    target.symlink_to(leads_to)


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except FileExistsError:
        raise
    except OSError:
        _copy(source, target)


def _copy(source: Path, target: Path) -> None:
    """To another file system, or on one without links."""
    with source.open("rb") as reader, target.open("xb") as writer:
        shutil.copyfileobj(reader, writer, _CHUNK)
        writer.flush()
        os.fsync(writer.fileno())
    shutil.copystat(source, target)


def _real_folders(root: Path, plan: Plan) -> set[Path]:
    """The folders that embed walked through to the files of a plan, without links: `root` or one in it may be one."""
    files = [file for group in plan.groups for file in (group.keep, *group.move)]
    return {root.resolve(), *((root / folder).resolve() for file in files for folder in Path(file.path).parents)}


def _changed(root: Path, plan: Plan) -> list[str]:
    files = [file for group in plan.groups for file in (group.keep, *group.move)]
    return [file.path for file in files if not _has_bytes(root / file.path, file)]


def _shared(root: Path, plan: Plan) -> list[str]:
    """Paths of which a link leads to a file that another path names too: moving one would move the other."""
    seen: set[Path] = set()
    shared = []
    for group in plan.groups:
        for file in (group.keep, *group.move):
            real = (root / file.path).resolve()
            if real in seen:
                shared.append(file.path)
            seen.add(real)
    return shared


def _has_bytes(path: Path, file: PlannedFile) -> bool:
    try:
        return file_sha256(path) == file.sha256
    except OSError:
        return False


def _there(path: Path) -> bool:
    return os.path.lexists(path)


def _begins(part: Path, whole: Path) -> bool:
    """Whether `part` is there and `whole` begins with its bytes."""
    if not part.is_file():
        return False
    with part.open("rb") as left, whole.open("rb") as right:
        while chunk := left.read(_CHUNK):
            if right.read(len(chunk)) != chunk:
                return False
    return True


def _refuse(plan_file: Path, reason: str, paths: Sequence[str]) -> None:
    if paths:
        more = f" and {len(paths) - 5} more" if len(paths) > 5 else ""
        raise DuplicatesError(f"{plan_file}: nothing was moved; {reason}: {', '.join(paths[:5])}{more}")
