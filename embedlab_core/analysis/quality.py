"""What is broken in an index: images with quality flags, and the files that could not be decoded."""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from embedlab_core.images.quality import FLAGS, Quality, quality_flags
from embedlab_core.index.reader import IndexReader
from embedlab_core.index.skipped import load_skipped


@dataclass(frozen=True, slots=True)
class FlaggedImage:
    """flags: those of `quality_flags`, or "corrupted" alone. quality: what they rest on; None for a corrupted file.
    indexed: False for what embed skipped."""

    path: str
    flags: tuple[str, ...]
    quality: Quality | None
    indexed: bool


@dataclass(frozen=True, slots=True)
class QualityReport:
    """images: the flagged ones, by path. counts: of each flag, also where it is 0. total: images looked at."""

    images: tuple[FlaggedImage, ...]
    counts: dict[str, int]
    total: int


def quality_report(index: IndexReader) -> QualityReport:
    """Flag every image from the scores that embed stored; no image is read. Raises IndexDamagedError."""
    qualities = (shard.quality_of(row) for shard in index.shards for row in range(len(shard)))
    flagged = [
        FlaggedImage(path, flags, quality, indexed=True)
        for path, quality in zip(index.paths(np.arange(len(index))), qualities, strict=True)
        if (flags := quality_flags(quality))
    ]
    skipped = load_skipped(index.directory, index.manifest.folders)
    for line in skipped:
        path = index.shown(line.skip.folder, line.skip.path)
        if line.excluded:
            quality = line.excluded.quality
            flagged.append(FlaggedImage(path, quality_flags(quality), quality, indexed=False))
        elif line.skip.kind == "corrupted":
            flagged.append(FlaggedImage(path, ("corrupted",), None, indexed=False))
    counts = Counter(flag for image in flagged for flag in image.flags)
    return QualityReport(
        images=tuple(sorted(flagged, key=lambda image: image.path)),
        counts={flag: counts[flag] for flag in ("corrupted", *FLAGS)},
        total=len(index) + sum(line.skip.kind != "unreadable" for line in skipped),
    )
