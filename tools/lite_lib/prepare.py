"""All that training needs, from the data folder and the pretrained towers."""

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import Tokenizer
from torch import Tensor

from lite_lib.copies import COPY_KINDS, TRUE_VIEWS, VIEWS, Pixels, copy_pixels, view
from lite_lib.copybench import photo_pixels, photos
from lite_lib.drawings import synthetic_items
from lite_lib.features import Frozen, Numbers, States, cached, frozen_part, text_states
from lite_lib.graph import PSI, Geometry, save_bottom
from lite_lib.heads import MEANING
from lite_lib.hubness import Bank, fit_bank
from lite_lib.items import DRAWS, Item, held_out, read_items
from lite_lib.judge import Held, image_vectors
from lite_lib.measure import different, measure_copies
from lite_lib.quality import DUPLICATE
from lite_lib.split import near_equal, train_part
from lite_lib.towers import ImageTower, TextTower, load_image_tower, load_minilm
from lite_lib.train import Model, Training, image_top, nearest, prototypes, text_top

log = logging.getLogger(__name__)
Array = npt.NDArray[np.float32]

HEAD_VIEWS = (0, TRUE_VIEWS)  # the views on which the heads are trained while the towers are frozen
PRECISION = 0.99  # of pairs of photos and copies at the duplicate threshold
MILD_PRECISION = 0.963  # of mild copies against the nearest different images there


@dataclass
class Prepared:
    """seen: each view of every item. features (2, n, d): of the training images and the prototypes."""

    items: list[Item]
    train: Numbers
    held_pixels: Pixels
    tower: ImageTower
    sentences: TextTower
    tokenizer: Tokenizer
    seen: list[Frozen]
    mild: Frozen
    states: States
    features: Tensor
    text_features: Tensor
    prototypes: Tensor
    training: Training
    held: Held


def prepare(data: Path, work: Path, number: int, threads: int, seed: int) -> Prepared:
    """Everything is cached in the work folder."""
    items = [*read_items(data), *synthetic_items()]
    texts = sorted({text for item in items for text in item.texts})
    held = held_out(items, seed)
    tower = load_image_tower(number)
    weights, tokenizer = load_minilm()
    sentences = TextTower(weights)
    bottom = work / f"bottom{number}.onnx"
    save_bottom(bottom, tower)

    def run(name: str, count: int, pixels: Callable[[int], Pixels]) -> Frozen:
        return frozen_part(work, f"{name}-{number}", bottom, count, pixels, threads)

    pixels = cached(work / "pixels.npy", lambda: np.stack([view(item, 0, seed) for item in items]))
    groups = cached(work / "groups.npy", lambda: near_equal(pixels))
    train = np.array(train_part(groups, held))
    log.info("%d images to train on, %d held out; the rest are near-equal to those", len(train), len(held))
    views = [run(f"view{k}", len(items), lambda i, k=k: view(items[i], k, seed)) for k in range(VIEWS)]
    flickr = [items[i] for i in held if items[i].set == "flickr8k"]
    listed = photos(len(flickr), seed)
    copied = [photo for photo in listed if photo.transform is not None]
    copies = run("copies", len(copied), lambda k: photo_pixels(flickr, copied[k]))
    probes, kinds = held[::4], len(COPY_KINDS)
    mild = run("mild", len(probes) * kinds, lambda k: copy_pixels(items[probes[k // kinds]], k % kinds))
    states = text_states(work / "states.npy", sentences, tokenizer, texts)
    text_features = torch.from_numpy(cached(work / "text-features.npy", lambda: _sentences(sentences, states)).copy())

    features = torch.stack([_features(tower, views[k][train]) for k in HEAD_VIEWS])
    stand_ins = prototypes(features[0], tower.classes, seed)
    features = torch.cat([features, stand_ins.expand(len(HEAD_VIEWS), -1, -1)], 1)
    numbers = {text: k for k, text in enumerate(texts)}
    return Prepared(
        items=items,
        train=train,
        held_pixels=np.array(pixels[held]),
        tower=tower,
        sentences=sentences,
        tokenizer=tokenizer,
        seen=views,
        mild=mild,
        states=states,
        features=features,
        text_features=text_features,
        prototypes=stand_ins,
        training=_training(items, train, groups, features[0], numbers),
        held=Held(
            items=[items[i] for i in held],
            seen=views[0][np.array(held)],
            copies=copies,
            photos=listed,
            states=states,
            numbers=numbers,
        ),
    )


def _training(
    items: list[Item], train: Numbers, groups: npt.NDArray[np.int64], features: Tensor, numbers: dict[str, int]
) -> Training:
    """The rows to train on, stand-ins for the ImageNet classes at the end."""
    # imagenet_sample lists one image of each class in the order of the classes.
    classes = [item for item in items if item.set == "imagenet_sample"]
    owned = torch.cat([torch.from_numpy(groups[train]), torch.arange(len(classes)) + len(items)])
    pictured = [items[i] for i in train]
    return Training(
        truths=[np.array([numbers[text] for text in item.texts]) for item in [*pictured, *classes]],
        texts=len(numbers),
        groups=owned,
        draws=np.array([DRAWS[item.set] for item in pictured] + [DRAWS["prototype"]] * len(classes)),
        pictured=len(train),
        alike=nearest(features, owned),
    )


@torch.no_grad()
def _features(tower: ImageTower, seen: Frozen) -> Tensor:
    parts = [seen[k : k + 256] for k in range(0, len(seen), 256)]
    return torch.cat([image_top(tower, torch.from_numpy(p.maps), torch.from_numpy(p.means)) for p in parts])


@torch.no_grad()
def _sentences(tower: TextTower, states: States) -> Array:
    numbers = np.arange(len(states.lengths))
    return np.concatenate(
        [text_top(tower, states, numbers[k : k + 1024]).numpy() for k in range(0, len(numbers), 1024)]
    )


def raw_threshold(ready: Prepared, model: Model) -> float:
    """The raw cosine that is to become 0.92.

    The lowest at which pairs of photos and copies reach PRECISION, and mild copies MILD_PRECISION: screens and charts
    of one kind are more alike than photos are. At most 0.92: the constant coordinate can only raise a cosine.
    """
    vectors = image_vectors(model, ready.held.seen)
    mild = image_vectors(model, ready.mild).reshape(-1, len(COPY_KINDS), vectors.shape[1])
    apart = different(ready.held.items, ready.held_pixels)
    measured = measure_copies(vectors, vectors[::4], mild, apart, 0)
    raw = ready.held.pairs(model, vectors).threshold(PRECISION)
    while raw < DUPLICATE and measured.precision(raw)[0] < MILD_PRECISION:
        raw += 0.002
    return min(raw, DUPLICATE)


def finish(ready: Prepared, model: Model, geometry: Geometry, seed: int) -> tuple[Bank, dict[str, Array]]:
    """-> (the bank of the first texts of the training images, modality -> the mean (512,) of those images' or texts'
    vectors)."""
    v = image_vectors(model, ready.seen[0][ready.train])
    t = ready.held.embed(model, [ready.items[i].texts[0] for i in ready.train])
    meanings = v[:, :MEANING] / np.linalg.norm(v[:, :MEANING], axis=1, keepdims=True)
    bank = fit_bank(t[:, :MEANING], meanings, seed)
    images = geometry.completed(v, bank.above(meanings))
    text = np.concatenate([math.cos(PSI) * t.mean(0), [0.0, math.sin(PSI)]])
    return bank, {"image": images.mean(0), "text": text}
