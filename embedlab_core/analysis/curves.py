"""ROC and precision-recall curves of labelled pairs, as CSV and PNG."""

import csv
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from embedlab_core.analysis.labelled import LabelledPairs
from embedlab_core.index.files import replace_file, replace_text
from embedlab_core.packages import needed_for

CURVES = "calibration.csv"
ROC = "calibration-roc.png"
PRECISION_RECALL = "calibration-pr.png"

_Values = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Curves:
    """All float64 (t,), by falling threshold. recall: also the true positive rate of the ROC."""

    thresholds: _Values
    precision: _Values
    recall: _Values
    false_positive_rate: _Values


def curves_of(pairs: LabelledPairs) -> Curves:
    """One point for each different score."""
    pairs = pairs.take(np.argsort(-pairs.scores, kind="stable"))
    right, wrong = np.cumsum(pairs.weights * pairs.same), np.cumsum(pairs.weights * ~pairs.same)
    last = np.flatnonzero(np.append(pairs.scores[1:] != pairs.scores[:-1], True))
    return Curves(
        thresholds=pairs.scores[last].astype(np.float64),
        precision=right[last] / (right + wrong)[last],
        recall=right[last] / right[-1],
        false_positive_rate=wrong[last] / max(wrong[-1], np.finfo(np.float64).tiny),
    )


def write_curves(directory: Path, curves: Curves, threshold: float) -> None:
    """calibration.csv and two pictures, in which `threshold` is marked. Raises IndexWriteError."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("threshold", "precision", "recall", "false_positive_rate"))
    columns = (curves.thresholds, curves.precision, curves.recall, curves.false_positive_rate)
    writer.writerows([f"{value:.6f}" for value in row] for row in zip(*columns, strict=True))
    replace_text(directory / CURVES, text.getvalue())
    marked = int(np.argmin(np.abs(curves.thresholds - threshold)))
    labels = ("false positive rate", "true positive rate")
    _draw(directory / ROC, curves.false_positive_rate, curves.recall, labels, marked, threshold)
    _draw(directory / PRECISION_RECALL, curves.recall, curves.precision, ("recall", "precision"), marked, threshold)


def _draw(path: Path, x: _Values, y: _Values, labels: tuple[str, str], marked: int, threshold: float) -> None:
    # Not pyplot, which keeps figures in global state and may look for a display.
    with needed_for("drawing the curves"):
        from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot(x, y, drawstyle="steps-post")
    axes.plot([x[marked]], [y[marked]], "o", label=f"threshold {threshold:.4f}")
    axes.set(xlabel=labels[0], ylabel=labels[1], xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    axes.legend(loc="lower left" if labels[0] == "recall" else "lower right")
    # Without a date or a version the same curve gives the same file.
    replace_file(path, lambda file: figure.savefig(file, format="png", metadata={"Software": None}))
