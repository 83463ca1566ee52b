"""Queries against an index."""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from embedlab_core.encoders.ensemble import Ensemble
from embedlab_core.encoders.spec import Bands
from embedlab_core.errors import QueryError
from embedlab_core.index.manifest import ModelRef
from embedlab_core.index.reader import IndexReader
from embedlab_core.metrics import Stopwatch
from embedlab_core.search.ann import RERANK, AnnIndex
from embedlab_core.search.cache import QueryCache
from embedlab_core.search.compose import Weighted, combine, weighted
from embedlab_core.search.diversity import diversify
from embedlab_core.search.explain import Explanation, explain_hits
from embedlab_core.search.filters import Filter, matching, rows_of_content
from embedlab_core.search.fusion import fusion_scales
from embedlab_core.search.means import means_of
from embedlab_core.search.queries import Query, image_queries, images_of, prompts_of, text_queries, warn_of_prompts
from embedlab_core.search.rank import Hit, decide, exact_candidates

log = logging.getLogger(__name__)

# Candidates for each wanted result where not simply the nearest are shown.
_POOL = 10


@dataclass(frozen=True, slots=True)
class QuerySet:
    """What to search for, answered in the order of the fields. The last two, and weights, are for composed queries
    only."""

    query_dir: str | None = None
    query_files: Sequence[str | Weighted] = ()
    prompts: Sequence[str | Weighted] = ()
    prompt_file: Path | None = None
    minus_files: Sequence[str | Weighted] = ()
    minus_prompts: Sequence[str | Weighted] = ()


@dataclass(frozen=True, slots=True)
class SearchOptions:
    """k: results a query. fusion_weights: of the models of an ensemble, in their order; none means equal ones.

    combine: all images and prompts are one query. templates: a prompt's vector is
    the mean over several ways to say it. diversity: 0..1, see `diversify`. collapse_duplicates: near-duplicates of a
    better result are left out. min_score, min_band: results below are left out. path_glob: only images whose path
    matches. exclude_query: the query images themselves are left out, by content. ann, rerank: approximate candidates,
    and how many of them are ranked exactly.
    """

    k: int = 5
    explain: bool = False
    fusion_weights: Sequence[float] = ()
    combine: bool = False
    templates: bool = False
    diversity: float = 0.0
    collapse_duplicates: bool = False
    min_score: float | None = None
    min_band: str | None = None
    path_glob: str | None = None
    exclude_query: bool = False
    ann: bool = False
    rerank: int = RERANK


DEFAULTS = SearchOptions()


@dataclass(frozen=True, slots=True)
class SearchResult:
    """models: those that made the index, whose dimensions add up to `dim`. hits: best first. explanations: one a hit,
    or none if they were not asked for. floor: the lowest score that was asked for, minus infinity if none was."""

    query: Query
    models: tuple[ModelRef, ...]
    hits: list[Hit]
    explanations: list[Explanation]
    floor: float = -math.inf


def search(
    index: IndexReader,
    ensemble: Ensemble,
    cache: QueryCache,
    query_set: QuerySet,
    options: SearchOptions,
    watch: Stopwatch | None = None,
) -> list[SearchResult]:
    """The nearest images of every query.

    ensemble: the models that made the index. A query image that cannot be read is named in a warning and left out.
    watch: takes the seconds of the stages "encode" and "rank".
    Raises QueryError if nothing can be answered, and what the encoders raise.
    """
    if len(index) == 0:
        raise QueryError(f"{index.directory}: the index holds no images; run embed on a folder that has some")
    if options.ann and options.rerank < options.k:
        raise QueryError(f"--rerank {options.rerank} is below --k {options.k}; rank at least as many as are shown")
    watch = watch or Stopwatch()
    models = index.manifest.models
    with watch.stage("encode"):
        queries = _queries(index, ensemble, cache, query_set, options)
    queries = _fused(index, queries, options.fusion_weights)
    vectors = np.stack([query.vector for query in queries])
    # Fused scores of several models have no bands: nobody has measured them.
    bands = ensemble.encoders[0].spec.bands if len(models) == 1 else Bands({}, {})
    floors = [_floor(query, bands, options) for query in queries]
    with watch.stage("rank"):
        ranked = _ranked(index, queries, vectors, floors, bands.near_duplicate, options)
        return [
            SearchResult(
                query, models, hits, explain_hits(index, query, hits, bands) if options.explain and hits else [], floor
            )
            for query, hits, floor in zip(queries, ranked, floors, strict=True)
        ]


def _fused(index: IndexReader, queries: Sequence[Query], weights: Sequence[float]) -> list[Query]:
    """Queries whose vectors, and parts, are scaled for late fusion."""
    scales = fusion_scales(index, np.stack([query.vector for query in queries]), weights)
    return [
        replace(
            query, vector=query.vector * scale, directions=query.directions * scale if query.parts else query.directions
        )
        for query, scale in zip(queries, scales, strict=True)
    ]


def _ranked(
    index: IndexReader,
    queries: Sequence[Query],
    vectors: npt.NDArray[np.float32],
    floors: Sequence[float],
    near_duplicate: float,
    options: SearchOptions,
) -> list[list[Hit]]:
    ann = AnnIndex.open(index) if options.ann else None
    exact = [index.exact_queries(query.vector[None], query.modality == "text")[0] for query in queries]
    filters = _filters(index, queries, options)
    selective = options.diversity > 0 or options.collapse_duplicates
    pool = min(len(index), _POOL * options.k if selective else options.k)

    def nearest(numbers: list[int], count: int) -> list[list[Hit]]:
        chosen, some = vectors[numbers], [filters[number] for number in numbers] if filters else []
        if ann is not None:
            candidates = ann.candidates(chosen, min(max(options.rerank, count), len(index)), some)
        else:
            candidates = exact_candidates(index, chosen, count, some)
        return [decide(index, exact[number], rows, count) for number, rows in zip(numbers, candidates, strict=True)]

    def shown(hits: list[Hit]) -> list[Hit]:
        if not selective or not hits:
            return hits
        scores = np.array([hit.score for hit in hits], dtype=np.float32)
        found = index.vectors(np.array([hit.row for hit in hits], dtype=np.int64))
        ceiling = near_duplicate if options.collapse_duplicates else None
        return [hits[number] for number in diversify(found, scores, options.k, options.diversity, ceiling)]

    results: list[list[Hit]] = [[] for _ in queries]
    wanting = list(range(len(queries)))
    while wanting:
        crowded = []
        for number, hits in zip(wanting, nearest(wanting, pool), strict=True):
            good = [hit for hit in hits if hit.score >= floors[number]]
            results[number] = shown(good)
            # Copies of what is shown fill the pool, and what lies behind it may still be good.
            if len(results[number]) < options.k and len(good) == pool < len(index):
                crowded.append(number)
        wanting, pool = crowded, min(len(index), _POOL * pool)
    return results


def _filters(index: IndexReader, queries: Sequence[Query], options: SearchOptions) -> list[Filter]:
    """One a query; none at all if nothing is left out."""
    if options.path_glob is None and not options.exclude_query:
        return []
    allowed = None if options.path_glob is None else matching(index, options.path_glob)
    if allowed is not None and not allowed.any():
        raise QueryError(f"--path-glob {options.path_glob!r}: no image of {index.directory} has such a path")
    return [
        Filter(allowed, rows_of_content(index, query.digests if options.exclude_query else ())) for query in queries
    ]


def _floor(query: Query, bands: Bands, options: SearchOptions) -> float:
    """The lowest score that is shown; infinity where a band is asked for and no score has one."""
    floor = -math.inf if options.min_score is None else options.min_score
    if options.min_band is None:
        return floor
    known = {"image": bands.image, "text": bands.text}.get(query.modality, {})
    if options.min_band not in known:
        names = ", ".join(known) or "none; use --min-score"
        raise QueryError(f"--min-band {options.min_band}: no such band for {query.modality} queries; there is {names}")
    return math.inf if query.unknown else max(floor, known[options.min_band])


def _queries(
    index: IndexReader, ensemble: Ensemble, cache: QueryCache, query_set: QuerySet, options: SearchOptions
) -> list[Query]:
    folder = images_of(query_set.query_dir) if query_set.query_dir else []
    lines = prompts_of(query_set.prompt_file) if query_set.prompt_file else []
    images = [weighted(term) for term in (*folder, *query_set.query_files)]
    prompts = [weighted(term) for term in (*query_set.prompts, *lines)]
    if not options.combine:
        if query_set.minus_files or query_set.minus_prompts:
            raise QueryError("--minus-image and --minus-text take away from a combined query; add --combine")
        if any(term.weight != 1 for term in images + prompts):
            raise QueryError("a weight means something only in a combined query")
        return _encoded(_names(images), _names(prompts), ensemble, cache, options.templates)
    minus_images = [weighted(term) for term in query_set.minus_files]
    minus_prompts = [weighted(term) for term in query_set.minus_prompts]
    queries = _encoded(
        _names(images + minus_images),
        _names(prompts + minus_prompts),
        ensemble,
        cache,
        options.templates,
        strict=True,
    )
    weights = [
        sign * term.weight
        for sign, terms in ((1, images), (-1, minus_images), (1, prompts), (-1, minus_prompts))
        for term in terms
    ]
    return [combine(list(zip(weights, queries, strict=True)), means_of(index, ensemble))]


def _names(terms: Sequence[Weighted]) -> list[str]:
    return [term.what for term in terms]


def _encoded(
    paths: Sequence[str],
    prompts: Sequence[str],
    ensemble: Ensemble,
    cache: QueryCache,
    templates: bool,
    strict: bool = False,
) -> list[Query]:
    """Images, then prompts. strict: an image that cannot be read is an error, since the others mean something else
    without it."""
    images, skipped = image_queries(paths, ensemble, cache)
    texts = text_queries(prompts, ensemble, cache, templates)
    if skipped and (strict or not images + texts):
        raise QueryError(
            f"{skipped[0].path}: {skipped[0].reason}; {len(skipped)} of the {len(paths)} query images cannot be read"
        )
    if not images and not texts:
        raise QueryError("no queries given")
    for skip in skipped:
        log.warning("%s: %s; this query is left out", skip.path, skip.reason)
    warn_of_prompts(texts, ensemble)
    return images + texts
