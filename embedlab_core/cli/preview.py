"""Thumbnails as escape sequences, for the terminals that can show them."""

import base64
import io
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import click
import numpy as np
from PIL import Image

from embedlab_core.errors import ImageDecodeError
from embedlab_core.images.decode import decode_picture
from embedlab_core.images.read import read_file

Encoder = Callable[[Image.Image], str]

_SIDE = 160
# kitty takes at most so many base64 characters in one sequence.
_KITTY_CHUNK = 4096
_SIXEL_COLOURS = 64


def thumbnails() -> Callable[[str], str]:
    """path -> its thumbnail as an escape sequence; "" where stdout is no terminal, or one that shows no images."""
    encode = protocol(os.environ) if sys.stdout.isatty() else None
    if encode is None and sys.stdout.isatty():
        click.echo("this terminal is not known to show images (kitty, iTerm2, sixel); going on without", err=True)

    def thumbnail(path: str) -> str:
        if encode is None:
            return ""
        try:
            return encode(decode_picture(read_file(Path(path)), _SIDE))
        except (OSError, ImageDecodeError):
            return ""  # It was there when it was embedded; its path still stands in the table.

    return thumbnail


def protocol(environment: Mapping[str, str]) -> Encoder | None:
    """How the terminal that set these variables takes images; None if it is not known to."""
    term, program = environment.get("TERM", ""), environment.get("TERM_PROGRAM", "")
    if term == "xterm-kitty" or "KITTY_WINDOW_ID" in environment or program == "ghostty":
        return kitty
    if program in ("iTerm.app", "WezTerm"):
        return iterm2
    if "sixel" in term or term.startswith(("foot", "mlterm", "yaft")):
        return sixel
    return None


def kitty(image: Image.Image) -> str:
    """The graphics protocol of kitty (its documentation, "Terminal graphics protocol")."""
    data = _base64_png(image)
    chunks = [data[start : start + _KITTY_CHUNK] for start in range(0, len(data), _KITTY_CHUNK)]
    parts = []
    for number, chunk in enumerate(chunks):
        control = "a=T,f=100," if number == 0 else ""
        parts.append(f"\x1b_G{control}m={int(number < len(chunks) - 1)};{chunk}\x1b\\")
    return "".join(parts)


def iterm2(image: Image.Image) -> str:
    """The inline images protocol of iTerm2 (its documentation, "Images")."""
    return f"\x1b]1337;File=inline=1;width={image.width}px;height={image.height}px:{_base64_png(image)}\a"


def sixel(image: Image.Image) -> str:
    """DEC's sixels (VT330/VT340 programmer reference, chapter 14): bands of six rows, one pass a colour."""
    indexed = image.quantize(_SIXEL_COLOURS)
    palette = np.array(indexed.getpalette(), dtype=np.int64).reshape(-1, 3) * 100 // 255
    pixels = np.asarray(indexed)
    colours = "".join(f"#{number};2;{red};{green};{blue}" for number, (red, green, blue) in enumerate(palette))
    bands = ("$".join(_passes(pixels[top : top + 6])) for top in range(0, len(pixels), 6))
    return f'\x1bPq"1;1;{image.width};{image.height}{colours}{"-".join(bands)}\x1b\\'


def _passes(band: "np.typing.NDArray[np.uint8]") -> Iterator[str]:
    bits = 1 << np.arange(len(band))[:, None]
    for colour in np.unique(band):
        sixels = ((band == colour) * bits).sum(axis=0)
        yield f"#{colour}" + "".join(chr(63 + value) for value in sixels)


def _base64_png(image: Image.Image) -> str:
    file = io.BytesIO()
    image.save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()
