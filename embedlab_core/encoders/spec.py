"""model.json: what a model folder holds and what its towers expect."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from embedlab_core.encoders.prompts import PromptCleaning
from embedlab_core.errors import ModelError
from embedlab_core.images.decode import PixelSpec
from embedlab_core.index.manifest import ModelRef

FORMAT = 1
MODEL_JSON = "model.json"
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
        document = json.loads(path.read_text("utf-8"))
        if document["format"] != FORMAT:
            raise ModelError(f"{path}: model format {document['format']}, but this embedlab reads format {FORMAT}")
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
    image = document["image"]
    return ModelSpec(
        folder=folder,
        name=document["name"],
        dim=document["dim"],
        license=document["license"],
        source=document["source"],
        pixels=PixelSpec(
            size=image["size"],
            resize=image["resize"],
            interpolation=image["interpolation"],
            mean=tuple(image["mean"]),
            std=tuple(image["std"]),
            fill=image.get("fill", 0),
        ),
        context_length=document["text"]["context_length"],
        cleaning=document["text"].get("cleaning", "none"),
        logit_scale=document["logit_scale"],
        weights_sha256=document.get("weights_sha256"),
        means={modality: tuple(mean) for modality, mean in document.get("means", {}).items()},
        bands=Bands(document["bands"]["image"], document["bands"]["text"]),
        files={name: ModelFile(**file) for name, file in document["files"].items()},
    )
