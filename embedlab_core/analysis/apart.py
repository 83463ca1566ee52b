"""not_duplicates.json: pairs of images that a person has told apart."""

import json
from dataclasses import dataclass
from typing import Literal

from embedlab_core.analysis.named import rows_named
from embedlab_core.documents import Natural, PathText, read_document
from embedlab_core.errors import DuplicatesError
from embedlab_core.index.files import replace_text
from embedlab_core.index.reader import IndexReader

APART = "not_duplicates.json"
FORMAT = 2

# The number of the folder, and the path in it: the list outlives a move of the folder.
_Key = tuple[Natural, PathText]


@dataclass(frozen=True, slots=True)
class _Document:
    """In format 1 all images were in one folder."""

    format: Literal[1, 2]
    pairs: tuple[tuple[_Key | PathText, _Key | PathText], ...]


def mark_apart(index: IndexReader, path_a: str, path_b: str) -> None:
    """Add two images, by their paths as results show them, to the list. Marking them again changes nothing.

    Raises DuplicatesError if they are not two images of the index or the list cannot be read, IndexWriteError.
    """
    row_a, row_b = rows_named(index, [path_a, path_b]).tolist()
    if row_a == row_b:
        raise DuplicatesError(f"{path_a}: both paths name this image; give two")
    keys = index.keys
    low, high = sorted((keys[row_a], keys[row_b]))
    pairs = sorted({*_load(index), (low, high)})
    replace_text(index.directory / APART, json.dumps({"format": FORMAT, "pairs": pairs}, indent=1) + "\n")


def rows_apart(index: IndexReader) -> list[tuple[int, int]]:
    """Row numbers of the pairs on the list; those of images that left the index are passed over."""
    pairs = _load(index)
    if not pairs:
        return []
    rows = {key: row for row, key in enumerate(index.keys)}
    return [(rows[one], rows[other]) for one, other in pairs if one in rows and other in rows]


def _load(index: IndexReader) -> list[tuple[_Key, _Key]]:
    path = index.directory / APART
    try:
        pairs = read_document(path, _Document).pairs
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        raise DuplicatesError(
            f"{path}: not a readable list of pairs ({error}); repair it, or delete it to forget the pairs"
        ) from error
    return [(_key(one), _key(other)) for one, other in pairs]


def _key(image: _Key | PathText) -> _Key:
    return (0, image) if isinstance(image, str) else image
