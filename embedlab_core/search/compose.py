"""Several images and prompts as one query."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from embedlab_core.errors import QueryError
from embedlab_core.search.queries import Part, Query

# A sum shorter than this part of its terms has lost its direction to rounding.
_LEAST_LENGTH = 1e-3
_TINY = float(np.finfo(np.float32).tiny)


@dataclass(frozen=True, slots=True)
class Means:
    """The mean unit vector of a model's images and that of its texts, each float32 (d,).

    They are far apart (the modality gap, Liang et al. 2022): what a sum of an image and a text is near to would be
    decided by the gap, were they not taken off first.
    """

    image: npt.NDArray[np.float32]
    text: npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Weighted:
    """A prompt, or the path of an image, and how much it counts for in a combined query; 1 is usual. Raises
    QueryError for a weight that is not above 0 and finite."""

    what: str
    weight: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.weight < math.inf:
            raise QueryError(f"{self.what!r}: a weight of {self.weight:g}; it must be above 0, and finite")


def weighted(term: "str | Weighted") -> Weighted:
    return term if isinstance(term, Weighted) else Weighted(term)


def combine(terms: Sequence[tuple[float, Query]], means: Means) -> Query:
    """One query of weighted ones; a negative weight takes away.

    Each vector is centred on the mean of its modality and scaled to length 1, then they are added up and the sum scaled
    to length 1. Raises QueryError if there is nothing to add, or if the terms cancel out.
    """
    if not any(weight > 0 for weight, _ in terms):
        raise QueryError("nothing to search for but what to take away; give --query or --q-text as well")
    largest = max(abs(weight) for weight, _ in terms)
    shares = [weight / largest for weight, _ in terms]  # only they count, and none is too large for float32
    directions = np.stack(
        [np.float32(share) * _centred(query, means) for share, (_, query) in zip(shares, terms, strict=True)]
    ).astype(np.float32)
    total = directions.sum(axis=0)
    length = float(np.linalg.norm(total))
    if length < _LEAST_LENGTH * sum(map(abs, shares)):
        names = ", ".join(query.name for _, query in terms)
        raise QueryError(f"the parts of this query cancel out ({names}); change one of them or its weight")
    return Query(
        name=_name(terms),
        modality="composed",
        vector=(total / length).astype(np.float32),
        digests=tuple(digest for _, query in terms for digest in query.digests),
        parts=tuple(Part(query.name, query.modality, weight) for weight, query in terms),
        directions=(directions / length).astype(np.float32),
    )


def _centred(query: Query, means: Means) -> npt.NDArray[np.float32]:
    centred = query.vector - (means.image if query.modality == "image" else means.text)
    unit: npt.NDArray[np.float32] = centred / max(float(np.linalg.norm(centred)), _TINY)
    return unit.astype(np.float32)


def _name(terms: Sequence[tuple[float, Query]]) -> str:
    """As it could have been written: "a dog + 2:beach.jpg - snow"."""
    text = ""
    for weight, query in terms:
        sign = " - " if weight < 0 else " + "
        text += sign + ("" if abs(weight) == 1 else f"{abs(weight):g}:") + query.name
    return text.removeprefix(" + ")
