"""Weights as they are written on the command line, before a prompt or the path of an image: 2:a golden retriever"""

import math
import re
from pathlib import Path

from embedlab_core.errors import QueryError
from embedlab_core.search.compose import Weighted

_NUMBER = r"([-+]?[\d.][-+\d.eE]*)"
_IMAGE = re.compile(rf"{_NUMBER}:(.+)", re.DOTALL)
# 10:30 is a time of day and 16:9 a shape, not weights of 30 and 9.
_PROMPT = re.compile(rf"{_NUMBER}:(?!\d)(.+)", re.DOTALL)


def weighted_prompt(text: str) -> Weighted:
    """ "2:a golden retriever" has the weight 2, and so has "2: 10 apples"; "10:30 on a clock" has none, which counts as
    1. Raises QueryError for a weight that is no positive number, or has nothing after it."""
    return _split(text, _PROMPT)


def weighted_image(text: str) -> Weighted:
    """As `weighted_prompt`, of a path, which may begin with a digit. A file that is called so has no weight."""
    return Weighted(text) if Path(text).exists() else _split(text, _IMAGE)


def _split(text: str, pattern: re.Pattern[str]) -> Weighted:
    match = pattern.fullmatch(text)
    if match is None:
        return Weighted(text)
    number, what = match[1], match[2].strip()
    try:
        weight = float(number)
    except ValueError as error:
        raise QueryError(f"{text!r}: weight {number!r} is not a number; write it as in '2:{what}'") from error
    if not 0 < weight < math.inf:
        raise QueryError(f"{text!r}: a weight must be above 0; use --minus-text or --minus-image to take away")
    if not what:
        raise QueryError(f"{text!r}: nothing after the weight; write what it weighs")
    return Weighted(what, weight)
