"""Near-duplicates among distractors: how many of the pairs embedlab finds, how many it should not have, by each of its
ways.

    python benchmarks/duplicates.py --data DIR

DIR holds the training images and captions.jsonl; the 1,000 photographs are its held-out part of Flickr8k, on which
weights/lite was not trained. 200 of them have four copies each, by transforms drawn from 15. Every pair of the 1,800
files is judged: pairs as they are found, and closed, where two images of one group are a pair.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from timing import ROOT

sys.path.insert(0, str(ROOT))
sys.path.insert(0, str(ROOT / "tools"))
from lite_lib.copies import encode, opened, seeded
from lite_lib.copybench import TRANSFORMS, Photo, photos
from lite_lib.items import Item, held_out, read_items

from embedlab_core.analysis.duplicates import DuplicateOptions, duplicate_pairs, find_duplicates
from embedlab_core.analysis.groups import members_of
from embedlab_core.analysis.pairs import Pairs
from embedlab_core.analysis.thresholds import limits_of
from embedlab_core.api import Index
from embedlab_core.embed import EmbedOptions, embed_folders
from embedlab_core.encoders.ensemble import Ensemble
from embedlab_core.encoders.onnx import OnnxEncoder
from embedlab_core.encoders.spec import load_model_spec

PRECISIONS = (0.99, 0.98)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="the training images, with captions.jsonl")
    args = parser.parse_args()
    items = read_items(args.data)
    held = [items[i] for i in held_out(items, 0) if items[i].set == "flickr8k"]
    listed = photos(len(held), seed=0)
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work) / "images"
        write_files(folder, held, listed)
        encoder = OnnxEncoder(load_model_spec(ROOT / "weights" / "lite"), many=True)
        embed_folders([str(folder)], Path(work) / "index", Ensemble([encoder]), EmbedOptions())
        report(Index.open(Path(work) / "index"), listed)


def write_files(folder: Path, items: list[Item], listed: list[Photo]) -> None:
    """Originals byte for byte, copies as JPEG of quality 95; names in the order of `listed`."""
    folder.mkdir()
    for number, photo in enumerate(listed):
        data = items[photo.item].load()
        if photo.transform is not None:
            data = encode(TRANSFORMS[photo.transform](opened(data), seeded(data, photo.transform)), "JPEG", 95)
        (folder / f"{number:04d}.jpg").write_bytes(data)


def report(index: Index, listed: list[Photo]) -> None:
    numbers = [int(Path(path).stem) for path in index.reader.paths(np.arange(len(index)))]
    shown = [listed[number] for number in numbers]
    best_f1(index, shown)
    print("\n| | precision | recall | F1 | closed: precision | recall | F1 |\n|---|---|---|---|---|---|---|")
    recalls = {}
    plain = DuplicateOptions(0.92)
    recalls["0.92"] = row(index, shown, "plain 0.92", plain)
    row(index, shown, "0.92, --fuse hash --rotations", DuplicateOptions(0.92, hashes="turned"))
    row(index, shown, "adaptive", DuplicateOptions("adaptive"))
    for precision in PRECISIONS:
        found = index.calibrate(precision=precision)
        name = f"auto ({precision}: {found.threshold.value:.3f})"
        recalls[name] = row(index, shown, name, DuplicateOptions("auto"))
        fused = DuplicateOptions("auto", hashes="turned")
        recalls[f"{name}, fused"] = row(index, shown, f"{name}, --fuse hash --rotations", fused)
        row(index, shown, f"{name}, fused, complete groups", DuplicateOptions("auto", "complete", "turned"))
    print("\nrecall of the pairs of an original with its copy, %, by transform")
    print("| transform | " + " | ".join(recalls) + " |\n|---|" + "---|" * len(recalls))
    for transform in TRANSFORMS:
        print(f"| {transform} | " + " | ".join(f"{100 * found[transform]:.0f}" for found in recalls.values()) + " |")


def best_f1(index: Index, shown: list[Photo]) -> None:
    vectors = index.reader.vectors(np.arange(len(index)))
    left, right = np.triu_indices(len(vectors), 1)
    scores = (vectors @ vectors.T)[left, right]
    item = np.array([photo.item for photo in shown])
    same = (item[left] == item[right])[np.argsort(-scores, kind="stable")]
    f1 = 2 * np.cumsum(same) / (np.arange(1, len(same) + 1) + same.sum())
    print(f"best F1 of any threshold, picked in hindsight: {f1.max():.3f} at {np.sort(scores)[::-1][f1.argmax()]:.3f}")


def row(index: Index, shown: list[Photo], name: str, options: DuplicateOptions) -> dict[str, float]:
    """Prints a row of the table; -> recall by transform."""
    pairs = duplicate_pairs(index.reader, limits_of(index.reader, options.threshold), options.hashes)
    groups = members_of(find_duplicates(index.reader, options, explain=False).labels)
    figures = [*judged(as_set(pairs), shown), *judged(closed(groups), shown)]
    print(f"| {name} | " + " | ".join(f"{figure:.3f}" for figure in figures) + " |", flush=True)
    return by_transform(as_set(pairs), shown)


def as_set(pairs: Pairs) -> set[tuple[int, int]]:
    return set(zip(pairs.left.tolist(), pairs.right.tolist(), strict=True))


def closed(groups: Iterable[npt.NDArray[np.int64]]) -> set[tuple[int, int]]:
    return {(one, other) for group in groups for one in group.tolist() for other in group.tolist() if one < other}


def judged(found: set[tuple[int, int]], shown: list[Photo]) -> tuple[float, float, float]:
    """(precision, recall, F1)"""
    items = [photo.item for photo in shown]
    total = sum(count * (count - 1) // 2 for count in np.unique(items, return_counts=True)[1].tolist())
    right = sum(items[one] == items[other] for one, other in found)
    precision, recall = right / max(len(found), 1), right / total
    return precision, recall, 2 * precision * recall / max(precision + recall, 1e-9)


def by_transform(found: set[tuple[int, int]], shown: list[Photo]) -> dict[str, float]:
    originals = {photo.item: row for row, photo in enumerate(shown) if photo.transform is None}
    hits: dict[str, list[bool]] = {name: [] for name in TRANSFORMS}
    for copy, photo in enumerate(shown):
        if photo.transform is not None:
            original = originals[photo.item]
            hits[photo.transform].append((min(copy, original), max(copy, original)) in found)
    return {name: float(np.mean(each)) for name, each in hits.items() if each}


if __name__ == "__main__":
    main()
