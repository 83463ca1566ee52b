"""skipped.jsonl: the files that an index leaves out, and why. One object a line."""

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from embedlab_core.documents import Natural, PathText, Text, Time, parse_document
from embedlab_core.errors import IndexDamagedError
from embedlab_core.images.discover import ImageFile, Skip, SkipKind, shown_prefix
from embedlab_core.images.quality import Quality, QualityScores
from embedlab_core.index.files import replace_text
from embedlab_core.index.folders import Folder

SKIPPED = "skipped.jsonl"


@dataclass(frozen=True, slots=True)
class Excluded:
    """An image that is left out for its quality flags, as it was measured: until its file changes, no later run has to
    decode it to leave it out again."""

    file: ImageFile
    quality: Quality


@dataclass(frozen=True, slots=True)
class SkippedFile:
    """One line of the file.

    Attributes:
        skip: what was left out; its path is relative to its folder.
        excluded: for the kind "excluded", of the same file.
    """

    skip: Skip
    excluded: Excluded | None = None


def save_skipped(index_dir: Path, skipped: Iterable[Skip], excluded: Iterable[Excluded]) -> None:
    """Raises IndexWriteError."""
    found = {(item.file.folder, item.file.path): item for item in excluded}
    lines = []
    for skip in skipped:
        line: dict[str, Any] = {"folder": skip.folder, "path": skip.path, "reason": skip.reason, "kind": skip.kind}
        if item := found.get((skip.folder, skip.path)):
            scores = {name: score for name, score in item.quality.scores._asdict().items() if not math.isnan(score)}
            measured = _Measured(item.file.size, item.file.mtime_ns, item.quality.width, item.quality.height, scores)
            line["measured"] = asdict(measured)
        lines.append(json.dumps(line))
    replace_text(index_dir / SKIPPED, "".join(f"{line}\n" for line in lines))


def load_skipped(index_dir: Path, folders: Sequence[Folder]) -> tuple[SkippedFile, ...]:
    """In the order of the file; none if there is no such file.

    folders: of the index; paths in lists of format 1 begin with the first of them. Raises IndexDamagedError.
    """
    path = index_dir / SKIPPED
    try:
        return tuple(_skipped(parse_document(line, _Line), folders) for line in path.read_text("utf-8").splitlines())
    except FileNotFoundError:
        return ()
    except (OSError, ValueError) as error:
        raise IndexDamagedError(f"{path}: not a readable list of skipped files ({error}); run embed again") from error


@dataclass(frozen=True, slots=True)
class _Measured:
    """scores: those that were measured, by name."""

    size: Natural
    mtime_ns: Time
    width: Natural
    height: Natural
    scores: dict[str, float]


@dataclass(frozen=True, slots=True)
class _Line:
    """Lists of format 1 have no folder, may have no kind, and their paths begin with that of the folder; what they
    measured is measured again."""

    path: PathText
    reason: Text
    kind: SkipKind = "unreadable"
    folder: Natural | None = None
    measured: _Measured | None = None


def _skipped(line: _Line, folders: Sequence[Folder]) -> SkippedFile:
    """Raises ValueError for a folder that the index does not have."""
    if line.folder is not None and line.folder >= len(folders):
        raise ValueError(f"folder: {line.folder}, but the index has {len(folders)}")
    given = folders[0].given
    path = line.path if line.folder is not None else line.path.removeprefix(shown_prefix(given))
    skip = Skip(path, line.reason, line.kind, line.folder or 0)
    if line.measured is None:
        return SkippedFile(skip)
    measured = line.measured
    scores = QualityScores(*(measured.scores.get(name, math.nan) for name in QualityScores._fields))
    file = ImageFile(skip.path, measured.size, measured.mtime_ns, skip.folder)
    return SkippedFile(skip, Excluded(file, Quality(scores, measured.width, measured.height)))
