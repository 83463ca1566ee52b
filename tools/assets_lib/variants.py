"""Near-duplicates: an image changed by mild transforms."""

import io
from collections.abc import Callable
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageEnhance, ImageFilter

from .canvas import font

Change = Callable[[Image.Image], Image.Image]


@dataclass(frozen=True)
class Variant:
    """A copy of another image; without a change and with the same format it is byte-identical."""

    source: str
    label: str
    change: Change | None
    fmt: str
    quality: int = 88

    @property
    def key(self) -> str:
        return f"{self.source} ({self.label})"


def recompressed(quality: int) -> Change:
    """JPEG at this quality and back."""

    def change(image: Image.Image) -> Image.Image:
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=quality)
        return Image.open(buffer).convert("RGB")

    return change


def resized(factor: float) -> Change:
    """Scaled by a factor."""
    return lambda image: image.resize(
        (round(image.width * factor), round(image.height * factor)), Image.Resampling.LANCZOS
    )


def trimmed(part: float) -> Change:
    """Cropped by this part of each side."""

    def change(image: Image.Image) -> Image.Image:
        dx, dy = round(image.width * part), round(image.height * part)
        return image.crop((dx, dy, image.width - dx, image.height - dy))

    return change


def brightened(factor: float) -> Change:
    """Brighter or darker."""
    return lambda image: ImageEnhance.Brightness(image).enhance(factor)


def contrasted(factor: float) -> Change:
    """More or less contrast."""
    return lambda image: ImageEnhance.Contrast(image).enhance(factor)


def blurred(radius: float) -> Change:
    """Slightly out of focus."""
    return lambda image: image.filter(ImageFilter.GaussianBlur(radius))


def watermarked(words: str) -> Change:
    """A small text in the lower right corner."""

    def change(image: Image.Image) -> Image.Image:
        copy, size = image.copy(), max(12, image.width // 32)
        at = (image.width - size, image.height - size)
        ImageDraw.Draw(copy).text(
            at, words, "#f4f4f4", font("roboto", "medium", size), "rs", stroke_width=1, stroke_fill="#555555"
        )
        return copy

    return change


VARIANTS = [
    Variant("coffee", "JPEG quality 45", None, "jpg", 45),
    Variant("coffee", "cropped 3 % per side", trimmed(0.03), "jpg"),
    Variant("cat", "resized to 60 %", resized(0.6), "jpg"),
    Variant("rocket", "brightness +12 %", brightened(1.12), "jpg"),
    Variant("rocket", "small watermark", watermarked("© stock 2025"), "jpg"),
    Variant("temple", "byte-identical copy", None, "jpg"),
    Variant("temple", "light blur", blurred(1.0), "jpg"),
    Variant("login_card", "resized to 70 %, JPEG", resized(0.7), "jpg"),
    Variant("chat_light", "PNG to JPEG", None, "jpg", 60),
    Variant("bars_monthly", "PNG to JPEG quality 50", None, "jpg", 50),
    Variant("bars_monthly", "resized to 150 %", resized(1.5), "png"),
    Variant("pie_market", "cropped 4 % per side", trimmed(0.04), "png"),
    Variant("icon_heart", "resized to 60 %", resized(0.6), "png"),
    Variant("sketch_house", "contrast +15 %", contrasted(1.15), "png"),
    Variant("sketch_house", "small watermark", watermarked("sketchbook"), "jpg"),
]
