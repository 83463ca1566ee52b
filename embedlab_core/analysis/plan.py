"""A plan of which copies would move away, as a file that also records how far it was carried out."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from embedlab_core.documents import Natural, PathText, Text, Versioned, read_document
from embedlab_core.errors import DuplicatesError, FileWriteError
from embedlab_core.index.files import replace_text

FORMAT = 2

State = Literal["planned", "applying", "applied"]


@dataclass(frozen=True, slots=True)
class PlannedFile:
    """folder: its number among the folders of the plan. path: relative to that folder, with forward slashes. sha256: of
    its bytes, hexadecimal."""

    folder: Natural
    path: PathText
    sha256: Text

    def __post_init__(self) -> None:
        path = PurePosixPath(self.path)
        if path.is_absolute() or ".." in path.parts or not path.name:
            raise ValueError(f"{self.path!r} leads out of the images folder")


@dataclass(frozen=True, slots=True)
class PlannedGroup:
    """reason: why `keep` is the one to keep. move: its copies, each compared with `keep` itself."""

    keep: PlannedFile
    reason: Text
    move: tuple[PlannedFile, ...]


@dataclass(frozen=True, slots=True)
class LookAt:
    """Two files that are near-duplicates and both stay. reason: why neither is taken for a copy of the other."""

    keep: PlannedFile
    file: PlannedFile
    reason: Text


@dataclass(frozen=True, slots=True)
class Plan:
    """folders: of the images, absolute. look_at: pairs for a person to judge. move_to: the folder, absolute, that files
    go to or went to; None before that is known."""

    folders: tuple[PathText, ...]
    groups: tuple[PlannedGroup, ...]
    look_at: tuple[LookAt, ...] = ()
    state: State = "planned"
    move_to: PathText | None = None

    def __post_init__(self) -> None:
        for folder in self.folders if self.move_to is None else (*self.folders, self.move_to):
            if not Path(folder).is_absolute():
                raise ValueError(f"{folder!r} is no absolute path")
        if self.state != "planned" and self.move_to is None:
            raise ValueError(f"{self.state}, but not to which folder")
        files = [file for group in self.groups for file in (group.keep, *group.move)]
        files += [file for pair in self.look_at for file in (pair.keep, pair.file)]
        if any(file.folder >= len(self.folders) for file in files):
            raise ValueError("a file of a folder that the plan does not have")

    @property
    def moves(self) -> list[PlannedFile]:
        return [file for group in self.groups for file in group.move]

    def place(self, file: PlannedFile) -> Path:
        """Where the file lies before it is moved."""
        return Path(self.folders[file.folder], file.path)

    def destination(self, file: PlannedFile, move_to: Path) -> Path:
        """Where the file goes: with several image folders, into a folder that is named like its own."""
        return move_to / file.path if len(self.folders) == 1 else move_to / self._names[file.folder] / file.path

    @property
    def _names(self) -> list[str]:
        """One for each folder, no two alike, also where upper and lower case are one."""
        names: list[str] = []
        taken: set[str] = set()
        for folder in self.folders:
            plain = Path(folder).name or "root"
            name, number = plain, 1
            while name.casefold() in taken:
                number += 1
                name = f"{plain}-{number}"
            taken.add(name.casefold())
            names.append(name)
        return names


def write_plan(file: Path, plan: Plan) -> None:
    """Write a new plan. Raises DuplicatesError if the file is a plan that can still be undone, FileWriteError."""
    if file.exists() and load_plan(file).state != "planned":
        raise DuplicatesError(f"{file}: this plan was applied and can be undone; give another name with --plan")
    save_plan(file, plan)


def save_plan(file: Path, plan: Plan) -> None:
    replace_text(file, json.dumps({"format": FORMAT, **asdict(plan)}, indent=1) + "\n", FileWriteError)


def load_plan(file: Path) -> Plan:
    """Plans of format 1 too. Raises DuplicatesError if there is no plan or it cannot be understood."""
    try:
        version = read_document(file, Versioned).format
        if version not in (1, FORMAT):
            raise ValueError(f"format {version}, and this program reads formats 1 and {FORMAT}")
        return read_document(file, Plan) if version == FORMAT else read_document(file, _OldPlan).plan
    except FileNotFoundError as error:
        raise DuplicatesError(
            f"{file}: no plan here; write one with: embedlab dedupe --index I --plan {file}"
        ) from error
    except (OSError, ValueError) as error:
        raise DuplicatesError(f"{file}: not a readable plan ({error}); write a new one") from error


@dataclass(frozen=True, slots=True)
class _OldFile:
    path: PathText
    sha256: Text

    @property
    def file(self) -> PlannedFile:
        return PlannedFile(0, self.path, self.sha256)


@dataclass(frozen=True, slots=True)
class _OldGroup:
    keep: _OldFile
    reason: Text
    move: tuple[_OldFile, ...]


@dataclass(frozen=True, slots=True)
class _OldPlan:
    """Of format 1, which had one folder."""

    images_dir: PathText
    groups: tuple[_OldGroup, ...]
    state: State
    move_to: PathText | None

    @property
    def plan(self) -> Plan:
        groups = (
            PlannedGroup(group.keep.file, group.reason, tuple(one.file for one in group.move)) for group in self.groups
        )
        return Plan((self.images_dir,), tuple(groups), (), self.state, self.move_to)
