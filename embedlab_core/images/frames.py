"""Which frame of an animation, or page of a document, is the picture that is meant."""

from PIL import Image, ImageStat

from embedlab_core.images.colours import LARGE_PIXELS, to_rgb
from embedlab_core.images.metadata import DAMAGED
from embedlab_core.images.quality import THRESHOLDS

# HEIC and MPO name their main picture themselves: it comes first.
_COUNTED = ("PNG", "WEBP", "TIFF", "AVIF")

# Composing frames takes time and memory: at most so many of them are looked at, and of pixels; none of large ones.
_MOST_FRAMES = 200
_MOST_PIXELS = 2**28

# While contrast grows by more than this from frame to frame, the picture is still fading in.
_GROWTH = 1.05
_SIDE = 256


def is_sequence(image: Image.Image) -> bool:
    """Whether it has frames to choose from. Ask before it is loaded."""
    if image.width * image.height > LARGE_PIXELS:
        return False
    if image.format == "GIF":  # Counting its frames would read all of them.
        return bool(getattr(image, "is_animated", False))
    return image.format in _COUNTED and getattr(image, "n_frames", 1) > 1


def meant_frame(image: Image.Image) -> Image.Image:
    """The first frame that is not blank, or where that fades in, the one that it fades in to; the first if all are
    blank.

    `image` is loaded, at its first frame. Blank is what the quality flag calls so.
    """
    blank = THRESHOLDS.blank_contrast
    best, most = image, _contrast(image)
    if most >= blank:
        return image
    for number in range(1, min(_MOST_FRAMES, _MOST_PIXELS // (image.width * image.height))):
        best = image.copy() if best is image else best
        try:
            image.seek(number)
            image.load()
        except DAMAGED:
            break  # Its end, or damage: what was seen is kept.
        contrast = _contrast(image)
        if most >= blank and contrast <= _GROWTH * most:
            break
        if contrast >= blank:
            best, most = image.copy(), contrast
    return best


def _contrast(image: Image.Image) -> float:
    """The standard deviation of luma, as the quality scores have it."""
    rgb = to_rgb(image)
    factor = max(1, min(image.size) // _SIDE)
    return ImageStat.Stat(rgb.reduce(factor).convert("L")).stddev[0]
