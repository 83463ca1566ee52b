"""Losses and recall by epoch, drawn from the CSV that training wrote."""

import csv
from pathlib import Path

from PIL import Image, ImageDraw

WIDTH, HEIGHT, MARGIN = 480, 300, 40
COLOURS = ("navy", "firebrick", "darkgreen", "darkorange", "purple", "teal")
PANELS = (("text", "copy", "align"), ("flickr8k R@1", "flickr8k R@10", "ui_docs R@10", "copies F1"))


def draw_curves(table: Path, picture: Path) -> None:
    """CSV with a row an epoch -> PNG: losses on the left, figures of held-out images on the right."""
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    image = Image.new("RGB", (WIDTH * len(PANELS), HEIGHT), "white")
    draw = ImageDraw.Draw(image)
    for panel, names in enumerate(PANELS):
        _panel(draw, panel * WIDTH, {name: [float(row[name]) for row in rows] for name in names})
    image.save(picture)


def _panel(draw: ImageDraw.ImageDraw, left: int, series: dict[str, list[float]]) -> None:
    top = max(max(values) for values in series.values())
    right, bottom = left + WIDTH - MARGIN, HEIGHT - MARGIN
    draw.line([(left + MARGIN, MARGIN), (left + MARGIN, bottom), (right, bottom)], "black")
    draw.text((left + 4, MARGIN), f"{top:.1f}", "black")
    for number, (name, values) in enumerate(series.items()):
        step = (right - left - MARGIN) / max(len(values) - 1, 1)
        points = [
            (left + MARGIN + k * step, bottom - value / top * (bottom - MARGIN)) for k, value in enumerate(values)
        ]
        draw.line(points, COLOURS[number], 2)
        draw.text((left + MARGIN + 8 + 105 * number, 12), name, COLOURS[number])
