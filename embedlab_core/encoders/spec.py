"""model.json: what a model folder holds and what its towers expect."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta

from embedlab_core.documents import Cosine, FileName, Natural, Text, read_document
from embedlab_core.encoders.prompts import PromptCleaning
from embedlab_core.errors import ModelError
from embedlab_core.images.decode import Interpolation, PixelSpec, ResizeMode
from embedlab_core.index.manifest import ModelRef

FORMAT = 1
MODEL_JSON = "model.json"
TOKENIZER_JSON = "tokenizer.json"
_FILES = ("image.onnx", "text.onnx", TOKENIZER_JSON)
# Pixels a side: four times what any known model takes.
_LARGEST_INPUT = 4096
# Dimensions of a vector, or tokens of a prompt: a hundred times what any known model has.
_LONGEST = 2**17
# Of a model that nobody has measured: the exercise's threshold.
NEAR_DUPLICATE = 0.92


@dataclass(frozen=True, slots=True)
class ModelFile:
    sha256: Text
    bytes: Natural


@dataclass(frozen=True, slots=True)
class Bands:
    """Names of score ranges, as the lowest cosine of each; below all of them is "unrelated".

    image: for image-image cosines. text: for text-image cosines. Both are empty for a model nobody has measured.
    """

    image: dict[Text, Cosine]
    text: dict[Text, Cosine]

    @property
    def near_duplicate(self) -> float:
        """The image-image cosine from which two images are near-duplicates."""
        return self.image.get("near-duplicate", NEAR_DUPLICATE)

    def of(self, modality: str, score: float) -> str | None:
        """The band of a query's score; None for a composed query, whose scores nobody has measured."""
        bands = {"image": self.image, "text": self.text}
        return self.name(bands[modality], score) if modality in bands else None

    @staticmethod
    def name(band: dict[str, float], score: float) -> str | None:
        """The highest band that `score` reaches; None if the model has no bands."""
        if not band:
            return None
        reached = [(low, name) for name, low in band.items() if score >= low]
        return max(reached)[1] if reached else "unrelated"


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A model folder.

    name: the backbone that gives this model. dim: of its unit vectors. context_length: tokens. cleaning: of prompts,
    before they are tokenized. logit_scale: cosine -> logit multiplier. weights_sha256: of the tensors the folder was
    exported from, if it was. means: the mean unit vector (dim,) over many images and over many texts, under "image" and
    "text", where they were measured.
    """

    folder: Path
    name: str
    dim: int
    license: str
    source: str
    pixels: PixelSpec
    context_length: int
    cleaning: PromptCleaning
    logit_scale: float
    bands: Bands
    weights_sha256: str | None
    means: dict[str, tuple[float, ...]]
    files: dict[str, ModelFile]

    @property
    def fingerprint(self) -> str:
        """12 hex digits over all that decides a vector: weights, tokenizer and pre-processing.

        A folder exported anew from the same weights has the same fingerprint, though another torch wrote its graphs.
        """
        decisive = [TOKENIZER_JSON] if self.weights_sha256 else sorted(self.files)
        parts = [f"{name} {self.files[name].sha256}" for name in decisive]
        parts += [str(self.weights_sha256), repr(self.pixels), self.cleaning]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]

    def ref(self, precision: str) -> ModelRef:
        return ModelRef(self.name, self.fingerprint, self.dim, precision)


@dataclass(frozen=True, slots=True)
class _Image:
    size: Annotated[int, Meta(ge=1, le=_LARGEST_INPUT)]
    resize: ResizeMode
    interpolation: Interpolation
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    fill: Annotated[int, Meta(ge=0, le=255)] = 0


@dataclass(frozen=True, slots=True)
class _Text:
    context_length: Annotated[int, Meta(ge=1, le=_LONGEST)]
    cleaning: PromptCleaning = "none"


@dataclass(frozen=True, slots=True)
class _Document:
    """model.json, format 1."""

    name: Text
    dim: Annotated[int, Meta(ge=1, le=_LONGEST)]
    license: Text
    source: Text
    image: _Image
    text: _Text
    logit_scale: Annotated[float, Meta(gt=0, le=1e6)]
    bands: Bands
    files: dict[FileName, ModelFile]
    weights_sha256: Text | None = None
    means: dict[Literal["image", "text"], tuple[Cosine, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in _FILES:
            if name not in self.files:
                raise ValueError(f"files: {name} is missing")
        for modality, mean in self.means.items():
            if len(mean) != self.dim:
                raise ValueError(f"means: {modality} has {len(mean)} numbers in place of {self.dim}")


def load_model_spec(folder: Path) -> ModelSpec:
    """Read and check model.json: every file it names must be there with its size.

    Raises ModelError, which names the file at fault.
    """
    path = folder / MODEL_JSON
    try:
        document = read_document(path, _Document, FORMAT)
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: not a readable model description ({error}); restore the model folder") from error
    spec = _spec(folder, document)
    for name, file in spec.files.items():
        actual = _size(folder / name)
        if actual != file.bytes:
            state = "is missing" if actual is None else f"has {actual} bytes instead of {file.bytes}"
            raise ModelError(f"{folder / name}: this file of model {spec.name} {state}; restore the model folder")
    return spec


def _spec(folder: Path, document: _Document) -> ModelSpec:
    image = document.image
    return ModelSpec(
        folder=folder,
        name=document.name,
        dim=document.dim,
        license=document.license,
        source=document.source,
        pixels=PixelSpec(image.size, image.resize, image.interpolation, image.mean, image.std, image.fill),
        context_length=document.text.context_length,
        cleaning=document.text.cleaning,
        logit_scale=document.logit_scale,
        bands=document.bands,
        weights_sha256=document.weights_sha256,
        means={str(modality): mean for modality, mean in document.means.items()},
        files=document.files,
    )


def _size(file: Path) -> int | None:
    """In bytes; None if there is no such file."""
    try:
        return file.stat().st_size if file.is_file() else None
    except OSError:  # A name that is too long.
        return None
