"""Surfaces: photographs of bricks; walls, boards and cloths made from noise."""

import random

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from .model import Asset, Catalogue, numpy_rng
from .photos import credit, crop

TEXTURES = Catalogue("texture")
BRICK = "brick wall"
Pixels = NDArray[np.float64]


def noise(name: str, width: int, height: int, cell_x: float, cell_y: float = 0) -> Pixels:
    """Smooth noise between 0 and 1 whose features have about this size in pixels."""
    small = (max(2, round(width / cell_x)), max(2, round(height / (cell_y or cell_x))))
    grid = numpy_rng(name).random((small[1], small[0]), np.float32)
    return np.asarray(Image.fromarray(grid).resize((width, height), Image.Resampling.BICUBIC), float)


def layered(name: str, width: int, height: int, cell: float, octaves: int = 4) -> Pixels:
    """Noise of several sizes, the finer the fainter."""
    parts = [noise(f"{name}{index}", width, height, cell / 2**index) / 2**index for index in range(octaves)]
    return np.asarray(sum(parts) / sum(0.5**index for index in range(octaves)))


def ramp(values: Pixels, *colours: tuple[int, int, int]) -> Image.Image:
    """Map values between 0 and 1 to a row of colours."""
    stops = np.linspace(0, 1, len(colours))
    channels = [np.interp(values, stops, [colour[index] for colour in colours]) for index in range(3)]
    return Image.fromarray(np.stack(channels, -1).astype(np.uint8))


def bricks(
    name: str, rng: random.Random, row: int, colour: tuple[int, int, int], joint: tuple[int, int, int]
) -> Image.Image:
    """A wall of bricks in stretcher bond, each row of this height."""
    width, height, brick, gap = 720, 540, row * 8 // 3, row // 7
    image, mortar = np.zeros((height, width, 3)), np.zeros((height, width), bool)
    for y in range(0, height, row):
        for x in range(-(brick // 2 if y // row % 2 else 0), width, brick):
            image[y : y + row, max(0, x) : x + brick] = np.array(colour) * rng.uniform(0.8, 1.15) + rng.uniform(-8, 8)
            mortar[y : y + row, max(0, x) : max(0, x + gap)] = True
        mortar[y : y + gap] = True
    image *= 0.72 + 0.55 * layered(name, width, height, 40)[..., None]
    shade = 0.8 + 0.35 * noise(f"{name} mortar", width, height, 3)[..., None]
    image[mortar] = (np.array(joint) * shade)[mortar]
    image += numpy_rng(f"{name} grit").normal(0, 7, (height, width, 1))
    return Image.fromarray(np.clip(image, 0, 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(0.8))


@TEXTURES.add(BRICK, fmt="jpg")
def brick_red(rng: random.Random) -> Image.Image:
    return bricks("red", rng, 54, (162, 76, 56), (178, 170, 158))


@TEXTURES.add(BRICK, fmt="jpg")
def brick_sand(rng: random.Random) -> Image.Image:
    return bricks("sand", rng, 36, (196, 162, 112), (108, 98, 90))


def planks(name: str, rng: random.Random, count: int, waves: float, *colours: tuple[int, int, int]) -> Image.Image:
    """Boards with grain, one above another."""
    width, height = 720, 520
    boards = []
    for index in range(count):
        bend = layered(f"{name}{index}", width, height // count, 260, 3)
        rings = np.sin(np.arange(height // count)[:, None] / 9 + bend * waves)
        fibre = noise(f"{name} fibre{index}", width, height // count, 60, 1.5)
        boards.append(np.clip(0.3 + 0.18 * rings + 0.4 * fibre + rng.uniform(-0.1, 0.15), 0, 1))
        boards[-1][:3] = 0
    return ramp(np.concatenate(boards), *colours)


@TEXTURES.add(fmt="jpg")
def wood_oak(rng: random.Random) -> Image.Image:
    return planks("oak", rng, 4, 14, (62, 34, 16), (148, 94, 50), (205, 156, 98))


@TEXTURES.add(fmt="jpg")
def wood_pine(rng: random.Random) -> Image.Image:
    return planks("pine", rng, 8, 3, (96, 70, 36), (206, 172, 116), (244, 224, 180))


Band = tuple[int, int, tuple[int, int, int]]


def tartan(ground: tuple[int, int, int], sett: int, *bands: Band) -> Image.Image:
    """A twill whose threads are coloured in bands: each a start, a width and a colour within the repeated sett."""
    side = 480
    threads = np.zeros((side, 3)) + ground
    for start, width, colour in bands:
        for repeat in range(0, side, sett):
            threads[repeat + start : repeat + start + width] = colour
    y, x = np.mgrid[0:side, 0:side]
    twill = ((x + y) // 3 % 2)[..., None]
    cloth = np.where(twill, threads[None, :, :], threads[:, None, :])
    return Image.fromarray(cloth.astype(np.uint8)).filter(ImageFilter.GaussianBlur(0.7))


@TEXTURES.add()
def plaid_red(rng: random.Random) -> Image.Image:
    green, yellow = (20, 48, 36), (236, 200, 80)
    return tartan((150, 24, 32), 160, (20, 34, green), (70, 34, green), (126, 8, yellow))


@TEXTURES.add()
def plaid_blue(rng: random.Random) -> Image.Image:
    pale, red = (206, 214, 222), (176, 40, 48)
    return tartan((34, 58, 104), 120, (12, 12, pale), (34, 12, pale), (70, 36, (24, 74, 66)), (86, 5, red))


PHOTOGRAPHS = [
    Asset("brick_pavement", "texture", "jpg", lambda rng: crop("brick"), (BRICK,), **credit("brick")),
    Asset(
        "brick_near",
        "texture",
        "jpg",
        lambda rng: crop("brick", (0.45, 0.4, 1.0, 1.0), 480),
        (BRICK,),
        **credit("brick", "cropped, resized"),
    ),
]

ASSETS = [*TEXTURES.assets, *PHOTOGRAPHS]
