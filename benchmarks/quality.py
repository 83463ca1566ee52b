"""Every figure of an embedded model, from its shipped files: search, copies, scale, size and speed.

    python benchmarks/quality.py --data DIR --weights weights/lite

DIR holds the training images and captions.jsonl; only their held-out part is measured.
"""

import argparse
import json
import sys
import time
from pathlib import Path

from timing import ROOT

sys.path.insert(0, str(ROOT))
sys.path.insert(0, str(ROOT / "tools"))
from lite_lib.quality import Quality, encoded, measure_quality

from embedlab_core.encoders.onnx import OnnxEncoder
from embedlab_core.encoders.spec import load_model_spec
from embedlab_core.images.decode import decode_image

THRESHOLDS = (0.88, 0.90, 0.92, 0.94, 0.96)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="the training images, with captions.jsonl")
    parser.add_argument("--weights", type=Path, default=ROOT / "weights" / "lite", help="a model folder")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    args = parser.parse_args()
    quality = measure_quality(args.data, args.weights)
    figures = {**quality.figures(), **cost(args.weights)}
    for name, value in figures.items():
        print(f"{name:45} {value:8.2f}")
    print_scale(quality)
    if args.json:
        args.json.write_text(json.dumps({name: round(value, 2) for name, value in figures.items()}, indent=1) + "\n")


def print_scale(quality: Quality) -> None:
    print("\nthreshold   precision   recall   F1 of all pairs   |   precision   recall of mild copies")
    for threshold in THRESHOLDS:
        precision, recall, f1 = quality.pairs.at(threshold)
        mild, found = quality.mild.precision(threshold)
        print(f"{threshold:9.2f} {precision:11.3f} {recall:8.3f} {f1:17.3f}   | {mild:11.3f} {found:8.3f}")
    print("\nper cent of images with a different image above 0.92:")
    print(", ".join(f"{name} {value:.1f}" for name, value in quality.nearest_by_set.items()))
    print(f"\nbands: {json.dumps(quality.bands)}")


def cost(weights: Path) -> dict[str, float]:
    """Megabytes in git, and images/s from files to vectors: the best of three rounds over the project's pictures."""
    sizes = [path.stat().st_size for path in weights.iterdir()]
    encoder = OnnxEncoder(load_model_spec(weights), many=True)
    files = [path.read_bytes() for path in sorted((ROOT / "assets" / "images").iterdir())]
    seconds = []
    for _ in range(4):
        start = time.perf_counter()
        encoded(encoder, len(files), lambda k: decode_image(files[k], encoder.spec.pixels).pixels)
        seconds.append(time.perf_counter() - start)
    return {
        "megabytes in git": sum(sizes) / 1e6,
        "megabytes of the largest file": max(sizes) / 1e6,
        "images/s, decoded and encoded": len(files) / min(seconds[1:]),
    }


if __name__ == "__main__":
    main()
