"""Whole-process searches beside rclip's, both with a ViT-B-32-256 of the same random weights in float32.

    python benchmarks/rclip.py PATH/TO/rclip        # of `pip install rclip` in a virtual environment of its own

rclip's own weights are put where it looks for its download, in the form it reads; each tool then answers over
assets/images, indexed beforehand, and the two take turns.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

from openclip import IMAGES, save_checkpoint
from timing import EMBEDLAB, seconds

ARCHITECTURE = "ViT-B-32-256"
RCLIP_FOLDER = "ViT-B-32-256-datacomp_s34b_b86k"
ROUNDS = 7


def main() -> None:
    rclip = str(Path(sys.argv[1]).absolute())
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        checkpoint = save_checkpoint(root / "checkpoint", ARCHITECTURE)
        save_for_rclip(checkpoint, root / "rclip")
        os.environ |= {"EMBEDLAB_WEIGHTS": str(root / "weights"), "RCLIP_DATADIR": str(root / "rclip")}
        images = shutil.copytree(IMAGES[0].parent, root / "images")
        subprocess.run([rclip, "anything"], cwd=images, check=True, capture_output=True)
        index = root / "index"
        backbone = f"local-dir:{checkpoint}"
        seconds([*EMBEDLAB, "embed", "--images-dir", str(images), "--out", str(index), "--backbone", backbone])
        for kind, query, option in (("text", "login screen", "--q-text"), ("image", str(IMAGES[0]), "--query")):
            ours, theirs, again = [], [], []
            command = [*EMBEDLAB, "search", "--index", str(index), option, query]
            for _ in range(ROUNDS):
                (index / "queries.sqlite").unlink(missing_ok=True)
                ours.append(seconds(command))
                again.append(seconds(command))
                theirs.append(seconds([rclip, "--no-indexing", query], folder=images))
            first, repeated, other = map(statistics.median, (ours, again, theirs))
            print(
                f"search by {kind:<5}  embedlab {first:.2f} s, rclip {other:.2f} s: {other / first:.2f}x as fast; "
                f"the same query again {repeated:.2f} s: {other / repeated:.2f}x"
            )


def save_for_rclip(checkpoint: Path, folder: Path) -> None:
    """The towers as two ONNX files of float32 "input" -> "output", and CLIP's vocabulary."""
    import open_clip
    import torch

    model = open_clip.create_model(f"local-dir:{checkpoint}").eval()

    class Text(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, ids: torch.Tensor) -> torch.Tensor:
            return self.model.encode_text(ids)

    models = folder / RCLIP_FOLDER
    models.mkdir(parents=True)
    for name, tower, sample in (
        ("visual.onnx", model.visual, torch.zeros(2, 3, 256, 256)),
        ("textual.onnx", Text().eval(), torch.ones(2, 77, dtype=torch.int64)),
    ):
        with torch.inference_mode(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                tower,
                (sample,),
                str(models / name),
                dynamo=True,
                external_data=False,
                dynamic_shapes=({0: torch.export.Dim.DYNAMIC},),
                input_names=["input"],
                output_names=["output"],
                verbose=False,
            )
    (folder / "tokenizer").mkdir()
    vocabulary = Path(open_clip.__file__).with_name("bpe_simple_vocab_16e6.txt.gz")
    shutil.copy(vocabulary, folder / "tokenizer")


if __name__ == "__main__":
    main()
