"""JSON documents from disk, which may hold anything: decoded once, where they are read, into checked dataclasses.

msgspec does the checking: it adds 4 ms to a cold start and names the field at fault. The text itself goes through the
standard library, since msgspec's own parser takes no lone surrogates, and Python keeps the bytes of file names that are
not UTF-8 as these.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

T = TypeVar("T")

_TEXT = r"\A[^\ud800-\udfff]*\Z"
_PATH = r"\A[^\0\ud800-\udc7f\udd00-\udfff]*\Z"
_NAME = r"\A(?!\.\.?\Z)[^\0/\\\ud800-\udc7f\udd00-\udfff]+\Z"
# A wrong choice is quoted whole.
_LONGEST_MESSAGE = 200
_IN_WORDS = {
    f"`str` matching regex {_TEXT!r}": "text of whole characters",
    f"`str` matching regex {_PATH!r}": "a path",
    f"`str` matching regex {_NAME!r}": "the name of a file",
}

Text = Annotated[str, Meta(pattern=_TEXT)]
"""Any text that can be encoded as UTF-8."""
PathText = Annotated[str, Meta(pattern=_PATH)]
"""Any text that the system can take for a path: `os.fsencode` never fails on it, and it holds no NUL."""
FileName = Annotated[str, Meta(pattern=_NAME)]
"""A `PathText` that leads nowhere: the name of something in a folder."""
_HEX = r"\A[0-9a-f]{64}\Z"
Sha256 = Annotated[str, Meta(pattern=_HEX)]
"""A digest in hexadecimal."""
Natural = Annotated[int, Meta(ge=0, le=2**63 - 1)]
"""A whole number from 0 that fits an int64."""
Positive = Annotated[int, Meta(ge=1, le=2**63 - 1)]
"""A whole number from 1 that fits an int64."""
Time = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
"""Nanoseconds, or seconds, since the epoch, as an int64."""
Share = Annotated[float, Meta(ge=0, le=1)]
"""A number from 0 to 1."""
# Rounding takes the product of two unit vectors this far.
Cosine = Annotated[float, Meta(ge=-1.001, le=1.001)]
"""A number from -1 to 1, give or take rounding."""


def read_document(path: Path, kind: type[T], format: int | None = None) -> T:
    """Decode a JSON file, as `parse_document` does.

    Raises OSError if the system does not give it (FileNotFoundError if it is not there), and ValueError.
    """
    return parse_document(path.read_text("utf-8-sig"), kind, format)


def parse_document(text: str, kind: type[T], format: int | None = None) -> T:
    """Decode JSON into `kind`: a dataclass, of whose annotations every value is checked, at any depth.

    Every value has to be of the annotated type; only whole numbers become floats, lists tuples, objects dataclasses.
    Ranges are annotated as `Annotated[int, Meta(ge=…, le=…)]`, choices as `Literal`, and text as `Text` or `PathText`:
    a bare `str` may hold lone surrogates, which fail wherever it is encoded. What several fields have to do with each
    other is checked by the dataclass's `__post_init__`, which raises ValueError. Fields that the dataclass lacks are
    passed over. format: what its field "format" has to be, which the dataclass then need not have.

    Raises ValueError, whose message is one line that names the field and what is wrong with it: "shards[2].rows:
    expected int, got str".
    """
    try:
        document = parse_json(text)
        if format is not None and (found := msgspec.convert(document, Versioned).format) != format:
            raise ValueError(f"format {found}, but this embedlab reads format {format}")
        return msgspec.convert(document, kind)
    except msgspec.ValidationError as error:
        raise ValueError(_in_words(str(error))) from error


def parse_json(text: str) -> Any:
    """Strict JSON: numbers are finite, and no object has a name twice. Raises ValueError."""
    try:
        return _DECODER.decode(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


@dataclass(frozen=True, slots=True)
class Versioned:
    """What a document of any format has."""

    format: Natural


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text:.20} is no finite number")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"field {next(name for name in names if names.count(name) > 1)!a:.40} is there twice")
    return found


_DECODER = json.JSONDecoder(parse_float=_finite, parse_constant=_finite, object_pairs_hook=_unique)


def _in_words(message: str) -> str:
    """ "Expected `int`, got `str` - at `$.shards[2].rows`" -> "shards[2].rows: expected int, got str"."""
    for pattern, words in _IN_WORDS.items():
        message = message.replace(pattern, words)
    what, _, where = message[:_LONGEST_MESSAGE].replace("`", "").partition(" - at ")
    what = what[:1].lower() + what[1:]
    place = where.replace("$.", "").replace("$", "the document")
    return f"{place}: {what}" if place else what
