"""model.json: what a model folder holds and what its towers expect."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast, get_args

from embedlab_core.documents import natural, number, one_of, read_json, typed
from embedlab_core.encoders.prompts import PromptCleaning
from embedlab_core.errors import ModelError
from embedlab_core.images.decode import Interpolation, PixelSpec, ResizeMode
from embedlab_core.index.manifest import ModelRef

FORMAT = 1
MODEL_JSON = "model.json"
# Pixels a side: four times what any known model takes.
_LARGEST_INPUT = 4096
# Of a model that nobody has measured: the exercise's threshold.
NEAR_DUPLICATE = 0.92


@dataclass(frozen=True, slots=True)
class ModelFile:
    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Bands:
    """Names of score ranges, as the lowest cosine of each; below all of them is "unrelated".

    image: for image-image cosines. text: for text-image cosines. Both are empty for a model nobody has measured.
    """

    image: dict[str, float]
    text: dict[str, float]

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
        decisive = ["tokenizer.json"] if self.weights_sha256 else sorted(self.files)
        parts = [f"{name} {self.files[name].sha256}" for name in decisive]
        parts += [str(self.weights_sha256), repr(self.pixels), self.cleaning]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]

    def ref(self, precision: str) -> ModelRef:
        return ModelRef(self.name, self.fingerprint, self.dim, precision)


def load_model_spec(folder: Path) -> ModelSpec:
    """Read and check model.json: every file it names must be there with its size.

    Raises ModelError, which names the file at fault.
    """
    path = folder / MODEL_JSON
    try:
        document = read_json(path)
        if (version := typed(document, "format", int)) != FORMAT:
            raise ModelError(f"{path}: model format {version}, but this embedlab reads format {FORMAT}")
        spec = _spec(folder, document)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path}: not a readable model description ({error!r}); restore the model folder") from error
    for name, file in spec.files.items():
        actual = (folder / name).stat().st_size if (folder / name).is_file() else None
        if actual != file.bytes:
            state = "is missing" if actual is None else f"has {actual} bytes instead of {file.bytes}"
            raise ModelError(f"{folder / name}: this file of model {spec.name} {state}; restore the model folder")
    return spec


def _spec(folder: Path, document: dict[str, Any]) -> ModelSpec:
    """Raises KeyError and TypeError, which begin with the field's name."""
    dim = natural(document, "dim", least=1)
    text = typed(document, "text", dict)
    bands = typed(document, "bands", dict)
    weights = document.get("weights_sha256")
    return ModelSpec(
        folder=folder,
        name=typed(document, "name", str),
        dim=dim,
        license=typed(document, "license", str),
        source=typed(document, "source", str),
        pixels=_pixels(typed(document, "image", dict)),
        context_length=natural(text, "context_length", least=1),
        cleaning=cast(PromptCleaning, one_of({"cleaning": "none", **text}, "cleaning", get_args(PromptCleaning))),
        logit_scale=number(document["logit_scale"], "logit_scale"),
        weights_sha256=None if weights is None else typed(document, "weights_sha256", str),
        means={modality: _numbers(document["means"], modality, dim) for modality in document.get("means", ())},
        bands=Bands(_band(bands, "image"), _band(bands, "text")),
        files={name: _file(file) for name, file in typed(document, "files", dict).items()},
    )


def _pixels(image: dict[str, Any]) -> PixelSpec:
    return PixelSpec(
        size=natural(image, "size", 1, _LARGEST_INPUT),
        resize=cast(ResizeMode, one_of(image, "resize", get_args(ResizeMode))),
        interpolation=cast(Interpolation, one_of(image, "interpolation", get_args(Interpolation))),
        mean=cast(tuple[float, float, float], _numbers(image, "mean", 3)),
        std=cast(tuple[float, float, float], _numbers(image, "std", 3)),
        fill=natural({"fill": 0, **image}, "fill", most=255),
    )


def _numbers(document: dict[str, Any], key: str, count: int) -> tuple[float, ...]:
    values = typed(document, key, list)
    if len(values) != count:
        raise TypeError(f"{key} has {len(values)} numbers instead of {count}")
    return tuple(number(value, key) for value in values)


def _band(document: dict[str, Any], key: str) -> dict[str, float]:
    return {name: number(low, name) for name, low in typed(document, key, dict).items()}


def _file(document: dict[str, Any]) -> ModelFile:
    return ModelFile(typed(document, "sha256", str), natural(document, "bytes"))
