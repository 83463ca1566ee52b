"""A camera's RAW file -> the picture that the camera showed of it."""

import io
import struct
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

from PIL import ExifTags, Image, UnidentifiedImageError

from embedlab_core.errors import ImageDecodeError

if TYPE_CHECKING:
    from mmap import mmap

    import rawpy

# In `Image.info`: width and height of the whole picture in pixels, as it lies in the file; the image has fewer.
FULL_SIZE = "full size"

# Previews with a shorter longer side are thumbnails: models and quality scores see more than they show.
_LEAST_PREVIEW = 512
# Medium format has 150 million. Developing takes some 6 bytes a pixel of the sensor beside the file, and is done one
# file at a time.
_MOST_PIXELS = 180_000_000
_developing = threading.Lock()

# Fujifilm, Panasonic, Olympus, Minolta. Canon's CRW and CR3 say so later.
_STARTS = (b"FUJIFILMCCD-RAW", b"IIU\0", b"IIRO", b"IIRS", b"MMOR", b"\0MRM")
_BYTE_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}
_PHOTOMETRIC, _SUB_FOLDERS, _DNG_VERSION = 262, 330, 50706
# Values of a colour filter array, and of all colours but before any correction (TIFF/EP and DNG).
_SENSOR_DATA = (32803, 34892)
_MOST_FOLDERS = 32
_CODES = {1: "B", 3: "H", 4: "I", 13: "I"}

# libraw's way to turn a picture -> the EXIF orientation.
_ORIENTATIONS = {0: 1, 1: 2, 2: 4, 3: 3, 4: 5, 5: 8, 6: 6, 7: 7}
_DATE_TAKEN = ExifTags.Base.DateTimeOriginal
# libraw's word for an unknown time is its clock's beginning.
_NO_YEAR = 1970


def is_raw(data: "bytes | mmap") -> bool:
    """Whether a file holds the sensor data of a camera, whatever it is called.

    Most kinds are TIFF files, of which Pillow would take the thumbnail. Only their tags tell, and asking libraw would
    open each picture twice.
    """
    if data[:16].startswith(_STARTS) or data[6:14] == b"HEAPCCDR" or data[4:12] == b"ftypcrx ":
        return True
    return data[:4] in _BYTE_ORDERS and (data[8:10] == b"CR" or any(map(_tells_sensor_data, _tags(data))))


def open_raw(data: bytes) -> Image.Image:
    """The embedded preview, not yet decoded, or, where there is none of use, the picture developed at half size.

    Its EXIF has the orientation and, where the file knows it, the time it was taken. FULL_SIZE in its info has the
    pixels of the whole picture.
    Raises ImageDecodeError if rawpy is not installed, or the file is damaged or of an unknown camera.
    """
    try:
        import rawpy
    except ImportError as error:
        raise ImageDecodeError("a RAW file; to read it, install embedlab[raw]") from error
    try:
        with rawpy.imread(io.BytesIO(data)) as raw:
            # Developing changes what libraw says of the size.
            width, height = raw.sizes.width, raw.sizes.height
            image = _preview(raw)
            if image is None or max(image.size) < _LEAST_PREVIEW:
                image = _developed(raw)
            taken = raw.other.timestamp
            if taken.year > _NO_YEAR:
                image.getexif().get_ifd(ExifTags.IFD.Exif).setdefault(_DATE_TAKEN, f"{taken:%Y:%m:%d %H:%M:%S}")
            if (width > height) != (image.width > image.height):
                width, height = height, width
            image.info[FULL_SIZE] = (width, height)
            return image
    except rawpy.LibRawError as error:
        reason = error.args[0].decode() if error.args and isinstance(error.args[0], bytes) else str(error)
        raise ImageDecodeError(f"damaged RAW file, or one of an unknown camera ({reason})") from error


def _preview(raw: "rawpy.RawPy") -> Image.Image | None:
    import rawpy

    try:
        thumb = raw.extract_thumb().data
        image = Image.open(io.BytesIO(thumb)) if isinstance(thumb, bytes) else Image.fromarray(thumb)
    except (rawpy.LibRawError, UnidentifiedImageError):
        return None
    exif = image.getexif()
    exif.setdefault(ExifTags.Base.Orientation, _ORIENTATIONS.get(raw.sizes.flip, 1))
    if exif.get(ExifTags.Base.DateTime, "").startswith(str(_NO_YEAR)):
        # So libraw writes "unknown" where it had to make the EXIF itself.
        del exif[ExifTags.Base.DateTime]
    return image


def _developed(raw: "rawpy.RawPy") -> Image.Image:
    if raw.sizes.width * raw.sizes.height > _MOST_PIXELS:
        raise ImageDecodeError(f"too many pixels to be a photograph ({raw.sizes.width} x {raw.sizes.height})")
    with _developing:
        return Image.fromarray(raw.postprocess(half_size=True, use_camera_wb=True))


def _tells_sensor_data(tag: tuple[int, int]) -> bool:
    key, value = tag
    return key == _DNG_VERSION or (key == _PHOTOMETRIC and value in _SENSOR_DATA)


def _tags(data: "bytes | mmap") -> Iterator[tuple[int, int]]:
    """Tag and first value of whole numbers in a TIFF file's folders and the folders in them. Damage ends it."""
    order = _BYTE_ORDERS[data[:4]]
    try:
        pending = list(struct.unpack_from(f"{order}I", data, 4))
        for _ in range(_MOST_FOLDERS):
            if not pending or not (start := pending.pop()):
                return
            (count,) = struct.unpack_from(f"{order}H", data, start)
            pending += struct.unpack_from(f"{order}I", data, start + 2 + 12 * count)
            for entry in range(start + 2, start + 2 + 12 * count, 12):
                tag, kind, values = struct.unpack_from(f"{order}HHI", data, entry)
                if not (code := _CODES.get(kind)) or not values:
                    continue
                place = entry + 8
                if struct.calcsize(f"={code}") * values > 4:
                    (place,) = struct.unpack_from(f"{order}I", data, place)
                if tag == _SUB_FOLDERS:
                    pending += struct.unpack_from(f"{order}{min(values, _MOST_FOLDERS)}{code}", data, place)
                else:
                    yield tag, struct.unpack_from(f"{order}{code}", data, place)[0]
    except struct.error:
        return
