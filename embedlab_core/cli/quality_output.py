"""A quality report -> lines of JSON or of a table."""

import json
import math
from collections.abc import Iterator
from typing import Any

from embedlab_core.analysis.quality import FlaggedImage, QualityReport
from embedlab_core.cli.options import printable


def quality_json(report: QualityReport) -> Iterator[str]:
    """One object."""
    yield json.dumps({"images": report.total, "counts": report.counts, "flagged": flagged_entries(report)})


def flagged_entries(report: QualityReport) -> list[dict[str, Any]]:
    return [_entry(image) for image in report.images]


def _entry(image: FlaggedImage) -> dict[str, Any]:
    entry: dict[str, Any] = {"path": image.path, "flags": list(image.flags), "indexed": image.indexed}
    if image.quality:
        # An older index did not measure all of them.
        measured = {name: value for name, value in image.quality.scores._asdict().items() if not math.isnan(value)}
        scores = {name: round(value, 2) + 0.0 for name, value in measured.items()}
        entry["scores"] = {**scores, "width": image.quality.width, "height": image.quality.height}
    return entry


def quality_table(report: QualityReport) -> Iterator[str]:
    yield f"{len(report.images)} of {report.total} images are flagged"
    for flag, count in report.counts.items():
        if count:
            yield f"{count:>6}  {flag}"
    for image in report.images:
        yield f"{', '.join(image.flags)}  {printable(image.path)}{'' if image.indexed else '  (not in the index)'}"
