"""Photographs that packages ship: whole, and as crops that show clearly different things."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from PIL import Image

from .model import Asset

CC0 = "CC0 1.0"
PUBLIC = "public domain"
CC_BY = "CC BY 2.0"


@dataclass(frozen=True)
class Source:
    """A photograph as its package ships it."""

    package: str
    file: str
    author: str
    licence: str
    title: str


SOURCES = {
    "camera": Source("scikit-image", "data/camera.png", "Lav Varshney", CC0, "cameraman"),
    "chelsea": Source("scikit-image", "data/chelsea.png", "Stéfan van der Walt", CC0, "Chelsea the cat"),
    "coffee": Source("scikit-image", "data/coffee.png", "Rachel Michetti", CC0, "coffee cup"),
    "coins": Source(
        "scikit-image", "data/coins.png", "Brooklyn Museum", "no known copyright restrictions", "Greek coins"
    ),
    "hubble": Source("scikit-image", "data/hubble_deep_field.jpg", "NASA", PUBLIC, "Hubble eXtreme Deep Field"),
    "ihc": Source("scikit-image", "data/ihc.png", "CMMI", "no known copyright restrictions", "immunohistochemistry"),
    "retina": Source("scikit-image", "data/retina.jpg", "Mikael Häggström", CC0, "human retina"),
    "rocket": Source("scikit-image", "data/rocket.jpg", "SpaceX", PUBLIC, "Falcon 9 with DSCOVR"),
    "brick": Source("scikit-image", "data/brick.png", "CC0Textures (Bricks25)", CC0, "brick wall"),
    "china": Source("scikit-learn", "datasets/images/china.jpg", "danielbuechele (Flickr)", CC_BY, "Summer Palace"),
    "flower": Source("scikit-learn", "datasets/images/flower.jpg", "vultilion (Flickr)", CC_BY, "dahlia"),
}

MODULES = {"scikit-image": "skimage", "scikit-learn": "sklearn", "matplotlib": "matplotlib"}


@cache
def load(name: str) -> Image.Image:
    """A photograph in full, as RGB."""
    source = SOURCES[name]
    spec = find_spec(MODULES[source.package])
    if spec is None or spec.origin is None:
        raise SystemExit(f"the package {source.package} is needed: see tools/make_assets.py")
    return Image.open(Path(spec.origin).parent / source.file).convert("RGB")


def crop(name: str, box: tuple[float, float, float, float] = (0, 0, 1, 1), longest: int = 0) -> Image.Image:
    """The part of a photograph inside a box of fractions, scaled so that its longest side has this length."""
    whole = load(name)
    wide, high = whole.size
    part = whole.crop((round(box[0] * wide), round(box[1] * high), round(box[2] * wide), round(box[3] * high)))
    if not longest:
        return part
    factor = longest / max(part.size)
    return part.resize((round(part.width * factor), round(part.height * factor)), Image.Resampling.LANCZOS)


def credit(name: str, change: str = "") -> dict[str, str]:
    """The origin, author and licence of an image made from this photograph."""
    source = SOURCES[name]
    origin = f"{source.package}, {source.file} ({source.title})" + (f"; {change}" if change else "")
    return {"origin": origin, "author": source.author, "licence": source.licence}


def _painter(name: str, box: tuple[float, float, float, float], longest: int) -> Callable[[random.Random], Image.Image]:
    return lambda rng: crop(name, box, longest)


def _photo(
    key: str,
    name: str,
    box: tuple[float, float, float, float] = (0, 0, 1, 1),
    longest: int = 0,
    prompts: tuple[str, ...] = (),
) -> Asset:
    change = "" if box == (0, 0, 1, 1) else "cropped"
    if longest:
        change = f"{change}, resized" if change else "resized"
    return Asset(key, "photo", "jpg", _painter(name, box, longest), prompts, **credit(name, change))


CAT, COFFEE, FLOWER, ROCKET = "a cat", "a cup of coffee", "a flower", "a rocket on its launch pad"

# Each subject comes as the whole photograph and as parts of it that overlap little, so that no ordinary image stands
# alone, and no two of them are copies either.
ASSETS = [
    _photo("cat", "chelsea", prompts=(CAT,)),
    _photo("cat_eye", "chelsea", (0.3, 0.05, 0.66, 0.6), 420, (CAT,)),
    _photo("cat_other_eye", "chelsea", (0.64, 0.12, 1.0, 0.62), 440, (CAT,)),
    _photo("coffee", "coffee", prompts=(COFFEE,)),
    _photo("coffee_cup", "coffee", (0.25, 0.0, 0.8, 0.62), 500, (COFFEE,)),
    _photo("coffee_spoon", "coffee", (0.1, 0.4, 0.95, 1.0), 560, (COFFEE,)),
    _photo("rocket", "rocket", prompts=(ROCKET,)),
    _photo("rocket_near", "rocket", (0.42, 0.25, 0.62, 1.0), 600, (ROCKET,)),
    _photo("rocket_base", "rocket", (0.3, 0.62, 0.85, 1.0), 520, (ROCKET,)),
    _photo("temple", "china"),
    _photo("temple_roof", "china", (0.18, 0.02, 0.52, 0.5), 440),
    _photo("temple_terrace", "china", (0.12, 0.4, 0.6, 1.0), 480),
    _photo("dahlia", "flower", prompts=(FLOWER,)),
    _photo("dahlia_petals", "flower", (0.36, 0.28, 0.6, 0.62), 420, (FLOWER,)),
    _photo("dahlia_edge", "flower", (0.38, 0.15, 0.66, 0.5), 440, (FLOWER,)),
    _photo("stars", "hubble", (0.5, 0.3, 1.0, 1.0)),
    _photo("galaxy", "hubble", (0.3, 0.62, 0.52, 0.84), 480),
    _photo("tissue", "ihc", (0.0, 0.0, 1.0, 0.6)),
    _photo("tissue_gland", "ihc", (0.45, 0.55, 1.0, 1.0), 440),
    _photo("tissue_wall", "ihc", (0.0, 0.5, 0.5, 1.0), 440),
    _photo("coins", "coins", longest=640),
    _photo("coins_upper", "coins", (0.45, 0.0, 1.0, 0.5), 560),
    _photo("coins_lower", "coins", (0.0, 0.5, 0.55, 1.0), 560),
    _photo("retina", "retina", longest=640),
    _photo("retina_disc", "retina", (0.04, 0.3, 0.44, 0.62), 560),
    _photo("retina_vessels", "retina", (0.15, 0.0, 0.85, 0.45), 600),
]
