"""Captioned and labelled images, and which of them are held out for validation."""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

# Images of each set held out for validation, and how often an image of the set is drawn in an epoch: the small sets
# are drawn more often so that Flickr8k does not drown them, those with many images of one label less.
HELD_OUT = {
    "flickr8k": 1000, "ui_docs": 400, "caltech101": 200, "emoji": 190, "imagenet_sample": 100, "pacs": 100,
    "grocery": 100, "charts": 60, "clothing": 45, "coco": 30, "synthetic": 100,
}  # fmt: skip
DRAWS = {
    "flickr8k": 1.0, "ui_docs": 1.0, "caltech101": 1.0, "emoji": 0.7, "imagenet_sample": 1.0, "pacs": 0.5,
    "grocery": 0.7, "charts": 1.5, "clothing": 1.0, "coco": 2.0, "synthetic": 0.6, "prototype": 1.5,
}  # fmt: skip

PHOTO = ("{}", "a {}", "a photo of a {}", "a picture of a {}", "an image of the {}", "a close-up of a {}")
TEMPLATES = {
    "imagenet_sample": PHOTO,
    "prototype": PHOTO,
    "caltech101": (*PHOTO, "a drawing of a {}"),
    "grocery": ("{}", "a photo of {}", "{} in a grocery store", "a picture of {}"),
    "clothing": ("{}", "a {}", "a photo of a {}", "{} clothing", "a piece of clothing: {}"),
}
MARKS = (
    "bar chart", "line chart", "area chart", "scatter plot", "scatterplot", "histogram", "pie chart", "heatmap", "map",
    "box plot", "donut chart", "bubble plot", "stacked bar chart", "grouped bar chart", "dot plot",
)  # fmt: skip


@dataclass
class Item:
    """One image (read by `load`, as encoded bytes) and every text that is true of it."""

    set: str
    load: Callable[[], bytes] = field(repr=False)
    texts: list[str]
    label: str | None = None


def read_items(data: Path) -> list[Item]:
    """captions.jsonl -> items, in file order."""
    items = []
    for line in (data / "captions.jsonl").read_text("utf-8").splitlines():
        row = json.loads(line)
        texts = expand(row["set"], row.get("captions", []), row.get("label"))
        items.append(Item(row["set"], (data / row["file"]).read_bytes, texts, row.get("label")))
    return items


def expand(name: str, captions: list[str], label: str | None) -> list[str]:
    """Captions and label of one image -> the texts it is trained on, the captions as given first."""
    texts = list(captions)
    if name in TEMPLATES and label:
        texts += [template.format(label.lower()) for template in TEMPLATES[name]]
    if name == "pacs" and label:
        texts += [label, f"a {label}", f"{label} {captions[0].split()[1]}"]
    if name in ("flickr8k", "coco"):
        texts += [caption.rstrip(" .") for caption in captions if caption.endswith(".")]
    if name == "emoji":
        names = [caption.removesuffix(" emoji") for caption in captions]
        texts += [template.format(n) for n in names for template in ("{}", "{} icon", "an icon of a {}", "{} symbol")]
    if name == "charts":
        text = " ".join(captions).lower()
        texts += [t for mark in MARKS if mark in text for t in (mark, f"a {mark}")]
        texts += ["a chart", "data visualization"]
    if name == "ui_docs":
        for caption in captions:
            lowered = caption.lower()
            for prefix in ("screenshot of the ", "screenshot of a ", "screenshot of ", "image of the ", "image of "):
                if lowered.startswith(prefix):
                    texts.append(caption[len(prefix) :].rstrip("."))
                    break
    return list(dict.fromkeys(texts))


def held_out(items: list[Item], seed: int) -> list[int]:
    """The numbers of the validation images, ascending."""
    rng = random.Random(seed)
    held: list[int] = []
    for name, count in HELD_OUT.items():
        members = [i for i, item in enumerate(items) if item.set == name]
        rng.shuffle(members)
        if name == "caltech101":
            members = _round_robin(members, items)
        held += members[:count]
    return sorted(held)


def _round_robin(members: list[int], items: list[Item]) -> list[int]:
    """In rounds of one image a class, so that any first part holds an equal share of every class."""
    seen: dict[str | None, int] = {}
    rounds = []
    for i in members:
        seen[items[i].label] = seen.get(items[i].label, 0) + 1
        rounds.append(seen[items[i].label])
    return [i for _, i in sorted(zip(rounds, members, strict=True), key=lambda pair: pair[0])]
