"""The Python API: an index opened once and asked many times. The command line calls nothing else."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from embedlab_core.analysis.analyze import Analysis, analyze
from embedlab_core.analysis.anomalies import DEFAULT_METHOD, AnomalyMethod
from embedlab_core.analysis.quality import QualityReport, quality_report
from embedlab_core.encoders.ensemble import Ensemble
from embedlab_core.index.manifest import Manifest
from embedlab_core.index.reader import IndexReader
from embedlab_core.search.cache import QueryCache
from embedlab_core.search.fusion import fused_index
from embedlab_core.search.search import QuerySet, SearchResult, search


class Index:
    """An index made by `embed`. The model that made it is loaded when a query first needs it, and kept."""

    def __init__(self, reader: IndexReader) -> None:
        self.reader = reader

    @classmethod
    def open(cls, directory: str | Path) -> "Index":
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
        from embedlab_core.encoders.folders import model_of_index
        from embedlab_core.encoders.onnx import OnnxEncoder  # 0.1 s of onnxruntime, which analyze does not need

        return Ensemble([OnnxEncoder(model_of_index(model)) for model in self.manifest.models])

    def search_each(
        self, queries: QuerySet, k: int = 5, explain: bool = False, fusion_weights: Sequence[float] = ()
    ) -> list[SearchResult]:
        """The k nearest images of every query; see `embedlab_core.search.search.search`."""
        cache = QueryCache(self.reader.directory, " + ".join(map(str, self.manifest.models)))
        return search(self.reader, self.ensemble, cache, queries, k, explain, fusion_weights)

    def analyze(
        self,
        dup_threshold: float = 0.92,
        anomaly_top: int = 8,
        k: int | None = None,
        fusion_weights: Sequence[float] = (),
        anomaly_method: AnomalyMethod = DEFAULT_METHOD,
    ) -> Analysis:
        """Duplicate groups and anomalies; see `embedlab_core.analysis.analyze.analyze`."""
        return analyze(fused_index(self.reader, fusion_weights), dup_threshold, anomaly_top, k, anomaly_method)

    def quality(self) -> QualityReport:
        """Images with quality flags, and files that could not be decoded."""
        return quality_report(self.reader)
