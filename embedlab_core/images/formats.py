"""Which files are pictures by their name, and what is said of the others."""

from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec

_PLAIN = ".png .apng .jpg .jpeg .jpe .jfif .mpo .webp .bmp .dib .gif .tif .tiff .heic .heif .hif .avif"
_RARER = ".jp2 .j2k .j2c .jpc .jpf .jpx .tga .ico .ppm .pgm .pbm .pnm .qoi .pcx .sgi .dds"
# What Pillow and pillow-heif decode and people keep pictures in. EPS, PDF and WMF are programs, not pictures.
IMAGE_SUFFIXES = frozenset(f"{_PLAIN} {_RARER}".split())

# The sensor data of cameras, which libraw reads: Adobe, Apple and phones (dng); Canon (crw, cr2, cr3); Nikon (nef,
# nrw); Sony (arw, sr2, srf); Olympus (orf); Panasonic (rw2); Fujifilm (raf); Pentax (pef); Samsung (srw); Leica (rwl).
_CAMERAS = ".dng .crw .cr2 .cr3 .nef .nrw .arw .sr2 .srf .orf .rw2 .raf .pef .srw .rwl"
# Hasselblad (3fr, fff); Phase One (iiq); Mamiya (mef); Leaf (mos); Kodak (dcr, kdc); Epson (erf); Minolta (mrw).
_OLDER_CAMERAS = ".3fr .fff .iiq .mef .mos .dcr .kdc .erf .mrw"
RAW_SUFFIXES = frozenset(f"{_CAMERAS} {_OLDER_CAMERAS}".split())
JPEG_XL_SUFFIXES = frozenset([".jxl"])

_EXTRAS = {
    **dict.fromkeys(RAW_SUFFIXES, "RAW: install embedlab[raw]"),
    **dict.fromkeys(JPEG_XL_SUFFIXES, "JPEG XL: install embedlab[jxl]"),
}
_MOST_KINDS = 6


@cache
def readable_suffixes() -> frozenset[str]:
    """In lower case, with the dot: what can be decoded here. RAW takes rawpy, JPEG XL pillow-jxl-plugin."""
    suffixes = IMAGE_SUFFIXES
    for module, extra in (("rawpy", RAW_SUFFIXES), ("pillow_jxl", JPEG_XL_SUFFIXES)):
        if find_spec(module):
            suffixes |= extra
    return suffixes


def suffix_of(name: str) -> str:
    """The suffix of a file's name in lower case, with the dot; "" if it has none, as ".png" has none."""
    # Path(name).suffix takes five times as long, for every file of a folder.
    stem, _, suffix = name.rpartition(".")
    return f".{suffix.lower()}" if suffix and stem.strip(".") else ""


def is_image_name(name: str) -> bool:
    return suffix_of(name) in readable_suffixes()


def needs_extra(name: str) -> bool:
    """Whether a file could be a picture by its name if an extra were installed that is not."""
    suffix = suffix_of(name)
    return suffix in _EXTRAS and suffix not in readable_suffixes()


def others_in_words(others: Mapping[str, int]) -> str:
    """Numbers of files by suffix -> "17 others: 9 .mov, 5 .cr2 (RAW: install embedlab[raw]), 3 .txt", the most first.

    At most six kinds are named; what a library would make pictures of is among them, and is told so once.
    """
    chosen = sorted(others, key=lambda suffix: (suffix not in _EXTRAS, -others[suffix], suffix))[:_MOST_KINDS]
    words = []
    told: set[str] = set()
    for suffix in sorted(chosen, key=lambda suffix: (-others[suffix], suffix)):
        hint = _EXTRAS.get(suffix, "")
        words.append(f"{others[suffix]} {suffix or 'without a suffix'}")
        if hint and hint not in told:
            words[-1] += f" ({hint})"
            told.add(hint)
    if more := len(others) - len(chosen):
        words.append(f"and {more} more kind{'s' * (more > 1)}")
    total = sum(others.values())
    return f"{total} other{'s' * (total != 1)}: {', '.join(words)}"
