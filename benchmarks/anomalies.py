"""AUROC of the anomaly methods on mixes: one set's classes as inliers, images of another set as 5 % outliers.

python benchmarks/anomalies.py --data DIR

DIR holds captions.jsonl, one object an image: file, set, label. Each mix is drawn with five seeds. A last line ranks
assets/images by its own oddballs.
"""

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt

from embedlab_core.analysis.analyze import DEFAULT_K
from embedlab_core.analysis.anomalies import AnomalyMethod, nearest_neighbours, raw_scores
from embedlab_core.analysis.groups import component_labels
from embedlab_core.analysis.pairs import pairs_at_least
from embedlab_core.embed import EmbedOptions, embed_folders
from embedlab_core.encoders.ensemble import Ensemble
from embedlab_core.encoders.onnx import OnnxEncoder
from embedlab_core.encoders.spec import load_model_spec
from embedlab_core.index.reader import IndexReader

ROOT = Path(__file__).resolve().parents[1]
METHODS: tuple[AnomalyMethod, ...] = ("knn", "lof", "kde")
SEEDS = range(5)
INLIERS, SHARE = 190, 0.05
# Inliers, outliers.
MIXES = (
    ("charts", "flickr8k"),
    ("assets", "emoji"),
    ("grocery", "caltech101"),
    ("flickr8k", "ui_docs"),
    ("caltech101", "pacs"),
    ("clothing", "grocery"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--k", type=int, nargs="+", default=[DEFAULT_K])
    args = parser.parse_args()
    sets = _sets(args.data.resolve())
    with tempfile.TemporaryDirectory() as folder:
        results: dict[tuple[str, int], list[float]] = {}
        for inliers, outliers in MIXES:
            index, is_odd = _mixes(Path(folder), inliers, outliers, sets)
            line = []
            for method in METHODS:
                for k in args.k:
                    found = [auroc(_scores(part, method, k), odd) for part, odd in zip(index, is_odd, strict=True)]
                    results.setdefault((method, k), []).append(float(np.mean(found)))
                    line.append(f"{method} k={k} {np.mean(found):.3f} ±{np.std(found):.3f}")
            print(f"{inliers} + 5 % {outliers}: " + ", ".join(line))
        for (method, k), values in results.items():
            print(f"{method} k={k}: mean {np.mean(values):.3f}, worst mix {min(values):.3f}")
        _assets(Path(folder), args.k)


def auroc(scores: npt.NDArray[np.float64], is_odd: npt.NDArray[np.bool_]) -> float:
    """The chance that an outlier scores above an inlier; ties count half (Hanley & McNeil 1982)."""
    differences = scores[is_odd][:, None] - scores[~is_odd][None]
    return float((differences > 0).mean() + 0.5 * (differences == 0).mean())


def _sets(data: Path) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {"assets": sorted((ROOT / "assets" / "images").iterdir())}
    for line in (data / "captions.jsonl").read_text("utf-8").splitlines():
        entry = json.loads(line)
        found.setdefault(entry["set"], []).append(data / entry["file"])
    return found


def _mixes(
    folder: Path, inliers: str, outliers: str, sets: dict[str, list[Path]]
) -> tuple[list[IndexReader], list[npt.NDArray[np.bool_]]]:
    """For each seed an index of the mix, and which of its rows are outliers."""
    indexes, truths = [], []
    for seed in SEEDS:
        chance = np.random.default_rng(seed)
        count = min(INLIERS, len(sets[inliers]))
        chosen = [sets[inliers][row] for row in chance.choice(len(sets[inliers]), count, replace=False)]
        odd = [
            sets[outliers][row]
            for row in chance.choice(len(sets[outliers]), max(1, round(count * SHARE / (1 - SHARE))))
        ]
        out = folder / f"{inliers}-{outliers}-{seed}"
        images = folder / f"images-{inliers}-{outliers}-{seed}"
        images.mkdir()
        for number, (kind, path) in enumerate([*(("in", path) for path in chosen), *(("out", path) for path in odd)]):
            (images / f"{kind}{number:04d}{path.suffix}").symlink_to(path)
        indexes.append(_embedded(images, out))
        (rows,) = indexes[-1].shards
        truths.append(np.char.startswith(rows.paths, "out"))
    return indexes, truths


def _embedded(images: Path, out: Path) -> IndexReader:
    encoder = OnnxEncoder(load_model_spec(ROOT / "weights" / "lite"), many=True)
    embed_folders([str(images)], out, Ensemble([encoder]), EmbedOptions())
    return IndexReader.open(out)


def _scores(index: IndexReader, method: AnomalyMethod, k: int) -> npt.NDArray[np.float64]:
    labels = component_labels(len(index), pairs_at_least(index, 0.92))
    return raw_scores(nearest_neighbours(index, labels, k), method)


def _assets(folder: Path, ks: list[int]) -> None:
    index = _embedded(ROOT / "assets" / "images", folder / "assets")
    oddballs = json.loads((ROOT / "assets" / "labels.json").read_text("utf-8"))["oddballs"]
    paths = np.array([Path(path).name for path in index.paths(np.arange(len(index)))])
    for method in METHODS:
        for k in ks:
            scores = _scores(index, method, k)
            top = paths[np.argsort(-scores)[: len(oddballs)]]
            print(
                f"assets, {method} k={k}: AUROC {auroc(scores, np.isin(paths, oddballs)):.3f}, "
                f"{np.isin(top, oddballs).sum()} of {len(oddballs)} oddballs in the top {len(oddballs)}"
            )


if __name__ == "__main__":
    main()
