"""What transparency is laid on."""

import numpy as np
from PIL import Image, ImageStat

# Line art of a dark theme is white on white: its visible pixels have at least this luma in the mean, and on white they
# leave less than this contrast (standard deviation of luma). A white page with text keeps more.
_NEAR_WHITE = 224.0
_LEAST_CONTRAST = 12.0
# Where less than this share is transparent, a cut corner, the ground is hardly seen.
_LEAST_CLEAR = 0.05


def on_ground(rgba: Image.Image) -> Image.Image:
    """RGBA -> RGB: on white, or on black where the visible pixels would be lost on white.

    Visible pixels count by their alpha. A picture without any is white.
    """
    on_white = _laid(rgba, "white")
    if ImageStat.Stat(on_white.convert("L")).stddev[0] >= _LEAST_CONTRAST:
        return on_white
    alpha = np.asarray(rgba.getchannel("A"), dtype=np.float32)
    luma = np.asarray(rgba.convert("RGB").convert("L"), dtype=np.float32)
    visible = float(alpha.sum(dtype=np.float64))
    is_lost = visible > 0 and float((alpha * luma).sum(dtype=np.float64)) >= _NEAR_WHITE * visible
    return _laid(rgba, "black") if is_lost and visible < (1 - _LEAST_CLEAR) * 255.0 * alpha.size else on_white


def _laid(rgba: Image.Image, ground: str) -> Image.Image:
    return Image.alpha_composite(Image.new("RGBA", rgba.size, ground), rgba).convert("RGB")
