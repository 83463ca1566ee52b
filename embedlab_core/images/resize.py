"""A picture -> the square input of a model."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from PIL import Image

ResizeMode = Literal["squash", "shortest", "longest"]
Interpolation = Literal["bilinear", "bicubic"]

_RESAMPLING = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


@dataclass(frozen=True, slots=True)
class PixelSpec:
    """What a model's image tower expects.

    resize: "squash" stretches the whole image to a square; "shortest" scales the short side and crops the centre, as
    CLIP does; "longest" scales the long side and pads with `fill`.
    """

    size: int
    resize: ResizeMode
    interpolation: Interpolation
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    fill: int = 0


def resized(image: Image.Image, spec: PixelSpec) -> Image.Image:
    """`image`, of mode RGB or L, as the square that `spec` describes."""
    return _RESIZE[spec.resize](image, spec)


def _squash(image: Image.Image, spec: PixelSpec) -> Image.Image:
    return image.resize((spec.size, spec.size), _RESAMPLING[spec.interpolation])


def _shortest(image: Image.Image, spec: PixelSpec) -> Image.Image:
    """torchvision's Resize(size) then CenterCrop(size), with their rounding."""
    width, height = image.size
    if width <= height:
        scaled = (spec.size, max(spec.size, int(spec.size * height / width)))
    else:
        scaled = (max(spec.size, int(spec.size * width / height)), spec.size)
    left, top = round((scaled[0] - spec.size) / 2), round((scaled[1] - spec.size) / 2)
    if max(scaled) <= 8 * spec.size:
        whole = image.resize(scaled, _RESAMPLING[spec.interpolation])
        return whole.crop((left, top, left + spec.size, top + spec.size))
    # An extreme strip: resize only the part that is kept, so that memory stays bounded.
    scale_x, scale_y = width / scaled[0], height / scaled[1]
    box = (left * scale_x, top * scale_y, (left + spec.size) * scale_x, (top + spec.size) * scale_y)
    return image.resize((spec.size, spec.size), _RESAMPLING[spec.interpolation], box=box)


def _longest(image: Image.Image, spec: PixelSpec) -> Image.Image:
    """open_clip's ResizeKeepRatio(longest=1) then a centred pad to the square."""
    width, height = image.size
    ratio = spec.size / max(width, height)
    scaled = (max(1, round(width * ratio)), max(1, round(height * ratio)))
    canvas = Image.new(image.mode, (spec.size, spec.size), (spec.fill,) * len(image.getbands()))
    offset = ((spec.size - scaled[0]) // 2, (spec.size - scaled[1]) // 2)
    canvas.paste(image.resize(scaled, _RESAMPLING[spec.interpolation]), offset)
    return canvas


_RESIZE: dict[ResizeMode, Callable[[Image.Image, PixelSpec], Image.Image]] = {
    "squash": _squash,
    "shortest": _shortest,
    "longest": _longest,
}
