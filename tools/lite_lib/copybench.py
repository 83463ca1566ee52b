"""Duplicates among distractors: photos, some with transformed copies, judged by the cosine of every pair."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from lite_lib.copies import (
    Pixels,
    blurred,
    bordered,
    brightened,
    contrasted,
    encode,
    grayed,
    lettered,
    opened,
    pixels_of,
    scaled,
    seeded,
    turned,
    window,
)
from lite_lib.items import Item

Array = npt.NDArray[np.float32]
Transform = Callable[[Image.Image, random.Random], Image.Image]

TRANSFORMS: dict[str, Transform] = {
    "jpeg 25": lambda image, rng: opened(encode(image, "JPEG", 25)),
    "half size": lambda image, rng: scaled(image, 0.5, 0.5),
    "double size": lambda image, rng: scaled(image, 2, 2),
    "crop 10 %": lambda image, rng: window(image, 0.9, rng),
    "crop 25 %": lambda image, rng: window(image, 0.75, rng),
    "mirror": lambda image, rng: ImageOps.mirror(image),
    "turn 5": lambda image, rng: turned(image, rng.choice((-5, 5)), "black"),
    "turn 90": lambda image, rng: image.transpose(rng.choice((Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_270))),
    "brightness": lambda image, rng: brightened(image, rng.choice((0.7, 1.3))),
    "contrast": lambda image, rng: contrasted(image, rng.choice((0.7, 1.3))),
    "grayscale": lambda image, rng: grayed(image),
    "blur": lambda image, rng: blurred(image, min(image.size) / 150),
    "text overlay": lambda image, rng: lettered(image, "Sample text", 0.12, (0.1, rng.uniform(0.1, 0.8)), "white"),
    "border": lambda image, rng: bordered(image, 0.08, rng.choice(("white", "black"))),
    "aspect": lambda image, rng: scaled(image, *rng.choice(((4 / 3, 1), (1, 4 / 3)))),
}
ORIGINALS, COPIED, COPIES_EACH = 1000, 200, 4


@dataclass(frozen=True)
class Photo:
    """One picture of the benchmark: the item it shows, and the transform that made it (None: as it is)."""

    item: int
    transform: str | None


def photos(items: int, seed: int) -> list[Photo]:
    """The first 1,000 of `items` as they are, then four copies of each of 200 drawn ones, by different transforms."""
    rng = random.Random(f"copies-{seed}")
    originals = range(min(items, ORIGINALS))
    copied = sorted(rng.sample(originals, COPIED))
    copies = [Photo(i, name) for i in copied for name in rng.sample(list(TRANSFORMS), COPIES_EACH)]
    return [*(Photo(i, None) for i in originals), *copies]


def photo_pixels(items: Sequence[Item], photo: Photo) -> Pixels:
    """-> uint8 (224, 224, 3); the transform's own chance depends on the content of the image alone."""
    data = items[photo.item].load()
    if photo.transform is None:
        return pixels_of(data)
    image = TRANSFORMS[photo.transform](opened(data), seeded(data, photo.transform))
    return pixels_of(encode(image, "JPEG", 95))


@dataclass(frozen=True)
class Pairs:
    """Every pair of photos: cosine (p,) and whether they show one item (p,)."""

    cosine: Array
    same: npt.NDArray[np.bool_]

    def at(self, threshold: float) -> tuple[float, float, float]:
        """(precision, recall, F1) of the pairs at or above the threshold."""
        above = self.cosine >= threshold
        hits = int((above & self.same).sum())
        precision, recall = hits / max(int(above.sum()), 1), hits / int(self.same.sum())
        return precision, recall, 2 * precision * recall / max(precision + recall, 1e-9)

    def best(self) -> tuple[float, float]:
        """(F1, threshold) where F1 is highest."""
        order = np.argsort(-self.cosine, kind="stable")
        hits = np.cumsum(self.same[order])
        f1 = 2 * hits / (np.arange(1, len(order) + 1) + hits[-1])
        k = int(f1.argmax())
        return float(f1[k]), float(self.cosine[order[k]])

    def threshold(self, precision: float) -> float:
        """The lowest cosine down to which the pairs reach the precision."""
        order = np.argsort(-self.cosine, kind="stable")
        reached = np.cumsum(self.same[order]) / np.arange(1, len(order) + 1) >= precision
        return float(self.cosine[order[int(np.nonzero(reached)[0].max(initial=0))]])


def pairs(vectors: Array, listed: Sequence[Photo]) -> Pairs:
    """vectors: unit float32 (n, d) of the listed photos."""
    item = np.array([photo.item for photo in listed])
    i, j = np.triu_indices(len(listed), 1)
    return Pairs((vectors @ vectors.T)[i, j], item[i] == item[j])


def by_transform(vectors: Array, listed: Sequence[Photo], threshold: float) -> dict[str, float]:
    """Per cent of the copies of each kind whose cosine to the original reaches the threshold."""
    kinds: dict[str, list[bool]] = {name: [] for name in TRANSFORMS}
    for row, photo in enumerate(listed):
        if photo.transform is not None:
            kinds[photo.transform].append(float(vectors[row] @ vectors[photo.item]) >= threshold)
    return {name: 100 * float(np.mean(found)) for name, found in kinds.items() if found}
