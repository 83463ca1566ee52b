"""Labels and clusters -> lines of JSON, of a table, or of CSV."""

import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from embedlab_core.analysis.analyze import Analysis
from embedlab_core.analysis.clusters import Cluster
from embedlab_core.analysis.labels import ImageLabel, Labelling
from embedlab_core.cli.options import printable
from embedlab_core.errors import FileWriteError


def label_facts(analysis: Analysis, labelling: Labelling, explain: bool) -> dict[str, Any]:
    """What labels add to the object of an analysis."""
    facts: dict[str, Any] = {
        "label_counts": labelling.counts,
        "group_labels": labelling.most_common(group.paths for group in analysis.groups),
        "anomaly_labels": labelling.most_common([anomaly.path] for anomaly in analysis.anomalies),
    }
    return facts | ({"image_labels": [_entry(image) for image in labelling.images]} if explain else {})


def labels_json(labelling: Labelling) -> Iterator[str]:
    """One object."""
    yield json.dumps({"counts": labelling.counts, "images": [_entry(image) for image in labelling.images]})


def labels_table(labelling: Labelling) -> Iterator[str]:
    yield from counts_table(labelling)
    width = max(map(len, labelling.counts))
    for image in labelling.images:
        label = printable(image.label).ljust(width)
        yield f"{label}  {image.probability:.3f}  {image.score:>7.4f}  {printable(image.path)}"


def counts_table(labelling: Labelling) -> Iterator[str]:
    yield f"{len(labelling.images)} images by label"
    for label, count in labelling.counts.items():
        yield f"{count:>6}  {printable(label)}"


def write_csv(file: Path, labelling: Labelling) -> None:
    """One row an image: path, label, probability, score. Raises FileWriteError."""
    try:
        with file.open("w", encoding="utf-8", errors="surrogateescape", newline="") as stream:
            writer = csv.DictWriter(stream, ["path", "label", "probability", "score"])
            writer.writeheader()
            writer.writerows(map(_entry, labelling.images))
    except OSError as error:
        raise FileWriteError(
            f"{file}: cannot be written ({error.strerror or error}); choose another file with --csv"
        ) from error


def clusters_json(clusters: Sequence[Cluster]) -> Iterator[str]:
    """One object."""
    yield json.dumps({"clusters": [asdict(cluster) for cluster in clusters]})


def clusters_table(clusters: Sequence[Cluster]) -> Iterator[str]:
    for cluster in clusters:
        yield f"{cluster.size:>6}  {', '.join(map(printable, cluster.names))}"
        yield from (f"        {printable(path)}" for path in cluster.examples)


def _entry(image: ImageLabel) -> dict[str, Any]:
    return asdict(image) | {"probability": round(image.probability, 4), "score": round(image.score, 6) + 0.0}
