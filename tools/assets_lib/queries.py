"""Query images: new ones, each with right answers among the indexed images."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from PIL import Image, ImageEnhance

from .canvas import Canvas
from .charts import BAR, figure, open_frame, rendered
from .drawings import HOUSE, Pen, smooth
from .logins import PROMPT as LOGIN
from .logins import field as text_field
from .logins import flat_button
from .model import AUTHOR, LICENCE, RENDERED
from .photos import credit, crop
from .widgets import BLUE, HEART, solid_button


@dataclass(frozen=True)
class Query:
    """A query image; right are the images of the sources and all that fit the prompts."""

    file: str
    paint: Callable[[random.Random], Image.Image]
    sources: tuple[str, ...] = ()
    prompts: tuple[str, ...] = ()
    credit: dict[str, str] = field(default_factory=lambda: {"origin": RENDERED, "author": AUTHOR, "licence": LICENCE})


def _cat(rng: random.Random) -> Image.Image:
    return ImageEnhance.Color(crop("chelsea", (0.12, 0.0, 0.92, 0.94), 520)).enhance(0.45)


def _login(rng: random.Random) -> Image.Image:
    canvas = Canvas(820, 620, "#0f6f80", "manrope")
    canvas.gradient((0, 0, 820, 620), "#127c8c", "#0a3d52", angle="diagonal")
    canvas.shadow((230, 60, 590, 560), 20, 18, 0.35, 10)
    canvas.rect((230, 60, 590, 560), "#ffffff", 20)
    canvas.icon((410, 120), "umbrella", 44, "#127c8c")
    canvas.text((410, 178), "Member login", 26, "#12333d", "bold", "mm")
    text_field(canvas, (270, 222, 550, 272), "Email address", "#7c9299", "#eef5f6", "#eef5f6", "envelope", 25)
    text_field(canvas, (270, 290, 550, 340), "Password", "#7c9299", "#eef5f6", "#eef5f6", "lock", 25)
    canvas.text((550, 364), "Forgot password?", 13, "#127c8c", anchor="rm")
    flat_button(canvas, (270, 392, 550, 444), "Sign in", "#127c8c", radius=26, size=17)
    canvas.text((410, 500), "Not a member?  Register", 14, "#5d747b", anchor="mm")
    return canvas.finish()


def _bars(rng: random.Random) -> Image.Image:
    fig, axes = figure(600, 460, "manrope", "#fdfcff")
    axes.bar(["Apples", "Pears", "Plums", "Figs", "Grapes"], [34, 21, 48, 12, 39], color="#845ec2", width=0.55)
    axes.set(title="Harvest", ylabel="Tonnes")
    axes.grid(axis="y", alpha=0.35)
    open_frame(axes)
    return rendered(fig)


def _blue_button(rng: random.Random) -> Image.Image:
    canvas = Canvas(440, 200, "#fafafa", "source")
    solid_button(canvas, (80, 60, 360, 140), "Submit", "#2463eb", radius=20, size=32)
    return canvas.finish()


def _house(rng: random.Random) -> Image.Image:
    pen = Pen(rng, (600, 540), "#fffef9", "#33312e", 2.8)
    pen.draw([(14, 52), (14, 88), (66, 88), (66, 52), (14, 52)], [(66, 52), (90, 48), (90, 82), (66, 88)], passes=2)
    pen.draw([(8, 54), (38, 24), (72, 54)], [(38, 24), (68, 22), (95, 50)], passes=2)
    pen.draw([(34, 88), (34, 66), (46, 66), (46, 88)], [(19, 60), (28, 60), (28, 69), (19, 69), (19, 60)])
    pen.draw([(52, 60), (61, 60), (61, 69), (52, 69), (52, 60)], [(73, 60), (83, 58), (83, 68), (73, 70), (73, 60)])
    pen.draw([(50, 24), (50, 12), (57, 12), (57, 23)], smooth([(0, 90), (40, 89), (98, 84)]))
    return pen.finish("query house")


def _heart(rng: random.Random) -> Image.Image:
    canvas = Canvas(380, 380, "#fff1f3")
    canvas.icon((190, 194), "heart", 200, "#c2185b")
    return canvas.finish()


QUERIES = [
    Query(
        "q1.jpg",
        _cat,
        ("cat", "cat_eye", "cat_other_eye"),
        credit=credit("chelsea", "cropped, resized, less saturated"),
    ),
    Query("q2.png", _login, prompts=(LOGIN,)),
    Query("q3.png", _bars, prompts=(BAR,)),
    Query("q4.png", _blue_button, prompts=(BLUE,)),
    Query("q5.jpg", _house, prompts=(HOUSE,)),
    Query("q6.png", _heart, prompts=(HEART,)),
]
