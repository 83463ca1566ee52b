"""Results -> lines of JSON or of a table."""

import csv
import io
import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from embedlab_core.cli.options import printable
from embedlab_core.search.bench import AnnBench
from embedlab_core.search.explain import Explanation
from embedlab_core.search.search import SearchResult

if TYPE_CHECKING:
    # It brings urllib along, for models only.
    from embedlab_core.encoders.folders import KnownModel


def search_json(results: Sequence[SearchResult], explain: bool) -> Iterator[str]:
    """One object a query, each on one line; explain: with the facts that were asked for."""
    for result in results:
        document: dict[str, Any] = {
            "query": result.query.name,
            "results": [{"path": hit.path, "score": rounded(hit.score)} for hit in result.hits],
        }
        if explain:
            document |= {
                "backbone": " + ".join(model.name for model in result.models),
                "dim": sum(model.dim for model in result.models),
            }
            if result.query.parts:
                document["parts"] = [asdict(part) for part in result.query.parts]
            for entry, explanation in zip(document["results"], result.explanations, strict=True):
                entry |= {
                    **asdict(explanation),
                    "distance": rounded(explanation.distance),
                    "percentile": round(explanation.percentile, 2),
                    "z_score": round(explanation.z_score, 2),
                    "shares": [rounded(share) for share in explanation.shares],
                }
        yield json.dumps(document)


def search_csv(results: Sequence[SearchResult]) -> Iterator[str]:
    """A header and one line a result, as RFC 4180 has it."""
    yield _csv_line(["query", "rank", "score", "path"])
    for result in results:
        for rank, hit in enumerate(result.hits, start=1):
            yield _csv_line([result.query.name, rank, rounded(hit.score), hit.path])


def search_paths(results: Sequence[SearchResult]) -> Iterator[str]:
    """Every path once, in the order of the results, ended by NUL."""
    for path in dict.fromkeys(hit.path for result in results for hit in result.hits):
        yield f"{path}\0"


def search_table(results: Sequence[SearchResult], thumbnail: Callable[[str], str] | None = None) -> Iterator[str]:
    for number, result in enumerate(results):
        if number:
            yield ""
        yield printable(result.query.name)
        if not result.hits:
            yield f"   -  {_why_none(result)}"
        for rank, hit in enumerate(result.hits, start=1):
            line = f"{rank:>4}  {hit.score:.4f}  {printable(hit.path)}"
            if result.explanations:
                explanation = result.explanations[rank - 1]
                line += f"  ({_facts(explanation)})"
            yield line
            if thumbnail and (sequence := thumbnail(hit.path)):
                yield sequence


def _why_none(result: SearchResult) -> str:
    if result.query.unknown and result.floor == math.inf:
        return "no band: the model knows no word of this prompt"
    return f"no image reaches {result.floor:.4f}" if math.isfinite(result.floor) else "no image is left"


def models_json(models: Sequence["KnownModel"]) -> Iterator[str]:
    """One object a model, each on one line."""
    for model in models:
        yield json.dumps({**asdict(model), "folder": str(model.folder) if model.folder else None})


def models_table(models: Sequence["KnownModel"]) -> Iterator[str]:
    width = max(len(model.name) for model in models)
    for model in models:
        state = "here" if model.folder else "can be pulled"
        yield (
            f"{model.name:<{width}}  {model.dim:>4}-d  {model.image_size} px  {model.megabytes:>5} MB  "
            f"{state:<13}  {model.license}"
        )


def model_facts(models: Sequence["KnownModel"]) -> Iterator[str]:
    for model in models:
        for name, value in asdict(model).items():
            yield f"{name.replace('_', ' ')}: {'not here' if value is None else value}"


def ann_bench_json(bench: AnnBench) -> Iterator[str]:
    yield json.dumps({name: round(value, 4) for name, value in asdict(bench).items()})


def ann_bench_table(bench: AnnBench) -> Iterator[str]:
    yield f"{bench.images} images, {bench.queries} queries one at a time, k {bench.k}, rerank {bench.rerank}"
    yield f"exact   p50 {bench.exact_p50_ms:8.2f} ms   p95 {bench.exact_p95_ms:8.2f} ms"
    yield f"ANN     p50 {bench.ann_p50_ms:8.2f} ms   p95 {bench.ann_p95_ms:8.2f} ms"
    yield f"recall@{bench.k} {bench.recall:.4f}, {bench.exact_p50_ms / bench.ann_p50_ms:.1f} times as fast at p50"
    yield f"ANN file {bench.bytes / 1e6:.0f} MB, opened in {bench.open_seconds:.2f} s"


def _facts(explanation: Explanation) -> str:
    facts = [explanation.band or "no band", f"above {explanation.percentile:.1f} % of the index"]
    facts.append(f"z {explanation.z_score:.1f}")
    if explanation.duplicate_of is not None:
        facts.append(f"near-duplicate of {printable(explanation.duplicate_of)}")
    if explanation.shares:
        facts.append("shares " + " ".join(f"{share:+.3f}" for share in explanation.shares))
    return "; ".join(facts)


def _csv_line(cells: Sequence[object]) -> str:
    line = io.StringIO()
    # A writer quotes what its own ends of lines consist of.
    csv.writer(line, lineterminator="\r\n").writerow(cells)
    return line.getvalue().removesuffix("\r\n")


def rounded(value: float) -> float:
    """Six decimals: a float32 cosine holds no more, and -0.0 is printed as 0.0."""
    return round(value, 6) + 0.0
