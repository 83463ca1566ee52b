"""The folders of images that an index is of."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from embedlab_core.documents import PathText
from embedlab_core.errors import FoldersDifferError, ImagesDirError
from embedlab_core.images.discover import shown_path


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder of images.

    Attributes:
        given: as a person named it.
        absolute: where it is, links followed; empty in an index of format 1 that named it relatively.
        relative: where it is as seen from the index, so that the two can move together; empty where there is no way.
    """

    given: PathText
    absolute: PathText
    relative: PathText = ""

    def location(self, index_dir: Path) -> Path:
        """Where the folder is now: where it was, else beside an index that moved with it."""
        # Unlike Path.is_dir, os.path.isdir says no where the system does not let us look.
        if self.absolute and self.relative and not os.path.isdir(self.absolute):  # noqa: PTH112
            moved = os.path.realpath(Path(os.path.realpath(index_dir), self.relative))
            if os.path.isdir(moved):  # noqa: PTH112
                return Path(moved)
        return Path(self.absolute or os.path.realpath(self.given))

    def is_where_it_was(self, index_dir: Path) -> bool:
        """Whether the folder is known to be the one that the index was made of."""
        return bool(self.absolute) and self.location(index_dir) == Path(self.absolute)

    def shown(self, index_dir: Path) -> str:
        """What results call it: as it was given where that is the same folder from the current directory, else its
        absolute path."""
        location = self.location(index_dir)
        return self.given if Path(os.path.realpath(self.given)) == location else str(location)


def folder_at(given: str, index_dir: Path) -> Folder:
    """A folder as an index at `index_dir` records it."""
    absolute = os.path.realpath(given)
    try:
        relative = Path(os.path.relpath(absolute, os.path.realpath(index_dir))).as_posix()
    except ValueError:  # Another drive of Windows.
        relative = ""
    return Folder(shown_path(given, ""), absolute, relative)


def check_apart(folders: Sequence[str], index_dir: Path) -> None:
    """Raises ImagesDirError if one folder lies in another, or is the folder of the index."""
    index = Path(os.path.realpath(index_dir))
    real = [Path(os.path.realpath(folder)) for folder in folders]
    for number, folder in enumerate(real):
        if folder == index:
            raise ImagesDirError(
                f"{folders[number]}: is the folder of images itself, and cannot be the index too; "
                "give the index a folder of its own"
            )
        for other in (*range(number), *range(number + 1, len(real))):
            if folder == real[other]:
                raise ImagesDirError(f"{folders[number]}: is given twice; give each folder once")
            if folder.is_relative_to(real[other]):
                raise ImagesDirError(
                    f"{folders[number]}: lies in {folders[other]}, whose images would count twice; give one of the two"
                )


@dataclass(frozen=True, slots=True)
class Reconciled:
    """The folders that a run works with.

    Attributes:
        folders: those that stay in their order, then new ones, then those that the run lets go of.
        numbers: for each folder that the index had, its place among them.
        staying: how many of them are not let go of.
    """

    folders: tuple[Folder, ...]
    numbers: tuple[int, ...]
    staying: int


def reconciled(index_dir: Path, old: Sequence[Folder], asked: Sequence[str], replace: bool) -> Reconciled:
    """The folders of an index that is brought up to date from `asked`.

    replace: let go of folders that are not asked for. Raises FoldersDifferError where that is not allowed.
    """
    wanted = {Path(os.path.realpath(given)): folder_at(given, index_dir) for given in asked}
    found = [wanted.pop(folder.location(index_dir), None) for folder in old]
    leaving = [was for folder, was in zip(found, old, strict=True) if folder is None]
    if leaving and not replace:
        raise FoldersDifferError(index_dir, tuple(folder.absolute or folder.given for folder in old), tuple(asked))
    staying = [*filter(None, found), *wanted.values()]
    folders = (*staying, *leaving)
    numbers = tuple(folders.index(folder or was) for folder, was in zip(found, old, strict=True))
    return Reconciled(folders, numbers, len(staying))
