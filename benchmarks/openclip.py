"""ViT-B/32 against open_clip as its README runs it: images/s, cold starts, and decoding of large JPEGs.

    python benchmarks/openclip.py

Weights are random, since speed does not depend on them. Every ratio is of times taken in this one run.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from timing import EMBEDLAB, ROOT, median_seconds, seconds

if TYPE_CHECKING:
    from embedlab_core.encoders.base import Encoder

IMAGES = sorted((ROOT / "assets" / "images").iterdir())[:64]
ROUNDS = 3
LARGE = (4000, 3000)

NAIVE = """
import sys, torch, open_clip
from PIL import Image
model, _, preprocess = open_clip.create_model_and_transforms("local-dir:" + sys.argv[1])
model.eval()
tokenizer = open_clip.get_tokenizer("local-dir:" + sys.argv[1])
with torch.no_grad():
    if sys.argv[2] == "image":
        features = model.encode_image(preprocess(Image.open(sys.argv[3])).unsqueeze(0))
    else:
        features = model.encode_text(tokenizer([sys.argv[3]]))
    features /= features.norm(dim=-1, keepdim=True)
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        os.environ["EMBEDLAB_WEIGHTS"] = str(root / "weights")
        checkpoint = save_checkpoint(root / "vit-b-32")
        backbone = f"local-dir:{checkpoint}"
        subprocess.run([*EMBEDLAB, "models", "pull", backbone], cwd=ROOT, check=True, capture_output=True)
        throughput(backbone)
        cold_starts(checkpoint, backbone, root)
        decoding(root)


def save_checkpoint(folder: Path, architecture: str = "ViT-B-32") -> Path:
    """A model of seeded random weights as open_clip saves one."""
    import open_clip
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(0)
    model = open_clip.create_model(architecture)
    folder.mkdir()
    save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, folder / "model.safetensors")
    config = {"model_cfg": open_clip.get_model_config(architecture), "preprocess_cfg": {}}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    return folder


def throughput(backbone: str) -> None:
    """Images/s of decode and encode together, models loaded beforehand; the median of rounds that take turns."""
    import open_clip
    import torch

    from embedlab_core.encoders.folders import pull
    from embedlab_core.encoders.open import open_encoder
    from embedlab_core.errors import DeviceError

    model, _, preprocess = open_clip.create_model_and_transforms(backbone)
    model.eval()

    def one_at_a_time() -> None:
        with torch.no_grad():
            for path in IMAGES:
                model.encode_image(preprocess(Image.open(path).convert("RGB")).unsqueeze(0))

    class Pictures(torch.utils.data.Dataset[torch.Tensor]):
        def __len__(self) -> int:
            return len(IMAGES)

        def __getitem__(self, number: int) -> torch.Tensor:
            return preprocess(Image.open(IMAGES[number]).convert("RGB"))

    def data_loader() -> None:
        with torch.no_grad():
            for batch in torch.utils.data.DataLoader(Pictures(), batch_size=32, num_workers=2):
                model.encode_image(batch)

    spec = pull(backbone)
    contenders: dict[str, Callable[[], None]] = {"open_clip, one at a time": one_at_a_time, "DataLoader": data_loader}
    exact = open_encoder(spec, "cpu", "float32", 8)
    contenders["embedlab float32"] = lambda: embed(exact, 8)
    try:
        fast = open_encoder(spec, "cpu", "bfloat16", 8)
        contenders["embedlab bfloat16"] = lambda: embed(fast, 8)
    except DeviceError as error:
        print(f"bfloat16 left out: {error}")
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(ROUNDS + 1):
        for name, run in contenders.items():
            started = time.perf_counter()
            run()
            if turn:
                times[name].append(time.perf_counter() - started)
    medians = {name: statistics.median(values) for name, values in times.items()}
    for name, median in medians.items():
        loop, loader = medians["open_clip, one at a time"] / median, medians["DataLoader"] / median
        print(f"{name:<26} {len(IMAGES) / median:6.1f} images/s   {loop:4.2f}x the loop   {loader:4.2f}x DataLoader")


def embed(encoder: "Encoder", batch_size: int) -> None:
    """As embedlab embed does it, without writing an index."""
    from embedlab_core.encoders.ensemble import Ensemble
    from embedlab_core.images.discover import ImageFile
    from embedlab_core.metrics import Stopwatch
    from embedlab_core.pipeline import batches, encode_batch, read_outcomes

    ensemble = Ensemble([encoder])
    files = [ImageFile(path.name, 0, 0) for path in IMAGES]
    outcomes = read_outcomes(
        IMAGES[0].parent, files, ensemble.pixel_specs, {}, os.cpu_count() or 1, batch_size + 4, Stopwatch()
    )
    for batch in batches(outcomes, batch_size, len(files)):
        encode_batch(batch, ensemble)


def cold_starts(checkpoint: Path, backbone: str, root: Path) -> None:
    """Whole processes: one query against an index of assets/images."""
    index = root / "index"
    seconds([*EMBEDLAB, "embed", "--images-dir", str(IMAGES[0].parent), "--out", str(index), "--backbone", backbone])
    search = [*EMBEDLAB, "search", "--index", str(index), "--json"]
    for kind, query, option in (("image", str(IMAGES[0]), "--query"), ("text", "login screen", "--q-text")):
        naive = median_seconds(lambda k=kind, q=query: seconds([sys.executable, "-c", NAIVE, str(checkpoint), k, q]), 3)

        def first(command: list[str]) -> float:
            (index / "queries.sqlite").unlink(missing_ok=True)
            return seconds(command)

        command = [*search, option, query]
        ours = median_seconds(lambda c=command: first(c))
        again = median_seconds(lambda c=command: seconds(c))
        ratio = f"{naive / ours:.1f}x"
        print(f"search by {kind:<5}  open_clip {naive:.2f} s, embedlab {ours:.2f} s: {ratio}; again {again:.2f} s")


def decoding(root: Path) -> None:
    """12-megapixel JPEGs -> pixels of the model's size, in one thread."""
    from open_clip.transform import image_transform

    from embedlab_core.images.decode import PixelSpec, decode_image

    rng = np.random.default_rng(0)
    smooth = Image.fromarray(rng.integers(0, 256, (40, 30, 3), dtype=np.uint8)).resize(LARGE, Image.Resampling.BICUBIC)
    smooth.save(root / "large.jpg", quality=90)
    data = (root / "large.jpg").read_bytes()
    spec = PixelSpec(224, "shortest", "bicubic", (0.5,) * 3, (0.5,) * 3)
    transform = image_transform(224, is_train=False)

    def timed(run: Callable[[], object]) -> float:
        started = time.perf_counter()
        run()
        return time.perf_counter() - started

    naive = median_seconds(lambda: timed(lambda: transform(Image.open(root / "large.jpg"))))
    ours = median_seconds(lambda: timed(lambda: decode_image(data, spec)))
    print(f"decode 12 megapixels  open_clip {1000 * naive:.0f} ms, embedlab {1000 * ours:.0f} ms: {naive / ours:.1f}x")


if __name__ == "__main__":
    main()
