"""calibration.json: the threshold, and the probability of each cosine, that the data of an index give."""

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from itertools import pairwise
from typing import Literal

import numpy as np
import numpy.typing as npt

from embedlab_core.analysis.labelled import LabelledPairs
from embedlab_core.documents import Cosine, Natural, Share, Text, read_document
from embedlab_core.errors import DuplicatesError
from embedlab_core.index.files import replace_text
from embedlab_core.index.reader import IndexReader
from embedlab_core.packages import needed_for

log = logging.getLogger(__name__)

CALIBRATION = "calibration.json"
FORMAT = 1
# Pairs of each kind that labels need for a held-out figure to mean anything.
LEAST_PAIRS = 20
_FOLDS = 5
_RESAMPLES = 500
_INTERVAL = (0.025, 0.975)

Source = Literal["copies", "labels"]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A cosine, or a share of pairs. low, high: bounds of the bootstrap's 95 % interval (Efron 1979, percentiles)."""

    value: Cosine
    low: Cosine
    high: Cosine


@dataclass(frozen=True, slots=True)
class Calibration:
    """models, state: of the index it was made for. source: of the pairs. wanted: the precision that was asked for.
    threshold: the lowest cosine that reaches it. precision, recall: of the pairs it was found on. held_out_precision,
    held_out_recall: with the threshold found on other pairs (five folds), None if there was none to be found.
    duplicates, strangers: pairs of each kind. copies: by kind, the share of copies that the threshold finds. cosines,
    probabilities: knots of the probability that a pair of a cosine is one of duplicates; both rise."""

    models: Text
    state: Text
    source: Source
    wanted: Share
    threshold: Estimate
    precision: Estimate
    recall: Estimate
    held_out_precision: Share | None
    held_out_recall: Share | None
    duplicates: Natural
    strangers: Natural
    cosines: tuple[Cosine, ...]
    probabilities: tuple[Share, ...]
    copies: dict[Text, Share] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.cosines or len(self.cosines) != len(self.probabilities):
            raise ValueError(f"{len(self.cosines)} cosines and {len(self.probabilities)} probabilities")
        for name, values in (("cosines", self.cosines), ("probabilities", self.probabilities)):
            if any(one > next_one for one, next_one in pairwise(values)):
                raise ValueError(f"{name} do not rise")

    def probability(self, cosine: float) -> float:
        """That two images of this cosine are duplicates, if they are drawn as those that were calibrated on; 0 below
        the lowest cosine of those."""
        return float(np.interp(cosine, self.cosines, self.probabilities, left=0.0))


def fit(index: IndexReader, pairs: LabelledPairs, source: Source, wanted: float, seed: int) -> Calibration:
    """The lowest threshold at which the pairs at or above it have the precision `wanted`, and isotonic regression
    (Zadrozny & Elkan 2002) of the truth on the cosine.

    Raises DuplicatesError if there are too few labels of either kind, or no threshold is precise enough.
    """
    if source == "labels":
        _require_enough(pairs, wanted)
    order = np.lexsort((pairs.same, -pairs.scores))
    pairs = pairs.take(order)
    threshold = lowest_threshold(pairs, wanted)
    if threshold is None:
        raise DuplicatesError(
            f"{index.directory}: no threshold reaches a precision of {wanted}: the likest pairs are strangers; "
            "give a lower --precision, or labelled pairs with --pairs"
        )
    cosines, probabilities = _isotonic(pairs)
    bounds = _intervals(pairs, threshold, wanted, seed)
    found = Estimate(threshold, *bounds[0])
    precision, recall = map(Estimate, precision_and_recall(pairs, threshold), *zip(*bounds[1:], strict=True))
    held_out = _held_out(pairs, wanted, seed)
    return Calibration(
        models=_models(index),
        state=_state(index),
        source=source,
        wanted=wanted,
        threshold=found,
        precision=precision,
        recall=recall,
        held_out_precision=held_out[0],
        held_out_recall=held_out[1],
        duplicates=int(pairs.same.sum()),
        strangers=int((~pairs.same).sum()),
        cosines=cosines,
        probabilities=probabilities,
    )


def with_copies(calibration: Calibration, copies: Mapping[str, npt.NDArray[np.float32]]) -> Calibration:
    """copies: by kind, cosines of copies with their originals."""
    limit = np.float32(calibration.threshold.value)
    return replace(calibration, copies={kind: float((scores >= limit).mean()) for kind, scores in copies.items()})


def lowest_threshold(pairs: LabelledPairs, wanted: float) -> float | None:
    """The lowest score down to which the pairs, best first, have at least the precision `wanted`; None without one."""
    right = np.cumsum(pairs.weights * pairs.same)
    taken = np.cumsum(pairs.weights)
    # Pairs of one score are taken together.
    whole = np.append(pairs.scores[1:] != pairs.scores[:-1], True)
    (places,) = np.nonzero(whole & (right > 0) & (right >= wanted * taken))
    return float(pairs.scores[places[-1]]) if places.size else None


def precision_and_recall(pairs: LabelledPairs, threshold: float) -> tuple[float, float]:
    """NaN where there is nothing to divide by."""
    taken = pairs.scores >= np.float32(threshold)
    right = float((pairs.weights * (taken & pairs.same)).sum())
    with np.errstate(invalid="ignore"):
        precision = np.float64(right) / float(pairs.weights[taken].sum())
        recall = np.float64(right) / float(pairs.weights[pairs.same].sum())
    return float(precision), float(recall)


def save_calibration(index: IndexReader, calibration: Calibration) -> None:
    document = {"format": FORMAT, **asdict(calibration)}
    replace_text(index.directory / CALIBRATION, json.dumps(document, indent=1, allow_nan=False) + "\n")


def load_calibration(index: IndexReader) -> Calibration | None:
    """None if there is none. Warns if the index has changed since.

    Raises DuplicatesError if it cannot be read or was made for another model.
    """
    path = index.directory / CALIBRATION
    again = f"run: embedlab calibrate --index {index.directory}"
    try:
        calibration = read_document(path, Calibration, FORMAT)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise DuplicatesError(f"{path}: not a readable calibration ({error}); {again}") from error
    if calibration.models != _models(index):
        raise DuplicatesError(f"{path}: made for {calibration.models:.80}, not for {_models(index)}; {again}")
    if calibration.state != _state(index):
        log.warning("%s: made for another state of the index; to measure it anew, %s", path, again)
    return calibration


def _require_enough(pairs: LabelledPairs, wanted: float) -> None:
    # One wrong pair among fewer would already be too many.
    needed = max(LEAST_PAIRS, round(1 / max(1 - wanted, 1e-9)))
    for kind, count, least in (
        ("same = 1", int(pairs.same.sum()), needed),
        ("same = 0", int((~pairs.same).sum()), LEAST_PAIRS),
    ):
        if count < least:
            raise DuplicatesError(
                f"{count} labelled pairs with {kind}: a precision of {wanted} takes {needed} pairs with same = 1 and "
                f"{LEAST_PAIRS} with same = 0; label more, or give a lower --precision"
            )


def _intervals(pairs: LabelledPairs, threshold: float, wanted: float, seed: int) -> list[tuple[float, float]]:
    """Bounds of the best threshold, and of the precision and the recall at the given one, over resampled units."""
    units, numbers = np.unique(pairs.units, return_inverse=True)
    rng = np.random.default_rng(seed)
    drawn = []
    for _ in range(_RESAMPLES):
        times = np.bincount(rng.integers(len(units), size=len(units)), minlength=len(units))
        resampled = replace(pairs, weights=pairs.weights * times[numbers])
        best = lowest_threshold(resampled, wanted)
        # 1 where no threshold is precise enough: nothing but identical images would be taken.
        drawn.append((1.0 if best is None else best, *precision_and_recall(resampled, threshold)))
    low, high = np.nanquantile(np.array(drawn), _INTERVAL, axis=0).tolist()
    return list(zip(low, high, strict=True))


def _held_out(pairs: LabelledPairs, wanted: float, seed: int) -> tuple[float | None, float | None]:
    """Precision and recall over all pairs, each judged by a threshold that it had no part in."""
    units, numbers = np.unique(pairs.units, return_inverse=True)
    folds = (np.random.default_rng(seed).permutation(len(units)) % _FOLDS)[numbers]
    taken = np.zeros(len(pairs), dtype=np.bool_)
    for fold in range(_FOLDS):
        threshold = lowest_threshold(pairs.take(folds != fold), wanted)
        if threshold is not None:
            taken |= (folds == fold) & (pairs.scores >= np.float32(threshold))
    right = float((pairs.weights * (taken & pairs.same)).sum())
    total = float(pairs.weights[taken].sum())
    return (right / total, right / float(pairs.weights[pairs.same].sum())) if total else (None, None)


def _isotonic(pairs: LabelledPairs) -> tuple[tuple[float, ...], tuple[float, ...]]:
    with needed_for("calibrating"):
        from sklearn.isotonic import IsotonicRegression

    regression = IsotonicRegression(y_min=0.0, y_max=1.0)
    regression.fit(pairs.scores.astype(np.float64), pairs.same.astype(np.float64), sample_weight=pairs.weights)
    return tuple(regression.X_thresholds_.tolist()), tuple(regression.y_thresholds_.tolist())


def _models(index: IndexReader) -> str:
    return " + ".join(map(str, index.manifest.models))


def _state(index: IndexReader) -> str:
    """Of all that decides the cosines of the index."""
    parts = [index.manifest.store, *(shard.sha256 for shard in index.manifest.shards)]
    scale = b"" if index.column_scale is None else index.column_scale.tobytes()
    return hashlib.sha256("\n".join(parts).encode() + scale).hexdigest()
