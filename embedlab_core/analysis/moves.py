"""Carrying out a plan, and undoing it. No content is ever lost: move_file says how."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

from embedlab_core.analysis.move_file import Found, bring_back, look, move_file, sync_folder
from embedlab_core.analysis.plan import Plan, PlannedFile, load_plan, save_plan
from embedlab_core.errors import DuplicatesError, PlanAppliedError, StaysError


@dataclass(frozen=True, slots=True)
class Stayed:
    """A file that undo left as it is. path: what is in the way or missing. reason: why, said of it."""

    path: Path
    reason: str


@dataclass(frozen=True, slots=True)
class Undone:
    """plan: as it is now. back: how many of its files are in their old places. stayed: one for each that is not."""

    plan: Plan
    back: int
    stayed: tuple[Stayed, ...]


def apply_plan(plan_file: Path, move_to: Path) -> Plan:
    """Move every planned file to its destination under `move_to`.

    Everything is checked before the first move: all files of the plan, keepers too, must have the bytes that they had
    when they were embedded, no two may be one file, and no destination may exist. The plan records the start, so that a
    run that stops half-way can be undone. Raises DuplicatesError if nothing was moved, PlanAppliedError if there is
    something to undo first.
    """
    plan = _load(plan_file)
    if plan.state != "planned":
        raise PlanAppliedError(
            plan_file, f"{plan_file}: this plan was already applied to {plan.move_to}; undo it first"
        )
    target = Path(os.path.realpath(move_to))
    if inside := _walked_folders(plan, target):
        raise DuplicatesError(
            f"{move_to}: lies inside {inside[0]}, where embed would find the copies again; choose another"
        )
    _refuse(plan_file, "changed or gone since they were embedded", _changed(plan, plan_file))
    _refuse(plan_file, "one file under two names", _shared(plan))
    destinations = [plan.destination(file, target) for file in plan.moves]
    _refuse(plan_file, f"already in {target}", [path for path in destinations if os.path.lexists(path)])
    plan = replace(plan, state="applying", move_to=str(target))
    _save(plan_file, plan)
    for file, destination in zip(plan.moves, destinations, strict=True):
        place = plan.place(file)
        try:
            move_file(place, destination, file.sha256, _temporary(file))
        except (StaysError, OSError) as error:
            raise PlanAppliedError(
                plan_file,
                f"{place}: cannot be moved to {destination} ({_why(error)}); what was moved can be moved back",
            ) from error
    plan = replace(plan, state="applied")
    _save(plan_file, plan)
    return plan


def undo_plan(plan_file: Path) -> Undone:
    """Move back all that can be, also after a run that stopped half-way.

    What stands in the way stays, and so does the file that it keeps from coming back; the plan then stays applied, and
    can be undone again. If all are back it can be applied again. Raises DuplicatesError if it was not applied.
    """
    plan = _load(plan_file)
    if plan.state == "planned" or plan.move_to is None:
        raise DuplicatesError(f"{plan_file}: this plan was not applied; there is nothing to undo")
    stayed = []
    for file in plan.moves:
        home, away = plan.place(file), plan.destination(file, Path(plan.move_to))
        try:
            if not (folder := Path(plan.folders[file.folder])).is_dir():
                # An unmounted disk, perhaps: what is put in its place would be hidden once it is back.
                raise StaysError(away, f"has no way back, as {folder} is not there")
            bring_back(home, away, file.sha256, _temporary(file))
        except StaysError as error:
            stayed.append(Stayed(error.path, error.reason))
        except OSError as error:
            stayed.append(Stayed(away, f"cannot be moved back to {home} ({_why(error)})"))
    if not stayed:
        plan = replace(plan, state="planned", move_to=None)
        _save(plan_file, plan)
    return Undone(plan, len(plan.moves) - len(stayed), tuple(stayed))


def _load(plan_file: Path) -> Plan:
    """A plan whose paths stay in its folders here too: on Windows a drive or a backslash may lead out of them."""
    plan = load_plan(plan_file)
    for file in _files(plan):
        path = PurePath(file.path)
        if path.anchor or ".." in path.parts:
            raise DuplicatesError(f"{plan_file}: {file.path!r} leads out of the images folder; write a new plan")
    return plan


def _save(plan_file: Path, plan: Plan) -> None:
    """A plan that says less than was done cannot be undone, so it is on disk before anything is done."""
    save_plan(plan_file, plan)
    sync_folder(plan_file.parent)


def _temporary(file: PlannedFile) -> str:
    """What a copy of this file is called until its move is done: short, its own name may be of full length."""
    key = os.fsencode(f"{file.folder}/{file.path}/{file.sha256}")
    return f".embedlab-moving-{hashlib.sha256(key).hexdigest()[:16]}"


def _files(plan: Plan) -> list[PlannedFile]:
    return [file for group in plan.groups for file in (group.keep, *group.move)]


def _walked_folders(plan: Plan, move_to: Path) -> list[Path]:
    """Those of the folders that embed walks through to the planned files in which some of them would end up.

    Folders are told by device and inode: any of them may be a link, or be mounted at a second place.
    """
    walked = {
        Path(plan.folders[root], folder)
        for root, folder in {(file.folder, folder) for file in _files(plan) for folder in PurePath(file.path).parents}
    }
    by_identity = {identity: folder for folder in sorted(walked) if (identity := _identity(folder))}
    parents = {Path(os.path.realpath(plan.destination(file, move_to).parent)) for file in plan.moves}
    ends = {folder for parent in parents for folder in (parent, *parent.parents)}
    return sorted({by_identity[identity] for end in ends if (identity := _identity(end)) in by_identity})


def _identity(folder: Path) -> tuple[int, int] | None:
    try:
        status = folder.stat()
    except OSError:
        return None  # Nothing can be moved into it either.
    return status.st_dev, status.st_ino


def _changed(plan: Plan, plan_file: Path) -> list[Path]:
    changed = []
    for file in _files(plan):
        place = plan.place(file)
        try:
            if look(place, file.sha256) not in (Found.FILE, Found.LINK):
                changed.append(place)
        except OSError as error:
            raise DuplicatesError(f"{plan_file}: nothing was moved; {place} cannot be read ({_why(error)})") from error
    return changed


def _shared(plan: Plan) -> list[Path]:
    """Planned files that a link makes one with another: moving one would move the other, or save no room."""
    seen: set[tuple[int, int] | None] = set()
    shared = []
    for file in _files(plan):
        identity = _identity(plan.place(file))
        if identity in seen:
            shared.append(plan.place(file))
        seen.add(identity)
    return shared


def _refuse(plan_file: Path, reason: str, paths: Sequence[Path]) -> None:
    if paths:
        more = f" and {len(paths) - 5} more" if len(paths) > 5 else ""
        named = ", ".join(map(str, paths[:5]))
        raise DuplicatesError(f"{plan_file}: nothing was moved; {reason}: {named}{more}")


def _why(error: StaysError | OSError) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)
