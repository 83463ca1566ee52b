"""The Python API: an index opened once and asked many times. The command line calls nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from embedlab_core.encoders.ensemble import Ensemble
from embedlab_core.encoders.folders import model_of_index
from embedlab_core.encoders.onnx import OnnxEncoder
from embedlab_core.errors import DuplicatesError, LabelError
from embedlab_core.index.manifest import Manifest
from embedlab_core.index.reader import IndexReader
from embedlab_core.metrics import Stopwatch, recorded
from embedlab_core.packages import require
from embedlab_core.progress import Progress, untold
from embedlab_core.search.ann import RERANK
from embedlab_core.search.bench import AnnBench, bench_ann
from embedlab_core.search.cache import QueryCache
from embedlab_core.search.compose import Weighted
from embedlab_core.search.fusion import fused_index
from embedlab_core.search.queries import text_queries, warn_of_prompts
from embedlab_core.search.search import DEFAULTS, QuerySet, SearchOptions, SearchResult, search

# The methods import what they alone need: a search need not wait for it.
if TYPE_CHECKING:
    from embedlab_core.analysis.analyze import Analysis
    from embedlab_core.analysis.anomalies import AnomalyMethod
    from embedlab_core.analysis.calibration import Calibration, Source
    from embedlab_core.analysis.check import CheckedFile
    from embedlab_core.analysis.clusters import Cluster
    from embedlab_core.analysis.duplicates import DuplicateOptions
    from embedlab_core.analysis.keeper import Keep
    from embedlab_core.analysis.labels import Labelling
    from embedlab_core.analysis.plan import Plan
    from embedlab_core.analysis.quality import QualityReport
    from embedlab_core.analysis.thresholds import Threshold

# A prompt, or an image, in a query of several.
Term = str | Path | Weighted


class Index:
    """An index made by `embed`. The model that made it is loaded when a query first needs it, and kept."""

    def __init__(self, reader: IndexReader) -> None:
        self.reader = reader

    @classmethod
    def open(cls, directory: str | Path) -> Index:
        """Raises IndexMissingError if there is no index, IndexDamagedError if a part of it cannot be read."""
        return cls(IndexReader.open(Path(directory)))

    def __len__(self) -> int:
        """Images in the index."""
        return len(self.reader)

    @property
    def manifest(self) -> Manifest:
        return self.reader.manifest

    @cached_property
    def ensemble(self) -> Ensemble:
        """The models that made the index. Raises ModelError if one is not here, ModelMismatchError if it differs."""
        return Ensemble([OnnxEncoder(model_of_index(model)) for model in self.manifest.models])

    @property
    def _cache(self) -> QueryCache:
        return QueryCache(self.reader.directory, " + ".join(map(str, self.manifest.models)), self.manifest.dim)

    def _recorded(self, command: str) -> AbstractContextManager[Stopwatch]:
        return recorded(self.reader.directory, command, images=len(self))

    def search(
        self,
        *,
        text: Term | Sequence[Term] = (),
        image: Term | Sequence[Term] = (),
        minus_text: Term | Sequence[Term] = (),
        minus_image: Term | Sequence[Term] = (),
        k: int | None = None,
        options: SearchOptions = DEFAULTS,
    ) -> SearchResult:
        """The k (None: `options.k`) images nearest to a prompt or a picture, or to several of them combined, where
        `Weighted` says how much each counts for.

        Raises QueryError for a query that cannot be used, and what `ensemble` raises.
        """
        prompts, files = _terms(text), _terms(image)
        minus_prompts, minus_files = _terms(minus_text), _terms(minus_image)
        several = len(prompts) + len(files) + len(minus_prompts) + len(minus_files) > 1
        queries = QuerySet(None, files, prompts, None, minus_files, minus_prompts)
        combine = options.combine or several
        (result,) = self.search_each(queries, replace(options, k=options.k if k is None else k, combine=combine))
        return result

    def search_each(self, queries: QuerySet, options: SearchOptions = DEFAULTS) -> list[SearchResult]:
        """The nearest images of every query; see `embedlab_core.search.search.search`."""
        with self._recorded("search") as watch:
            return search(self.reader, self.ensemble, self._cache, queries, options, watch)

    def bench_ann(self, queries: int = 200, k: int = 10, rerank: int = RERANK) -> AnnBench:
        """Exact against approximate search; see `embedlab_core.search.bench.bench_ann`."""
        with self._recorded("bench ann") as watch, watch.stage("rank"):
            return bench_ann(self.reader, queries, k, rerank)

    def analyze(
        self,
        duplicates: DuplicateOptions | float = 0.92,
        anomaly_top: int = 8,
        k: int | None = None,
        fusion_weights: Sequence[float] = (),
        anomaly_method: AnomalyMethod = "knn",
        explain: bool = False,
        ann: bool = False,
        labels: str | Sequence[str] = (),
    ) -> Analysis:
        """Duplicate groups and anomalies; see `embedlab_core.analysis.analyze.analyze`. labels: also label every image
        with the nearest of these. explain: also report quality."""
        from embedlab_core.analysis.analyze import analyze
        from embedlab_core.analysis.quality import quality_report

        with self._recorded("analyze") as watch:
            with watch.stage("rank"):
                index = fused_index(self.reader, fusion_weights)
                analysis = analyze(index, _options(duplicates), anomaly_top, k, anomaly_method, explain, ann)
                if explain:
                    analysis = replace(analysis, quality=quality_report(self.reader))
            if labels:
                analysis = replace(analysis, labelling=self._labelled(labels, fusion_weights, watch))
            return analysis

    def quality(self) -> QualityReport:
        """Images with quality flags, and files that could not be decoded."""
        from embedlab_core.analysis.quality import quality_report

        with self._recorded("quality") as watch, watch.stage("rank"):
            return quality_report(self.reader)

    def label(
        self, labels: str | Sequence[str], fusion_weights: Sequence[float] = (), progress: Progress = untold
    ) -> Labelling:
        """The nearest of some labels for every image; see `embedlab_core.analysis.labels.label_images`."""
        with self._recorded("label") as watch:
            return self._labelled(labels, fusion_weights, watch, progress)

    def _labelled(
        self,
        labels: str | Sequence[str],
        fusion_weights: Sequence[float],
        watch: Stopwatch,
        progress: Progress = untold,
    ) -> Labelling:
        from embedlab_core.analysis.labels import label_images

        return label_images(self.reader, self.ensemble, self._cache, _strings(labels), fusion_weights, watch, progress)

    def clusters(
        self,
        phrases: str | Sequence[str] = (),
        count: int | None = None,
        fusion_weights: Sequence[float] = (),
        progress: Progress = untold,
    ) -> tuple[Cluster, ...]:
        """What is here, named by `phrases` or the vocabulary that ships with embedlab; see
        `embedlab_core.analysis.clusters.cluster_images`. `progress` counts the phrases that are encoded."""
        from embedlab_core.analysis.clusters import cluster_images
        from embedlab_core.analysis.vocabulary import vocabulary, vocabulary_vectors

        if len(self) == 0:
            raise LabelError(f"{self.reader.directory}: the index holds no images; run embed on a folder that has some")
        require("finding clusters", "sklearn")
        phrases = _strings(phrases)
        index = fused_index(self.reader, fusion_weights)
        with self._recorded("label") as watch:
            with watch.stage("encode"):
                if phrases:
                    queries = text_queries(phrases, self.ensemble, self._cache, progress=progress)
                    warn_of_prompts(queries, self.ensemble)
                    vectors = np.stack([query.vector for query in queries])
                else:
                    vectors = vocabulary_vectors(self.ensemble, progress)
            with watch.stage("rank"):
                return cluster_images(index, phrases or vocabulary(), index.exact_queries(vectors, texts=True), count)

    def mark_not_duplicate(self, path_a: str, path_b: str) -> None:
        """Keep two images out of one group from now on; see `embedlab_core.analysis.apart.mark_apart`."""
        from embedlab_core.analysis.apart import mark_apart

        with self._recorded("mark"):
            mark_apart(self.reader, path_a, path_b)

    def plan_dedupe(
        self,
        plan_file: str | Path,
        duplicates: DuplicateOptions | float = 0.92,
        protect: str | Path | Sequence[str | Path] = (),
        prefer: str | Path | Sequence[str | Path] = (),
        keep: Keep | None = None,
        progress: Progress = untold,
    ) -> Plan:
        """Write which copies would move away; `embedlab_core.analysis.moves` carries it out and undoes it.

        protect: folders of which nothing moves. prefer: folders to keep images of, the first most. keep: what counts
        before the usual order; see `embedlab_core.analysis.keeper`. Raises DuplicatesError.
        """
        from embedlab_core.analysis.duplicates import STRICT, DuplicateOptions, find_duplicates
        from embedlab_core.analysis.keeper import Policy
        from embedlab_core.analysis.plan import write_plan
        from embedlab_core.analysis.planning import make_plan

        policy = Policy(_folders(protect), _folders(prefer), keep)
        options = duplicates if isinstance(duplicates, DuplicateOptions) else replace(STRICT, threshold=duplicates)
        with self._recorded("dedupe") as watch:
            with watch.stage("rank"):
                found = find_duplicates(fused_index(self.reader), options, explain=False)
            with watch.stage("compare"):
                plan = make_plan(self.reader, found.groups, policy, progress)
            write_plan(Path(plan_file), plan)
            return plan

    def calibrate(
        self,
        pairs_file: str | Path | None = None,
        precision: float = 0.99,
        seed: int = 0,
        progress: Progress = untold,
    ) -> Calibration:
        """Find the duplicate threshold of a wanted precision, for "auto" and for the probabilities of `check`.

        From labelled pairs (CSV: path_a, path_b, same), else from copies made of the index's own images and from how
        its likest images compare. Leaves calibration.json and curves in the index. `progress` counts the
        images that are copied, then the pairs that are compared. Raises DuplicatesError.
        """
        from embedlab_core.analysis.calibration import fit, save_calibration, with_copies
        from embedlab_core.analysis.copies import COPY_KINDS
        from embedlab_core.analysis.curves import curves_of, write_curves
        from embedlab_core.analysis.labelled import pairs_of_file
        from embedlab_core.analysis.selfmade import make_pairs

        require("calibrating", "sklearn", "matplotlib")
        with self._recorded("calibrate") as watch:
            index = fused_index(self.reader)
            if pairs_file is None:
                encoders = [OnnxEncoder(encoder.spec, many=True) for encoder in self.ensemble.encoders]
                made = make_pairs(index, Ensemble(encoders), seed, watch, progress)
                pairs, copies = made.pairs, dict(zip(COPY_KINDS, made.copies.T, strict=True))
            else:
                pairs, copies = pairs_of_file(index, Path(pairs_file)), {}
            with watch.stage("fit"):
                source: Source = "copies" if pairs_file is None else "labels"
                calibration = with_copies(fit(index, pairs, source, precision, seed), copies)
                write_curves(index.directory, curves_of(pairs), calibration.threshold.value)
                save_calibration(index, calibration)
            return calibration

    def check(self, files: str | Path | Sequence[str | Path], threshold: Threshold = 0.92) -> list[CheckedFile]:
        """Whether files are already in the index; see `embedlab_core.analysis.check.check_files`."""
        from embedlab_core.analysis.check import check_files

        with self._recorded("check") as watch, watch.stage("rank"):
            return check_files(fused_index(self.reader), self.ensemble, self._cache, _strings(files), threshold)


def _options(duplicates: DuplicateOptions | float) -> DuplicateOptions:
    from embedlab_core.analysis.duplicates import DuplicateOptions

    return duplicates if isinstance(duplicates, DuplicateOptions) else DuplicateOptions(duplicates)


def _terms(given: Term | Sequence[Term]) -> list[Weighted]:
    terms = [given] if isinstance(given, str | Path | Weighted) else given
    return [term if isinstance(term, Weighted) else Weighted(str(term)) for term in terms]


def _strings(given: str | Path | Sequence[str | Path]) -> list[str]:
    return [str(given)] if isinstance(given, str | Path) else [str(one) for one in given]


def _folders(given: str | Path | Sequence[str | Path]) -> tuple[Path, ...]:
    """Without links. Raises DuplicatesError for what is no folder: a mistyped one would protect nothing."""
    folders = tuple(Path(one).expanduser() for one in _strings(given))
    for folder in folders:
        if not folder.is_dir():
            raise DuplicatesError(f"{folder}: no folder is here; give one that holds images")
    return tuple(folder.resolve() for folder in folders)
