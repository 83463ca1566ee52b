"""RAW files: the camera's own preview where it is of use, else the developed sensor data, upright."""

import struct
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import ExifTags, Image

from embedlab_core.errors import ImageDecodeError
from embedlab_core.images.decode import DecodedImage, PixelSpec, decode_image, decode_picture
from embedlab_core.images.raw import is_raw, open_raw
from tests.images.dng import make_dng
from tests.images.test_decode import BLUE, GOLD, GREEN, RED, assert_colours, encoded, quarters
from tests.support import ROOT, picture

pytest.importorskip("rawpy")

_SPEC = PixelSpec(32, "squash", "bilinear", mean=(0, 0, 0), std=(1, 1, 1))
_SENSOR, _SHOWN = (96, 64), (600, 400)
# The preview shows other colours than the sensor saw, so that a test can tell them apart.
_TURNED = Image.Transpose.ROTATE_180


def decoded(data: bytes) -> DecodedImage:
    return decode_image(data, _SPEC)


def shown() -> Image.Image:
    return quarters(*_SHOWN).transpose(_TURNED)


def test_without_a_preview_the_sensor_data_are_developed() -> None:
    result = decoded(make_dng(quarters(*_SENSOR)))
    assert_colours(result, RED, GREEN, BLUE, GOLD, tolerance=40)
    assert (result.width, result.height) == _SENSOR
    assert open_raw(make_dng(quarters(*_SENSOR))).size == (48, 32)


@pytest.mark.parametrize("kind", ["JPEG", "bitmap"])
def test_the_preview_is_taken_and_the_size_is_the_sensors(kind: str) -> None:
    data = make_dng(quarters(*_SENSOR), shown(), kind=kind)  # type: ignore[arg-type]
    assert open_raw(data).size == _SHOWN
    result = decoded(data)
    assert_colours(result, GOLD, BLUE, GREEN, RED, tolerance=8)
    assert (result.width, result.height) == _SENSOR


@pytest.mark.parametrize(("longer", "taken"), [(510, False), (512, True)])
def test_a_preview_that_is_only_a_thumbnail_is_not_taken(longer: int, taken: bool) -> None:
    small = shown().resize((longer, longer * 2 // 3))
    result = decoded(make_dng(quarters(*_SENSOR), small))
    assert_colours(result, *((GOLD, BLUE, GREEN, RED) if taken else (RED, GREEN, BLUE, GOLD)), tolerance=40)


_UPRIGHT = {
    1: (RED, GREEN, BLUE, GOLD),
    2: (GREEN, RED, GOLD, BLUE),
    3: (GOLD, BLUE, GREEN, RED),
    4: (BLUE, GOLD, RED, GREEN),
    5: (RED, BLUE, GREEN, GOLD),
    6: (BLUE, RED, GOLD, GREEN),
    7: (GOLD, GREEN, BLUE, RED),
    8: (GREEN, GOLD, RED, BLUE),
}


@pytest.mark.parametrize("kind", [None, "JPEG", "bitmap"])
@pytest.mark.parametrize("orientation", _UPRIGHT)
def test_the_picture_is_upright(orientation: int, kind: str | None) -> None:
    preview = quarters(*_SHOWN) if kind else None
    data = make_dng(quarters(*_SENSOR), preview, orientation, kind=kind or "JPEG")  # type: ignore[arg-type]
    result = decoded(data)
    assert_colours(result, *_UPRIGHT[orientation], tolerance=40)
    assert (result.width, result.height) == (_SENSOR if orientation < 5 else _SENSOR[::-1])
    width, height = decode_picture(data, 30).size
    assert (width > height) == (orientation < 5)


def test_what_the_preview_says_of_itself_goes_first() -> None:
    """A program that has turned the preview upright has said so in its EXIF; the sensor's turn stays as it was."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 1
    upright = quarters(*_SHOWN).transpose(Image.Transpose.ROTATE_270)
    result = decoded(make_dng(quarters(*_SENSOR), upright, orientation=6, preview_exif=exif))
    assert_colours(result, *_UPRIGHT[6], tolerance=8)
    assert (result.width, result.height) == _SENSOR[::-1]


def test_a_preview_whose_exif_says_nothing_is_turned_like_the_sensor() -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Tiny"
    result = decoded(make_dng(quarters(*_SENSOR), quarters(*_SHOWN), orientation=6, preview_exif=exif))
    assert_colours(result, *_UPRIGHT[6], tolerance=8)


@pytest.mark.parametrize("with_preview", [True, False])
@pytest.mark.parametrize("taken", ["2019:08:07 06:05:04", ""])
def test_the_time_it_was_taken_is_known_or_unknown(taken: str, with_preview: bool) -> None:
    data = make_dng(quarters(*_SENSOR), shown() if with_preview else None, taken=taken)
    exif = open_raw(data).getexif()
    times = {exif.get(ExifTags.Base.DateTime), exif.get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.DateTimeOriginal)}
    assert times - {None} == ({taken} if taken else set())


def test_sensor_data_are_told_from_ordinary_pictures() -> None:
    camera = Image.Exif()
    camera[ExifTags.Base.Make] = "Canon"
    for kind, options in (("JPEG", {}), ("PNG", {}), ("TIFF", {"exif": camera}), ("WEBP", {}), ("GIF", {})):
        assert not is_raw(encoded(quarters(), kind, **options))
    assert is_raw(make_dng(quarters(*_SENSOR)))
    assert is_raw(make_dng(quarters(*_SENSOR), shown()))


@pytest.mark.parametrize(
    "start",
    [
        b"FUJIFILMCCD-RAW 0201",
        b"IIU\0\x18\0\0\0",
        b"IIRO\x08\0\0\0",
        b"\0MRM\0\0",
        b"II\x1a\0\0\0HEAPCCDR",
        b"\0\0\0\x18ftypcrx \0\0\0\x01",
        b"II*\0\x10\0\0\0CR\x02\0",
    ],
)
def test_a_damaged_raw_file_says_what_it_is(start: bytes) -> None:
    with pytest.raises(ImageDecodeError, match=r"^damaged RAW file, or one of an unknown camera \("):
        decoded(start + b"\0" * 2000)


def test_a_sensor_of_too_many_pixels_is_refused_by_name() -> None:
    data = make_dng(quarters(*_SENSOR))
    for tag, side, absurd in ((256, _SENSOR[0], 20_000), (257, _SENSOR[1], 10_000)):
        entry = struct.pack("<HHII", tag, 4, 1, side)
        assert entry in data
        data = data.replace(entry, struct.pack("<HHII", tag, 4, 1, absurd))
    with pytest.raises(ImageDecodeError, match=r"too many pixels to be a photograph \(20000 x 10000\)"):
        decoded(data)


def test_a_raw_file_cut_short_is_damaged() -> None:
    data = make_dng(quarters(*_SENSOR))
    for length in (len(data) - 300, len(data) // 2, 700):
        with pytest.raises(ImageDecodeError, match="damaged"):
            decoded(data[:length])


@given(st.integers(0, 500), st.binary(min_size=1, max_size=4))
def test_no_damage_to_the_tags_is_a_traceback(place: int, patch: bytes) -> None:
    data = make_dng(quarters(8, 8), quarters(8, 8))
    damaged = data[:place] + patch + data[place + len(patch) :]
    is_raw(damaged)


def test_a_ring_of_folders_ends() -> None:
    """A TIFF file whose first folder is its own next one."""
    assert not is_raw(b"II*\0\x08\0\0\0" + b"\0\0" + b"\x08\0\0\0")


def test_many_threads_read_at_once() -> None:
    files = [make_dng(picture(seed, _SENSOR), picture(seed, _SHOWN) if seed % 2 else None) for seed in range(8)]
    one_by_one = [decoded(data).pixels for data in files]
    with ThreadPoolExecutor(4) as pool:
        for pixels, result in zip(one_by_one * 3, pool.map(decoded, files * 3), strict=True):
            assert np.array_equal(pixels, result.pixels)


def test_without_rawpy_the_way_out_is_named() -> None:
    """Its thumbnail, which Pillow would find, is not taken for the picture."""
    code = """
import sys
sys.modules["rawpy"] = None
from embedlab_core.errors import ImageDecodeError
from embedlab_core.images.decode import decode_picture
try:
    decode_picture(sys.stdin.buffer.read(), 100)
except ImageDecodeError as error:
    print(error)
"""
    data = make_dng(quarters(*_SENSOR), shown())
    done = subprocess.run([sys.executable, "-c", code], input=data, cwd=ROOT, capture_output=True, check=True)
    assert done.stdout.decode().strip() == "a RAW file; to read it, install embedlab[raw]"
