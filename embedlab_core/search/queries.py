"""Query images and prompts -> unit vectors."""

import hashlib
import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from embedlab_core.encoders.ensemble import Ensemble, Pixels
from embedlab_core.errors import ImageDecodeError, QueryError, why_unreadable
from embedlab_core.images.decode import PixelSpec, decode_image
from embedlab_core.images.discover import Skip, discover, shown_path
from embedlab_core.images.read import read_file
from embedlab_core.progress import Progress, untold
from embedlab_core.search.cache import CachedVector, QueryCache
from embedlab_core.search.templates import averaged, template_prompts

log = logging.getLogger(__name__)

Modality = Literal["image", "text", "composed"]

# Queries encoded together; also bounds the pixels held at once.
_BATCH = 32


@dataclass(frozen=True, slots=True)
class Part:
    """An image or prompt of a composed query. weight: negative if it is taken away."""

    name: str
    modality: Modality
    weight: float


@dataclass(frozen=True, slots=True)
class Query:
    """name: the path or the prompt, as results show it. vector: float32 (d,), unit length. digests: sha256 of the query
    images behind it. parts, directions: of a composed query, whose vector is the sum of `directions` (p, d). cut: the
    prompt was longer than the model's context. unknown: the model knows none of its words, so that its scores mean
    nothing and have no band."""

    name: str
    modality: Modality
    vector: npt.NDArray[np.float32]
    digests: tuple[bytes, ...] = ()
    parts: tuple[Part, ...] = ()
    directions: npt.NDArray[np.float32] = field(default_factory=lambda: np.empty((0, 1), np.float32))
    cut: bool = False
    unknown: bool = False


@dataclass(frozen=True, slots=True)
class _File:
    path: str
    data: bytes
    digest: bytes


def images_of(query_dir: str) -> list[str]:
    """The images of a folder, sorted by name, as paths. Raises QueryError if there are none, or no such folder."""
    folder = Path(query_dir)
    if not folder.is_dir():
        reason = "not a folder" if folder.exists() else "no such folder"
        raise QueryError(f"{query_dir}: {reason}; give the folder that holds the query images with --query-dir")
    found = discover(folder, recursive=False)
    if not found.files:
        raise QueryError(f"{query_dir}: no images here; give the folder that holds the query images with --query-dir")
    return [shown_path(query_dir, file.path) for file in found.files]


def prompts_of(file: Path, what: str = "prompts") -> list[str]:
    """The prompts of a UTF-8 text file, one a line; blank lines are left out. what: their name in messages. Raises
    QueryError."""
    try:
        lines = file.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise QueryError(f"{file}: {why_unreadable(error)}") from error
    prompts = [line.strip() for line in lines if line.strip()]
    if not prompts:
        raise QueryError(f"{file}: no {what} here; write one a line")
    return prompts


def image_queries(
    paths: Sequence[str], ensemble: Ensemble, cache: QueryCache | None = None
) -> tuple[list[Query], list[Skip]]:
    """Queries in the order of `paths`, and the files that could not be read or that the model sees nothing in. Vectors
    in the cache are not made anew."""
    queries: list[Query] = []
    skipped: list[Skip] = []
    with ThreadPoolExecutor() as pool:
        for start in range(0, len(paths), _BATCH):
            read = list(pool.map(_read, paths[start : start + _BATCH]))
            files = [file for file in read if isinstance(file, _File)]
            vectors = cache.get(file.digest for file in files) if cache else {}
            missing = {file.digest: file for file in files if file.digest not in vectors}
            decode = partial(_decode, specs=ensemble.pixel_specs)
            decoded = dict(zip(missing, pool.map(decode, missing.values()), strict=True))
            pictures = {key: pixels for key, pixels in decoded.items() if isinstance(pixels, tuple)}
            made, reasons = _encoded(pictures, ensemble)
            reasons |= {key: str(error) for key, error in decoded.items() if isinstance(error, ImageDecodeError)}
            if cache and made:
                cache.put(made)
            vectors |= made
            for outcome in read:
                if isinstance(outcome, Skip):
                    skipped.append(outcome)
                elif outcome.digest in vectors:
                    queries.append(Query(outcome.path, "image", vectors[outcome.digest].vector, (outcome.digest,)))
                else:
                    skipped.append(Skip(outcome.path, reasons[outcome.digest]))
    return queries, skipped


def text_queries(
    prompts: Sequence[str],
    ensemble: Ensemble,
    cache: QueryCache | None = None,
    templates: bool = False,
    progress: Progress = untold,
) -> list[Query]:
    """Queries in the order of `prompts`.

    templates: each prompt's vector is the mean over `template_prompts`. Raises QueryError for a prompt that is empty or
    not text.
    """
    if templates and prompts:
        return _templated(prompts, ensemble, cache, progress)
    digests = [_prompt_digest(prompt) for prompt in prompts]
    vectors = cache.get(digests) if cache else {}
    missing = {digest: prompt for digest, prompt in zip(digests, prompts, strict=True) if digest not in vectors}
    if missing:
        made = _encoded_texts(missing, ensemble, progress)
        if cache:
            cache.put(made)
        vectors |= made
    found = [(prompt, vectors[digest]) for prompt, digest in zip(prompts, digests, strict=True)]
    return [Query(prompt, "text", item.vector, cut=item.cut, unknown=item.unknown) for prompt, item in found]


def warn_of_prompts(queries: Sequence[Query], ensemble: Ensemble) -> None:
    """One warning for each prompt of `text_queries` that was too long, or of which no word is known."""
    for name, query in {query.name: query for query in queries}.items():
        if query.cut:
            log.warning("prompt cut at %d tokens: %.60s…", ensemble.context_length, name)
        if query.unknown:
            models = " + ".join(encoder.spec.name for encoder in ensemble.encoders)
            log.warning("%.60s: model %s knows no word of this prompt; its results mean nothing", name, models)


def _templated(prompts: Sequence[str], ensemble: Ensemble, cache: QueryCache | None, progress: Progress) -> list[Query]:
    for prompt in prompts:
        _prompt_digest(prompt)
    variants = {prompt: template_prompts(prompt) for prompt in prompts}
    written = list(dict.fromkeys(text for texts in variants.values() for text in texts))
    known = {query.name: query for query in text_queries(written, ensemble, cache, progress=progress)}
    vectors = averaged(np.stack([np.stack([known[text].vector for text in variants[prompt]]) for prompt in prompts]))
    return [
        Query(
            prompt,
            "text",
            vector,
            cut=any(known[text].cut for text in variants[prompt]),
            unknown=known[variants[prompt][0]].unknown,
        )
        for prompt, vector in zip(prompts, vectors, strict=True)
    ]


def _read(path: str) -> _File | Skip:
    try:
        data = read_file(Path(path))
    except OSError as error:
        return Skip(path, f"file cannot be read ({error.strerror or error})")
    return _File(path, data, hashlib.sha256(data).digest())


def _decode(file: _File, specs: tuple[PixelSpec, ...]) -> Pixels | ImageDecodeError:
    try:
        return tuple(decode_image(file.data, spec).pixels for spec in specs)
    except ImageDecodeError as error:
        return error


def _encoded(images: Mapping[bytes, Pixels], ensemble: Ensemble) -> tuple[dict[bytes, CachedVector], dict[bytes, str]]:
    """The vectors of images, and why the others have none, by digest."""
    digests = list(images)
    vectors, unusable = ensemble.encode_usable(list(images.values()))
    reasons = {digests[place]: reason for place, reason in unusable.items()}
    usable = [digest for digest in digests if digest not in reasons]
    return {digest: CachedVector(vector) for digest, vector in zip(usable, vectors, strict=True)}, reasons


def _encoded_texts(prompts: Mapping[bytes, str], ensemble: Ensemble, progress: Progress) -> dict[bytes, CachedVector]:
    """The vectors of prompts, by digest."""
    made: dict[bytes, CachedVector] = {}
    items = list(prompts.items())
    for start in range(0, len(items), _BATCH):
        batch = items[start : start + _BATCH]
        encoded = ensemble.encode_texts([prompt for _, prompt in batch])
        for (digest, prompt), vector in zip(batch, encoded.vectors, strict=True):
            made[digest] = CachedVector(vector, prompt in encoded.truncated, prompt in encoded.unknown)
        progress(len(made), len(items))
    return made


def _prompt_digest(prompt: str) -> bytes:
    if not prompt.strip():
        raise QueryError("an empty prompt has no meaning to search for; write what the images should show")
    try:
        return hashlib.sha256(b"prompt\0" + prompt.encode()).digest()
    except UnicodeEncodeError as error:
        raise QueryError(f"prompt {prompt!a}: not valid UTF-8; set the terminal to UTF-8") from error
