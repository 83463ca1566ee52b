"""Single buttons and single icons on plain grounds."""

import random
from collections.abc import Callable

from PIL import Image

from .canvas import Canvas, blend
from .model import Catalogue

BUTTONS = Catalogue("button")
ICONS = Catalogue("icon")

BLUE, HEART = "blue button", "heart icon"
GLYPH = "glyph of Font Awesome Free 5"
GLYPH_LICENCE = "MIT; glyph CC BY 4.0"


def solid_button(
    canvas: Canvas,
    box: tuple[float, float, float, float],
    label: str,
    fill: str,
    ink: str = "#ffffff",
    radius: float = 10,
    size: float = 26,
) -> None:
    """A filled button with a soft shadow."""
    canvas.shadow(box, radius, 7, 0.28, 4)
    canvas.gradient(box, blend(fill, "#ffffff", 0.08), blend(fill, "#000000", 0.06), radius)
    canvas.text(((box[0] + box[2]) / 2, (box[1] + box[3]) / 2), label, size, ink, "medium", "mm")


@BUTTONS.add(BLUE)
def button_blue_sign_up(rng: random.Random) -> Image.Image:
    canvas = Canvas(420, 180, "#ffffff")
    solid_button(canvas, (60, 52, 360, 128), "Create account", "#1a73e8", radius=12)
    return canvas.finish()


@BUTTONS.add(BLUE)
def button_blue_download(rng: random.Random) -> Image.Image:
    canvas = Canvas(480, 220, "#eef2f7", "manrope")
    box = (70, 62, 410, 158)
    canvas.shadow(box, 48, 12, 0.3, 8)
    canvas.gradient(box, "#3b9bff", "#0b4fd6", 48)
    canvas.icon((132, 110), "download", 30, "#ffffff")
    canvas.text((262, 110), "Download", 30, "#ffffff", "bold", "mm")
    return canvas.finish()


@BUTTONS.add()
def button_red_delete(rng: random.Random) -> Image.Image:
    canvas = Canvas(440, 190, "#ffffff", "source")
    solid_button(canvas, (50, 54, 390, 136), "     Delete account", "#d93025", radius=6, size=28)
    canvas.icon((98, 95), "trash", 25, "#ffffff")
    return canvas.finish()


@BUTTONS.add()
def button_green_buy(rng: random.Random) -> Image.Image:
    canvas = Canvas(460, 200, "#f6f7f4", "manrope")
    solid_button(canvas, (70, 56, 390, 144), "Buy now", "#1e9e4a", radius=44, size=32)
    return canvas.finish()


@BUTTONS.add()
def button_orange_subscribe(rng: random.Random) -> Image.Image:
    canvas = Canvas(400, 200, "#23252d")
    solid_button(canvas, (50, 60, 350, 140), "SUBSCRIBE", "#f57c00", radius=4, size=26)
    return canvas.finish()


@BUTTONS.add()
def button_black_continue(rng: random.Random) -> Image.Image:
    canvas = Canvas(460, 180, "#f2f2f2", "source")
    solid_button(canvas, (40, 50, 420, 130), "Continue", "#16181d", radius=14, size=28)
    canvas.icon((382, 90), "chevron-right", 20, "#ffffff")
    return canvas.finish()


@BUTTONS.add()
def button_outline_cancel(rng: random.Random) -> Image.Image:
    canvas = Canvas(420, 180, "#ffffff", "manrope")
    canvas.rect((70, 54, 350, 126), "#ffffff", 10, "#7a3ff2", 3)
    canvas.text((210, 90), "Cancel", 26, "#7a3ff2", "medium", "mm")
    return canvas.finish()


def _disc(
    name: str, ground: str, disc: str, ink: str, weight: str = "bold", size: float = 150
) -> Callable[[], Image.Image]:
    def paint() -> Image.Image:
        canvas = Canvas(360, 360, ground)
        canvas.circle((180, 180), 140, disc)
        canvas.icon((180, 180), name, size, ink, weight)
        return canvas.finish()

    return paint


def _tile(
    name: str, ground: str, first: str, second: str, ink: str = "#ffffff", size: float = 150
) -> Callable[[], Image.Image]:
    def paint() -> Image.Image:
        canvas = Canvas(400, 400, ground)
        canvas.shadow((70, 70, 330, 330), 60, 16, 0.3, 10)
        canvas.gradient((70, 70, 330, 330), first, second, 60)
        canvas.icon((200, 200), name, size, ink)
        return canvas.finish()

    return paint


@ICONS.add(HEART, note=GLYPH, licence=GLYPH_LICENCE)
def icon_heart(rng: random.Random) -> Image.Image:
    canvas = Canvas(360, 360, "#ffffff")
    canvas.icon((180, 184), "heart", 220, "#e0245e")
    return canvas.finish()


@ICONS.add(HEART, note=GLYPH, licence=GLYPH_LICENCE)
def icon_heart_outline(rng: random.Random) -> Image.Image:
    return _disc("heart", "#eef1f4", "#263238", "#ff8a80", "regular")()


@ICONS.add(note=GLYPH, licence=GLYPH_LICENCE)
def icon_home(rng: random.Random) -> Image.Image:
    return _disc("home", "#ffffff", "#2e7d6b", "#ffffff", size=140)()


@ICONS.add(note=GLYPH, licence=GLYPH_LICENCE)
def icon_gear(rng: random.Random) -> Image.Image:
    canvas = Canvas(360, 360, "#f4f4f4")
    canvas.icon((180, 180), "cog", 220, "#555c66")
    return canvas.finish()


@ICONS.add(note=GLYPH, licence=GLYPH_LICENCE)
def icon_bell(rng: random.Random) -> Image.Image:
    return _tile("bell", "#ffffff", "#ffca3a", "#f08a00")()


@ICONS.add(note=GLYPH, licence=GLYPH_LICENCE)
def icon_magnifier(rng: random.Random) -> Image.Image:
    canvas = Canvas(360, 360, "#ffffff")
    canvas.icon((180, 180), "search", 210, "#20262e")
    return canvas.finish()


@ICONS.add(note=GLYPH, licence=GLYPH_LICENCE)
def icon_envelope(rng: random.Random) -> Image.Image:
    return _tile("envelope", "#f2f5fa", "#7fd1ff", "#4a8fe0")()


@ICONS.add(note=GLYPH, licence=GLYPH_LICENCE)
def icon_star(rng: random.Random) -> Image.Image:
    canvas = Canvas(360, 360, "#1d2333")
    canvas.icon((180, 178), "star", 210, "#ffd54a")
    return canvas.finish()


@ICONS.add(note=GLYPH, licence=GLYPH_LICENCE)
def icon_camera(rng: random.Random) -> Image.Image:
    return _tile("camera", "#ffffff", "#b06bf0", "#ee4d8b")()
