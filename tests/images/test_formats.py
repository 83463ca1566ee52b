"""Which names are pictures' names: each of them is one that decodes."""

import importlib.util
import io
from typing import Any

import numpy as np
import pytest
from PIL import Image, features

from embedlab_core.images.decode import PixelSpec, decode_image
from embedlab_core.images.formats import (
    IMAGE_SUFFIXES,
    JPEG_XL_SUFFIXES,
    RAW_SUFFIXES,
    is_image_name,
    others_in_words,
    suffix_of,
)
from tests.support import picture

_SPEC = PixelSpec(32, "squash", "bilinear", mean=(0, 0, 0), std=(1, 1, 1))
_GRAY = (".pgm",)
_BILEVEL = (".pbm",)
# What Pillow cannot tell from the suffix, and what makes a picture change too much.
_OPTIONS: dict[str, dict[str, Any]] = {
    **{suffix: {"no_jp2": True} for suffix in (".j2k", ".j2c", ".jpc")},
    **{suffix: {"quality": 95} for suffix in (".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".avif")},
    **{suffix: {"format": "HEIF", "quality": 95} for suffix in (".heic", ".heif", ".hif")},
    ".mpo": {"save_all": True, "quality": 95},
    ".ico": {"sizes": [(64, 64)]},
    ".pnm": {"format": "PPM"},
}
# What a Pillow may have been built without.
_CODECS = {".avif": "avif", **dict.fromkeys([".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx"], "jpg_2000")}


def encoded(suffix: str, image: Image.Image) -> bytes:
    if suffix in (".heic", ".heif", ".hif"):
        importlib.import_module("pillow_heif").register_heif_opener()
    if suffix in JPEG_XL_SUFFIXES:
        importlib.import_module("pillow_jxl")
    Image.init()
    options = {"format": Image.registered_extensions().get(suffix), **_OPTIONS.get(suffix, {})}
    data = io.BytesIO()
    image.save(data, **options)
    return data.getvalue()


@pytest.mark.parametrize("suffix", sorted(IMAGE_SUFFIXES | JPEG_XL_SUFFIXES))
def test_every_suffix_is_one_of_a_format_that_decodes(suffix: str) -> None:
    if suffix in _CODECS and not features.check(_CODECS[suffix]):
        pytest.skip("this Pillow was built without it")
    if suffix in JPEG_XL_SUFFIXES:
        pytest.importorskip("pillow_jxl")
    image = picture(7, (64, 64))
    if suffix in _GRAY:
        image = image.convert("L")
    elif suffix in _BILEVEL:
        image = image.convert("1")
    decoded = decode_image(encoded(suffix, image), _SPEC)
    expected = np.asarray(image.convert("RGB").resize((32, 32), Image.Resampling.BILINEAR), dtype=np.float32)
    # GIF has 256 colours; the others are nearly or wholly exact.
    assert np.abs(decoded.pixels - expected).mean() < 6
    assert (decoded.width, decoded.height) == (64, 64)


def test_names_count_in_any_case_and_programs_never() -> None:
    assert is_image_name("IMG_0001.HEIC")
    assert is_image_name("a.tar.Jp2")
    for name in ("a.eps", "a.pdf", "a.wmf", "a.emf", "a.ps", "a.svg", "a.mov", "png", ".png", "a.png.bak", "a.png~"):
        assert not is_image_name(name)


def test_raw_and_jpeg_xl_are_pictures_where_their_libraries_are() -> None:
    for suffixes, module in ((RAW_SUFFIXES, "rawpy"), (JPEG_XL_SUFFIXES, "pillow_jxl")):
        is_here = importlib.util.find_spec(module) is not None
        assert {is_image_name(f"a{suffix}") for suffix in suffixes} == {is_here}


@pytest.mark.parametrize(
    ("name", "suffix"),
    [
        ("a.MOV", ".mov"),
        ("a.tar.gz", ".gz"),
        (".bashrc", ""),
        ("README", ""),
        ("a.", ""),
        ("..png", ""),
        ("a.JPG.txt", ".txt"),
    ],
)
def test_the_kind_of_a_file_is_its_suffix(name: str, suffix: str) -> None:
    assert suffix_of(name) == suffix


@pytest.mark.parametrize(
    ("others", "words"),
    [
        ({".txt": 1}, "1 other: 1 .txt"),
        ({".txt": 3, ".mov": 9, ".cr2": 5}, "17 others: 9 .mov, 5 .cr2 (RAW: install embedlab[raw]), 3 .txt"),
        ({".nef": 2, ".cr2": 2}, "4 others: 2 .cr2 (RAW: install embedlab[raw]), 2 .nef"),
        ({".jxl": 1, "": 2}, "3 others: 2 without a suffix, 1 .jxl (JPEG XL: install embedlab[jxl])"),
        (
            {**{f".k{number}": 9 - number for number in range(8)}, ".dng": 1},
            "45 others: 9 .k0, 8 .k1, 7 .k2, 6 .k3, 5 .k4, 1 .dng (RAW: install embedlab[raw]), and 3 more kinds",
        ),
        (
            dict.fromkeys([".a", ".b", ".c", ".d", ".e", ".f", ".g"], 1),
            "7 others: 1 .a, 1 .b, 1 .c, 1 .d, 1 .e, 1 .f, and 1 more kind",
        ),
    ],
)
def test_others_are_told_by_kind(others: dict[str, int], words: str) -> None:
    assert others_in_words(others) == words
