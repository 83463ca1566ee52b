"""Images unlike everything else, and unlike one another: each has neither a subject nor a layout that others share."""

import random

import numpy as np
from matplotlib import colormaps
from PIL import Image

from .canvas import Canvas
from .model import Catalogue, numpy_rng
from .photos import crop
from .textures import layered

ODDBALLS = Catalogue("oddball")
CAMERA = "from data/camera.png of scikit-image, by Lav Varshney, CC0 1.0"
CHINA = "from datasets/images/china.jpg of scikit-learn, by danielbuechele (Flickr)"
CHINA_LICENCE = "CC BY 2.0"


def _pixels(values: np.ndarray) -> Image.Image:
    return Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))


@ODDBALLS.add()
def odd_noise(rng: random.Random) -> Image.Image:
    return _pixels(numpy_rng("noise").integers(0, 256, (320, 320, 3)))


@ODDBALLS.add()
def odd_blank(rng: random.Random) -> Image.Image:
    return Image.new("RGB", (640, 480), "#7f7f7f")


@ODDBALLS.add(note=CHINA, licence=CHINA_LICENCE)
def odd_strip(rng: random.Random) -> Image.Image:
    return crop("china", longest=1600).crop((0, 500, 1600, 540))


@ODDBALLS.add()
def odd_moire(rng: random.Random) -> Image.Image:
    y, x = np.mgrid[0:480, 0:640].astype(float)
    first, second = np.hypot(x - 260, y - 240), np.hypot(x - 380, y - 240)
    return _pixels(255 * ((np.sin(first * 0.9) > 0) ^ (np.sin(second * 0.9) > 0)))


@ODDBALLS.add()
def odd_heat_map(rng: random.Random) -> Image.Image:
    heat = layered("heat", 640, 480, 130, 2)
    return _pixels(colormaps["jet"]((heat - heat.min()) / np.ptp(heat))[..., :3] * 255)


@ODDBALLS.add(fmt="jpg")
def odd_tangle(rng: random.Random) -> Image.Image:
    canvas = Canvas(640, 480, "#000000", scale=2)
    for _ in range(800):
        ends = [(rng.uniform(0, 640), rng.uniform(0, 480)) for _ in range(2)]
        canvas.line(ends, f"#{rng.randrange(1 << 24):06x}", 1)
    return canvas.finish()


@ODDBALLS.add(fmt="jpg", note=CAMERA)
def odd_shuffled_blocks(rng: random.Random) -> Image.Image:
    pixels, side = np.asarray(crop("camera").resize((640, 480))), 40
    blocks = [pixels[y : y + side, x : x + side] for y in range(0, 480, side) for x in range(0, 640, side)]
    blocks = [255 - block if rng.random() < 0.5 else block for block in blocks]
    rng.shuffle(blocks)
    rows = [np.concatenate(blocks[start : start + 16], axis=1) for start in range(0, len(blocks), 16)]
    return _pixels(np.concatenate(rows))


@ODDBALLS.add(fmt="jpg", note=CHINA, licence=CHINA_LICENCE)
def odd_kaleidoscope(rng: random.Random) -> Image.Image:
    pixels = np.asarray(crop("china"))
    y, x = np.mgrid[-240:240, -320:320].astype(float)
    radius, angle = np.hypot(x, y) * 1.5, np.arctan2(y, x) % (np.pi / 4)
    folded = np.minimum(angle, np.pi / 4 - angle)
    across, down = radius * np.cos(folded), radius * np.sin(folded) + 120
    return _pixels(pixels[down.astype(int) % pixels.shape[0], across.astype(int) % pixels.shape[1]])
