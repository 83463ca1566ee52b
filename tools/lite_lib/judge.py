"""What a model in training is worth on the held-out images: a few figures an epoch."""

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from lite_lib.copybench import Pairs, Photo, pairs
from lite_lib.features import Frozen, Numbers, States
from lite_lib.graph import Geometry
from lite_lib.heads import LAYOUT
from lite_lib.items import Item
from lite_lib.measure import Array, recall
from lite_lib.train import Model, image_top, text_top

LOOKS_SHARE, LAYOUT_SHARE = 0.35, 0.06  # of a cosine between images


@dataclass
class Held:
    """seen, copies: the held-out images and the copies among `photos`. numbers: of each text."""

    items: list[Item]
    seen: Frozen
    copies: Frozen
    photos: list[Photo]
    states: States
    numbers: dict[str, int]

    def judge(self, model: Model) -> dict[str, float]:
        """Text-to-image recall on Flickr8k and screens, and the F1 of copies."""
        vectors = image_vectors(model, self.seen)
        figures = {}
        for name, captions in (("flickr8k", 5), ("ui_docs", 1)):
            own = [k for k, item in enumerate(self.items) if item.set == name]
            texts = [(row, text) for row, k in enumerate(own) for text in self.items[k].texts[:captions]]
            truth = np.array([[text in self.items[k].texts for k in own] for _, text in texts])
            scores = self.embed(model, [text for _, text in texts]) @ vectors[own].T
            figures |= {f"{name} R@{k}": round(v, 2) for k, v in zip((1, 5, 10), recall(scores, truth), strict=True)}
        best, at = self.pairs(model, vectors).best()
        return {**figures, "copies F1": round(100 * best, 2), "at": round(at, 3)}

    def pairs(self, model: Model, vectors: Array) -> Pairs:
        flickr = vectors[[item.set == "flickr8k" for item in self.items]]
        return pairs(np.concatenate([flickr, image_vectors(model, self.copies)]), self.photos)

    @torch.no_grad()
    def embed(self, model: Model, texts: list[str]) -> Array:
        """-> (n, 510); 0 in the coordinates of looks and layout."""
        numbers: Numbers = np.array([self.numbers[text] for text in texts])
        t = model.text(text_top(model.sentences, self.states, numbers)).numpy()
        return np.pad(t, ((0, 0), (0, model.looks.linear.out_features + LAYOUT)))


@torch.no_grad()
def image_vectors(model: Model, seen: Frozen) -> Array:
    """-> unit vectors (n, 510): meaning, looks, layout."""
    lengths = Geometry(LOOKS_SHARE, LAYOUT_SHARE, 0.0).lengths
    parts = []
    for start in range(0, len(seen), 128):
        some = seen[start : start + 128]
        features = image_top(model.tower, torch.from_numpy(some.maps), torch.from_numpy(some.means))
        found = model.meaning(features), model.looks(features), torch.from_numpy(some.layouts)
        parts.append(torch.cat([length * part for length, part in zip(lengths, found, strict=True)], 1))
    return functional.normalize(torch.cat(parts)).numpy()
