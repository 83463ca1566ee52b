"""Which copies can go: from duplicate groups to a plan."""

import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from PIL import Image

from embedlab_core.analysis.duplicates import DuplicateGroup
from embedlab_core.analysis.group_files import decoded_within, side_by_side
from embedlab_core.analysis.keeper import Candidate, Keeper, Policy, candidates_of, choose, looks_of, within
from embedlab_core.analysis.overlay import FINE, difference
from embedlab_core.analysis.plan import LookAt, Plan, PlannedFile, PlannedGroup
from embedlab_core.errors import ImageDecodeError
from embedlab_core.images.decode import decode_errors, decode_picture
from embedlab_core.images.memory import MemoryBudget
from embedlab_core.index.files import file_sha256
from embedlab_core.index.reader import IndexReader
from embedlab_core.index.rows import Key
from embedlab_core.progress import Progress, untold

log = logging.getLogger(__name__)

# Names that a warning gives.
_NAMED = 3

_Identity = tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Member:
    """A file of a group that is there, and as it was embedded. identity: its device and inode, links followed."""

    candidate: Candidate
    planned: PlannedFile
    identity: _Identity


@dataclass(frozen=True, slots=True)
class _Sorted:
    """What became of one group."""

    groups: tuple[PlannedGroup, ...] = ()
    look_at: tuple[LookAt, ...] = ()
    gone: tuple[str, ...] = ()
    linked: tuple[str, ...] = ()


def make_plan(
    index: IndexReader, groups: Sequence[DuplicateGroup], policy: Policy, progress: Progress = untold
) -> Plan:
    """Keep one image of each group and move those that are copies of it: with its bytes, its pixels, or whose picture
    can be laid over its own and differs in nothing. Of all others one of each content stays, as a pair to look at.

    The files of the groups are read. Those that are gone or have changed, and links to a file that the group names
    already, are named in a warning and left out.
    """
    found = []
    with side_by_side(partial(_sorted, index, index.keys, policy=policy, budget=MemoryBudget()), groups) as results:
        for one in results:
            found.append(one)
            progress(len(found), len(groups))
    _warn(index, "gone or changed since it was embedded", "left out of the plan", [one.gone for one in found])
    _warn(index, "another name of a file that is there already (a link)", "left out of the plan", [
        one.linked for one in found
    ])  # fmt: skip
    return Plan(
        folders=tuple(str(folder) for folder in index.folders),
        groups=tuple(group for one in found for group in one.groups),
        look_at=tuple(pair for one in found for pair in one.look_at),
    )


def _warn(index: IndexReader, what: str, outcome: str, parts: Sequence[Sequence[str]]) -> None:
    names = [name for part in parts for name in part]
    if names:
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        files = "1 file is" if len(names) == 1 else f"{len(names)} files, each"
        log.warning("%s: %s %s; %s: %s%s", index.directory, files, what, outcome, ", ".join(names[:_NAMED]), more)


def _sorted(
    index: IndexReader, keys: Sequence[Key], group: DuplicateGroup, policy: Policy, budget: MemoryBudget
) -> _Sorted:
    members, gone, linked = [], [], []
    seen: set[_Identity] = set()
    shared: set[_Identity] = set()
    for member, name in _members(index, keys, group):
        if member is None:
            gone.append(name)
        elif member.identity in seen:
            linked.append(name)
            shared.add(member.identity)
        else:
            seen.add(member.identity)
            members.append(member)
    names = (tuple(gone), tuple(linked))
    if len(members) < 2:
        return _Sorted((), (), *names)
    looks = partial(looks_of, budget=budget)
    keeper = choose([member.candidate for member in members], policy, looks)
    keep = members.pop(keeper.place)
    by_content: dict[bytes, list[_Member]] = {}
    for member in members:
        by_content.setdefault(member.candidate.digest, []).append(member)

    def going(those: Sequence[_Member]) -> tuple[PlannedFile, ...]:
        # Moving what a link leads to would break the link.
        free = [one for one in those if not within(one.candidate.place, policy.protect) and one.identity not in shared]
        return tuple(one.planned for one in free)

    move: list[PlannedFile] = []
    groups, look_at = [], []
    kept: Image.Image | None = None
    for digest, those in by_content.items():
        if not going(those):
            continue
        reason = None
        if digest != keep.candidate.digest:
            try:
                kept = kept or _picture(keep, budget)
                reason = difference(kept, _picture(those[0], budget))
            except (OSError, ImageDecodeError) as error:
                reason = f"they cannot be compared ({error})"
        if reason is None:
            move += going(those)
            continue
        # What is no copy of the keeper stays, but one of each content is enough.
        best = choose([one.candidate for one in those], policy, looks) if len(those) > 1 else Keeper(0, "path")
        first = those.pop(best.place)
        look_at.append(LookAt(keep.planned, first.planned, reason))
        if others := going(those):
            groups.append(PlannedGroup(first.planned, best.reason, others))
    if move:
        groups.insert(0, PlannedGroup(keep.planned, keeper.reason, tuple(move)))
    return _Sorted(tuple(groups), tuple(look_at), *names)


def _members(index: IndexReader, keys: Sequence[Key], group: DuplicateGroup) -> Iterator[tuple[_Member | None, str]]:
    """Of each image of a group, with the name that results give it: None if its file is not what was embedded. Regular
    files come before links, which lead to one of them."""
    found = list(zip(group.rows.tolist(), candidates_of(index, group.rows), strict=True))
    for row, candidate in sorted(found, key=lambda one: (_is_link(one[1].place), one[1].name)):
        folder, path = keys[row]
        planned = PlannedFile(folder, path, candidate.digest.hex())
        try:
            status = candidate.place.stat()
            same = (status.st_size, status.st_mtime_ns) == (candidate.size, candidate.modified)
            # A new time alone changes nothing.
            same = same or (status.st_size == candidate.size and file_sha256(candidate.place) == planned.sha256)
        except OSError:
            same = False
        member = _Member(candidate, planned, (status.st_dev, status.st_ino)) if same else None
        yield member, candidate.name


def _is_link(place: Path) -> bool:
    # Unlike Path.is_symlink, it says no where the system does not let us look.
    return os.path.islink(place)  # noqa: PTH114


def _picture(member: _Member, budget: MemoryBudget) -> Image.Image:
    """Raises OSError and ImageDecodeError."""
    return decoded_within(budget, member.candidate.place, FINE, _only_picture)


def _only_picture(data: bytes) -> Image.Image:
    """Of an animation, or of pages, one picture tells nothing of the others. Raises ImageDecodeError."""
    with decode_errors(data) as file, Image.open(file) as image:
        frames = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
    if frames > 1:
        raise ImageDecodeError(f"it holds {frames} pictures")
    return decode_picture(data, FINE)
