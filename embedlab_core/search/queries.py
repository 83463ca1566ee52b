"""Query images and prompts -> unit vectors."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from embedlab_core.encoders.base import Encoder
from embedlab_core.errors import ImageDecodeError, QueryError
from embedlab_core.images.decode import PixelSpec, decode_image
from embedlab_core.images.discover import Skip, discover, shown_path

Modality = Literal["image", "text"]

# Query images encoded together; also bounds the pixels held at once.
_BATCH = 32


@dataclass(frozen=True, slots=True)
class Query:
    """name: the path or the prompt, as results show it. vector: float32 (d,), unit length."""

    name: str
    modality: Modality
    vector: npt.NDArray[np.float32]


def images_of(query_dir: str) -> list[str]:
    """The images of a folder, sorted by name, as paths. Raises QueryError if there are none, ImagesDirError if there
    is no such folder."""
    found = discover(Path(query_dir), recursive=False)
    if not found.files:
        raise QueryError(f"{query_dir}: no images here; give the folder that holds the query images with --query-dir")
    return [shown_path(query_dir, file.path) for file in found.files]


def prompts_of(file: Path) -> list[str]:
    """The prompts of a UTF-8 text file, one a line; blank lines are left out. Raises QueryError."""
    try:
        lines = file.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise QueryError(f"{file}: cannot be read as UTF-8 text ({error})") from error
    prompts = [line.strip() for line in lines if line.strip()]
    if not prompts:
        raise QueryError(f"{file}: no prompts here; write one a line")
    return prompts


def image_queries(paths: Sequence[str], encoder: Encoder) -> tuple[list[Query], list[Skip]]:
    """Queries in the order of `paths`, and the files that could not be read."""
    queries: list[Query] = []
    skipped: list[Skip] = []
    for batch in _decoded(paths, encoder.spec.pixels):
        readable = [(path, pixels) for path, pixels in batch if not isinstance(pixels, Skip)]
        skipped += [pixels for _, pixels in batch if isinstance(pixels, Skip)]
        if readable:
            vectors = encoder.encode_images(np.stack([pixels for _, pixels in readable]))
            queries += [Query(path, "image", vector) for (path, _), vector in zip(readable, vectors, strict=True)]
    return queries, skipped


def text_queries(prompts: Sequence[str], encoder: Encoder) -> tuple[list[Query], tuple[str, ...]]:
    """Queries in the order of `prompts`, and the prompts that were cut at the model's context length.

    Raises QueryError for a prompt that is empty or not text.
    """
    if not all(prompt.strip() for prompt in prompts):
        raise QueryError("an empty prompt has no meaning to search for; write what the images should show")
    for prompt in prompts:
        try:
            prompt.encode()
        except UnicodeEncodeError as error:
            raise QueryError(f"prompt {prompt!a}: not valid UTF-8; set the terminal to UTF-8") from error
    encoded = encoder.encode_texts(prompts)
    queries = [Query(prompt, "text", vector) for prompt, vector in zip(prompts, encoded.vectors, strict=True)]
    return queries, encoded.truncated


def _decoded(paths: Sequence[str], pixels: PixelSpec) -> Iterator[list[tuple[str, npt.NDArray[np.uint8] | Skip]]]:
    def decode(path: str) -> npt.NDArray[np.uint8] | Skip:
        try:
            return decode_image(Path(path).read_bytes(), pixels).pixels
        except OSError as error:
            return Skip(path, f"file cannot be read ({error.strerror or error})")
        except ImageDecodeError as error:
            return Skip(path, str(error))

    with ThreadPoolExecutor() as pool:
        for start in range(0, len(paths), _BATCH):
            chunk = paths[start : start + _BATCH]
            yield list(zip(chunk, pool.map(decode, chunk), strict=True))
