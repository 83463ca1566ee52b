"""A small antialiased drawing surface: everything is painted enlarged and scaled down at the end."""

import importlib.util
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageChops, ImageColor, ImageDraw, ImageFilter, ImageFont

Point = tuple[float, float]
Box = tuple[float, float, float, float]

FOLDERS = {"matplotlib": "mpl-data/fonts/ttf"}

FONT_FILES = {
    "roboto": (
        "font_roboto",
        {"regular": "Roboto-Regular.ttf", "medium": "Roboto-Medium.ttf", "bold": "Roboto-Bold.ttf"},
    ),
    "source": (
        "font_source_sans_pro",
        {
            "regular": "SourceSansPro-Regular.ttf",
            "medium": "SourceSansPro-Semibold.ttf",
            "bold": "SourceSansPro-Bold.ttf",
        },
    ),
    "serif": (
        "font_source_serif_pro",
        {
            "regular": "SourceSerifPro-Regular.ttf",
            "medium": "SourceSerifPro-Semibold.ttf",
            "bold": "SourceSerifPro-Bold.ttf",
        },
    ),
    "manrope": (
        "font_manrope",
        {"regular": "Manrope-Regular.ttf", "medium": "Manrope-SemiBold.ttf", "bold": "Manrope-ExtraBold.ttf"},
    ),
    "mono": ("matplotlib", {"regular": "DejaVuSansMono.ttf"}),
    "icons": (
        "font_font_awesome",
        {"regular": "FontAwesome5-Free.otf", "bold": "FontAwesome5-Free-Solid.otf"},
    ),
}

ICONS = {
    "archive": 0xF187,
    "arrow-left": 0xF060,
    "bars": 0xF0C9,
    "battery": 0xF241,
    "bell": 0xF0F3,
    "bolt": 0xF0E7,
    "book": 0xF02D,
    "calendar": 0xF073,
    "camera": 0xF030,
    "cart": 0xF07A,
    "check": 0xF00C,
    "chevron-down": 0xF078,
    "chevron-left": 0xF053,
    "chevron-right": 0xF054,
    "cloud": 0xF0C2,
    "cog": 0xF013,
    "comment": 0xF075,
    "compass": 0xF14E,
    "cube": 0xF1B2,
    "download": 0xF019,
    "ellipsis": 0xF142,
    "envelope": 0xF0E0,
    "eye": 0xF06E,
    "file": 0xF15B,
    "fire": 0xF06D,
    "folder": 0xF07B,
    "gift": 0xF06B,
    "globe": 0xF0AC,
    "hashtag": 0xF292,
    "headphones": 0xF025,
    "heart": 0xF004,
    "home": 0xF015,
    "inbox": 0xF01C,
    "key": 0xF084,
    "laptop": 0xF109,
    "leaf": 0xF06C,
    "lightbulb": 0xF0EB,
    "location": 0xF124,
    "lock": 0xF023,
    "marker": 0xF3C5,
    "microphone": 0xF130,
    "moon": 0xF186,
    "paper-plane": 0xF1D8,
    "paperclip": 0xF0C6,
    "pause": 0xF04C,
    "phone": 0xF095,
    "plane": 0xF072,
    "play": 0xF04B,
    "plus": 0xF067,
    "question": 0xF059,
    "random": 0xF074,
    "redo": 0xF01E,
    "search": 0xF002,
    "shield": 0xF3ED,
    "signal": 0xF012,
    "smile": 0xF118,
    "snowflake": 0xF2DC,
    "star": 0xF005,
    "step-backward": 0xF048,
    "step-forward": 0xF051,
    "sun": 0xF185,
    "tag": 0xF02B,
    "tint": 0xF043,
    "times": 0xF00D,
    "trash": 0xF1F8,
    "tree": 0xF1BB,
    "umbrella": 0xF0E9,
    "university": 0xF19C,
    "user": 0xF007,
    "users": 0xF0C0,
    "utensils": 0xF2E7,
    "video": 0xF03D,
    "volume": 0xF028,
    "wifi": 0xF1EB,
}


def font_path(family: str, weight: str) -> Path:
    """Where the package of this font family keeps the file of this weight."""
    package, files = FONT_FILES[family]
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise SystemExit(f"the package {package.replace('_', '-')} is needed: see tools/make_assets.py")
    return Path(spec.origin).parent / FOLDERS.get(package, "files") / files[weight]


@cache
def font(family: str, weight: str, size: int) -> ImageFont.FreeTypeFont:
    """A font of this size in pixels; basic layout, so that an installed libraqm changes nothing."""
    return ImageFont.truetype(font_path(family, weight), size, layout_engine=ImageFont.Layout.BASIC)


def blend(first: str, second: str, part: float) -> str:
    """The colour that lies at this part of the way from the first to the second."""
    a, b = ImageColor.getrgb(first), ImageColor.getrgb(second)
    return "#" + "".join(f"{round(x + (y - x) * part):02x}" for x, y in zip(a, b, strict=False))


class Canvas:
    """An image under construction, in logical pixels."""

    def __init__(
        self, width: int, height: int, ground: str = "#ffffff", family: str = "roboto", scale: int = 3
    ) -> None:
        self.width, self.height, self.family, self.scale = width, height, family, scale
        self.image = Image.new("RGB", (width * scale, height * scale), ground)
        self.pen = ImageDraw.Draw(self.image)

    def finish(self) -> Image.Image:
        """The finished image at its logical size."""
        return self.image.resize((self.width, self.height), Image.Resampling.LANCZOS)

    def _up(self, values: tuple[float, ...]) -> tuple[int, ...]:
        return tuple(round(value * self.scale) for value in values)

    def rect(
        self, box: Box, fill: str | None = None, radius: float = 0, outline: str | None = None, width: float = 1
    ) -> None:
        """A rectangle, with rounded corners where radius is given."""
        x0, y0, x1, y1 = self._up(box)
        line = max(1, round(width * self.scale)) if outline else 0
        self.pen.rounded_rectangle((x0, y0, x1 - 1, y1 - 1), round(radius * self.scale), fill, outline, line)

    def circle(
        self, centre: Point, radius: float, fill: str | None = None, outline: str | None = None, width: float = 1
    ) -> None:
        """A full circle."""
        x, y = centre
        box = self._up((x - radius, y - radius, x + radius, y + radius))
        self.pen.ellipse(box, fill, outline, max(1, round(width * self.scale)) if outline else 0)

    def ellipse(self, box: Box, fill: str) -> None:
        """A filled ellipse."""
        self.pen.ellipse(self._up(box), fill)

    def line(self, points: Sequence[Point], fill: str, width: float = 1) -> None:
        """A polyline with round ends and joints."""
        stroke = max(1, round(width * self.scale))
        scaled = [self._up(point) for point in points]
        self.pen.line(scaled, fill, stroke, joint="curve")
        for x, y in (scaled[0], scaled[-1]):
            reach = stroke / 2 - 0.5
            self.pen.ellipse((x - reach, y - reach, x + reach, y + reach), fill)

    def polygon(self, points: Sequence[Point], fill: str) -> None:
        """A filled polygon."""
        self.pen.polygon([self._up(point) for point in points], fill)

    def arc(self, centre: Point, radius: float, start: float, end: float, fill: str, width: float) -> None:
        """A part of a ring, from one angle to another (degrees, clockwise from three o'clock)."""
        x, y = centre
        self.pen.arc(
            self._up((x - radius, y - radius, x + radius, y + radius)), start, end, fill, round(width * self.scale)
        )

    def text(
        self,
        at: Point,
        string: str,
        size: float = 15,
        fill: str = "#222222",
        weight: str = "regular",
        anchor: str = "lm",
        family: str | None = None,
    ) -> None:
        """One line of text; the anchor is Pillow's."""
        self.pen.text(
            (at[0] * self.scale, at[1] * self.scale),
            string,
            fill,
            font(family or self.family, weight, round(size * self.scale)),
            anchor,
        )

    def text_width(self, string: str, size: float, weight: str = "regular", family: str | None = None) -> float:
        """How many logical pixels the line takes."""
        return font(family or self.family, weight, round(size * self.scale)).getlength(string) / self.scale

    def paragraph(
        self,
        at: Point,
        string: str,
        width: float,
        size: float = 15,
        fill: str = "#222222",
        weight: str = "regular",
        leading: float = 1.45,
    ) -> float:
        """Text wrapped at a width; returns the y below its last line."""
        x, y = at
        for line in self._wrap(string, width, size, weight):
            self.text((x, y), line, size, fill, weight, "la")
            y += size * leading
        return y

    def _wrap(self, string: str, width: float, size: float, weight: str) -> list[str]:
        lines: list[str] = []
        for word in string.split():
            longer = f"{lines[-1]} {word}" if lines else word
            if lines and self.text_width(longer, size, weight) <= width:
                lines[-1] = longer
            else:
                lines.append(word)
        return lines

    def icon(self, at: Point, name: str, size: float, fill: str, weight: str = "bold") -> None:
        """A glyph of the icon font, centred at a point."""
        self.text(at, chr(ICONS[name]), size, fill, weight, "mm", "icons")

    def shadow(self, box: Box, radius: float = 8, blur: float = 10, strength: float = 0.25, drop: float = 4) -> None:
        """The soft shadow of a box that is painted afterwards."""
        mask = Image.new("L", self.image.size, 0)
        x0, y0, x1, y1 = self._up((box[0], box[1] + drop, box[2], box[3] + drop))
        ImageDraw.Draw(mask).rounded_rectangle((x0, y0, x1, y1), round(radius * self.scale), round(255 * strength))
        pad = round(blur * self.scale * 3)
        around = (max(0, x0 - pad), max(0, y0 - pad), min(mask.width, x1 + pad), min(mask.height, y1 + pad))
        part = mask.crop(around).filter(ImageFilter.GaussianBlur(blur * self.scale))
        self.image.paste((20, 24, 40), around[:2], part)

    def gradient(self, box: Box, first: str, second: str, radius: float = 0, angle: str = "down") -> None:
        """A box filled with a linear gradient: down, right or diagonal."""
        x0, y0, x1, y1 = self._up(box)
        width, height = x1 - x0, y1 - y0
        down, right = np.linspace(0, 1, height)[:, None], np.linspace(0, 1, width)[None, :]
        part = {"down": down + 0 * right, "right": right + 0 * down, "diagonal": (down + right) / 2}[angle]
        ends = [np.array(ImageColor.getrgb(colour), float) for colour in (first, second)]
        pixels = ends[0] + (ends[1] - ends[0]) * part[..., None]
        self._paste(Image.fromarray(pixels.round().astype(np.uint8)), (x0, y0), round(radius * self.scale))

    def picture(self, image: Image.Image, box: Box, radius: float = 0) -> None:
        """Another image, stretched into a box."""
        x0, y0, x1, y1 = self._up(box)
        self._paste(image.resize((x1 - x0, y1 - y0), Image.Resampling.BICUBIC), (x0, y0), round(radius * self.scale))

    def _paste(self, image: Image.Image, at: tuple[int, int], radius: int) -> None:
        mask = Image.new("L", image.size, 0)
        ImageDraw.Draw(mask).rounded_rectangle((0, 0, image.width - 1, image.height - 1), radius, 255)
        self.image.paste(image, at, mask)

    def glass(self, box: Box, fill: str, opacity: float, radius: float = 0) -> None:
        """A see-through box."""
        mask = Image.new("L", self.image.size, 0)
        x0, y0, x1, y1 = self._up(box)
        ImageDraw.Draw(mask).rounded_rectangle((x0, y0, x1, y1), round(radius * self.scale), round(255 * opacity))
        self.image.paste(Image.new("RGB", self.image.size, fill), (0, 0), mask)

    def multiply(self, other: Image.Image) -> None:
        """Darken the canvas by another image of any size."""
        self.image = ImageChops.multiply(self.image, other.convert("RGB").resize(self.image.size))
        self.pen = ImageDraw.Draw(self.image)
