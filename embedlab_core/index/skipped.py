"""skipped.jsonl: the files that an index leaves out, and why. One object a line."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from embedlab_core.documents import parse_json
from embedlab_core.errors import IndexDamagedError
from embedlab_core.images.discover import ImageFile, Skip, shown_path
from embedlab_core.images.quality import Quality, QualityScores
from embedlab_core.index.files import replace_text

SKIPPED = "skipped.jsonl"


@dataclass(frozen=True, slots=True)
class Excluded:
    """An image that is left out for its quality flags, as it was measured: until its file changes, no later run has to
    decode it to leave it out again."""

    file: ImageFile
    quality: Quality


@dataclass(frozen=True, slots=True)
class SkippedFile:
    """One line of the file. skip.path: as results show it. excluded: for the kind "excluded", with the same path."""

    skip: Skip
    excluded: Excluded | None = None


def save_skipped(index_dir: Path, images_dir: str, skipped: Iterable[Skip], excluded: Iterable[Excluded]) -> None:
    """Paths of `skipped` and `excluded` are relative to the images folder. Raises IndexWriteError."""
    measured = {item.file.path: item for item in excluded}
    lines = []
    for skip in skipped:
        line: dict[str, Any] = {**asdict(skip), "path": shown_path(images_dir, skip.path)}
        if item := measured.get(skip.path):
            quality = {**item.quality.scores._asdict(), "width": item.quality.width, "height": item.quality.height}
            line |= {"size": item.file.size, "mtime_ns": item.file.mtime_ns, "quality": quality}
        lines.append(json.dumps(line))
    replace_text(index_dir / SKIPPED, "".join(f"{line}\n" for line in lines))


def load_skipped(index_dir: Path) -> tuple[SkippedFile, ...]:
    """In the order of the file; none if there is no such file. Raises IndexDamagedError."""
    path = index_dir / SKIPPED
    try:
        return tuple(_parsed(parse_json(line)) for line in path.read_text("utf-8").splitlines())
    except FileNotFoundError:
        return ()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise IndexDamagedError(
            f"{path}: not a readable list of skipped files ({error}); delete it and run embed again"
        ) from error


def _parsed(line: dict[str, Any]) -> SkippedFile:
    # Lists of earlier versions have no kind.
    skip = Skip(line["path"], line["reason"], line.get("kind", "unreadable"))
    if skip.kind != "excluded":
        return SkippedFile(skip)
    quality = dict(line["quality"])
    width, height = quality.pop("width"), quality.pop("height")
    file = ImageFile(skip.path, line["size"], line["mtime_ns"])
    return SkippedFile(skip, Excluded(file, Quality(QualityScores(**quality), width, height)))
