"""Hand-drawn looking sketches: shapes in a 100 x 100 square, traced with a wobbly pen."""

import math
import random
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from PIL import Image

from .canvas import Canvas, Point, blend
from .model import Catalogue, numpy_rng

DRAWINGS = Catalogue("drawing")
HOUSE, CAT = "a sketch of a house", "a cat"


def smooth(points: Sequence[Point], closed: bool = False) -> list[Point]:
    """A Catmull-Rom curve through the points."""
    ring = [points[-1], *points, points[0], points[1]] if closed else [points[0], *points, points[-1]]
    curve = []
    for a, b, c, d in zip(ring, ring[1:], ring[2:], ring[3:], strict=False):
        for step in range(12):
            t = step / 12
            curve.append((_spline(a[0], b[0], c[0], d[0], t), _spline(a[1], b[1], c[1], d[1], t)))
    return [*curve, curve[0] if closed else points[-1]]


def _spline(a: float, b: float, c: float, d: float, t: float) -> float:
    return 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)


def ring(x: float, y: float, wide: float, high: float = 0) -> list[Point]:
    """An ellipse, closed a little past its start as a hand would."""
    high = high or wide
    return [(x + wide * math.cos(a / 10), y + high * math.sin(a / 10)) for a in range(-16, 49)]


class Pen:
    """A pen that trembles, on paper of its own colour."""

    def __init__(
        self,
        rng: random.Random,
        size: tuple[int, int] = (560, 560),
        paper: str = "#fbfaf5",
        ink: str = "#2b2b2b",
        width: float = 2.6,
    ) -> None:
        self.rng, self.ink, self.width, self.paper = rng, ink, width, paper
        self.canvas = Canvas(*size, paper, scale=2)
        self.factor = min(size) / 100
        self.shift = ((size[0] - 100 * self.factor) / 2, (size[1] - 100 * self.factor) / 2)

    def _dense(self, points: Sequence[Point]) -> list[Point]:
        out = []
        for (x0, y0), (x1, y1) in pairwise(points):
            steps = max(1, round(math.hypot(x1 - x0, y1 - y0) / 0.7))
            out += [(x0 + (x1 - x0) * s / steps, y0 + (y1 - y0) * s / steps) for s in range(steps)]
        return [*out, points[-1]]

    def stroke(
        self, points: Sequence[Point], ink: str | None = None, width: float | None = None, wobble: float = 0.5
    ) -> None:
        """Trace a polyline once."""
        base, colour = width or self.width, ink or self.ink
        waves = [(self.rng.uniform(0.05, 0.3), self.rng.uniform(0, 6.3), self.rng.uniform(0, 6.3)) for _ in range(3)]
        path = []
        for index, (x, y) in enumerate(self._dense(list(points))):
            dx = sum(math.sin(index * f + a) for f, a, _ in waves) / 3 * wobble
            dy = sum(math.sin(index * f + b) for f, _, b in waves) / 3 * wobble
            path.append((self.shift[0] + (x + dx) * self.factor, self.shift[1] + (y + dy) * self.factor))
        press = self.rng.uniform(0, 6.3)
        for index, (start, end) in enumerate(pairwise(path)):
            self.canvas.line([start, end], colour, base * (1 + 0.3 * math.sin(index * 0.11 + press)))

    def draw(
        self, *shapes: Sequence[Point], ink: str | None = None, width: float | None = None, passes: int = 1
    ) -> None:
        """Trace several polylines, each as often as wanted."""
        for shape in shapes:
            for _ in range(passes):
                self.stroke(shape, ink, width)

    def hatch(
        self, box: tuple[float, float, float, float], gap: float, ink: str | None = None, lean: float = 3
    ) -> None:
        """Fill a box with slanted strokes."""
        x = box[0]
        while x < box[2]:
            jitter = self.rng.uniform(-0.6, 0.6)
            self.stroke([(x + jitter, box[3]), (min(x + lean, box[2] + 1), box[1])], ink, self.width * 0.6, 0.3)
            x += gap

    def fill(self, points: Sequence[Point], colour: str, gap: float = 1.5) -> None:
        """Colour a polygon in with crayon strokes, row by row."""
        for row in np.arange(min(y for _, y in points), max(y for _, y in points), gap):
            cuts = []
            for (x0, y0), (x1, y1) in zip(points, [*points[1:], points[0]], strict=True):
                if (y0 <= row) != (y1 <= row):
                    cuts.append(x0 + (row - y0) / (y1 - y0) * (x1 - x0))
            for left, right in zip(sorted(cuts)[::2], sorted(cuts)[1::2], strict=False):
                shade = blend(colour, self.paper, self.rng.uniform(0, 0.35))
                self.stroke(
                    [(left, row + self.rng.uniform(-0.5, 0.5)), (right, row + self.rng.uniform(-0.5, 0.5))],
                    shade,
                    self.factor * gap * 0.75,
                )

    def finish(self, name: str, grain: float = 5) -> Image.Image:
        """The drawing on grainy paper."""
        pixels = np.asarray(self.canvas.finish(), float)
        noise = numpy_rng(name).normal(0, grain, pixels.shape[:2])
        coarse = np.asarray(
            Image.fromarray(noise)
            .resize((pixels.shape[1] // 2, pixels.shape[0] // 2))
            .resize((pixels.shape[1], pixels.shape[0]))
        )
        return Image.fromarray(np.clip(pixels + coarse[..., None], 0, 255).astype(np.uint8))


@DRAWINGS.add(HOUSE)
def sketch_house(rng: random.Random) -> Image.Image:
    pen = Pen(rng)
    pen.draw([(22, 48), (22, 86), (76, 86), (76, 48)], [(15, 50), (49, 20), (83, 50), (15, 50)], passes=2)
    pen.draw([(42, 86), (42, 63), (55, 63), (55, 86)], ring(52, 75, 1))
    pen.draw([(27, 56), (37, 56), (37, 66), (27, 66), (27, 56)], [(32, 56), (32, 66)], [(27, 61), (37, 61)])
    pen.draw([(61, 56), (71, 56), (71, 66), (61, 66), (61, 56)], [(66, 56), (66, 66)], [(61, 61), (71, 61)])
    pen.draw([(63, 31), (63, 18), (70, 18), (70, 38)])
    pen.draw(smooth([(66, 15), (68, 11), (64, 8), (68, 3)]), smooth([(4, 87), (30, 86), (60, 87), (96, 86)]))
    return pen.finish("house")


@DRAWINGS.add(HOUSE)
def sketch_cottage_colour(rng: random.Random) -> Image.Image:
    pen = Pen(rng, (680, 500), "#fffefa", "#4a3525", 2.4)
    pen.fill([(-12, 84), (112, 80), (112, 99), (-12, 99)], "#8cc26a", 2.2)
    pen.fill([(30, 50), (92, 50), (92, 86), (30, 86)], "#f4d58d")
    pen.fill([(24, 51), (40, 26), (82, 26), (98, 51)], "#c8553d")
    pen.fill([(56, 64), (67, 64), (67, 86), (56, 86)], "#6f4e37")
    pen.fill([(37, 58), (48, 58), (48, 69), (37, 69)], "#9fd3e8")
    pen.fill([(75, 58), (86, 58), (86, 69), (75, 69)], "#9fd3e8")
    pen.draw([(30, 50), (30, 86), (92, 86), (92, 50)], [(24, 51), (40, 26), (82, 26), (98, 51), (24, 51)])
    pen.draw([(56, 86), (56, 64), (67, 64), (67, 86)], [(37, 58), (48, 58), (48, 69), (37, 69), (37, 58)])
    pen.draw([(75, 58), (86, 58), (86, 69), (75, 69), (75, 58)])
    pen.fill(ring(0, 16, 8), "#f6c445", 1.6)
    pen.draw(
        *[[(11 * math.cos(a), 16 + 11 * math.sin(a)), (15 * math.cos(a), 16 + 15 * math.sin(a))] for a in range(7)],
        ink="#e0a020",
    )
    return pen.finish("cottage", 4)


@DRAWINGS.add()
def sketch_tree(rng: random.Random) -> Image.Image:
    pen = Pen(rng, (480, 600), "#f6f1e4", "#3a2f28")
    pen.draw(smooth([(43, 95), (45, 80), (44, 62)]), smooth([(59, 95), (56, 80), (57, 62)]), passes=2)
    pen.draw(
        smooth([(48, 72), (40, 60), (34, 56)]),
        smooth([(53, 72), (60, 58), (68, 54)]),
        smooth([(50, 66), (51, 50), (49, 42)]),
    )
    crown = [
        (25, 60),
        (12, 52),
        (14, 38),
        (24, 30),
        (26, 16),
        (42, 10),
        (56, 5),
        (68, 14),
        (80, 20),
        (82, 34),
        (92, 44),
        (84, 58),
        (70, 62),
    ]
    pen.draw(smooth([*crown, (50, 64)], True), passes=2)
    for _ in range(26):
        x, y = rng.uniform(24, 78), rng.uniform(16, 54)
        pen.draw(smooth([(x, y), (x + 2.5, y - 2), (x + 5, y)]), width=1.8)
    pen.hatch((52, 64, 57, 94), 1.6)
    pen.draw(smooth([(10, 96), (35, 94), (60, 96), (92, 94)]))
    return pen.finish("tree")


@DRAWINGS.add(CAT)
def sketch_cat(rng: random.Random) -> Image.Image:
    pen = Pen(rng, (560, 520), "#fdfdfd", "#222222", 3)
    pen.draw(
        smooth([(24, 40), (20, 58), (30, 76), (50, 82), (70, 76), (80, 58), (76, 40)]),
        smooth([(38, 31), (50, 29), (62, 31)]),
        passes=2,
    )
    pen.draw(
        [(24, 41), (21, 14), (39, 31)],
        [(76, 41), (79, 14), (61, 31)],
        [(26, 33), (25, 22), (33, 30)],
        [(74, 33), (75, 22), (67, 30)],
    )
    for x in (37, 63):
        pen.draw(smooth([(x - 7, 50), (x, 44), (x + 7, 50), (x, 55)], True))
        pen.draw([(x, 45), (x, 54)], width=8)
    pen.draw([(46, 61), (54, 61), (50, 66), (46, 61)], [(47, 62), (53, 62)], [(50, 66), (50, 69)], width=3.4)
    pen.draw(smooth([(40, 70), (45, 74), (50, 69), (55, 74), (60, 70)]))
    for y, lean in ((60, -5), (64, 0), (68, 5)):
        pen.draw(
            smooth([(34, y), (20, y + lean * 0.5), (6, y + lean)]),
            smooth([(66, y), (80, y + lean * 0.5), (94, y + lean)]),
            width=1.8,
        )
    pen.draw([(45, 33), (46, 40)], [(50, 32), (50, 41)], [(55, 33), (54, 40)])
    return pen.finish("cat", 4)


@DRAWINGS.add()
def sketch_car(rng: random.Random) -> Image.Image:
    pen = Pen(rng, (720, 460), "#fbfbf7", "#1f3a70")
    body = [(-8, 72), (-12, 60), (-4, 52), (18, 48), (34, 28), (70, 27), (88, 47), (108, 52), (114, 62), (110, 72)]
    pen.draw(smooth(body), [(-8, 72), (2, 72)], [(26, 72), (76, 72)], [(100, 72), (110, 72)], passes=2)
    for x in (14, 88):
        pen.draw(ring(x, 72, 12), ring(x, 72, 11.4), ring(x, 72, 5))
        pen.draw(*[[(x, 72), (x + 5 * math.cos(a), 72 + 5 * math.sin(a))] for a in (0, 1.2, 2.5, 3.8, 5)], width=1.6)
    pen.draw([(24, 47), (37, 32), (51, 32), (51, 48), (24, 47)], [(55, 32), (68, 32), (80, 48), (55, 48), (55, 32)])
    pen.draw([(53, 50), (52, 70)], [(58, 54), (64, 54)], ring(-5, 59, 3, 2), ring(109, 60, 3))
    pen.draw([(-25, 85), (125, 84)])
    return pen.finish("car")


@DRAWINGS.add("a flower")
def sketch_flower(rng: random.Random) -> Image.Image:
    pen = Pen(rng, (460, 600), "#fffdf8", "#5a2b52")
    for index in range(8):
        angle = index * math.pi / 4
        tips = [(12, -0.35), (24, -0.3), (29, 0), (24, 0.3), (12, 0.35)]
        petal = smooth(
            [(50 + r * math.cos(angle + a), 32 + r * math.sin(angle + a)) for r, a in [(7, 0), *tips, (7, 0)]]
        )
        pen.fill(petal, "#f3b6d0", 1.8)
        pen.draw(petal)
    pen.fill(ring(50, 32, 8), "#f2c230", 1.2)
    pen.draw(ring(50, 32, 8), passes=2)
    pen.draw(smooth([(50, 60), (48, 75), (51, 98)]), smooth([(53, 60), (51, 75), (54, 98)]), ink="#3f6b35")
    for side in (-1, 1):
        leaf = smooth([(51, 88), (51 + side * 14, 74), (51 + side * 30, 74), (51 + side * 18, 86)], True)
        pen.fill(leaf, "#9cc98a", 1.8)
        pen.draw(leaf, ink="#3f6b35")
    return pen.finish("flower", 4)


@DRAWINGS.add()
def sketch_boat(rng: random.Random) -> Image.Image:
    pen = Pen(rng, (620, 560), "#f8f6ef", "#27313a")
    pen.draw(smooth([(12, 66), (24, 80), (50, 83), (76, 80), (90, 64)]), [(12, 66), (50, 68), (90, 64)], passes=2)
    pen.draw(
        [(49, 68), (50, 8)],
        [(46, 62), (47, 12), (18, 60), (46, 62)],
        [(53, 60), (53, 10), (84, 58), (53, 60)],
        passes=2,
    )
    pen.draw([(50, 8), (60, 5), (50, 12)], ring(34, 74, 2), ring(48, 76, 2), ring(62, 75, 2))
    pen.hatch((26, 46, 46, 60), 3)
    for y in (86, 91, 96):
        wave = [(x, y + 1.6 * math.sin(x / 3 + y)) for x in range(-2, 104, 2)]
        pen.draw(wave, width=2)
    pen.draw(
        smooth([(72, 18), (76, 14), (79, 18)]),
        smooth([(79, 18), (82, 14), (86, 18)]),
        smooth([(8, 26), (11, 23), (13, 26)]),
    )
    return pen.finish("boat")


@DRAWINGS.add()
def sketch_fish(rng: random.Random) -> Image.Image:
    pen = Pen(rng, (640, 440), "#f3f7f8", "#14505c", 2.8)
    pen.draw(smooth([(-6, 50), (10, 32), (38, 24), (66, 34), (86, 50), (66, 66), (38, 76), (10, 68)], True), passes=2)
    pen.draw(smooth([(84, 50), (96, 38), (112, 28), (106, 50), (112, 72), (96, 62), (84, 50)]))
    pen.draw(
        ring(8, 46, 4), ring(8, 46, 1.4), smooth([(-4, 56), (2, 58), (6, 56)]), smooth([(20, 32), (25, 50), (20, 68)])
    )
    pen.draw(smooth([(30, 25), (44, 8), (60, 16), (62, 31)]), smooth([(34, 55), (46, 64), (36, 68), (30, 58)]))
    for x in range(32, 76, 9):
        for y in range(36, 66, 9):
            pen.draw(smooth([(x, y), (x + 4, y + 4), (x, y + 8)]), width=1.8)
    pen.draw(ring(-14, 34, 2), ring(-17, 22, 3), ring(-13, 10, 2.4))
    return pen.finish("fish")


@DRAWINGS.add()
def sketch_umbrella(rng: random.Random) -> Image.Image:
    pen = Pen(rng, (520, 540), "#faf8f3", "#333333")
    top, hem = (50, 14), [(8, 54), (22, 48), (36, 54), (50, 48), (64, 54), (78, 48), (92, 54)]
    pen.draw(smooth([(8, 54), (16, 30), (34, 17), top, (66, 17), (84, 30), (92, 54)]), passes=2)
    for left, right in zip(hem[::2], hem[2::2], strict=False):
        pen.draw(smooth([left, ((left[0] + right[0]) / 2, 49), right]))
    pen.draw(smooth([top, (40, 30), (36, 54)]), smooth([top, (60, 30), (64, 54)]), [top, (50, 8)])
    pen.draw([(50, 50), (50, 84)], smooth([(50, 82), (49, 90), (43, 92), (39, 87), (40, 82)]), width=3.6)
    for _ in range(22):
        x, y = rng.uniform(2, 98), rng.uniform(2, 96)
        if y < 16 or y > 62:
            pen.draw([(x, y), (x - 1.6, y + 5)], ink="#5a86b8", width=1.8)
    return pen.finish("umbrella")
