"""Zero-shot labels: which of some phrases each image shows, or none of them."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from embedlab_core.encoders.ensemble import Ensemble
from embedlab_core.errors import LabelError
from embedlab_core.index.reader import IndexReader
from embedlab_core.metrics import Stopwatch
from embedlab_core.progress import Progress, untold
from embedlab_core.search.cache import QueryCache
from embedlab_core.search.fusion import fused_queries
from embedlab_core.search.queries import prompts_of, text_queries, warn_of_prompts

NONE = "none of these"


@dataclass(frozen=True, slots=True)
class ImageLabel:
    """label: one of those given, or NONE. probability: softmax over the given labels at the model's logit scale, of the
    best of them. score: its cosine; below the model's band of related texts the label is NONE, however probable the
    best one is among the others."""

    path: str
    label: str
    probability: float
    score: float


@dataclass(frozen=True, slots=True)
class Labelling:
    """images: by path. counts: images of each label in the order given, then of NONE."""

    images: tuple[ImageLabel, ...]
    counts: dict[str, int]

    def most_common(self, groups: Iterable[Iterable[str]]) -> list[str]:
        """The label of most images of each group of paths; of equally common ones the first in `counts`."""
        labels = {image.path: image.label for image in self.images}
        votes = [Counter(labels[path] for path in paths) for paths in groups]
        return [max(self.counts, key=lambda label: found[label]) for found in votes]


def phrases_of(file: Path) -> tuple[str, ...]:
    """The phrases of a text file, see `prompts_of`. Raises QueryError."""
    return tuple(prompts_of(file, "labels"))


def label_images(
    index: IndexReader,
    ensemble: Ensemble,
    cache: QueryCache,
    labels: Sequence[str],
    fusion_weights: Sequence[float] = (),
    watch: Stopwatch | None = None,
    progress: Progress = untold,
) -> Labelling:
    """Label every image with the nearest of `labels`, each said in all prompt templates (Radford et al. 2021).
    `progress` counts the prompts that are encoded.

    Raises LabelError for labels that are empty or repeated, or an index without images, and IndexDamagedError.
    """
    _check(labels)
    if len(index) == 0:
        raise LabelError(f"{index.directory}: the index holds no images to label; run embed on a folder that has some")
    watch = watch or Stopwatch()
    with watch.stage("encode"):
        queries = text_queries(labels, ensemble, cache, templates=True, progress=progress)
    warn_of_prompts(queries, ensemble)
    vectors = np.stack([query.vector for query in queries])
    vectors = index.exact_queries(fused_queries(index, vectors, fusion_weights), texts=True)
    scale, floor = _logit_scale(ensemble), _floor(ensemble)
    images: list[ImageLabel] = []
    with watch.stage("rank"):
        for start, block in index.exact_blocks():
            index.require_unit(np.arange(start, start + len(block)), block)
            cosines = (block @ vectors.T).astype(np.float64)
            best = cosines.argmax(axis=1)
            scores = cosines.max(axis=1)
            probabilities = 1.0 / np.exp(scale * (cosines - scores[:, None])).sum(axis=1)
            nearest = [labels[number] for number in best]
            names = [label if score >= floor else NONE for label, score in zip(nearest, scores, strict=True)]
            paths = index.paths(np.arange(start, start + len(block)))
            images += map(ImageLabel, paths, names, probabilities.tolist(), scores.tolist())
    counts = Counter(image.label for image in images)
    return Labelling(
        tuple(sorted(images, key=lambda image: image.path)), {label: counts[label] for label in (*labels, NONE)}
    )


def _check(labels: Sequence[str]) -> None:
    if not labels:
        raise LabelError("no labels given; name at least one thing that the images may show")
    if not all(label.strip() for label in labels):
        raise LabelError("an empty label has no meaning; write what the images should show")
    for label, count in Counter(label.strip().casefold() for label in labels).items():
        if count > 1:
            raise LabelError(f"label {label!r} is given {count} times; give each label once")
    if NONE in labels:
        raise LabelError(f"label {NONE!r} stands for images that no label fits; choose another name")


def _logit_scale(ensemble: Ensemble) -> float:
    """The mean, as fused scores are means of cosines."""
    return float(np.mean([encoder.spec.logit_scale for encoder in ensemble.encoders]))


def _floor(ensemble: Ensemble) -> float:
    """The lowest cosine of an image and a text that have to do with each other.

    Models nobody has measured, and fused scores of several, have no bands: every image then has a label.
    """
    if len(ensemble.encoders) > 1:
        return -np.inf
    return min(ensemble.encoders[0].spec.bands.text.values(), default=-np.inf)
