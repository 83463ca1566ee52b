"""Every kind of file -> right RGB; every damaged file -> ImageDecodeError."""

import importlib.util
import io
import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import ExifTags, Image, features

from embedlab_core.errors import ImageDecodeError
from embedlab_core.images.decode import DecodedImage, PixelSpec, ResizeMode, decode_image, decode_picture
from tests.support import picture

# decode_image sets this filter once a process; pytest sets its own for every test.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL.TiffImagePlugin")

Pixels = npt.NDArray[np.uint8]

RED, GREEN, BLUE, GOLD = (220, 30, 40), (30, 160, 60), (40, 60, 200), (230, 190, 50)
WHITE = (255, 255, 255)

needs_heif = pytest.mark.skipif(importlib.util.find_spec("pillow_heif") is None, reason="the extra heic is missing")
needs_avif = pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF")


def spec(size: int = 32, resize: ResizeMode = "squash", fill: int = 0) -> PixelSpec:
    return PixelSpec(size, resize, "bilinear", mean=(0, 0, 0), std=(1, 1, 1), fill=fill)


def quarters(width: int = 60, height: int = 40) -> Image.Image:
    """Red and green above, blue and gold below."""
    pixels = np.empty((height, width, 3), np.uint8)
    pixels[: height // 2, : width // 2], pixels[: height // 2, width // 2 :] = RED, GREEN
    pixels[height // 2 :, : width // 2], pixels[height // 2 :, width // 2 :] = BLUE, GOLD
    return Image.fromarray(pixels)


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    if kind == "HEIF":
        pillow_heif = pytest.importorskip("pillow_heif")
        pillow_heif.register_heif_opener()
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def corners(decoded: DecodedImage) -> list[list[int]]:
    """The colours in the middle of the four quarters: above left, above right, below left, below right."""
    size = decoded.pixels.shape[0]
    near, far = size // 4, 3 * size // 4
    return [decoded.pixels[y, x].tolist() for y in (near, far) for x in (near, far)]


def assert_colours(decoded: DecodedImage, *expected: tuple[int, int, int], tolerance: int) -> None:
    assert decoded.pixels.dtype == np.uint8
    assert np.abs(np.subtract(corners(decoded), expected)).max() <= tolerance, corners(decoded)


@pytest.mark.parametrize(
    ("kind", "options", "tolerance"),
    [
        ("PNG", {}, 0),
        ("BMP", {}, 0),
        ("TIFF", {}, 0),
        ("TIFF", {"compression": "tiff_lzw"}, 0),
        ("TIFF", {"compression": "jpeg", "quality": 95}, 8),
        ("GIF", {}, 8),
        ("JPEG", {"quality": 95, "subsampling": 0}, 6),
        ("JPEG", {"quality": 95, "progressive": True, "subsampling": 0}, 6),
        ("WEBP", {"lossless": True}, 0),
        ("WEBP", {"quality": 95}, 12),
        pytest.param("AVIF", {"quality": 95}, 12, marks=needs_avif),
        pytest.param("HEIF", {"quality": 95}, 12, marks=needs_heif),
    ],
)
def test_every_format_decodes_to_the_colours_it_was_made_from(
    kind: str, options: dict[str, Any], tolerance: int
) -> None:
    decoded = decode_image(encoded(quarters(), kind, **options), spec())
    assert_colours(decoded, RED, GREEN, BLUE, GOLD, tolerance=tolerance)
    assert decoded.pixels.shape == (32, 32, 3)
    assert (decoded.width, decoded.height) == (60, 40)


def test_the_first_frame_of_an_animation_is_taken() -> None:
    frames = [Image.new("RGB", (20, 20), colour) for colour in (GREEN, RED, BLUE)]
    for kind in ("GIF", "WEBP", "PNG", "TIFF"):
        options = {"lossless": True} if kind == "WEBP" else {}
        data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
        assert Image.open(io.BytesIO(data)).n_frames == 3  # type: ignore[attr-defined]
        assert_colours(decode_image(data, spec()), GREEN, GREEN, GREEN, GREEN, tolerance=4)


def test_a_palette_is_resolved() -> None:
    data = encoded(quarters().quantize(8), "PNG")
    assert Image.open(io.BytesIO(data)).mode == "P"
    assert_colours(decode_image(data, spec()), RED, GREEN, BLUE, GOLD, tolerance=2)


def test_a_transparent_palette_entry_becomes_white() -> None:
    image = quarters().quantize(8)
    data = encoded(image, "PNG", transparency=image.getpixel((5, 5)))
    assert_colours(decode_image(data, spec()), WHITE, GREEN, BLUE, GOLD, tolerance=2)


def test_palette_entries_that_are_half_transparent_are_laid_on_white() -> None:
    image = Image.new("P", (20, 20), 0)
    image.putpalette([0, 0, 0, *RED])
    image.paste(1, (10, 0, 20, 20))
    data = encoded(image, "PNG", transparency=bytes([128, 255]))
    assert_colours(decode_image(data, spec()), (127, 127, 127), RED, (127, 127, 127), RED, tolerance=1)


def test_a_transparent_gif_is_laid_on_white() -> None:
    image = quarters().quantize(8)
    data = encoded(image, "GIF", transparency=image.getpixel((5, 5)))
    assert_colours(decode_image(data, spec()), WHITE, GREEN, BLUE, GOLD, tolerance=2)


def test_a_transparent_colour_of_an_rgb_png_becomes_white() -> None:
    data = encoded(quarters(), "PNG", transparency=RED)
    assert_colours(decode_image(data, spec()), WHITE, GREEN, BLUE, GOLD, tolerance=0)


def test_rgba_is_laid_on_white_by_its_alpha() -> None:
    image = quarters().convert("RGBA")
    image.paste((*RED, 0), (0, 0, 30, 20))
    image.paste((0, 0, 0, 128), (30, 0, 60, 20))
    expected = (WHITE, (127, 127, 127), BLUE, GOLD)
    assert_colours(decode_image(encoded(image, "PNG"), spec()), *expected, tolerance=1)
    assert_colours(decode_image(encoded(image, "WEBP", lossless=True), spec()), *expected, tolerance=1)
    assert_colours(decode_image(encoded(image, "TIFF"), spec()), *expected, tolerance=1)


def test_gray_with_alpha_is_laid_on_white() -> None:
    image = Image.new("LA", (20, 20), (60, 255))
    image.paste((0, 0), (0, 0, 10, 10))
    gray = (60, 60, 60)
    assert_colours(decode_image(encoded(image, "PNG"), spec()), WHITE, gray, gray, gray, tolerance=0)


def test_gray_becomes_equal_channels() -> None:
    gray = (77, 77, 77)
    for kind, tolerance in (("PNG", 0), ("JPEG", 2), ("TIFF", 0)):
        decoded = decode_image(encoded(Image.new("L", (20, 20), 77), kind), spec())
        assert_colours(decoded, gray, gray, gray, gray, tolerance=tolerance)


def test_one_bit_images_are_black_and_white() -> None:
    image = Image.new("1", (40, 40), 1)
    image.paste(0, (20, 0, 40, 40))
    for kind in ("PNG", "TIFF", "BMP"):
        decoded = decode_image(encoded(image, kind), spec())
        assert_colours(decoded, WHITE, (0, 0, 0), WHITE, (0, 0, 0), tolerance=0)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bit_gray_keeps_its_tones(kind: str) -> None:
    levels = np.zeros((40, 40), np.uint16)
    levels[:20, :20], levels[:20, 20:], levels[20:, 20:] = 65535, 30000, 257
    data = encoded(Image.fromarray(levels), kind)
    assert Image.open(io.BytesIO(data)).mode.startswith("I")
    middle, dark = (117, 117, 117), (1, 1, 1)
    assert_colours(decode_image(data, spec()), WHITE, middle, (0, 0, 0), dark, tolerance=1)


@pytest.mark.parametrize("white", [1.0, 255.0])
def test_floating_point_tiff_is_scaled_by_its_white(white: float) -> None:
    levels = np.zeros((40, 40), np.float32)
    levels[:20, :20], levels[:20, 20:] = white, white / 2
    levels[20:, 20:] = np.nan
    black = (0, 0, 0)
    decoded = decode_image(encoded(Image.fromarray(levels), "TIFF"), spec())
    assert_colours(decoded, WHITE, (128, 128, 128), black, black, tolerance=1)


def test_cmyk_jpeg_has_the_colours_of_its_inks() -> None:
    image = Image.new("CMYK", (40, 40), (0, 0, 0, 0))
    image.paste((0, 255, 255, 0), (20, 0, 40, 20))
    image.paste((255, 255, 0, 0), (0, 20, 20, 40))
    image.paste((0, 0, 0, 255), (20, 20, 40, 40))
    data = encoded(image, "JPEG", quality=95)
    assert Image.open(io.BytesIO(data)).mode == "CMYK"
    assert_colours(decode_image(data, spec()), WHITE, (255, 0, 0), (0, 0, 255), (0, 0, 0), tolerance=6)


# The EXIF standard says which side of the upright picture the first stored row and the first stored column are.
STORED: dict[int, Callable[[Pixels], Pixels]] = {
    1: lambda upright: upright,
    2: lambda upright: upright[:, ::-1],
    3: lambda upright: upright[::-1, ::-1],
    4: lambda upright: upright[::-1],
    5: lambda upright: upright.swapaxes(0, 1),
    6: lambda upright: upright[:, ::-1].swapaxes(0, 1),
    7: lambda upright: upright[::-1, ::-1].swapaxes(0, 1),
    8: lambda upright: upright[::-1].swapaxes(0, 1),
}


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("JPEG", {"quality": 95}),
        ("PNG", {}),
        ("TIFF", {}),
        ("WEBP", {"lossless": True}),
        pytest.param("AVIF", {"quality": 95}, marks=needs_avif),
        pytest.param("HEIF", {"quality": 95}, marks=needs_heif),
    ],
)
def test_every_exif_orientation_is_turned_upright(orientation: int, kind: str, options: dict[str, Any]) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](np.asarray(quarters()))))
    decoded = decode_image(encoded(stored, kind, exif=exif.tobytes(), **options), spec())
    assert_colours(decoded, RED, GREEN, BLUE, GOLD, tolerance=14)
    assert (decoded.width, decoded.height) == (60, 40)


@pytest.mark.parametrize(
    "exif", [b"Exif\0\0garbage", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0II*\0\x08\0\0\0\x09\0"]
)
def test_broken_metadata_does_not_cost_the_image(exif: bytes) -> None:
    for kind in ("JPEG", "PNG", "WEBP"):
        decoded = decode_image(encoded(quarters(), kind, exif=exif), spec())
        assert_colours(decoded, RED, GREEN, BLUE, GOLD, tolerance=16)


def test_a_turned_image_with_unwritable_metadata_is_still_turned() -> None:
    # Orientation 6 beside a description that claims to be a float: readable, but Pillow cannot write it back.
    entries = struct.pack("<HHIHH", 0x0112, 3, 1, 6, 0) + struct.pack("<HHIf", 0x010E, 11, 1, 0.5)
    exif = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", 2) + entries + bytes(4)
    stored = Image.fromarray(np.ascontiguousarray(STORED[6](np.asarray(quarters()))))
    decoded = decode_image(encoded(stored, "JPEG", quality=95, exif=exif), spec())
    assert_colours(decoded, RED, GREEN, BLUE, GOLD, tolerance=14)


def test_a_large_jpeg_decodes_close_to_its_full_pixels() -> None:
    data = encoded(picture(1, (1700, 1300)), "JPEG", quality=90)
    full = Image.open(io.BytesIO(data)).resize((32, 32), Image.Resampling.BILINEAR)
    decoded = decode_image(data, spec())
    difference = np.abs(decoded.pixels.astype(int) - np.asarray(full).astype(int))
    assert difference.mean() < 1
    assert difference.max() <= 4
    assert (decoded.width, decoded.height) == (1700, 1300)


def test_a_jpeg_under_four_times_the_input_decodes_in_full() -> None:
    data = encoded(picture(2, (127, 127)), "JPEG", quality=90)
    full = Image.open(io.BytesIO(data)).resize((32, 32), Image.Resampling.BILINEAR)
    assert np.array_equal(decode_image(data, spec()).pixels, np.asarray(full))


def test_squash_stretches_the_whole_image() -> None:
    image = picture(3, (70, 31))
    expected = np.asarray(image.resize((32, 32), Image.Resampling.BILINEAR))
    assert np.array_equal(decode_image(encoded(image, "PNG"), spec()).pixels, expected)


@pytest.mark.parametrize(
    ("size", "scaled", "left", "top"),
    [
        ((40, 30), (42, 32), 5, 0),
        ((30, 41), (32, 43), 0, 6),  # int(43.7); round(5.5)
        ((67, 32), (67, 32), 18, 0),  # round(17.5), to even
        ((65, 32), (65, 32), 16, 0),  # round(16.5), to even
        ((32, 32), (32, 32), 0, 0),
        ((10, 12), (32, 38), 0, 3),
        ((256, 32), (256, 32), 112, 0),
    ],
)
def test_shortest_equals_torchvision_resize_and_centre_crop(
    size: tuple[int, int], scaled: tuple[int, int], left: int, top: int
) -> None:
    image = picture(4, size)
    resized = image.resize(scaled, Image.Resampling.BILINEAR)
    expected = np.asarray(resized.crop((left, top, left + 32, top + 32)))
    assert np.array_equal(decode_image(encoded(image, "PNG"), spec(resize="shortest")).pixels, expected)


@pytest.mark.parametrize("size", [(2000, 10), (10, 2000), (400, 1), (1, 400)])
def test_shortest_of_an_extreme_strip_is_its_middle(size: tuple[int, int]) -> None:
    image = picture(5, size)
    width, height = size
    scale = 32 / min(size)
    whole = image.resize((int(width * scale), int(height * scale)), Image.Resampling.BILINEAR)
    left, top = (whole.width - 32) // 2, (whole.height - 32) // 2
    expected = np.asarray(whole.crop((left, top, left + 32, top + 32))).astype(int)
    decoded = decode_image(encoded(image, "PNG"), spec(resize="shortest")).pixels
    assert np.abs(decoded - expected).max() <= 2


def test_longest_fits_the_image_inside_and_pads_evenly() -> None:
    image = picture(6, (64, 33))
    decoded = decode_image(encoded(image, "PNG"), spec(resize="longest", fill=99)).pixels
    expected = np.asarray(image.resize((32, 16), Image.Resampling.BILINEAR))
    assert np.array_equal(decoded[8:24], expected)
    assert (decoded[:8] == 99).all()
    assert (decoded[24:] == 99).all()


def test_longest_keeps_at_least_one_row_of_a_strip() -> None:
    decoded = decode_image(encoded(Image.new("RGB", (500, 1), RED), "PNG"), spec(resize="longest")).pixels
    assert (decoded == RED).all(axis=2).any(axis=1).sum() == 1


def test_bicubic_is_used_when_the_model_asks_for_it() -> None:
    image = picture(7)
    cubic = PixelSpec(32, "squash", "bicubic", mean=(0, 0, 0), std=(1, 1, 1))
    expected = np.asarray(image.resize((32, 32), Image.Resampling.BICUBIC))
    assert np.array_equal(decode_image(encoded(image, "PNG"), cubic).pixels, expected)


@pytest.mark.parametrize("resize", ["squash", "shortest", "longest"])
def test_a_single_pixel_fills_the_input(resize: ResizeMode) -> None:
    decoded = decode_image(encoded(Image.new("RGB", (1, 1), GOLD), "PNG"), spec(resize=resize))
    assert (decoded.pixels == GOLD).all()
    assert (decoded.width, decoded.height) == (1, 1)


def test_an_empty_file_is_named_so() -> None:
    with pytest.raises(ImageDecodeError, match="the file is empty"):
        decode_image(b"", spec())


def test_text_is_not_an_image() -> None:
    with pytest.raises(ImageDecodeError, match="not an image"):
        decode_image(b"these are not the bytes of a picture\n" * 9, spec())


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"])
@pytest.mark.parametrize("share", [0.3, 0.7, 0.95])
def test_a_truncated_file_is_refused(kind: str, share: float) -> None:
    data = encoded(picture(8, (200, 150)), kind)
    with pytest.raises(ImageDecodeError):
        decode_image(data[: int(len(data) * share)], spec())


def test_a_png_with_a_corrupt_chunk_is_refused() -> None:
    data = bytearray(encoded(picture(9), "PNG"))
    data[data.index(b"IDAT") + 20] ^= 0xFF
    with pytest.raises(ImageDecodeError):
        decode_image(bytes(data), spec())


@needs_avif
def test_an_avif_whose_decoder_gives_up_is_refused() -> None:
    data = encoded(quarters(), "AVIF").replace(b"iloc", b"free")
    with pytest.raises(ImageDecodeError, match="damaged image"):
        decode_image(data, spec())


def test_a_jpeg_of_a_phone_with_200_megapixels_decodes_at_a_reduced_scale() -> None:
    """Pillow alone refuses it as a decompression bomb."""
    stripes = Image.new("L", (16_000, 12_000), 40)
    stripes.paste(200, (0, 0, 8_000, 12_000))
    data = encoded(stripes, "JPEG", quality=60)
    decoded = decode_image(data, spec())
    assert (decoded.width, decoded.height) == (16_000, 12_000)
    assert np.abs(decoded.pixels[:, :14].astype(int) - 200).max() <= 2
    assert np.abs(decoded.pixels[:, 18:].astype(int) - 40).max() <= 2
    picture = decode_picture(data, 640)
    assert picture.size == (640, 480)


def test_a_jpeg_that_claims_far_more_pixels_is_refused() -> None:
    data = bytearray(encoded(picture(10), "JPEG"))
    start = data.index(b"\xff\xc0") + 5
    data[start : start + 4] = struct.pack(">HH", 60_000, 60_000)
    with pytest.raises(ImageDecodeError, match="too many pixels"):
        decode_image(bytes(data), spec())


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_a_very_large_picture_is_averaged_to_much_the_same_pixels(mode: str) -> None:
    large = picture(3, (7_000, 5_000)).convert(mode)
    full = large.convert("RGB").resize((32, 32), Image.Resampling.BILINEAR)
    decoded = decode_image(encoded(large, "PNG", compress_level=1), spec())
    assert np.abs(decoded.pixels.astype(int) - np.asarray(full).astype(int)).max() <= 1
    assert (decoded.width, decoded.height) == (7_000, 5_000)


def test_a_decompression_bomb_is_refused_before_it_is_unpacked() -> None:
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", len(header)) + b"IHDR" + header + struct.pack(">I", zlib.crc32(b"IHDR" + header))
    with pytest.raises(ImageDecodeError, match="too many pixels"):
        decode_image(b"\x89PNG\r\n\x1a\n" + chunk + encoded(picture(10), "PNG")[33:], spec())


SAMPLES = {kind: encoded(picture(11, (24, 18)), kind) for kind in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP")}
SAMPLES["CMYK"] = encoded(picture(11, (24, 18)).convert("CMYK"), "JPEG")
SAMPLES["LZW"] = encoded(picture(11, (24, 18)), "TIFF", compression="tiff_lzw")
SAMPLES["palette"] = encoded(picture(11, (24, 18)).quantize(16), "PNG", transparency=bytes(range(16)))
SAMPLES["AVIF"] = encoded(picture(11, (24, 18)), "AVIF") if features.check("avif") else SAMPLES["PNG"]


def decodes_or_is_refused(data: bytes) -> None:
    try:
        decoded = decode_image(data, spec())
    except ImageDecodeError as error:
        assert str(error)
        assert "\n" not in str(error)
    else:
        assert decoded.pixels.shape == (32, 32, 3)
        assert decoded.pixels.dtype == np.uint8


@given(st.sampled_from(sorted(SAMPLES)), st.binary(max_size=200), st.integers(2, 40))
def test_random_bytes_behind_an_image_header_never_raise_another_error(kind: str, tail: bytes, kept: int) -> None:
    decodes_or_is_refused(SAMPLES[kind][:kept] + tail)


@given(st.sampled_from(sorted(SAMPLES)), st.data())
def test_flipped_bytes_never_raise_another_error(kind: str, data: st.DataObject) -> None:
    damaged = bytearray(SAMPLES[kind])
    for _ in range(data.draw(st.integers(1, 4))):
        # Most of what can go wrong stands in the first bytes.
        place = data.draw(st.integers(0, len(damaged) - 1) | st.integers(0, min(100, len(damaged) - 1)))
        damaged[place] = data.draw(st.integers(0, 255))
    decodes_or_is_refused(bytes(damaged))


@given(st.sampled_from(sorted(SAMPLES)), st.floats(0, 1))
def test_any_cut_never_raises_another_error(kind: str, share: float) -> None:
    decodes_or_is_refused(SAMPLES[kind][: int(len(SAMPLES[kind]) * share)])


def test_a_file_that_would_start_ghostscript_is_refused_whatever_its_name() -> None:
    stream = io.BytesIO()
    picture(1).save(stream, "EPS")
    with pytest.raises(ImageDecodeError, match="EPS is a program"):
        decode_image(stream.getvalue(), PixelSpec(8, "squash", "bilinear", (0.5,) * 3, (0.5,) * 3))
