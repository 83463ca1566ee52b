"""A plan of which copies would move away, as a file that also records how far it was carried out."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal, cast, get_args

from embedlab_core.analysis.duplicates import DuplicateGroup
from embedlab_core.analysis.named import rows_named
from embedlab_core.documents import read_json
from embedlab_core.errors import DuplicatesError, FileWriteError
from embedlab_core.index.files import replace_text
from embedlab_core.index.reader import IndexReader

FORMAT = 1

State = Literal["planned", "applying", "applied"]


@dataclass(frozen=True, slots=True)
class PlannedFile:
    """path: relative to the images folder, with forward slashes. sha256: of its bytes, hexadecimal."""

    path: str
    sha256: str


@dataclass(frozen=True, slots=True)
class PlannedGroup:
    """reason: why `keep` is the one to keep."""

    keep: PlannedFile
    reason: str
    move: tuple[PlannedFile, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """images_dir: absolute. move_to: the folder, absolute, that files go to or went to; None before that is known."""

    images_dir: str
    groups: tuple[PlannedGroup, ...]
    state: State = "planned"
    move_to: str | None = None

    @property
    def moves(self) -> list[PlannedFile]:
        return [file for group in self.groups for file in group.move]


def make_plan(index: IndexReader, groups: Sequence[DuplicateGroup]) -> Plan:
    """Keep each group's suggested keeper and move the others. groups: with their facts."""
    planned = []
    for group in groups:
        assert group.facts is not None
        digests = index.column("sha256", rows_named(index, group.paths))
        files = {
            path: PlannedFile(path.removeprefix(index.prefixes[0]), digest.tobytes().hex())
            for path, digest in zip(group.paths, digests, strict=True)
        }
        keep = files.pop(group.facts.keeper)
        planned.append(PlannedGroup(keep, group.facts.reason, tuple(files.values())))
    return Plan(str(index.folders[0]), tuple(planned))


def write_plan(file: Path, plan: Plan) -> None:
    """Write a new plan. Raises DuplicatesError if the file is a plan that can still be undone, FileWriteError."""
    if file.exists() and load_plan(file).state != "planned":
        raise DuplicatesError(f"{file}: this plan was applied and can be undone; give another name with --plan")
    save_plan(file, plan)


def save_plan(file: Path, plan: Plan) -> None:
    replace_text(file, json.dumps({"format": FORMAT, **asdict(plan)}, indent=1) + "\n", FileWriteError)


def load_plan(file: Path) -> Plan:
    """Raises DuplicatesError if there is no plan or it cannot be understood."""
    try:
        document = read_json(file)
        if document["format"] != FORMAT or document["state"] not in get_args(State):
            raise ValueError(f"format {document['format']}, state {document['state']}")
        groups = tuple(
            PlannedGroup(_file(group["keep"]), group["reason"], tuple(map(_file, group["move"])))
            for group in document["groups"]
        )
        return Plan(str(document["images_dir"]), groups, cast(State, document["state"]), document["move_to"])
    except FileNotFoundError as error:
        raise DuplicatesError(
            f"{file}: no plan here; write one with: embedlab dedupe --index I --plan {file}"
        ) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DuplicatesError(f"{file}: not a readable plan ({error!s:.200}); write a new one") from error


def _file(document: Any) -> PlannedFile:
    path = PurePosixPath(document["path"])
    if path.is_absolute() or ".." in path.parts:
        raise ValueError(f"{path} leads out of the images folder")
    return PlannedFile(str(path), str(document["sha256"]))
