"""Retrieval, zero-shot classification and mild copies, from vectors of held-out images."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lite_lib.items import HELD_OUT, TEMPLATES, Item

Array = npt.NDArray[np.float32]
Embed = Callable[[list[str]], Array]

MANY_CAPTIONS = ("flickr8k", "coco")
RETRIEVED = (*MANY_CAPTIONS, "ui_docs", "emoji", "charts")


def recall(scores: Array, truth: npt.NDArray[np.bool_]) -> tuple[float, float, float]:
    """scores, truth (queries, candidates) -> per cent of queries with a true candidate in the first 1, 5, 10."""
    best = np.where(truth, scores, -np.inf).max(1, keepdims=True)
    rank = (scores > best).sum(1)
    return tuple(100 * float((rank < k).mean()) for k in (1, 5, 10))


def zero_shot(vectors: Array, labels: list[str], names: list[str], templates: Sequence[str], embed: Embed) -> float:
    """Top-1 per cent of images (n, d) against the mean text vector of each class name."""
    classes = embed([template.format(name.lower()) for name in names for template in templates])
    classes = classes.reshape(len(names), len(templates), -1).mean(1)
    classes /= np.linalg.norm(classes, axis=1, keepdims=True)
    return 100 * float(
        np.mean([names[k] == label for k, label in zip((vectors @ classes.T).argmax(1), labels, strict=True)])
    )


def validate(items: list[Item], held: list[Item], vectors: Array, embed: Embed) -> dict[str, float]:
    """Figures of held-out images; vectors (len(held), d) in the order of `held`, names of classes from all `items`."""
    figures: dict[str, float] = {}
    for name in HELD_OUT:
        at = [k for k, item in enumerate(held) if item.set == name]
        own, found = [held[k] for k in at], vectors[at]
        if name in RETRIEVED:
            truth, scores = _scored(own, found, 5 if name in MANY_CAPTIONS else 1, embed)
            figures |= _recalls(f"{name} text-to-image", scores, truth)
            if name == "flickr8k":
                figures |= _recalls(f"{name} image-to-text", scores.T, truth.T)
        elif name == "pacs":
            names = sorted({item.texts[0] for item in items if item.set == name})
            labels = [item.texts[0] for item in own]
            figures["pacs zero-shot top-1 (style and class)"] = zero_shot(found, labels, names, ("{}",), embed)
        elif name in TEMPLATES:
            names = sorted({str(item.label) for item in items if item.set == name})
            labels = [str(item.label) for item in own]
            figures[f"{name} zero-shot top-1"] = zero_shot(found, labels, names, TEMPLATES[name], embed)
    return figures


def _scored(items: list[Item], vectors: Array, captions: int, embed: Embed) -> tuple[npt.NDArray[np.bool_], Array]:
    """(which image each caption is true of, cosines), both (captions, images)."""
    texts = [text for item in items for text in item.texts[:captions]]
    truth = np.array([[text in item.texts for item in items] for text in texts])
    return truth, embed(texts) @ vectors.T


def _recalls(name: str, scores: Array, truth: npt.NDArray[np.bool_]) -> dict[str, float]:
    return {f"{name} R@{k}": value for k, value in zip((1, 5, 10), recall(scores, truth), strict=True)}


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


def different(held: list[Item], pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """uint8 (n, 224, 224, 3) -> (n, n): pairs that count as different images.

    Variants of one screen, chart or symbol (32 x 32 gray thumbnails that correlate at 0.95 or more) do not: whether
    those are near-duplicates is a matter of taste. Nor do the drawings made here, which are variants of each other.
    """
    n = len(held)
    gray = pixels.mean(3, dtype=np.float32).reshape(n, 32, 7, 32, 7).mean((2, 4)).reshape(n, -1)
    gray -= gray.mean(1, keepdims=True)
    gray /= np.linalg.norm(gray, axis=1, keepdims=True) + 1e-3
    drawn = np.array([item.set == "synthetic" for item in held])
    return (gray @ gray.T < 0.95) & ~drawn[:, None] & ~drawn & ~np.eye(n, dtype=bool)


def measure_copies(vectors: Array, originals: Array, copies: Array, apart: npt.NDArray[np.bool_], seed: int) -> Copies:
    """vectors (n, d) of images, apart (n, n) the pairs of them that differ; originals (m, d) and copies (m, 7, d)."""
    cosine = np.where(apart, vectors @ vectors.T, -2)
    a, b = np.random.default_rng(seed).integers(len(vectors), size=(2, 100_000))
    between = np.einsum("md,mkd->mk", originals, copies)
    return Copies(between, cosine.max(1)[apart.any(1)], cosine[a, b][apart[a, b]])
