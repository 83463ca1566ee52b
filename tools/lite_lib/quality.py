"""Every figure of a model folder, from its shipped files and the held-out part of the training data."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from embedlab_core.encoders.onnx import OnnxEncoder
from embedlab_core.encoders.spec import load_model_spec
from lite_lib.copies import COPY_KINDS, Pixels, copy_pixels, view
from lite_lib.copybench import Pairs, by_transform, pairs, photo_pixels, photos
from lite_lib.drawings import synthetic_items
from lite_lib.items import HELD_OUT, Item, held_out, read_items
from lite_lib.measure import Copies, different, measure_copies, validate

Array = npt.NDArray[np.float32]

DUPLICATE = 0.92  # the cosine that a user means by near-duplicate
BATCH = 8


@dataclass(frozen=True)
class Quality:
    """held: the validation items; vectors (len(held), d). trade: (precision, recall) of mild copies by threshold."""

    held: list[Item]
    vectors: Array
    retrieval: dict[str, float]
    pairs: Pairs
    transforms: dict[str, float]
    mild: Copies
    nearest_by_set: dict[str, float]
    bands: dict[str, dict[str, float]]

    def figures(self) -> dict[str, float]:
        """Name of each measure -> value, in the order of the card."""
        best, at = self.pairs.best()
        precision, recall, f1 = self.pairs.at(DUPLICATE)
        copies = {
            "copies: best F1 of all pairs": 100 * best,
            "copies: threshold of the best F1": 100 * at,
            "copies: precision at 0.92": 100 * precision,
            "copies: recall at 0.92": 100 * recall,
            "copies: F1 at 0.92": 100 * f1,
        }
        precision, recall = self.mild.precision(DUPLICATE)
        mild = {"mild copies: recall at 0.92": 100 * recall, "mild copies: precision at 0.92": 100 * precision}
        kinds = {f"copies at 0.92: {name}": value for name, value in self.transforms.items()}
        return {**self.retrieval, **copies, **kinds, **mild}


def encoded(encoder: OnnxEncoder, count: int, pixels: Callable[[int], Pixels], workers: int = 2) -> Array:
    """Images 0 .. count-1, made by `pixels` while others are encoded -> unit vectors (count, d)."""
    parts = []
    with ThreadPoolExecutor(workers) as pool:
        made = pool.map(pixels, range(count))
        for start in range(0, count, BATCH):
            batch = [next(made) for _ in range(start, min(start + BATCH, count))]
            parts.append(encoder.encode_images(np.stack(batch)))
    return np.concatenate(parts)


def measure_quality(data: Path, weights: Path, seed: int = 0) -> Quality:
    """data: the training images with captions.jsonl. weights: a model folder."""
    encoder = OnnxEncoder(load_model_spec(weights), many=True)
    items = [*read_items(data), *synthetic_items()]
    held = [items[i] for i in held_out(items, seed)]
    pixels = np.stack([view(item, 0, seed) for item in held])
    vectors = encoded(encoder, len(held), lambda k: pixels[k])

    def embed(texts: list[str]) -> Array:
        return encoder.encode_texts(texts).vectors

    rows = [k for k, item in enumerate(held) if item.set == "flickr8k"]
    flickr = [held[k] for k in rows]
    listed = photos(len(flickr), seed)
    copied = [photo for photo in listed if photo.transform is not None]
    copies = encoded(encoder, len(copied), lambda k: photo_pixels(flickr, copied[k]))
    shown = np.concatenate([vectors[rows], copies])

    probes = range(0, len(held), 4)
    kinds = len(COPY_KINDS)
    mild = encoded(encoder, len(probes) * kinds, lambda k: copy_pixels(held[probes[k // kinds]], k % kinds))
    apart = different(held, pixels)
    measured = measure_copies(vectors, vectors[::4], mild.reshape(len(probes), kinds, -1), apart, seed)
    real = [item for item, some in zip(held, apart.any(1), strict=True) if some]
    return Quality(
        held=held,
        vectors=vectors,
        retrieval=validate(items, held, vectors, embed),
        pairs=pairs(shown, listed),
        transforms=by_transform(shown, listed, DUPLICATE),
        mild=measured,
        nearest_by_set=_by_set(real, measured.others >= DUPLICATE),
        bands=score_bands(held, vectors, embed, measured),
    )


def score_bands(
    held: list[Item], vectors: Array, embed: Callable[[list[str]], Array], measured: Copies
) -> dict[str, dict[str, float]]:
    """Lower bounds of cosine: from random different pairs, and captions with right and wrong images."""
    cosine = embed([item.texts[0] for item in held]) @ vectors.T
    wrong = np.array([[item.texts[0] not in other.texts for other in held] for item in held])
    return {
        "image": {"related": _quantile(measured.random, 0.99), "near-duplicate": DUPLICATE},
        "text": {"related": _quantile(cosine[wrong], 0.95), "match": _quantile(np.diag(cosine), 0.5)},
    }


def _quantile(values: Array, share: float) -> float:
    return round(float(np.quantile(values, share)), 3)


def _by_set(items: list[Item], above: npt.NDArray[np.bool_]) -> dict[str, float]:
    """Per cent of each set's items for which `above` (len(items),) holds."""
    sets = np.array([item.set for item in items])
    return {name: 100 * float(above[sets == name].mean()) for name in HELD_OUT if name in sets}
