"""The model card, weights/lite/README.md."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lite_lib.copybench import COPIED, ORIGINALS, TRANSFORMS
from lite_lib.items import HELD_OUT, Item
from lite_lib.quality import DUPLICATE, Quality

EDITIONS = Path(__file__).with_name("editions.json")  # figures of those before, by the names of Quality.figures
THRESHOLDS = (0.88, 0.90, 0.92, 0.94, 0.96)


@dataclass(frozen=True)
class Build:
    """tower: number of EfficientNet-Lite. train: the training images. raw: the cosine that became 0.92, by `b`."""

    tower: int
    train: list[Item]
    raw: float
    b: float


def write_card(path: Path, template: Path, build: Build, quality: Quality) -> None:
    """Fill the template with what was measured on the shipped files."""
    editions = json.loads(EDITIONS.read_text("utf-8")).values()
    figures = quality.figures()
    rows = [
        "| " + " | ".join([name, *(f"{edition[name]:.1f}" for edition in editions), f"{value:.1f}"]) + " |"
        for name, value in figures.items()
    ]
    trade = []
    for threshold in THRESHOLDS:
        precision, recall, f1 = quality.pairs.at(threshold)
        mild, found = quality.mild.precision(threshold)
        trade.append(f"| {threshold:.2f} | {precision:.3f} | {recall:.3f} | {f1:.3f} | {mild:.3f} | {found:.3f} |")
    image, text = quality.bands["image"], quality.bands["text"]
    counted = {name: sum(item.set == name for item in build.train) for name in HELD_OUT}
    card = template.read_text("utf-8").format(
        tower=build.tower,
        n=counted,
        captioned=sum(counted.values()),
        held=len(quality.held),
        probes=len(quality.held[::4]),
        originals=ORIGINALS,
        copied=COPIED,
        transforms=", ".join(TRANSFORMS),
        rows="\n".join(rows),
        trade="\n".join(trade),
        raw=build.raw,
        b=build.b,
        duplicate=image["near-duplicate"],
        related=image["related"],
        match=text["match"],
        text_related=text["related"],
        nearest=", ".join(f"{name} {value:.1f} %" for name, value in quality.nearest_by_set.items()),
        above=100 * float(np.mean(quality.mild.others >= DUPLICATE)),
    )
    path.write_text(card, "utf-8")
