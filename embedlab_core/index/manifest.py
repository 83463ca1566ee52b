"""manifest.json: what an index holds and which model made it."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Meta

from embedlab_core.documents import Natural, PathText, Positive, Text, Versioned, parse_document, parse_json
from embedlab_core.errors import (
    IndexDamagedError,
    IndexMissingError,
    IndexNewerError,
    IndexUnreadableError,
    NotAnIndexError,
    StoreError,
)
from embedlab_core.index.files import is_temporary, replace_text
from embedlab_core.index.folders import Folder
from embedlab_core.index.store import Store

# Format 1 had one folder, as it was typed, and no mark.
FORMAT = 2
MANIFEST = "manifest.json"
LOCK = ".lock"

# The first bytes of a manifest, by which an index is known even where the rest of it is damaged.
_MARK = {"embedlab": "index"}
_START = b'{\n "embedlab": "index",\n'
# Format 1 is known by these fields.
_OLD_FIELDS = {"format", "models", "images_dir", "shards"}
# What a file manager leaves in a folder that is empty to its owner.
_CLUTTER = {".DS_Store", "Thumbs.db", "desktop.ini"}
# A manifest of a million shards is smaller.
_LARGEST_MANIFEST = 2**28

# What NumPy and scikit-learn take.
_Seed = Annotated[int, Meta(ge=0, le=2**32 - 1)]


@dataclass(frozen=True, slots=True)
class ModelRef:
    """The model behind `dim` columns of the vectors: the backbone it comes from, a fingerprint of its weights and
    pre-processing, and the precision it ran in."""

    name: Text
    fingerprint: Text
    dim: Positive
    precision: Text = "float32"

    def __str__(self) -> str:
        return f"{self.name} ({self.fingerprint}, {self.precision})"


@dataclass(frozen=True, slots=True)
class ShardRef:
    """A file of rows.

    Attributes:
        file: its name under shards/.
        rows: images in it.
        bytes: its size.
        sha256: of the whole file, hexadecimal.
    """

    file: PathText
    rows: Natural
    bytes: Natural
    sha256: Text

    def __post_init__(self) -> None:
        _require_file_name(self.file)


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an index holds.

    Attributes:
        models: one, or those of an ensemble, whose columns stand side by side.
        folders: of images; rows know theirs by its place here.
        shards: the files of its rows, in order.
        store: how vectors are kept, see `Store`.
        projection: the file of a "pca" store, "" without one.
        fitted: the images that it was fitted to; 0 where an older embedlab did not say.
        runtime: what encoded the last embed run.
        seed: of the last embed run.
        options: of the last embed run.
        versions: of the libraries of the last embed run.
    """

    models: Annotated[tuple[ModelRef, ...], Meta(min_length=1)]
    folders: Annotated[tuple[Folder, ...], Meta(min_length=1)]
    shards: tuple[ShardRef, ...] = ()
    store: Text = "float32"
    projection: PathText = ""
    fitted: Natural = 0
    runtime: Text = ""
    seed: _Seed = 0
    options: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, Text] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _require_file_name(self.projection)

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
    document = {**_MARK, "format": FORMAT, "count": manifest.count, **asdict(manifest)}
    replace_text(index_dir / MANIFEST, json.dumps(document, indent=1) + "\n")


def load_manifest(index_dir: Path) -> Manifest:
    """Of this format or of format 1.

    Raises IndexMissingError if there is no manifest, NotAnIndexError for one of something else, IndexUnreadableError if
    the system does not give it, IndexNewerError for a later format, and IndexDamagedError if it cannot be understood.
    """
    path = index_dir / MANIFEST
    try:
        data = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError) as error:
        way_out = f"make one with: embedlab embed --images-dir FOLDER --out {index_dir}"
        if _holds_something(index_dir):
            way_out = "give the folder of an index"
        raise IndexMissingError(f"{index_dir}: no index here; {way_out}") from error
    except OSError as error:
        raise IndexUnreadableError(path, error) from error
    if not _is_manifest(data):
        raise NotAnIndexError(index_dir, f"a {MANIFEST} that is not one of embedlab")
    try:
        text = data.decode("utf-8")
        version = parse_document(text, Versioned).format
        if version > FORMAT:
            raise IndexNewerError(path, version, FORMAT)
        manifest = parse_document(text, Manifest) if version == FORMAT else _of_format_1(text)
        Store.parse(manifest.store)
    except (ValueError, StoreError) as error:
        raise IndexDamagedError(
            f"{path}: not a readable manifest ({error}); restore it, or make a new index in another folder"
        ) from error
    return manifest


def models_of(index_dir: Path) -> tuple[ModelRef, ...]:
    """The models of an index; none if there is no index here."""
    try:
        return load_manifest(index_dir).models
    except IndexMissingError:
        return ()


def is_index(folder: Path) -> bool:
    """Whether a folder holds an index, perhaps a damaged one."""
    path = folder / MANIFEST
    try:
        if not path.is_file() or path.stat().st_size > _LARGEST_MANIFEST:
            return False
        return _is_manifest(path.read_bytes())
    except OSError:
        return False


def require_own(index_dir: Path) -> None:
    """Raises NotAnIndexError for a folder that is neither new, nor empty, nor an index."""
    if is_index(index_dir):
        return
    try:
        entries = sorted(entry.name for entry in index_dir.iterdir())
    except OSError:  # It is new, or cannot be written, which whoever writes says.
        return
    for entry in entries:
        # A run that was killed before it wrote its first manifest leaves the lock and a temporary file.
        if entry not in (LOCK, *_CLUTTER) and not is_temporary(entry):
            raise NotAnIndexError(index_dir, entry)


def _holds_something(folder: Path) -> bool:
    """Whether no index could be made in the folder, because of what is in it."""
    try:
        require_own(folder)
    except NotAnIndexError:
        return True
    return False


def _is_manifest(data: bytes) -> bool:
    if data.startswith(_START):
        return True
    try:
        document = parse_json(data.decode("utf-8"))
    except ValueError:
        return False
    return isinstance(document, dict) and (document.keys() >= _MARK.keys() or document.keys() >= _OLD_FIELDS)


@dataclass(frozen=True, slots=True)
class _Format1:
    models: Annotated[tuple[ModelRef, ...], Meta(min_length=1)]
    images_dir: PathText
    shards: tuple[ShardRef, ...]
    store: Text
    runtime: Text
    seed: _Seed
    options: dict[str, Any]
    versions: dict[str, Text]
    format: Literal[1]
    projection: PathText = ""


def _of_format_1(text: str) -> Manifest:
    """A folder that was named relatively could be one of several: where it is, is not known. Raises ValueError."""
    old = parse_document(text, _Format1)
    absolute = old.images_dir if Path(old.images_dir).is_absolute() else ""
    return Manifest(
        models=old.models,
        folders=(Folder(old.images_dir, absolute),),
        shards=old.shards,
        store=old.store,
        projection=old.projection,
        runtime=old.runtime,
        seed=old.seed,
        options=old.options,
        versions=old.versions,
    )


def _require_file_name(name: str) -> None:
    if Path(name).name != name:
        raise ValueError(f"{name!a:.40} is not a file name")
