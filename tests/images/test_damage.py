"""Pictures that lost a part of their file are found out; whole ones, however flat their ends, are not."""

import io
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image

from embedlab_core.errors import ImageDecodeError
from embedlab_core.images.decode import PixelSpec, decode_image

SPEC = PixelSpec(32, "squash", "bilinear", (0.5,) * 3, (0.5,) * 3)
KINDS: list[tuple[str, dict[str, Any]]] = [
    ("JPEG", {}),
    ("JPEG", {"progressive": True}),
    ("JPEG", {"restart_marker_blocks": 8}),
    ("PNG", {}),
    ("WEBP", {}),
    ("WEBP", {"lossless": True}),
    ("TIFF", {}),
    ("TIFF", {"compression": "tiff_lzw"}),
    ("TIFF", {"compression": "tiff_adobe_deflate"}),
    ("BMP", {}),
    ("PPM", {}),
    ("AVIF", {}),
    ("HEIF", {}),
]


def photo(seed: int = 0, size: tuple[int, int] = (211, 150)) -> Image.Image:
    """Fields of colour with the grain of a camera."""
    rng = np.random.default_rng(seed)
    fields = Image.fromarray(rng.integers(30, 220, (6, 6, 3)).astype(np.uint8)).resize(size, Image.Resampling.BICUBIC)
    grain = rng.normal(0, 12, (size[1], size[0], 3))
    return Image.fromarray((np.asarray(fields) + grain).clip(1, 254).astype(np.uint8))


def encoded(image: Image.Image, kind: str, options: dict[str, Any]) -> bytes:
    if kind == "HEIF":
        pytest.importorskip("pillow_heif").register_heif_opener()
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def is_caught(data: bytes) -> bool:
    """Flagged, or refused."""
    try:
        return decode_image(data, SPEC).missing > 0
    except ImageDecodeError:
        return True


@pytest.mark.parametrize(("kind", "options"), KINDS)
@pytest.mark.parametrize("filler", [b"\0", b"\xff"])
@pytest.mark.parametrize("share", [0.3, 0.66, 0.87])
def test_an_end_that_is_padding_is_caught(kind: str, options: dict[str, Any], filler: bytes, share: float) -> None:
    data = encoded(photo(), kind, options)
    cut = int(len(data) * share)
    assert is_caught(data[:cut] + filler * (len(data) - cut))


@pytest.mark.parametrize("options", [{}, {"restart_marker_blocks": 8}, {"optimize": True}])
@pytest.mark.parametrize("share", [0.3, 0.66, 0.9])
def test_a_jpeg_closed_early_has_the_share_missing_that_was_not_sent(options: dict[str, Any], share: float) -> None:
    data = encoded(photo(), "JPEG", options)
    decoded = decode_image(data[: int(len(data) * share)] + b"\xff\xd9", SPEC)
    assert decoded.missing == pytest.approx(1 - share, abs=0.15)


def test_a_progressive_jpeg_closed_before_all_bits_of_it_were_sent_is_caught() -> None:
    data = encoded(photo(), "JPEG", {"progressive": True})
    assert is_caught(data[: len(data) // 3] + b"\xff\xd9")


@pytest.mark.parametrize(
    "tail",
    [
        lambda size: encoded(photo(1), "JPEG", {"quality": 95})[-size:],
        lambda size: encoded(photo(1), "JPEG", {"quality": 95})[:size],
        lambda size: encoded(photo(1), "PNG", {})[200 : 200 + size],
        lambda size: random.Random(1).randbytes(size),
    ],
)
def test_a_jpeg_that_ends_in_another_file_is_caught(tail: Callable[[int], bytes]) -> None:
    data = encoded(photo(size=(400, 300)), "JPEG", {})
    cut = len(data) // 2
    assert is_caught(data[:cut] + tail(len(data) - cut))


def test_a_flipped_bit_of_a_png_is_caught_wherever_it_is() -> None:
    data = encoded(photo(), "PNG", {})
    start = data.index(b"IDAT") + 4
    for place in range(start, len(data) - 20, 997):
        assert is_caught(data[:place] + bytes([data[place] ^ 16]) + data[place + 1 :]), place


def test_a_png_with_a_wrong_checksum_of_a_right_stream_is_whole() -> None:
    data = bytearray(encoded(photo(), "PNG", {}))
    at = data.index(b"IDAT")
    end = at + 4 + int.from_bytes(data[at - 4 : at], "big")
    data[end : end + 4] = b"\0\0\0\0"
    assert decode_image(bytes(data), SPEC).missing == 0


@pytest.mark.parametrize("sampling", ["4:4:4", "4:2:2", "4:2:0"])
@pytest.mark.parametrize("restarts", [{"restart_marker_rows": 1}, {"restart_marker_blocks": 7}])
@pytest.mark.parametrize("size", [(333, 517), (320, 240), (17, 90)])
def test_a_whole_jpeg_with_restart_markers_is_not_flagged(
    sampling: str, restarts: dict[str, int], size: tuple[int, int]
) -> None:
    data = encoded(photo(size=size), "JPEG", {"subsampling": sampling, **restarts})
    assert decode_image(data, SPEC).missing == 0


def canvas(colour: Any, top: int, extra: int) -> Image.Image:
    image = photo()
    whole = Image.new("RGB", (image.width, image.height + extra), colour)
    whole.paste(image, (0, top))
    return whole


FLAT_ENDS = {
    "plain": photo(),
    "upside down": photo().transpose(Image.Transpose.ROTATE_180),
    "letterbox": canvas("black", 40, 80),
    "black below": canvas("black", 0, 80),
    "white below": canvas("white", 0, 80),
    "middle grey below": canvas((128, 128, 128), 0, 80),
    "white page": Image.new("RGB", (300, 400), "white"),
    "black": Image.new("RGB", (300, 400), "black"),
}


@pytest.mark.parametrize(("kind", "options"), [*KINDS, ("JPEG", {"optimize": True, "quality": 20})])
@pytest.mark.parametrize("name", FLAT_ENDS)
def test_a_whole_picture_with_a_flat_end_is_not_flagged(kind: str, options: dict[str, Any], name: str) -> None:
    assert decode_image(encoded(FLAT_ENDS[name], kind, options), SPEC).missing == 0
