"""Which image of a group to keep, and why: facts first, then a ranking that only compares them."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from embedlab_core.analysis.group_files import decoded_within, side_by_side
from embedlab_core.analysis.originals import WHOLE, Look, copy_signs, look_at
from embedlab_core.errors import ImageDecodeError
from embedlab_core.images.memory import MemoryBudget
from embedlab_core.index.reader import IndexReader
from embedlab_core.index.rows import NOT_CAPTURED

Reason = Literal[
    "protected folder", "preferred folder", "capture date", "camera original", "resolution", "compression", "file size",
    "oldest", "newest", "name", "path",
]  # fmt: skip
Keep = Literal["largest", "oldest", "newest"]

# Pictures of a group that are decoded to see which is the original: the largest of those that are still in the running.
_LOOKED_AT = 16

# What programs and people add to the name of a copy, in the languages of the systems that do so.
_WORD = r"copy|copie|copia|cópia|kopie|kopia|kopi|kopio|копия|副本|拷贝|コピー|복사본"
_COPY_NAME = re.compile(
    rf"^({_WORD})( ?\(?\d+\)?)? (of|von|de|di|av|van|af) |^({_WORD}) ?[-_]|[ _.-]+({_WORD}) ?\(?\d+\)?$"
    rf"|({_WORD})$|のコピー|[ _]?\(\d+\)$|~\d+$|[ _-](edited|bearbeitet|resized|scaled|compressed|thumb(nail)?)$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Policy:
    """What a person wants kept. protect: folders of which nothing moves. prefer: folders, the first most. Both absolute
    and without links. keep: what counts before all else but these; None for the usual order."""

    protect: tuple[Path, ...] = ()
    prefer: tuple[Path, ...] = ()
    keep: Keep | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """place: where the file is. name: as results show it. pixels, size: in pixels and bytes. captured: seconds, None
    without a capture date. modified: ns. digest: of the bytes."""

    place: Path
    name: str
    pixels: int
    size: int
    captured: int | None
    modified: int
    digest: bytes


@dataclass(frozen=True, slots=True)
class Keeper:
    """place: of the one to keep, among the candidates. reason: the first property by which it beats the next best."""

    place: int
    reason: Reason


_Looks = Callable[[Sequence[Candidate]], Sequence[Look | None]]
_Step = tuple[Reason, Callable[[Sequence[Candidate]], Sequence[Any]]]


def choose(candidates: Sequence[Candidate], policy: Policy, looks: _Looks) -> Keeper:
    """The one to keep of two or more. looks: gives what is seen in pictures; asked only about those that all steps
    before leave in the running."""
    left = list(range(len(candidates)))
    for reason, values_of in _steps(policy, looks):
        values = values_of([candidates[place] for place in left])
        best = min(values)
        left = [place for place, value in zip(left, values, strict=True) if value == best]
        if len(left) == 1:
            return Keeper(left[0], reason)
    return Keeper(left[0], "path")


def _steps(policy: Policy, looks: _Looks) -> list[_Step]:
    """In order; of every step the least value wins."""
    overrides: dict[Keep | None, list[_Step]] = {
        None: [],
        "largest": [("resolution", _each(lambda one: -one.pixels)), ("file size", _each(lambda one: -one.size))],
        "oldest": [("oldest", _each(_time))],
        "newest": [("newest", _each(lambda one: -_time(one)))],
    }
    return [
        ("protected folder", _each(lambda one: not within(one.place, policy.protect))),
        ("preferred folder", _each(lambda one: _preference(one.place, policy.prefer))),
        *overrides[policy.keep],
        ("capture date", _each(lambda one: one.captured is None)),
        ("camera original", lambda those: copy_signs(looks(those))),
        ("resolution", _each(lambda one: -one.pixels)),
        ("file size", _each(lambda one: -one.size)),
        ("oldest", _each(_time)),
        ("name", _each(lambda one: is_copy_name(one.place.stem))),
        ("path", _each(lambda one: one.name)),
    ]


def _each(value: Callable[[Candidate], Any]) -> Callable[[Sequence[Candidate]], Sequence[Any]]:
    return lambda those: [value(one) for one in those]


def _time(one: Candidate) -> int:
    """Seconds: of the picture, else of the file."""
    return one.modified // 10**9 if one.captured is None else one.captured


def within(place: Path, folders: Sequence[Path]) -> bool:
    """Whether a file lies in one of the folders, however it is reached."""
    if not folders:
        return False
    real = place.parent.resolve()
    return any(real.is_relative_to(folder) for folder in folders)


def _preference(place: Path, folders: Sequence[Path]) -> int:
    return next((number for number, folder in enumerate(folders) if within(place, [folder])), len(folders))


def is_copy_name(stem: str) -> bool:
    """Whether a name without its ending says that the file is a copy: "Copy of x", "x (1)", "x - Copy", "x_copy"."""
    return _COPY_NAME.search(stem) is not None


def candidates_of(index: IndexReader, rows: npt.NDArray[np.int64]) -> list[Candidate]:
    """What the index knows of its images."""
    pixels = index.column("widths", rows).astype(np.int64) * index.column("heights", rows)
    columns = (index.column(name, rows).tolist() for name in ("sizes", "captured", "mtimes"))
    digests = (digest.tobytes() for digest in index.column("sha256", rows))
    return [
        Candidate(place, name, count, size, None if captured == NOT_CAPTURED else captured, modified, digest)
        for place, name, count, size, captured, modified, digest in zip(
            index.files(rows), index.paths(rows), pixels.tolist(), *columns, digests, strict=True
        )
    ]


def keepers_of(index: IndexReader, groups: Sequence[npt.NDArray[np.int64]], policy: Policy) -> list[Keeper]:
    """Of each group (m,) of rows."""
    chosen = partial(choose, policy=policy, looks=partial(looks_of, budget=MemoryBudget()))
    with side_by_side(chosen, [candidates_of(index, rows) for rows in groups]) as keepers:
        return list(keepers)


def looks_of(candidates: Sequence[Candidate], budget: MemoryBudget) -> list[Look | None]:
    """What is seen in the files, of which equal ones are read once; None where that is nothing."""
    largest = sorted(candidates, key=lambda one: (-one.pixels, -one.size, one.name))
    wanted = dict.fromkeys(one.digest for one in largest)
    # Alone, none is a copy of another.
    seen: dict[bytes, Look | None] = {}
    if len(wanted) > 1:
        files = {one.digest: one.place for one in largest}
        seen = {digest: _look(files[digest], budget) for digest in list(wanted)[:_LOOKED_AT]}
    return [seen.get(one.digest) for one in candidates]


def _look(place: Path, budget: MemoryBudget) -> Look | None:
    try:
        return decoded_within(budget, place, WHOLE, look_at)
    except (OSError, ImageDecodeError):
        return None
