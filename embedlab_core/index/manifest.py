"""manifest.json: what an index holds and which model made it."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from embedlab_core.documents import natural, read_json, typed
from embedlab_core.errors import IndexDamagedError, IndexMissingError, IndexUnreadableError, StoreError
from embedlab_core.index.files import replace_text
from embedlab_core.index.store import Store

FORMAT = 1
MANIFEST = "manifest.json"

# What NumPy and scikit-learn take.
_LARGEST_SEED = 2**32 - 1


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
    of every path in results. store: how vectors are kept, see `Store`. projection: the file of a "pca" store. runtime,
    seed, options, versions: of the last embed run."""

    models: tuple[ModelRef, ...]
    images_dir: str
    shards: tuple[ShardRef, ...] = ()
    store: str = "float32"
    projection: str = ""
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
    """Raises IndexMissingError if there is no index, IndexUnreadableError if the system does not give its manifest,
    IndexDamagedError if that cannot be understood."""
    path = index_dir / MANIFEST
    try:
        document = read_json(path)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise IndexMissingError(
            f"{index_dir}: no index here; make one with: embedlab embed --images-dir FOLDER --out {index_dir}"
        ) from error
    except OSError as error:
        raise IndexUnreadableError(path, error) from error
    except ValueError as error:
        raise _damaged(path, str(error)) from error
    try:
        if (version := typed(document, "format", int)) != FORMAT:
            raise _damaged(path, f"format {version}, but this embedlab reads format {FORMAT}")
        return _manifest(document)
    except (KeyError, TypeError, ValueError, StoreError) as error:
        raise _damaged(path, f"field {error}") from error


def models_of(index_dir: Path) -> tuple[ModelRef, ...]:
    """The models of an index; none if there is no index here."""
    try:
        return load_manifest(index_dir).models
    except IndexMissingError:
        return ()


def _manifest(document: dict[str, Any]) -> Manifest:
    """Raises KeyError, TypeError, ValueError and StoreError, which begin with the field's name."""
    manifest = Manifest(
        models=tuple(_model(model) for model in typed(document, "models", list)),
        images_dir=typed(document, "images_dir", str),
        shards=tuple(_shard(shard) for shard in typed(document, "shards", list)),
        store=str(Store.parse(typed(document, "store", str))),
        projection=_file_name(document.get("projection", "")),
        runtime=typed(document, "runtime", str),
        seed=natural(document, "seed", most=_LARGEST_SEED),
        options=typed(document, "options", dict),
        versions=typed(document, "versions", dict),
    )
    if not manifest.models:
        raise ValueError("models is empty")
    _require_text(manifest.versions.values(), "versions")
    return manifest


def _model(document: Any) -> ModelRef:
    model = ModelRef(**document)
    _require_text((model.name, model.fingerprint, model.precision), "models")
    natural(document, "dim", least=1)
    return model


def _shard(document: Any) -> ShardRef:
    shard = ShardRef(**document)
    _require_text((shard.file, shard.sha256), "shards")
    natural(document, "rows")
    natural(document, "bytes")
    _file_name(shard.file)
    return shard


def _file_name(value: Any) -> str:
    if not isinstance(value, str) or "\0" in value or Path(value).name != value:
        raise ValueError(f"file {value!r:.40} is no file name")
    return value


def _require_text(values: Iterable[Any], key: str) -> None:
    if not all(isinstance(value, str) for value in values):
        raise TypeError(f"{key} has a value that is no text")


def _damaged(path: Path, reason: str) -> IndexDamagedError:
    return IndexDamagedError(f"{path}: not a readable manifest ({reason}); delete {path.parent} and run embed again")
