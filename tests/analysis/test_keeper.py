"""Which image of a group is to be kept, and why."""

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from embedlab_core.analysis.keeper import Candidate, Keep, Policy, choose, is_copy_name
from embedlab_core.analysis.originals import Look, copy_signs, look_at
from tests.support import ASSETS

PLAIN = Candidate(Path("/p/b.jpg"), "b.jpg", 100, 100, None, 10**10, b"")
HERE = Path("/p")


def no_looks(those: Any) -> list[Look | None]:
    return [None for _ in those]


@pytest.mark.parametrize(
    ("better", "reason"),
    [
        ({"captured": 5}, "capture date"),
        ({"pixels": 101}, "resolution"),
        ({"size": 101}, "file size"),
        ({"modified": 10**9}, "oldest"),
        ({"place": Path("/p/a.jpg"), "name": "a.jpg"}, "path"),
    ],
)
def test_each_property_decides_where_those_before_it_are_equal(better: dict[str, Any], reason: str) -> None:
    best = replace(PLAIN, **better)
    for those in ([PLAIN, best], [best, PLAIN], [PLAIN, best, PLAIN]):
        keeper = choose(those, Policy(), no_looks)
        assert (those[keeper.place], keeper.reason) == (best, reason)


def test_a_property_beats_all_that_come_after_it() -> None:
    ladder = [
        replace(PLAIN, captured=1),
        replace(PLAIN, pixels=200),
        replace(PLAIN, size=200),
        replace(PLAIN, modified=0),
    ]
    for place in range(len(ladder)):
        assert choose(ladder[place:], Policy(), no_looks).place == 0


@pytest.mark.parametrize(
    ("keep", "place", "reason"), [("largest", 1, "resolution"), ("oldest", 0, "oldest"), ("newest", 1, "newest")]
)
def test_a_person_can_say_what_to_keep(keep: Keep, place: int, reason: str) -> None:
    those = [replace(PLAIN, captured=1), replace(PLAIN, pixels=200, captured=9)]
    keeper = choose(those, Policy(keep=keep), no_looks)
    assert (keeper.place, keeper.reason) == (place, reason)


def test_protected_folders_come_before_preferred_ones_and_these_in_their_order(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in "abc"]
    those = [replace(PLAIN, place=folder / "x.jpg", captured=1) for folder in folders]
    assert choose(those, Policy(protect=(folders[2],), prefer=(folders[1],)), no_looks).reason == "protected folder"
    assert choose(those, Policy(prefer=(folders[1], folders[2])), no_looks).place == 1
    assert choose(those[::2], Policy(prefer=(folders[1], folders[2])), no_looks).place == 1


@pytest.mark.parametrize(
    "stem",
    ["Copy of IMG_1", "IMG_1 (1)", "IMG_1(2)", "IMG_1 - Copy", "IMG_1 - Copy (2)", "IMG_1_copy", "IMG_1 copy 2",
     "Kopie von IMG_1", "IMG_1 - Kopie", "IMG_1 copie", "Copia de IMG_1", "IMG_1~2", "IMG_1-edited"],
)  # fmt: skip
def test_names_of_copies_lose(stem: str) -> None:
    assert is_copy_name(stem)
    original = replace(PLAIN, place=HERE / "IMG_1.jpg", name="IMG_1.jpg")
    copy = replace(PLAIN, place=HERE / f"{stem}.jpg", name=f"{stem}.jpg")
    assert choose([copy, original], Policy(), no_looks).reason == "name"


@pytest.mark.parametrize("stem", ["IMG_1", "2024-05-01", "copyright", "Copyshop front", "20240501_120000"])
def test_other_names_do_not(stem: str) -> None:
    assert not is_copy_name(stem)


def jpeg(image: Image.Image, quality: int) -> bytes:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=quality)
    return out.getvalue()


def png(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


CHANGES: dict[str, Callable[[Image.Image], bytes]] = {
    "saved as PNG": png,
    "mirrored": lambda image: jpeg(ImageOps.mirror(image), 95),
    "mirrored, PNG": lambda image: png(ImageOps.mirror(image)),
    "brightened": lambda image: jpeg(ImageEnhance.Brightness(image).enhance(1.15), 95),
    "bordered": lambda image: jpeg(ImageOps.expand(image, 12, "white"), 95),
    "saved better": lambda image: jpeg(image, 95),
    "saved worse": lambda image: jpeg(image, 60),
    "doubled": lambda image: jpeg(image.resize((image.width * 2, image.height * 2), Image.Resampling.BICUBIC), 92),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("name", ["001.jpg", "015.jpg", "034.jpg"])
def test_the_pixels_tell_a_copy_from_its_original_without_any_metadata(name: str, change: str) -> None:
    with Image.open(ASSETS / "images" / name) as picture:
        scaled = picture.convert("RGB").resize((401, 299), Image.Resampling.LANCZOS)
    original = jpeg(scaled, 80)
    with Image.open(io.BytesIO(original)) as decoded:
        copy = CHANGES[change](decoded.convert("RGB"))
    of_original, of_copy = copy_signs([look_at(original), look_at(copy)])
    assert of_original < of_copy


@pytest.mark.parametrize("name", ["001.jpg", "015.jpg", "034.jpg"])
def test_a_smaller_copy_takes_nothing_from_its_original(name: str) -> None:
    with Image.open(ASSETS / "images" / name) as picture:
        image = picture.convert("RGB").resize((600, 450), Image.Resampling.LANCZOS)
    smaller = jpeg(image.resize((300, 225), Image.Resampling.LANCZOS), 90)
    assert copy_signs([look_at(jpeg(image, 90)), look_at(smaller)])[0] == 0


def test_the_pixels_of_a_blank_or_tiny_picture_tell_nothing() -> None:
    looks = [look_at(png(Image.new("RGB", size, "white"))) for size in ((1, 1), (7, 300), (200, 200))]
    assert copy_signs(looks) == [0, 0, 0]
    assert np.isfinite([look.detail for look in looks if look]).all()
