"""Colours of 10 to 14 bits that stand in samples of 16, of which Pillow keeps only the upper 8."""

from collections.abc import Callable

import numpy as np
from PIL import Image

from embedlab_core.images.colours import LARGE_PIXELS
from embedlab_core.images.tones import white_of

_MODES = ("RGB", "RGBA")

# A sample read in the other byte order gives its lower 8 bits where the upper were.
_OTHER_ORDER = {";16B": ";16L", ";16L": ";16B", ";16N": ";16B"}

# No upper byte of 14 bits reaches this.
_DARK = 64


def with_all_bits(image: Image.Image, again: Callable[[], Image.Image]) -> Image.Image:
    """`image`, loaded, scaled by the white that its samples mean, where they are of 16 bits and all of them dark.

    again: opens the same file anew, not loaded.
    """
    extrema = image.getextrema() if image.mode in _MODES and image.width * image.height <= LARGE_PIXELS else ()
    brightest = [pair[1] for pair in extrema[:3] if isinstance(pair, tuple)]
    if not brightest or max(brightest) >= _DARK:
        return image
    with again() as other:
        if not _swap_bytes(other):
            return image
        other.load()
        lower = np.asarray(other, dtype=np.uint16)
    values = np.asarray(image, dtype=np.uint16) * 256 + lower
    white = white_of(values[..., :3])
    values[..., :3] = np.minimum(values[..., :3] * (255.0 / white) + 0.5, 255).astype(np.uint16)
    values[..., 3:] >>= 8
    deep = Image.fromarray(values.astype(np.uint8), image.mode)
    deep.info = image.info
    return deep


def _swap_bytes(image: Image.Image) -> bool:
    """Whether `image` has samples of 16 bits; they are then read in the other byte order."""
    tiles = []
    for tile in getattr(image, "tile", []):
        args = tile.args if isinstance(tile.args, tuple) else (tile.args,)
        mode = str(args[0])
        if mode[-4:] not in _OTHER_ORDER:
            return False
        mode = mode[:-4] + _OTHER_ORDER[mode[-4:]]
        tiles.append(tile._replace(args=(mode, *args[1:]) if isinstance(tile.args, tuple) else mode))
    if tiles:
        image.tile = tiles  # type: ignore[attr-defined]
    return bool(tiles)
