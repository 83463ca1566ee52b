"""JSON documents from disk, which may hold anything: read, and checked field by field."""

import json
import math
from collections.abc import Collection
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")


def read_json(path: Path) -> Any:
    """Raises OSError, and ValueError if it is no JSON document."""
    return parse_json(path.read_text("utf-8"))


def parse_json(text: str) -> Any:
    """Raises ValueError."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def typed(document: Any, key: str, kind: type[T]) -> T:
    """The value of a field. Raises KeyError and TypeError, which begin with the field's name."""
    if not isinstance(document, dict):
        raise TypeError(f"{key} is to be found in {document!r:.40}, which has no fields")
    value = document[key]
    if not isinstance(value, kind):
        raise TypeError(f"{key} is {value!r:.40}, not of the kind {kind.__name__}")
    return value


def natural(document: Any, key: str, least: int = 0, most: int = 2**63 - 1) -> int:
    """A whole number from `least` to `most`. Raises KeyError and TypeError."""
    value = typed(document, key, int)
    # To Python, true is the integer 1.
    if isinstance(value, bool) or not least <= value <= most:
        raise TypeError(f"{key} is {value!r:.40}, not a whole number from {least} to {most}")
    return value


def number(value: Any, key: str) -> float:
    """A finite number. Raises TypeError."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise TypeError(f"{key} has {value!r:.40}, which is no number")
    return float(value)


def one_of(document: Any, key: str, choices: Collection[str]) -> str:
    """Raises KeyError and TypeError."""
    value = typed(document, key, str)
    if value not in choices:
        raise TypeError(f"{key} is {value!r:.40}, not one of {', '.join(choices)}")
    return value
