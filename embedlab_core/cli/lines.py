"""How a line on stderr looks. Imports next to nothing: it may be needed before Click is there."""

from collections.abc import Sequence
from itertools import pairwise


def asks_for_json(arguments: Sequence[str]) -> bool:
    """Whether --log-format json is among them. Click tells only once all the other options are right."""
    return "--log-format=json" in arguments or ("--log-format", "json") in pairwise(arguments)


def formatted(message: str, level: str, prefix: str, as_json: bool) -> str:
    """prefix: said before the message in text only."""
    if not as_json:
        return f"{prefix}{message}"
    import json

    return json.dumps({"level": level, "message": message})
