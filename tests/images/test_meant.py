"""The picture that is meant: past its metadata, its first frames, its transparency and its bit depth."""

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image, PngImagePlugin

from embedlab_core.errors import ImageDecodeError
from embedlab_core.images.decode import DecodedImage, PixelSpec, decode_image
from tests.support import picture

SPEC = PixelSpec(32, "squash", "bilinear", (0.5,) * 3, (0.5,) * 3)


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def decoded(image: Image.Image, kind: str, **options: Any) -> DecodedImage:
    return decode_image(encoded(image, kind, **options), SPEC)


def apart(one: DecodedImage, other: DecodedImage) -> int:
    return int(np.abs(one.pixels.astype(int) - other.pixels.astype(int)).max())


def chunk(name: bytes, data: bytes, checksum: int | None = None) -> bytes:
    right = zlib.crc32(name + data)
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", right if checksum is None else checksum)


@pytest.mark.parametrize(
    "extra",
    [
        chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(5_000_000))),
        chunk(b"zTXt", b"x\0\0" + zlib.compress(bytes(5_000_000))),
        chunk(b"iTXt", b"x\0\1\0\0\0" + zlib.compress(bytes(5_000_000))),
        chunk(b"zTXt", b"x\0\0" + zlib.compress(bytes(1_000_000))) * 70,
        chunk(b"tEXt", b"x\0y", checksum=1),
        chunk(b"iCCP", b"x\0\7"),
    ],
)
def test_metadata_of_a_png_never_costs_its_pixels(extra: bytes) -> None:
    data = encoded(picture(1), "PNG")
    limits = PngImagePlugin.MAX_TEXT_CHUNK, PngImagePlugin.MAX_TEXT_MEMORY
    for place in (33, len(data) - 12):
        found = decode_image(data[:place] + extra + data[place:], SPEC)
        assert np.array_equal(found.pixels, decode_image(data, SPEC).pixels)
    assert limits == (PngImagePlugin.MAX_TEXT_CHUNK, PngImagePlugin.MAX_TEXT_MEMORY)


def test_a_png_of_which_metadata_is_left_out_keeps_transparency_and_orientation() -> None:
    image = Image.new("RGBA", (40, 20), (0, 0, 0, 0))
    image.paste((200, 30, 40, 255), (0, 0, 20, 20))
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    data = encoded(image, "PNG", exif=exif)
    broken = data[:33] + chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(5_000_000))) + data[33:]
    found = decode_image(broken, SPEC)
    assert (found.width, found.height) == (20, 40)
    assert found.pixels[4, 16].tolist() == [200, 30, 40]
    assert found.pixels[28, 16].tolist() == [255, 255, 255]


@pytest.mark.parametrize(
    "segment",
    [
        (0xE0, b"JFIF"),
        (0xEE, b"Adobe"),
        (0xE2, b"ICC_PROFILE\0"),
        (0xED, b"Photoshop 3.0\x008BIM\x01"),
        (0xED, b"Photoshop 3.0\x008BIM\x01\x01"),
        (0xE2, b"MPF\0"),
        (0xE1, b"http://ns.adobe.com/xap/1.0/\0"),
    ],
)
def test_a_broken_segment_of_a_jpeg_does_not_cost_its_pixels(segment: tuple[int, bytes]) -> None:
    marker, body = segment
    data = encoded(picture(1), "JPEG")
    broken = data[:2] + bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body + data[2:]
    assert np.array_equal(decode_image(broken, SPEC).pixels, decode_image(data, SPEC).pixels)


LOSSLESS = [("GIF", {}), ("WEBP", {"lossless": True}), ("PNG", {}), ("TIFF", {})]


@pytest.mark.parametrize(("kind", "options"), LOSSLESS)
@pytest.mark.parametrize("colour", ["black", "white", "red"])
def test_an_animation_that_begins_blank_is_its_first_frame_with_a_picture(
    kind: str, options: dict[str, Any], colour: str
) -> None:
    blank = Image.new("RGB", (48, 40), colour)
    dot = blank.copy()
    dot.putpixel((3, 3), (9, 9, 9))
    frames = [blank, dot, picture(1), picture(2)]
    found = decoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    assert apart(found, decoded(picture(1), kind, **options)) <= 8


def test_of_a_fade_in_the_frame_that_it_fades_in_to_is_taken() -> None:
    black = Image.new("RGB", (48, 40))
    frames = [Image.blend(black, picture(1), share) for share in (0, 0.01, 0.1, 0.3, 0.6, 1, 1)]
    found = decoded(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    assert apart(found, decoded(picture(1), "PNG")) <= 1


@pytest.mark.parametrize(("kind", "options"), LOSSLESS)
def test_a_wholly_blank_animation_and_one_that_begins_with_a_picture_stay_their_first_frame(
    kind: str, options: dict[str, Any]
) -> None:
    blanks = [Image.new("RGB", (48, 40), colour) for colour in ("red", "black")]
    found = decoded(blanks[0], kind, save_all=True, append_images=blanks[1:], **options)
    assert apart(found, decoded(blanks[0], "PNG")) <= 4
    moving = [picture(3), picture(1)]
    found = decoded(moving[0], kind, save_all=True, append_images=moving[1:], **options)
    assert apart(found, decoded(picture(3), kind, **options)) <= 4


def test_frames_after_a_damaged_one_are_not_needed() -> None:
    frames = [Image.new("RGB", (48, 40)), picture(1), picture(2)]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert decode_image(data[:-400], SPEC).pixels.std() > 10


def line_art(colour: int, box: tuple[int, int, int, int]) -> Image.Image:
    image = Image.new("RGBA", (64, 64), (0, 0, 0, 0))
    image.paste((colour, colour, colour, 255), box)
    return image


def test_white_line_art_is_laid_on_black_and_every_other_on_white() -> None:
    white = decoded(line_art(255, (10, 30, 54, 34)), "PNG").pixels
    assert white[0, 0].tolist() == [0, 0, 0]
    assert white[16, 16].min() > 200
    for level in (0, 128, 200):
        assert decoded(line_art(level, (10, 30, 54, 34)), "PNG").pixels[0, 0].tolist() == [255, 255, 255]
    assert (decoded(Image.new("RGBA", (64, 64)), "PNG").pixels == 255).all()
    page = Image.new("RGBA", (64, 64), "white")
    page.putpixel((0, 0), (0, 0, 0, 0))
    assert (decoded(page, "PNG").pixels == 255).all()


def test_different_white_drawings_are_different_pictures() -> None:
    drawings = [decoded(line_art(255, box), "PNG") for box in ((10, 30, 54, 34), (30, 10, 34, 54))]
    assert apart(*drawings) > 200
    assert drawings[0].pixel_hash != drawings[1].pixel_hash


def test_the_pixel_hash_is_of_what_is_seen_and_of_the_alpha() -> None:
    plain = picture(1)
    clear = plain.convert("RGBA")
    half = clear.copy()
    half.putalpha(Image.new("L", half.size, 255))
    assert decoded(plain, "PNG").pixel_hash == decoded(half, "PNG").pixel_hash == decoded(plain, "BMP").pixel_hash
    black_on_clear = line_art(0, (10, 30, 54, 34))
    on_white = Image.alpha_composite(Image.new("RGBA", (64, 64), "white"), black_on_clear).convert("RGB")
    assert apart(decoded(black_on_clear, "PNG"), decoded(on_white, "PNG")) == 0
    assert decoded(black_on_clear, "PNG").pixel_hash != decoded(on_white, "PNG").pixel_hash
    assert decoded(plain, "PNG").pixel_hash != 0


LEVELS = np.linspace(0, 255, 64 * 64).reshape(64, 64)


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("kind", ["TIFF", "PNG"])
def test_gray_of_any_depth_in_16_bits_looks_like_its_twin_of_8(bits: int, kind: str) -> None:
    deep = np.round(LEVELS / 255 * (2**bits - 1)).astype(np.uint16)
    assert apart(decoded(Image.fromarray(deep), kind), decoded(Image.fromarray(LEVELS.astype(np.uint8)), "PNG")) <= 2


@pytest.mark.parametrize("tag", [281, 341])
def test_a_declared_white_is_taken_though_no_pixel_reaches_it(tag: int) -> None:
    dark = np.round(LEVELS / 255 * 900).astype(np.uint16)
    found = decoded(Image.fromarray(dark), "TIFF", tiffinfo={tag: 4095})
    assert found.pixels.max() == pytest.approx(900 / 4095 * 255, abs=2)


def test_a_dark_picture_of_8_bits_spread_to_16_stays_dark() -> None:
    dark = np.round(LEVELS / 255 * 12).astype(np.uint16) * 257
    assert decoded(Image.fromarray(dark), "PNG").pixels.max() <= 12


def test_colours_of_12_bits_in_16_look_like_their_twin_of_8() -> None:
    colours = np.stack([LEVELS, LEVELS[::-1], LEVELS.T], axis=2)
    rows = np.round(colours / 255 * 4095).astype(">u2")
    lines = b"".join(b"\0" + row.tobytes() for row in rows)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 64, 64, 16, 2, 0, 0, 0))
    data = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")
    assert apart(decode_image(data, SPEC), decoded(Image.fromarray(colours.astype(np.uint8)), "PNG")) <= 2


def test_signed_and_overshooting_samples_keep_their_tones() -> None:
    twin = decoded(Image.fromarray(LEVELS.astype(np.uint8)), "PNG")
    signed = Image.fromarray(np.round(LEVELS * 10 - 1000).astype(np.int32))
    assert apart(decoded(signed, "TIFF"), twin) <= 2
    bright = (LEVELS / 255).astype(np.float32)
    bright[0, 0] = 1.7
    assert np.abs(decoded(Image.fromarray(bright), "TIFF").pixels.astype(int) - twin.pixels)[4:].max() <= 2


@pytest.mark.parametrize(
    ("tags", "seconds"),
    [
        ({36867: "2001:09:09 01:46:40"}, 1_000_000_000),
        ({36868: "2001:09:09 01:46:40"}, 1_000_000_000),
        ({36867: "0000:00:00 00:00:00", 36868: "2001:09:09 01:46:40"}, 1_000_000_000),
        ({36867: "2001-09-09T01:46:40+02:00"}, 1_000_000_000),
        ({36867: "9999:01:01 00:00:00"}, None),
        ({36867: "yesterday"}, None),
        ({}, None),
    ],
)
def test_the_capture_time_is_that_of_the_camera_or_none(tags: dict[int, str], seconds: int | None) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.DateTime] = "2020:01:01 00:00:00"
    exif.get_ifd(ExifTags.IFD.Exif).update(tags)
    for kind in ("JPEG", "PNG", "WEBP", "TIFF"):
        assert decoded(picture(1), kind, exif=exif.tobytes()).captured == seconds, kind


def test_damaged_exif_has_no_capture_time() -> None:
    assert decoded(picture(1), "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\x09\0").captured is None


def test_what_would_not_fit_is_refused_by_name() -> None:
    with pytest.raises(ImageDecodeError, match=r"needs \d\.\d GB of memory"):
        decoded(Image.new("RGB", (13_000, 13_000)), "WEBP", method=0, quality=1)
