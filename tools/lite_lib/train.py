"""Training of heads and of the tops of both towers."""

import copy
import csv
import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from scipy.sparse import csr_matrix
from torch import Tensor, nn
from torch.nn import functional

from lite_lib.features import Frozen, States
from lite_lib.heads import LOOKS, MEANING, Head, HeadShape
from lite_lib.losses import contrastive, crowding
from lite_lib.towers import ImageTower, TextTower

log = logging.getLogger(__name__)
Array = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.int64]


MEANING_SHAPE = HeadShape(MEANING, hidden=1536, dropout=0.3, noise=0.2)
LOOKS_SHAPE = HeadShape(LOOKS, hidden=512, dropout=0.1, noise=0.05)


@dataclass(frozen=True)
class Recipe:
    """What was tuned, on the validation split alone."""

    batch: int = 512
    decay: float = 0.05
    neighbours: float = 0.3  # share of a batch that is drawn next to another image of it: hard negatives
    copy_scale: float = 16.0
    copy_weight: float = 1.0
    crowding_weight: float = 0.3
    align_weight: float = 1.0
    word_dropout: float = 0.1
    average: float = 0.95  # of the weights, per step


@dataclass(frozen=True)
class Phase:
    """Peak learning rates of heads and towers (0: frozen), which rise for `warm` steps and then fall as a cosine."""

    epochs: int
    rate: float
    image_rate: float = 0.0
    text_rate: float = 0.0
    warm: int = 50


@dataclass
class Training:
    """truths: the texts true of each image; groups (n,): near-equal images; draws (n,): how often one is drawn."""

    truths: list[Numbers]
    texts: int
    groups: Tensor
    draws: npt.NDArray[np.float64]
    pictured: int  # the first so many are images; the rest, prototypes, have no copies
    alike: Numbers  # (n, k) the images most like each

    def __post_init__(self) -> None:
        rows = np.repeat(np.arange(len(self.truths)), [len(t) for t in self.truths])
        ones = np.ones(len(rows), np.float32)
        self.true = csr_matrix((ones, (rows, np.concatenate(self.truths))), (len(self.truths), self.texts))


class Source(Protocol):
    """Features of images and texts, of frozen towers or of those in training."""

    plain: Sequence[int]  # views that captions fit
    changed: Sequence[int]  # views of the second side of a pair of copies

    def images(self, numbers: Numbers, views: Numbers) -> Tensor: ...

    def texts(self, numbers: Numbers) -> Tensor: ...


@dataclass
class FrozenSource:
    """features (views, n, d), texts (m, 384)."""

    features: Tensor
    sentences: Tensor
    plain: Sequence[int]
    changed: Sequence[int]

    def images(self, numbers: Numbers, views: Numbers) -> Tensor:
        return self.features[views, numbers]

    def texts(self, numbers: Numbers) -> Tensor:
        return self.sentences[numbers]


@dataclass
class TunedSource:
    """seen: each view, by image number; rows: image numbers of the training images; prototypes (k, d)."""

    tower: ImageTower
    sentences: TextTower
    seen: Sequence[Frozen]
    states: States
    rows: Numbers
    prototypes: Tensor
    plain: Sequence[int]
    changed: Sequence[int]
    word_dropout: float

    def images(self, numbers: Numbers, views: Numbers) -> Tensor:
        pictured = np.nonzero(numbers < len(self.rows))[0]
        others = np.nonzero(numbers >= len(self.rows))[0]
        at = list(zip(views[pictured].tolist(), self.rows[numbers[pictured]].tolist(), strict=True))
        maps = torch.from_numpy(np.stack([self.seen[view].maps[row] for view, row in at]))
        means = torch.from_numpy(np.stack([self.seen[view].means[row] for view, row in at]))
        found = torch.empty(len(numbers), self.prototypes.shape[1])
        found[torch.from_numpy(others)] = self.prototypes[numbers[others] - len(self.rows)]
        return found.index_copy(0, torch.from_numpy(pictured), image_top(self.tower, maps, means))

    def texts(self, numbers: Numbers) -> Tensor:
        return text_top(self.sentences, self.states, numbers, self.word_dropout)


def image_top(tower: ImageTower, maps: Tensor, means: Tensor, chunk: int = 64) -> Tensor:
    """Cached maps float16 (b, c, h, w) and means (b, m) -> features (b, d), in bfloat16 where that is faster, and in
    parts that stay in the processor's caches."""
    parts = []
    for some, beside in zip(maps.split(chunk), means.split(chunk), strict=True):
        with torch.autocast("cpu", torch.bfloat16):
            parts.append(tower.top(some.bfloat16().contiguous(memory_format=torch.channels_last), beside))
    return torch.cat(parts)


def text_top(tower: TextTower, states: States, numbers: Numbers, dropout: float = 0.0, chunk: int = 128) -> Tensor:
    """Texts by number -> (b, 384), in parts of like length. dropout: the share of words left out of each text."""
    order = np.argsort(states.lengths[numbers], kind="stable")
    parts = []
    for start in range(0, len(order), chunk):
        x, used = states.padded(numbers[order[start : start + chunk]])
        if dropout:
            kept = torch.rand(used.shape) >= dropout
            kept[:, 0] = True
            used = used & kept
        with torch.autocast("cpu", torch.bfloat16):
            parts.append(tower.top(x, used))
    return torch.cat(parts)[torch.from_numpy(np.argsort(order))]


class Model(nn.Module):
    """Heads, tops of the towers and the scale of the image-text cosines."""

    def __init__(self, tower: ImageTower, sentences: TextTower, features: Tensor, texts: Tensor) -> None:
        """features (n, d), texts (m, 384): what the untouched towers give, to standardise by."""
        super().__init__()
        self.tower, self.sentences = tower, sentences
        self.meaning, self.looks = Head(features, MEANING_SHAPE), Head(features, LOOKS_SHAPE)
        self.text = Head(texts, MEANING_SHAPE)
        self.scale = nn.Parameter(torch.tensor(math.log(14.0)))  # 1 / 0.07, CLIP's start
        for p in [*tower.parameters(), *sentences.parameters()]:
            p.requires_grad_(False)

    def groups(self, phase: Phase, decay: float) -> list[dict[str, object]]:
        """Parameter groups of AdamW."""
        heads = [p for head in (self.meaning, self.looks, self.text) for p in head.parameters()]
        groups: list[dict[str, object]] = [
            {"params": [p for p in heads if p.ndim == 2], "weight_decay": decay, "lr": phase.rate},
            {"params": [p for p in heads if p.ndim == 1] + [self.scale], "weight_decay": 0.0, "lr": phase.rate},
        ]
        for rate, tower in ((phase.image_rate, self.tower), (phase.text_rate, self.sentences)):
            for p in tower.trained():
                p.requires_grad_(rate > 0)
            if rate:
                groups.append({"params": tower.trained(), "weight_decay": 0.01, "lr": rate})
        return groups


class Average:
    """The exponential moving average of what is trained in a model; `model` holds it."""

    def __init__(self, model: Model, decay: float) -> None:
        self.model, self.decay, self.steps = copy.deepcopy(model).eval(), decay, 0

    @torch.no_grad()
    def update(self, model: Model) -> None:
        self.steps += 1
        share = 1 - min(self.decay, self.steps / (self.steps + 10))
        for mine, other in zip(self.model.parameters(), model.parameters(), strict=True):
            if other.requires_grad:
                mine.lerp_(other, share)


Batch = tuple[Numbers, Numbers, Numbers]


def batches(data: Training, recipe: Recipe, rng: np.random.Generator) -> Iterator[Batch]:
    """(images, a text of each, which of the images are paired with a copy: half, with the images beside them)."""
    share = data.draws / data.draws.sum()
    beside = int(recipe.batch * recipe.neighbours)
    for _ in range(int(data.draws.sum()) // recipe.batch):
        seeds = rng.choice(len(share), recipe.batch, replace=False, p=share)
        seeds[recipe.batch - beside :] = data.alike[seeds[:beside], rng.integers(data.alike.shape[1], size=beside)]
        images = np.unique(seeds)
        texts = np.array([rng.choice(data.truths[i]) for i in images])
        copied = [*seeds[: beside // 2 + recipe.batch // 8], *seeds[recipe.batch - beside :][: beside // 2]]
        paired = np.isin(images, copied)
        yield images, texts, np.nonzero(paired & (images < data.pictured))[0]


def step_losses(
    model: Model, source: Source, data: Training, recipe: Recipe, batch: Batch, rng: np.random.Generator
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """(text, copy, crowding, align) losses of one batch."""
    images, texts, some = batch
    first = rng.choice(source.plain, len(images))
    second = rng.choice(source.changed, len(some))
    features = source.images(np.concatenate([images, images[some]]), np.concatenate([first, second]))
    z = model.meaning(features)
    z, copies = z[: len(images)], z[len(images) :]
    true = torch.from_numpy(data.true[images][:, texts].toarray())
    matched = contrastive(z, model.text(source.texts(texts)), true, model.scale.exp())
    a, b = model.looks(features[some]), model.looks(features[len(images) :])
    group = data.groups[images[some]]
    same = (group[:, None] == group[None]).float()
    aligned = (1 - (z[some] * copies).sum(1)).mean()
    return matched, contrastive(a, b, same, recipe.copy_scale), crowding(a, same), aligned


def train(
    model: Model,
    source: Source,
    data: Training,
    recipe: Recipe,
    phase: Phase,
    seed: int,
    judge: Callable[[Model], dict[str, float]],
    curves: Path,
) -> Model:
    """-> the average of the weights. The losses of each epoch and what `judge` says of it are appended to `curves`."""
    rng = np.random.default_rng(seed)
    average = Average(model, recipe.average)
    optimizer = torch.optim.AdamW(model.groups(phase, recipe.decay))
    steps = phase.epochs * (int(data.draws.sum()) // recipe.batch)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda s: min(1.0, (s + 1) / phase.warm) * 0.5 * (1 + math.cos(math.pi * min(1.0, s / steps)))
    )
    for epoch in range(phase.epochs):
        start, sums, count = time.time(), np.zeros(4), 0
        model.train()
        for batch in batches(data, recipe, rng):
            losses = step_losses(model, source, data, recipe, batch, rng)
            weights = (1.0, recipe.copy_weight, recipe.copy_weight * recipe.crowding_weight, recipe.align_weight)
            optimizer.zero_grad(set_to_none=True)
            sum(w * loss for w, loss in zip(weights, losses, strict=True)).backward()
            optimizer.step()
            schedule.step()
            with torch.no_grad():
                model.scale.clamp_(max=math.log(100.0))
            average.update(model)
            sums, count = sums + [loss.item() for loss in losses], count + 1
        row = dict(zip(("text", "copy", "crowding", "align"), (sums / count).round(4).tolist(), strict=True))
        row |= {"scale": round(model.scale.exp().item(), 2), "seconds": round(time.time() - start)}
        row |= judge(average.model)
        log.info("epoch %d: %s", epoch + 1, row)
        append(curves, {"epoch": epoch + 1, "tuned": int(phase.image_rate > 0), **row})
    return average.model


def append(path: Path, row: dict[str, float]) -> None:
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, row)
        if new:
            writer.writeheader()
        writer.writerow(row)


def nearest(features: Tensor, groups: Tensor, count: int = 10) -> Numbers:
    """(n, d) -> (n, count): the images most alike in the tower's standardised features, near-equal ones excluded."""
    unit = functional.normalize((features - features.mean(0)) / (features.std(0) + 1e-2))
    found = []
    for start in range(0, len(unit), 2048):
        cosine = unit[start : start + 2048] @ unit.T
        cosine[groups[start : start + 2048, None] == groups[None]] = -1
        found.append(cosine.topk(count, 1).indices)
    return torch.cat(found).numpy()


def prototypes(features: Tensor, classes: Tensor, seed: int) -> Tensor:
    """features (n, d), classifier rows (1000, 1280) -> (1000, d): stand-ins for images of the ImageNet classes.

    The classifier was trained on 1.2 million images that are not here. Seen from the mean, in standard deviations, an
    image of a class lies in the direction of that class's row of weights: by cosine with these directions alone,
    EfficientNet-Lite2 names 81 % of imagenet_sample. Half of the deviation of some training image is added.
    """
    mean, std = features.mean(0), features.std(0) + 1e-2
    toward = functional.normalize((classes - classes.mean(0)) * std[: classes.shape[1]])
    toward = functional.pad(toward, (0, features.shape[1] - classes.shape[1]))  # the stages before know no classes
    radius = ((features - mean) / std).norm(dim=1).median() / 2
    picks = torch.randint(len(features), (len(classes),), generator=torch.Generator().manual_seed(seed))
    return mean + std * toward * radius + (features[picks] - mean) / 2
