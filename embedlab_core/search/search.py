"""Queries against an index."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from embedlab_core.encoders.ensemble import Ensemble
from embedlab_core.encoders.spec import Bands
from embedlab_core.errors import QueryError
from embedlab_core.index.manifest import ModelRef
from embedlab_core.index.reader import IndexReader
from embedlab_core.metrics import Stopwatch
from embedlab_core.search.cache import QueryCache
from embedlab_core.search.explain import Explanation, explain_hits
from embedlab_core.search.fusion import fused_queries
from embedlab_core.search.queries import Query, image_queries, images_of, prompts_of, text_queries
from embedlab_core.search.rank import Hit, top_k

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class QuerySet:
    """What to search for, answered in the order of the fields."""

    query_dir: str | None = None
    query_files: Sequence[str] = ()
    prompts: Sequence[str] = ()
    prompt_file: Path | None = None


@dataclass(frozen=True, slots=True)
class SearchResult:
    """models: those that made the index, whose dimensions add up to `dim`. hits: best first. explanations: one a hit,
    or none if they were not asked for."""

    query: Query
    models: tuple[ModelRef, ...]
    hits: list[Hit]
    explanations: list[Explanation]


def search(
    index: IndexReader,
    ensemble: Ensemble,
    cache: QueryCache,
    query_set: QuerySet,
    k: int,
    explain: bool = False,
    fusion_weights: Sequence[float] = (),
    watch: Stopwatch | None = None,
) -> list[SearchResult]:
    """The k nearest images of every query.

    ensemble: the models that made the index. fusion_weights: of these models, in their order; none means equal ones. A
    query image that cannot be read is named in a warning and left out. watch: takes the seconds of the stages "encode"
    and "rank".
    Raises QueryError if nothing can be answered, and what the encoders raise.
    """
    if len(index) == 0:
        raise QueryError(f"{index.directory}: the index holds no images; run embed on a folder that has some")
    models = index.manifest.models
    watch = watch or Stopwatch()
    with watch.stage("encode"):
        queries = _encode(query_set, ensemble, cache)
    vectors = fused_queries(index, np.stack([query.vector for query in queries]), fusion_weights)
    # Fused scores of several models have no bands: nobody has measured them.
    bands = ensemble.encoders[0].spec.bands if len(models) == 1 else Bands({}, {})
    with watch.stage("rank"):
        return [
            SearchResult(
                query, models, hits, explain_hits(index, query.modality, vector, hits, bands) if explain else []
            )
            for query, vector, hits in zip(queries, vectors, top_k(index, vectors, k), strict=True)
        ]


def _encode(query_set: QuerySet, ensemble: Ensemble, cache: QueryCache) -> list[Query]:
    paths = [*(images_of(query_set.query_dir) if query_set.query_dir else []), *query_set.query_files]
    prompts = [*query_set.prompts, *(prompts_of(query_set.prompt_file) if query_set.prompt_file else [])]
    images, skipped = image_queries(paths, ensemble, cache)
    texts, truncated = text_queries(prompts, ensemble, cache)
    if not images and not texts:
        raise QueryError(
            f"{skipped[0].path}: {skipped[0].reason}; none of the {len(skipped)} query images can be read"
            if skipped
            else "no queries given"
        )
    for skip in skipped:
        log.warning("%s: %s; this query is left out", skip.path, skip.reason)
    for prompt in truncated:
        log.warning("prompt cut at %d tokens: %.60s…", ensemble.context_length, prompt)
    return images + texts
