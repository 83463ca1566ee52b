"""Drawings of user-interface elements and charts with texts that are true of them."""

import math
import random

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from lite_lib.copies import encode
from lite_lib.items import Item

COLOURS = {
    "red": (214, 40, 40), "orange": (245, 130, 32), "yellow": (250, 210, 40), "green": (46, 160, 67),
    "blue": (33, 102, 220), "purple": (128, 60, 190), "pink": (240, 110, 170), "brown": (130, 84, 50),
    "black": (25, 25, 25), "white": (248, 248, 248), "gray": (128, 128, 128), "teal": (20, 150, 150),
}  # fmt: skip
WORDS = (
    "OK",
    "Submit",
    "Cancel",
    "Buy now",
    "Sign up",
    "Save",
    "Next",
    "Delete",
    "Search",
    "Continue",
    "Send",
    "Start",
)


class Sketch:
    """A drawing of one user-interface element or chart, so that colour and widget words are learned."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.width, self.height = self.rng.choice([(320, 240), (240, 240), (240, 320), (320, 200)])
        self.colour = self.rng.choice(list(COLOURS))
        self.ink = self.jitter(COLOURS[self.colour])
        shades = [name for name in ("white", "gray", "black") if name != self.colour]
        self.paper = self.jitter(COLOURS[self.rng.choices(shades, [6, 1, 1][: len(shades)])[0]])
        self.line = (235, 235, 235) if sum(self.paper) < 330 else (60, 60, 60)
        self.image = Image.new("RGB", (self.width, self.height), self.paper)
        self.draw = ImageDraw.Draw(self.image)

    def jitter(self, colour: tuple[int, int, int]) -> tuple[int, int, int]:
        red, green, blue = (min(255, max(0, c + self.rng.randint(-18, 18))) for c in colour)
        return red, green, blue

    def text(
        self, at: tuple[float, float], words: str, size: float, fill: tuple[int, int, int], anchor: str = "lm"
    ) -> None:
        self.draw.text(at, words, fill, ImageFont.load_default(size), anchor=anchor)

    def box(self, x: float, y: float, w: float, h: float, radius: float = 6, fill=None) -> None:
        self.draw.rounded_rectangle(
            (x, y, x + w, y + h), radius, fill=fill, outline=None if fill else self.line, width=2
        )

    def button(self) -> list[str]:
        w, h = self.width * self.rng.uniform(0.45, 0.85), self.height * self.rng.uniform(0.18, 0.35)
        word = self.rng.choice(WORDS)
        self.box((self.width - w) / 2, (self.height - h) / 2, w, h, self.rng.choice([2, 8, h / 2]), self.ink)
        inside = (255, 255, 255) if sum(self.ink) < 480 else (20, 20, 20)
        self.text((self.width / 2, self.height / 2), word, h * 0.4, inside, "mm")
        c = self.colour
        return [f"{c} button", f"a {c} button", f"a {c} {word} button", f"{word} button", "button", "a button"]

    def icon(self) -> list[str]:
        cx, cy, r = self.width / 2, self.height / 2, min(self.width, self.height) * self.rng.uniform(0.25, 0.42)
        shape = self.rng.choice(["circle", "square", "triangle", "star", "heart", "plus", "arrow", "ring"])
        if shape in ("circle", "ring"):
            self.draw.ellipse((cx - r, cy - r, cx + r, cy + r), self.ink)
            if shape == "ring":
                self.draw.ellipse((cx - r / 2, cy - r / 2, cx + r / 2, cy + r / 2), self.paper)
        elif shape == "square":
            self.draw.rectangle((cx - r, cy - r, cx + r, cy + r), self.ink)
        elif shape == "heart":
            self.draw.polygon([(cx - r, cy), (cx + r, cy), (cx, cy + r)], self.ink)
            self.draw.ellipse((cx - r, cy - r * 0.7, cx, cy + r * 0.35), self.ink)
            self.draw.ellipse((cx, cy - r * 0.7, cx + r, cy + r * 0.35), self.ink)
        elif shape == "plus":
            self.draw.rectangle((cx - r, cy - r / 4, cx + r, cy + r / 4), self.ink)
            self.draw.rectangle((cx - r / 4, cy - r, cx + r / 4, cy + r), self.ink)
        elif shape == "arrow":
            self.draw.rectangle((cx - r, cy - r / 4, cx, cy + r / 4), self.ink)
            self.draw.polygon([(cx, cy - r * 0.7), (cx + r, cy), (cx, cy + r * 0.7)], self.ink)
        else:
            points = 3 if shape == "triangle" else 10
            radii = (r, r) if shape == "triangle" else (r, r * 0.42)
            turn = [(radii[i % 2], 2 * math.pi * i / points - math.pi / 2) for i in range(points)]
            self.draw.polygon([(cx + q * math.cos(a), cy + q * math.sin(a)) for q, a in turn], self.ink)
        c = self.colour
        return [f"{c} {shape} icon", f"{c} {shape}", f"a {c} {shape}", f"{shape} icon", f"{c} icon", "icon", "an icon"]

    def login(self) -> list[str]:
        w = self.width * self.rng.uniform(0.55, 0.8)
        x, h = (self.width - w) / 2, self.height * 0.12
        title, button = self.rng.choice([("Log in", "Log in"), ("Sign in", "Sign in"), ("Welcome back", "Log in")])
        self.text((self.width / 2, self.height * 0.15), title, 20, self.line, "mm")
        for row, name in enumerate((self.rng.choice(["Email", "Username"]), "Password")):
            y = self.height * (0.27 + 0.22 * row)
            self.box(x, y, w, h)
            self.text((x + 8, y + h / 2), self.rng.choice([name, "••••••" if row else "user@mail.com"]), 12, self.line)
        self.box(x, self.height * 0.73, w, h, 6, self.ink)
        self.text(
            (self.width / 2, self.height * 0.79),
            button,
            14,
            (255, 255, 255) if sum(self.ink) < 480 else (20, 20, 20),
            "mm",
        )
        return [
            "login screen",
            "a login form",
            "sign in page",
            "login page with username and password fields",
            "a login screen",
        ]

    def settings(self) -> list[str]:
        self.text((14, 18), "Settings", 18, self.line)
        for row in range(5):
            y = self.height * (0.22 + 0.15 * row)
            self.text(
                (14, y),
                self.rng.choice(["Wi-Fi", "Sound", "Display", "Privacy", "Dark mode", "Account"]),
                13,
                self.line,
            )
            on = self.rng.random() < 0.5
            x = self.width - 50
            self.box(x, y - 8, 34, 16, 8, self.ink if on else (170, 170, 170))
            self.draw.ellipse((x + 19 * on + 1, y - 7, x + 19 * on + 15, y + 7), (255, 255, 255))
        return [
            "settings screen",
            "settings page with toggle switches",
            "a settings menu",
            "toggle switches",
            "preferences screen",
        ]

    def chat(self) -> list[str]:
        for row in range(5):
            mine = self.rng.random() < 0.5
            w, y = self.width * self.rng.uniform(0.3, 0.6), self.height * (0.05 + 0.18 * row)
            x = self.width - w - 10 if mine else 10
            self.box(x, y, w, self.height * 0.13, 10, self.ink if mine else (200, 200, 205))
        return ["chat screen", "a messaging app with chat bubbles", "chat conversation", "messages screen"]

    def dialog(self) -> list[str]:
        kind = self.rng.choice(["error", "warning", "confirmation"])
        x, y, w, h = self.width * 0.1, self.height * 0.2, self.width * 0.8, self.height * 0.6
        self.box(x, y, w, h, 4, (250, 250, 250))
        self.box(x, y, w, 22, 0, self.ink)
        message = {"error": "An error occurred", "warning": "Warning: low disk", "confirmation": "Are you sure?"}[kind]
        self.text((self.width / 2, self.height / 2), message, 15, (30, 30, 30), "mm")
        self.box(x + w - 70, y + h - 30, 60, 22, 4, (210, 210, 210))
        return [
            f"{kind} dialog",
            f"{kind} message",
            "dialog box",
            f"a dialog window with a {kind} message",
            "popup dialog",
        ]

    def table(self) -> list[str]:
        columns, rows = self.rng.randint(3, 5), self.rng.randint(5, 8)
        w, h = self.width / columns, self.height / rows
        self.draw.rectangle((0, 0, self.width, h), self.ink)
        for i in range(columns):
            self.draw.line((i * w, 0, i * w, self.height), self.line)
            for j in range(rows):
                self.draw.line((0, j * h, self.width, j * h), self.line)
                self.text((i * w + 5, (j + 0.5) * h), str(self.rng.randint(1, 9999)), 11, self.line)
        return ["table", "a data table", "spreadsheet", "a table of numbers with rows and columns"]

    def axes(self) -> None:
        self.draw.line([(30, 15), (30, self.height - 25), (self.width - 10, self.height - 25)], self.line, 2)

    def bars(self) -> list[str]:
        self.axes()
        count, flat = self.rng.randint(4, 9), self.rng.random() < 0.3
        for i in range(count):
            share = self.rng.uniform(0.1, 0.95)
            if flat:
                step = (self.height - 45) / count
                self.draw.rectangle(
                    (31, 16 + i * step, 31 + share * (self.width - 50), 14 + (i + 0.8) * step), self.ink
                )
            else:
                step = (self.width - 45) / count
                top = self.height - 26 - share * (self.height - 50)
                self.draw.rectangle((34 + i * step, top, 34 + (i + 0.75) * step, self.height - 26), self.ink)
        return [
            "bar chart",
            "a bar chart",
            f"{self.colour} bar chart",
            f"a bar chart with {self.colour} bars",
            "bar graph",
            "chart",
        ]

    def lines(self) -> list[str]:
        self.axes()
        for k in range(self.rng.randint(1, 3)):
            level, points = self.rng.uniform(0.3, 0.7), []
            for i in range(12):
                level = min(0.95, max(0.05, level + self.rng.uniform(-0.18, 0.18)))
                points.append((32 + i * (self.width - 48) / 11, self.height - 27 - level * (self.height - 50)))
            self.draw.line(points, self.ink if k == 0 else self.jitter(COLOURS[self.rng.choice(list(COLOURS))]), 3)
        return [
            "line chart",
            "a line chart",
            "line graph",
            f"a line chart with a {self.colour} line",
            "a time series",
            "chart",
        ]

    def dots(self) -> list[str]:
        self.axes()
        for _ in range(self.rng.randint(20, 70)):
            x, y = self.rng.uniform(36, self.width - 14), self.rng.uniform(20, self.height - 32)
            self.draw.ellipse((x - 3, y - 3, x + 3, y + 3), self.ink)
        return ["scatter plot", "a scatter plot", f"a scatter plot with {self.colour} points", "a point chart", "chart"]

    def pie(self) -> list[str]:
        cx, cy, r = self.width / 2, self.height / 2, min(self.width, self.height) * 0.42
        angle, count = self.rng.uniform(0, 360), self.rng.randint(3, 6)
        for name in self.rng.sample(list(COLOURS), count):
            step = 360 / count * self.rng.uniform(0.6, 1.4)
            self.draw.pieslice((cx - r, cy - r, cx + r, cy + r), angle, angle + step, self.jitter(COLOURS[name]))
            angle += step
        hole = self.rng.random() < 0.3
        if hole:
            self.draw.ellipse((cx - r / 2, cy - r / 2, cx + r / 2, cy + r / 2), self.paper)
        return ["donut chart", "a donut chart", "pie chart"] if hole else ["pie chart", "a pie chart", "circle chart"]

    def gradient(self) -> list[str]:
        wanted = np.array([self.ink, self.jitter(COLOURS[self.rng.choice(list(COLOURS))])], np.float32)
        mix = np.linspace(0, 1, self.width)[None, :, None] * np.ones((self.height, 1, 1))
        if self.rng.random() < 0.4:
            wanted[1] = wanted[0]
        self.image.paste(Image.fromarray(np.uint8(wanted[0] * (1 - mix) + wanted[1] * mix)))
        kind = "plain" if (wanted[0] == wanted[1]).all() else "gradient"
        return [f"{self.colour} background", f"a {kind} {self.colour} background", f"{kind} background", self.colour]


KINDS = ("button", "icon", "login", "settings", "chat", "dialog", "table", "bars", "lines", "dots", "pie", "gradient")


def synthetic_items(count: int = 960) -> list[Item]:
    """Drawings of widgets and charts, a function of their number alone."""

    def encoded(seed: int) -> bytes:
        sketch = Sketch(seed)
        getattr(sketch, KINDS[seed % len(KINDS)])()
        return encode(sketch.image, "PNG")

    items = []
    for seed in range(count):
        kind = KINDS[seed % len(KINDS)]
        texts = getattr(Sketch(seed), kind)()
        items.append(Item("synthetic", lambda seed=seed: encoded(seed), texts, kind))
    return items
