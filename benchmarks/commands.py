"""Whole-process times of the commands on assets/ with the embedded model, and images/s on a folder of small JPEGs.

python benchmarks/commands.py
"""

import json
import shutil
import tempfile
from pathlib import Path

from PIL import Image
from timing import EMBEDLAB, ROOT, median_seconds, seconds

IMAGES = ROOT / "assets" / "images"
SMALL_JPEGS = 1200


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        index = Path(folder, "index")
        embed = [*EMBEDLAB, "embed", "--images-dir", str(IMAGES), "--out", str(index), "--backbone", "lite"]
        search = [*EMBEDLAB, "search", "--index", str(index), "--json"]

        def from_nothing() -> float:
            shutil.rmtree(index, ignore_errors=True)
            return seconds(embed)

        def uncached(command: list[str]) -> float:
            Path(index, "queries.sqlite").unlink(missing_ok=True)
            return seconds(command)

        queries = [*search, "--query-dir", "assets/queries"]
        text = [*search, "--q-text", "login screen"]
        analyze = [*EMBEDLAB, "analyze", "--index", str(index), "--json"]
        print(f"embed assets/images from nothing       {median_seconds(from_nothing):.2f} s")
        print(f"embed again, nothing changed           {median_seconds(lambda: seconds(embed)):.2f} s")
        print(f"search, 6 query images                 {median_seconds(lambda: uncached(queries)):.2f} s")
        print(f"search, the same again                 {median_seconds(lambda: seconds(queries)):.2f} s")
        print(f"search, one prompt                     {median_seconds(lambda: uncached(text)):.2f} s")
        print(f"analyze                                {median_seconds(lambda: seconds(analyze)):.2f} s")
        print(f"embed {SMALL_JPEGS} small JPEGs                {images_per_second(Path(folder)):.0f} images/s")


def images_per_second(folder: Path) -> float:
    """Of one embed run over JPEGs with a longest side of 320, start of the process included in none of it."""
    small = folder / "small"
    small.mkdir()
    sources = sorted(IMAGES.iterdir())
    for number in range(SMALL_JPEGS):
        image = Image.open(sources[number % len(sources)]).convert("RGB")
        image.thumbnail((320, 320))
        # A quality of its own makes each file a content of its own, which embed cannot reuse.
        image.save(small / f"{number:04}.jpg", quality=60 + number // len(sources))
    seconds([*EMBEDLAB, "embed", "--images-dir", str(small), "--out", str(folder / "many"), "--backbone", "lite"])
    return float(json.loads((folder / "many" / "metrics.json").read_text())["images_per_second"])


if __name__ == "__main__":
    main()
