"""A set of photos of which some have transformed copies, and the truth about its pairs."""

import io
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont, ImageOps

Pair = frozenset[str]

# tools/train_lite.py holds these photos out (its `split`, first of its sets): no model here has seen them.
_HELD_OUT = 1000
_SEED = 0


@dataclass(frozen=True)
class Truth:
    """groups: the file names of each original and its copies. transforms: of each copy, by file name."""

    groups: list[list[str]]
    transforms: dict[str, str]

    def pairs(self) -> set[Pair]:
        return {frozenset(pair) for group in self.groups for pair in combinations(group, 2)}


def held_out_photos(data: Path) -> list[Path]:
    """The validation photos of flickr8k, in the order in which train_lite.py draws them."""
    rows = map(json.loads, (data / "captions.jsonl").read_text("utf-8").splitlines())
    photos = [data / row["file"] for row in rows if row["set"] == "flickr8k"]
    random.Random(_SEED).shuffle(photos)
    # train_lite.py shuffles places in captions.jsonl, which are those in `photos`: flickr8k comes first there.
    return photos[:_HELD_OUT]


def make_set(folder: Path, photos: list[Path], copied: int, copies: int, seed: int) -> Truth:
    """Write `photos` to `folder`, and `copies` transformed copies of each of the first `copied`."""
    chance = random.Random(seed)
    groups, transforms = [], {}
    for number, photo in enumerate(photos):
        original = f"{number:04d}.jpg"
        (folder / original).write_bytes(photo.read_bytes())
        group = [original]
        for name in chance.sample(list(TRANSFORMS), copies) if number < copied else []:
            data, suffix = TRANSFORMS[name](Image.open(photo).convert("RGB"), chance)
            copy = f"{number:04d}-{name.replace(' ', '-')}.{suffix}"
            (folder / copy).write_bytes(data)
            group.append(copy)
            transforms[copy] = name
        if len(group) > 1:
            groups.append(group)
    return Truth(groups, transforms)


def _encoded(image: Image.Image, quality: int = 90) -> tuple[bytes, str]:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue(), "jpg"


def _scaled(image: Image.Image, across: float, down: float) -> Image.Image:
    return image.resize((round(image.width * across), round(image.height * down)), Image.Resampling.BICUBIC)


def _cropped(image: Image.Image, share: float, chance: random.Random) -> Image.Image:
    """Without `share` of each side, at a random place."""
    width, height = round(image.width * (1 - share)), round(image.height * (1 - share))
    left, top = chance.randint(0, image.width - width), chance.randint(0, image.height - height)
    return image.crop((left, top, left + width, top + height))


def _overlaid(image: Image.Image, chance: random.Random) -> Image.Image:
    image = image.copy()
    at = (image.width * chance.uniform(0.05, 0.3), image.height * chance.uniform(0.1, 0.85))
    font = ImageFont.load_default(image.height * 0.1)
    ImageDraw.Draw(image).text(at, "holiday 2024", chance.choice(["white", "black", "yellow"]), font)
    return image


TRANSFORMS: dict[str, Callable[[Image.Image, random.Random], tuple[bytes, str]]] = {
    "jpeg 25": lambda image, _: _encoded(image, 25),
    "half size": lambda image, _: _encoded(_scaled(image, 0.5, 0.5)),
    "double size": lambda image, _: _encoded(_scaled(image, 2, 2)),
    "crop 10 %": lambda image, chance: _encoded(_cropped(image, 0.10, chance)),
    "crop 25 %": lambda image, chance: _encoded(_cropped(image, 0.25, chance)),
    "mirror": lambda image, _: _encoded(ImageOps.mirror(image)),
    "turn 5": lambda image, chance: _encoded(image.rotate(chance.choice([5, -5]), Image.Resampling.BICUBIC)),
    "turn 90": lambda image, chance: _encoded(image.rotate(chance.choice([90, 270]), expand=True)),
    "brightness": lambda image, chance: _encoded(ImageEnhance.Brightness(image).enhance(chance.choice([0.7, 1.3]))),
    "contrast": lambda image, chance: _encoded(ImageEnhance.Contrast(image).enhance(chance.choice([0.7, 1.4]))),
    "grayscale": lambda image, _: _encoded(ImageOps.grayscale(image).convert("RGB")),
    "blur": lambda image, _: _encoded(image.filter(ImageFilter.GaussianBlur(1.5))),
    "text overlay": lambda image, chance: _encoded(_overlaid(image, chance)),
    "border": lambda image, chance: _encoded(
        ImageOps.expand(image, round(image.width * 0.06), chance.choice(["white", "black"]))
    ),
    "aspect": lambda image, _: _encoded(_scaled(image, 1.3, 1)),
}


def closed(groups: Iterator[tuple[str, ...]]) -> set[Pair]:
    """Every pair inside every group."""
    return {frozenset(pair) for group in groups for pair in combinations(group, 2)}
