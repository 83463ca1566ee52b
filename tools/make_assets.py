"""Rebuild the test images under assets/, with their truth (labels.json) and their sources (SOURCES.md).

Run as `python tools/make_assets.py`. The same package versions give the same bytes. It needs:

    pip install pillow numpy matplotlib scikit-image scikit-learn font-roboto font-source-sans-pro \
        font-source-serif-pro font-manrope font-font-awesome
"""

import io
import json
import random
import shutil
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from assets_lib import photos, textures
from assets_lib.charts import CHARTS, register_fonts
from assets_lib.drawings import DRAWINGS
from assets_lib.logins import LOGINS
from assets_lib.model import Asset
from assets_lib.oddballs import ODDBALLS
from assets_lib.pages import PAGES
from assets_lib.phones import PHONES
from assets_lib.queries import QUERIES, Query
from assets_lib.variants import VARIANTS, Variant
from assets_lib.widgets import BUTTONS, ICONS
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent / "assets"
SEED = "embedlab assets"
CATALOGUES = (LOGINS, PHONES, PAGES, BUTTONS, ICONS, CHARTS, DRAWINGS)

PROMPTS = (
    "login screen",
    "chat app",
    "blue button",
    "heart icon",
    "bar chart",
    "pie chart",
    "a cup of coffee",
    "a cat",
    "a sketch of a house",
    "brick wall",
    "a flower",
    "a rocket on its launch pad",
)


@dataclass(frozen=True)
class Entry:
    """One numbered file of the collection: an asset itself, or a variant of one."""

    name: str
    asset: Asset
    variant: Variant | None = None

    @property
    def data(self) -> bytes:
        """The bytes of the file."""
        image = self.asset.image()
        if self.variant and self.variant.change:
            image = self.variant.change(image)
        return encoded(image, self.name, self.variant.quality if self.variant else 88)


def encoded(image: Image.Image, name: str, quality: int = 88) -> bytes:
    """The image in the format that its file name asks for."""
    buffer = io.BytesIO()
    if name.endswith(".jpg"):
        image.save(buffer, "JPEG", quality=quality, optimize=True)
    else:
        image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def all_assets() -> list[Asset]:
    """Every image before copies are made."""
    listed = [asset for catalogue in CATALOGUES for asset in catalogue.assets]
    return [*photos.ASSETS, *textures.ASSETS, *listed, *ODDBALLS.assets]


def numbered(assets: list[Asset]) -> list[Entry]:
    """Assets and variants under shuffled numbers, with no two files of a duplicate group next to each other."""
    known = {asset.key: asset for asset in assets}
    pairs: list[tuple[Asset, Variant | None]] = [(asset, None) for asset in assets]
    pairs += [(known[variant.source], variant) for variant in VARIANTS]
    shuffler = random.Random(SEED)
    while True:
        shuffler.shuffle(pairs)
        if all(first[0].key != second[0].key for first, second in pairwise(pairs)):
            break
    return [
        Entry(f"{number:03}.{variant.fmt if variant else asset.fmt}", asset, variant)
        for number, (asset, variant) in enumerate(pairs, 1)
    ]


def answers(query: Query, entries: list[Entry]) -> list[str]:
    """The files that are right answers to a query image."""
    return sorted(
        entry.name
        for entry in entries
        if entry.asset.key in query.sources or any(prompt in entry.asset.prompts for prompt in query.prompts)
    )


def truth(entries: list[Entry]) -> dict[str, object]:
    """What the tests compare with: the content of labels.json."""
    copied = {variant.source for variant in VARIANTS}
    groups = [sorted(entry.name for entry in entries if entry.asset.key == source) for source in copied]
    return {
        "duplicate_groups": sorted(groups),
        "oddballs": sorted(entry.name for entry in entries if entry.asset.domain == "oddball"),
        "queries": {query.file: answers(query, entries) for query in QUERIES},
        "prompts": {
            prompt: sorted(entry.name for entry in entries if prompt in entry.asset.prompts) for prompt in PROMPTS
        },
    }


def source_row(entry: Entry, entries: list[Entry]) -> str:
    """The line of SOURCES.md about one file."""
    asset, origin = entry.asset, entry.asset.origin
    if entry.variant:
        original = next(other.name for other in entries if other.asset is asset and other.variant is None)
        origin = f"made from {original}: {entry.variant.label} ({asset.origin})"
    return f"| images/{entry.name} | {asset.key} | {asset.domain} | {origin} | {asset.author} | {asset.licence} |"


def query_row(query: Query) -> str:
    """The line of SOURCES.md about one query image."""
    origin, author, licence = query.credit["origin"], query.credit["author"], query.credit["licence"]
    return f"| queries/{query.file} | {query.paint.__name__.strip('_')} | query | {origin} | {author} | {licence} |"


def sources(entries: list[Entry]) -> str:
    """The content of SOURCES.md."""
    lines = [
        "# Sources of the test images",
        "",
        "Written by `tools/make_assets.py`; do not edit. Text in rendered images is set in Roboto (Apache 2.0),",
        "Source Sans, Source Serif and Manrope (SIL OFL 1.1) and DejaVu Sans Mono (Bitstream Vera licence). Icons",
        "are glyphs of Font Awesome Free 5 (https://fontawesome.com, CC BY 4.0). The photographs under CC BY 2.0",
        "(https://creativecommons.org/licenses/by/2.0/) are https://www.flickr.com/photos/danielbuechele/6061409035/",
        "and https://www.flickr.com/photos/vultilion/6056698931/.",
        "",
        "| File | Content | Domain | Origin | Author | Licence |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    return "\n".join([*lines, *(source_row(entry, entries) for entry in entries), *map(query_row, QUERIES)]) + "\n"


def write_images(entries: list[Entry]) -> None:
    """Fill the folders images and queries anew."""
    for folder in (ROOT / "images", ROOT / "queries"):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    for entry in entries:
        (ROOT / "images" / entry.name).write_bytes(entry.data)
    for query in QUERIES:
        image = query.paint(random.Random(query.file)).convert("RGB")
        (ROOT / "queries" / query.file).write_bytes(encoded(image, query.file))


def main() -> None:
    """Rebuild everything under assets/."""
    register_fonts()
    entries = numbered(all_assets())
    write_images(entries)
    (ROOT / "labels.json").write_text(json.dumps(truth(entries), indent=2, ensure_ascii=False) + "\n", "utf-8")
    (ROOT / "SOURCES.md").write_text(sources(entries), "utf-8")
    size = sum(path.stat().st_size for path in ROOT.rglob("*") if path.is_file())
    print(f"{len(entries)} images and {len(QUERIES)} queries in {ROOT}, {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
