"""Results -> lines of JSON or of a table."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from types import MappingProxyType
from typing import Any

from embedlab_core.analysis.analyze import Analysis
from embedlab_core.cli.options import printable
from embedlab_core.encoders.folders import KnownModel
from embedlab_core.index.manifest import Manifest
from embedlab_core.search.search import SearchResult


def search_json(results: Sequence[SearchResult]) -> Iterator[str]:
    """One object a query, each on one line."""
    for result in results:
        document: dict[str, Any] = {
            "query": result.query.name,
            "results": [{"path": hit.path, "score": _score(hit.score)} for hit in result.hits],
        }
        if result.explanations:
            document |= {
                "backbone": " + ".join(model.name for model in result.models),
                "dim": sum(model.dim for model in result.models),
            }
            for entry, explanation in zip(document["results"], result.explanations, strict=True):
                entry |= {
                    **asdict(explanation),
                    "distance": _score(explanation.distance),
                    "percentile": round(explanation.percentile, 2),
                }
        yield json.dumps(document)


def search_table(results: Sequence[SearchResult]) -> Iterator[str]:
    for number, result in enumerate(results):
        if number:
            yield ""
        yield printable(result.query.name)
        for rank, hit in enumerate(result.hits, start=1):
            line = f"{rank:>4}  {hit.score:.4f}  {printable(hit.path)}"
            if result.explanations:
                explanation = result.explanations[rank - 1]
                line += f"  ({explanation.band or 'no bands'}; above {explanation.percentile:.1f} % of the index)"
            yield line


def analysis_json(
    manifest: Manifest, analysis: Analysis, explain: bool, more: Mapping[str, Any] = MappingProxyType({})
) -> Iterator[str]:
    """One object. What --explain adds stands under keys of its own, so that the two lists never change shape."""
    document: dict[str, Any] = {
        "duplicate_groups": [list(group.paths) for group in analysis.groups],
        "anomalies": [anomaly.path for anomaly in analysis.anomalies],
    }
    if explain:
        document |= {
            "backbone": manifest.model_names,
            "dim": manifest.dim,
            "group_tightness": [
                {"tightest": _score(group.tightest), "loosest": _score(group.loosest)} for group in analysis.groups
            ],
            "anomaly_scores": [_score(anomaly.score) for anomaly in analysis.anomalies],
            "anomaly_raw": [_score(anomaly.raw) for anomaly in analysis.anomalies],
        }
    yield json.dumps(document | {**more})


def analysis_table(manifest: Manifest, analysis: Analysis, explain: bool) -> Iterator[str]:
    yield f"{len(analysis.groups)} duplicate groups"
    for number, group in enumerate(analysis.groups, start=1):
        facts = f"  (cosine {group.loosest:.4f} to {group.tightest:.4f})" if explain else ""
        yield f"{number:>4}  {len(group.paths)} images{facts}"
        yield from (f"      {printable(path)}" for path in group.paths)
    yield f"{len(analysis.anomalies)} anomalies, by robust z-score of their isolation"
    for rank, anomaly in enumerate(analysis.anomalies, start=1):
        yield f"{rank:>4}  {anomaly.score:>6.2f}  {printable(anomaly.path)}"


def models_json(models: Sequence[KnownModel]) -> Iterator[str]:
    """One object a model, each on one line."""
    for model in models:
        yield json.dumps({**asdict(model), "folder": str(model.folder) if model.folder else None})


def models_table(models: Sequence[KnownModel]) -> Iterator[str]:
    width = max(len(model.name) for model in models)
    for model in models:
        state = "here" if model.folder else "can be pulled"
        yield (
            f"{model.name:<{width}}  {model.dim:>4}-d  {model.image_size} px  {model.megabytes:>5} MB  "
            f"{state:<13}  {model.license}"
        )


def model_facts(models: Sequence[KnownModel]) -> Iterator[str]:
    for model in models:
        for name, value in asdict(model).items():
            yield f"{name.replace('_', ' ')}: {'not here' if value is None else value}"


def _score(value: float) -> float:
    """Six decimals: a float32 cosine holds no more, and -0.0 is printed as 0.0."""
    return round(value, 6) + 0.0
