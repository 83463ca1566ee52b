"""What one test image is, and how the modules of this package list theirs."""

import random
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

RENDERED = "rendered by tools/make_assets.py"
AUTHOR = "embedlab authors"
LICENCE = "MIT"

Painter = Callable[[random.Random], Image.Image]


@dataclass(frozen=True)
class Asset:
    """One image of the collection, before any copies are made of it."""

    key: str
    domain: str
    fmt: str
    paint: Painter
    prompts: tuple[str, ...] = ()
    origin: str = RENDERED
    author: str = AUTHOR
    licence: str = LICENCE

    def image(self) -> Image.Image:
        """Paint the image; the key seeds it, so that the order of painting does not matter."""
        return self.paint(random.Random(self.key)).convert("RGB")


@dataclass
class Catalogue:
    """The assets of one domain, in the order in which their functions are written."""

    domain: str
    assets: list[Asset] = field(default_factory=list)

    def add(
        self, *prompts: str, fmt: str = "png", note: str = "", licence: str = LICENCE
    ) -> Callable[[Painter], Painter]:
        """Register the decorated function as an image that fits these prompts."""

        def register(paint: Painter) -> Painter:
            origin = f"{RENDERED}; {note}" if note else RENDERED
            self.assets.append(Asset(paint.__name__, self.domain, fmt, paint, prompts, origin, licence=licence))
            return paint

        return register


def numpy_rng(name: str) -> np.random.Generator:
    """A numpy generator seeded by a name, stable between runs (unlike hash())."""
    return np.random.default_rng(zlib.crc32(name.encode()))
