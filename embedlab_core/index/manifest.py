"""manifest.json: what an index holds and which model made it."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from embedlab_core.errors import IndexDamagedError, IndexMissingError
from embedlab_core.index.files import replace_text

FORMAT = 1
MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True)
class ModelRef:
    """The model behind `dim` columns of the vectors: the backbone it comes from, a fingerprint of its weights and
    pre-processing, and the precision it ran in."""

    name: str
    fingerprint: str
    dim: int
    precision: str = "float32"

    def __str__(self) -> str:
        return f"{self.name} ({self.fingerprint}, {self.precision})"


@dataclass(frozen=True, slots=True)
class ShardRef:
    """file: name under shards/. rows: images in it. bytes, sha256: of the whole file."""

    file: str
    rows: int
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """models: one, or those of an ensemble, whose columns stand side by side. images_dir: as it was given, the prefix
    of every path in results. store: how vectors are kept, see `Store`. runtime, seed, options, versions: of the last
    embed run."""

    models: tuple[ModelRef, ...]
    images_dir: str
    shards: tuple[ShardRef, ...] = ()
    store: str = "float32"
    runtime: str = ""
    seed: int = 0
    options: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)

    @property
    def dim(self) -> int:
        return sum(model.dim for model in self.models)

    @property
    def model_names(self) -> str:
        return " + ".join(model.name for model in self.models)

    @property
    def count(self) -> int:
        return sum(shard.rows for shard in self.shards)


def save_manifest(index_dir: Path, manifest: Manifest) -> None:
    document = {"format": FORMAT, "count": manifest.count, **asdict(manifest)}
    replace_text(index_dir / MANIFEST, json.dumps(document, indent=1) + "\n")


def load_manifest(index_dir: Path) -> Manifest:
    """Raises IndexMissingError if there is no index, IndexDamagedError if its manifest cannot be understood."""
    path = index_dir / MANIFEST
    try:
        document = json.loads(path.read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise IndexMissingError(
            f"{index_dir}: no index here; make one with: embedlab embed --images-dir FOLDER --out {index_dir}"
        ) from error
    except (OSError, ValueError) as error:
        raise _damaged(path, str(error)) from error
    try:
        if document["format"] != FORMAT:
            raise _damaged(path, f"format {document['format']}, but this embedlab reads format {FORMAT}")
        return Manifest(
            models=tuple(ModelRef(**model) for model in document["models"]),
            images_dir=document["images_dir"],
            shards=tuple(ShardRef(**shard) for shard in document["shards"]),
            store=document["store"],
            runtime=document["runtime"],
            seed=document["seed"],
            options=document["options"],
            versions=document["versions"],
        )
    except (KeyError, TypeError) as error:
        raise _damaged(path, f"field {error}") from error


def models_of(index_dir: Path) -> tuple[ModelRef, ...]:
    """The models of an index; none if there is no index here."""
    try:
        return load_manifest(index_dir).models
    except IndexMissingError:
        return ()


def _damaged(path: Path, reason: str) -> IndexDamagedError:
    return IndexDamagedError(f"{path}: not a readable manifest ({reason}); delete {path.parent} and run embed again")
