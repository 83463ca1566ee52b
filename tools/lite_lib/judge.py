"""What a model in training is worth on the held-out images: a few figures an epoch."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lite_lib.copybench import Pairs, Photo, pairs
from lite_lib.features import Numbers, States
from lite_lib.items import Item
from lite_lib.measure import Array, recall
from lite_lib.train import Model, image_top, text_top

LOOKS_SHARE = 0.3  # of a cosine between images


@dataclass
class Held:
    """Maps and means of the held-out images and of the copies among `photos`; the number of each text."""

    items: list[Item]
    maps: Tensor
    means: Tensor
    copy_maps: Tensor
    copy_means: Tensor
    photos: list[Photo]
    states: States
    numbers: dict[str, int]

    def judge(self, model: Model) -> dict[str, float]:
        """Text-to-image recall on Flickr8k and screens, and the F1 of copies."""
        vectors = image_vectors(model, self.maps, self.means)
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
        return pairs(np.concatenate([flickr, image_vectors(model, self.copy_maps, self.copy_means)]), self.photos)

    @torch.no_grad()
    def embed(self, model: Model, texts: list[str]) -> Array:
        """-> (n, 511); 0 in the coordinates of looks."""
        numbers: Numbers = np.array([self.numbers[text] for text in texts])
        t = model.text(text_top(model.sentences, self.states, numbers)).numpy()
        return np.pad(t, ((0, 0), (0, model.looks.linear.out_features)))


@torch.no_grad()
def image_vectors(model: Model, maps: npt.NDArray[np.float16] | Tensor, means: Array | Tensor) -> Array:
    """Cached maps (n, c, h, w) and means (n, m) -> unit vectors (n, 511): meaning, then looks."""
    parts = []
    for start in range(0, len(maps), 128):
        part = slice(start, start + 128)
        features = image_top(model.tower, torch.as_tensor(maps[part]), torch.as_tensor(means[part]))
        meaning, looks = model.meaning(features), model.looks(features)
        parts.append(torch.cat([(1 - LOOKS_SHARE) ** 0.5 * meaning, LOOKS_SHARE**0.5 * looks], 1))
    return torch.cat(parts).numpy()
