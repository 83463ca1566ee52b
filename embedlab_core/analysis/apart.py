"""not_duplicates.json: pairs of images that a person has told apart."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

from embedlab_core.analysis.named import rows_named
from embedlab_core.documents import PathText, Sha256, Versioned, read_document
from embedlab_core.errors import DuplicatesError
from embedlab_core.index.files import replace_text
from embedlab_core.index.reader import IndexReader
from embedlab_core.search.filters import rows_of_content

APART = "not_duplicates.json"
FORMAT = 2


@dataclass(frozen=True, slots=True, order=True)
class _Image:
    """The content tells an image, whatever it is called and wherever it is moved. Two files of one content are told by
    their places, absolute paths."""

    sha256: Sha256
    path: PathText


@dataclass(frozen=True, slots=True)
class _Document:
    pairs: tuple[tuple[_Image, _Image], ...]


@dataclass(frozen=True, slots=True)
class _OldDocument:
    """Of format 1, when an index had one folder: images by their paths in it."""

    pairs: tuple[tuple[PathText, PathText], ...]


def mark_apart(index: IndexReader, path_a: str, path_b: str) -> None:
    """Add two images, by their paths as results show them, to the list. Marking them again changes nothing.

    Raises DuplicatesError if they are not two images of the index or the list cannot be read, IndexWriteError.
    """
    rows = rows_named(index, [path_a, path_b])
    if rows[0] == rows[1]:
        raise DuplicatesError(f"{path_a}: both paths name this image; give two")
    one, other = sorted(_images(index, rows))
    own = _identity((one, other))
    pairs = sorted([*(pair for pair in _load(index) if _identity(pair) != own), (one, other)])
    document = {"format": FORMAT, "pairs": [[asdict(image) for image in pair] for pair in pairs]}
    replace_text(index.directory / APART, json.dumps(document, indent=1) + "\n")


def rows_apart(index: IndexReader) -> list[tuple[int, int]]:
    """Row numbers of the pairs on the list, for every image that has the content of one of them."""
    pairs = _load(index)
    if not pairs:
        return []

    def meant(image: _Image, by_place: bool) -> list[int]:
        rows = rows_of_content(index, [bytes.fromhex(image.sha256)])
        if by_place:
            rows = rows[[str(file) == image.path for file in index.files(rows)]]
        found: list[int] = rows.tolist()
        return found

    apart = []
    for one, other in pairs:
        by_place = one.sha256 == other.sha256
        apart += [
            (min(left, right), max(left, right)) for left in meant(one, by_place) for right in meant(other, by_place)
        ]
    return apart


def _images(index: IndexReader, rows: npt.NDArray[np.int64]) -> list[_Image]:
    digests = index.column("sha256", rows)
    return [_Image(digest.tobytes().hex(), str(file)) for digest, file in zip(digests, index.files(rows), strict=True)]


def _identity(pair: tuple[_Image, _Image]) -> tuple[str, ...]:
    """What makes two pairs of the list one."""
    one, other = pair
    return (one.sha256, other.sha256) if one.sha256 != other.sha256 else (one.sha256, one.path, other.path)


def _load(index: IndexReader) -> list[tuple[_Image, _Image]]:
    """Each pair sorted. What format 1 says of images that are gone is passed over."""
    path = index.directory / APART
    try:
        if read_document(path, Versioned).format == 1:
            return _of_paths(index, read_document(path, _OldDocument).pairs)
        return [(min(pair), max(pair)) for pair in read_document(path, _Document, FORMAT).pairs]
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        raise DuplicatesError(
            f"{path}: not a readable list of pairs ({error}); repair it, or delete it to forget the pairs"
        ) from error


def _of_paths(index: IndexReader, pairs: Sequence[tuple[str, str]]) -> list[tuple[_Image, _Image]]:
    rows = {path: row for row, (folder, path) in enumerate(index.keys) if folder == 0}
    found = [(rows[one], rows[other]) for one, other in pairs if one in rows and other in rows]
    images = [_images(index, np.array(pair, dtype=np.int64)) for pair in found]
    return [(min(pair), max(pair)) for pair in images]
