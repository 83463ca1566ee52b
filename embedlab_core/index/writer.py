"""Writing an index: append, replace, drop and compact rows so that every moment on disk is a valid index."""

import logging
import os
from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from filelock import FileLock, Timeout

from embedlab_core.errors import (
    IndexDamagedError,
    IndexMissingError,
    IndexUnreadableError,
    IndexWriteError,
    ModelMismatchError,
    StoreError,
)
from embedlab_core.index.files import file_sha256, remove_leftovers
from embedlab_core.index.folders import reconciled
from embedlab_core.index.manifest import (
    LOCK,
    MANIFEST,
    Manifest,
    ModelRef,
    ShardRef,
    load_manifest,
    require_own,
    save_manifest,
)
from embedlab_core.index.npz import open_npz, write_npz
from embedlab_core.index.reader import PROJECTION_PATTERN, SHARDS, load_projection, open_shard, projection_name
from embedlab_core.index.rows import Key, Rows
from embedlab_core.index.skipped import SKIPPED
from embedlab_core.index.store import Store, fit_projection, is_outgrown, recall_of
from embedlab_core.metrics import METRICS

log = logging.getLogger(__name__)

# A full shard: 65,536 x 512 float32 is 134 MB, so a million images are 16 files. Shards under half of it are merged.
SHARD_ROWS = 65_536
# Small shards are merged once there are so many: each open one takes a file descriptor, of which there may be 256.
_MOST_SMALL = 32
# The modification time of rows from another folder, where a path stood for another file: no file has it.
_UNKNOWN_TIME = np.iinfo(np.int64).min
# Temporary files of other commands this old, in seconds, are of killed ones.
_STALE = 3600
# Rows that a projection is fitted to and recall is measured on: plenty for 512 directions, seconds for either.
SAMPLE_ROWS = 20_000
# The names that _write gives.
SHARD_PATTERN = "[0-9]" * 6 + ".npz"


class IndexWriter(AbstractContextManager["IndexWriter"]):
    """The only way to change an index: opens one of the same model, or starts a new one, and holds its lock.

    Attributes:
        directory: of the index.
        manifest: as it is to be.
        store: how vectors are kept from the end of the run on.
        before: the folders that the index had.
        numbers: for each of them, its number now.
    """

    def __init__(
        self,
        directory: Path,
        models: tuple[ModelRef, ...],
        folders: Sequence[str],
        store: Store | None = None,
        replace_folders: bool = False,
    ) -> None:
        """Open or start an index; an existing one is not changed yet.

        folders: of the images, as they were given; `manifest.folders` gives them their numbers. store: how vectors are
        kept from the end of this run on; None for as they are kept now. replace_folders: let go of folders that the
        index has and that are not among `folders`; their rows stay until `finish`.

        Raises NotAnIndexError if the folder holds anything else, ModelMismatchError if other models made the index,
        FoldersDifferError if it is of other folders, StoreError if its vectors cannot be stored anew in that way, and
        IndexWriteError if it cannot be locked.
        """
        self.directory = directory
        require_own(directory)
        self._lock = _lock(directory)
        try:
            existing = _existing(directory, models)
            old = existing.folders if existing else ()
            found = reconciled(directory, old, folders, replace_folders)
            self._staying = found.staying
            self.manifest = replace(existing or Manifest(models=models, folders=found.folders), folders=found.folders)
            self.store = _checked_store(directory, self.manifest, store)
            self._written = {shard.file for shard in self.manifest.shards} | {self.manifest.projection}
            stored = self._open_intact(existing)
            # An index of format 1 that named its folder relatively may have been of another one of this name.
            # One that is found beside an index that moved may be another one, too: their files are compared by content.
            trusted = np.array([folder.is_where_it_was(directory) for folder in old], dtype=np.bool_)
            self.before = old
            self.numbers = found.numbers
            numbers = np.array(found.numbers, dtype=np.int32)
            self._shards = {shard: _brought_up(rows, numbers, trusted) for shard, rows in stored.items()}
            self._outdated = {
                shard
                for shard in stored
                if _is_of_format_1(directory / SHARDS / shard.file)
                or list(numbers) != list(range(len(numbers)))
                or not trusted.all()
            }
            self._refitted = False
            self._keys = {key for rows in self._shards.values() for key in rows.keys}
        except BaseException:
            self._lock.release()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.release()

    def begin(self) -> None:
        """Mark the folder as an index, remove what killed runs left in it, and write again the rows of an index of
        format 1, or of folders that have other numbers now."""
        _remove_leftovers(self.directory)
        shards = [self._write(rows) if shard in self._outdated else shard for shard, rows in [*self._shards.items()]]
        self._commit(shards)

    def number_of(self, folder: str) -> int:
        """The number of a folder, as it was given."""
        real = os.path.realpath(folder)
        return [known.absolute for known in self.manifest.folders].index(real)

    @property
    def leaving(self) -> range:
        """The numbers of the folders that this run lets go of."""
        return range(self._staying, len(self.manifest.folders))

    @property
    def shards(self) -> tuple[Rows, ...]:
        """The rows in the index now, memory-mapped."""
        return tuple(self._shards.values())

    def append(self, rows: Rows) -> None:
        """Add rows. An older row of the same image is dropped in the same step. An interrupted call can be repeated."""
        added = set(rows.keys)
        kept = self._without(added & self._keys)
        self._keys |= added
        self._commit(self._few([*kept, self._write(rows)]))

    def drop(self, keys: Collection[Key]) -> None:
        """Remove the rows of these images."""
        self._commit(self._without(set(keys)))
        self._keys -= set(keys)

    def finish(self, manifest: Manifest) -> float | None:
        """Store vectors as asked, let go of folders, merge small shards, and save `manifest`, whose folders, shards and
        store are filled in here.

        Returns recall@5 of a compressed store against float32 on (a sample of) the rows that it compressed, or None.
        """
        stay = self._without({key for key in self._keys if key[0] in self.leaving})
        name, projection, fitted = self._projection([self._shards[shard] for shard in stay])
        # The codes of another projection do not go with this one.
        self._refitted = name != self.manifest.projection
        recall = None
        whole = [self._shards[shard] for shard in stay if not self._is_stored(shard)]
        if whole and self.store.kind != "float32":
            recall = recall_of(self.store, _sample(whole, self.manifest.dim), projection)
        self.manifest = replace(
            manifest,
            folders=self.manifest.folders,
            shards=self.manifest.shards,
            store=str(self.store),
            projection=name,
            fitted=fitted,
        )
        shards = [self._join(run, projection) for run in _runs(stay)]
        self.manifest = replace(self.manifest, folders=self.manifest.folders[: self._staying])
        self._commit(shards)
        return recall

    @property
    def outgrown(self) -> bool:
        """Whether the projection of a "pca" store was fitted to far fewer images than there are now. Where whole
        vectors are kept, `finish` fits a new one; elsewhere every image has to be encoded again first."""
        return self.store.kind == "pca" and is_outgrown(self.manifest.fitted, self.manifest.count)

    def _projection(self, parts: list[Rows]) -> tuple[str, npt.NDArray[np.float32] | None, int]:
        """The file of the projection, the projection, and how many images it was fitted to: that of the index while it
        serves, else one fitted to all the rows, in a file beside the old one."""
        if self.store.kind != "pca":
            return "", None, 0
        count = sum(map(len, parts))
        stored = sum(len(rows) for rows in parts if not is_whole(rows, self.manifest.dim))
        name, fitted = self.manifest.projection, self.manifest.fitted
        if self.manifest.store == str(self.store) and name and (stored or not is_outgrown(fitted, count)):
            return name, load_projection(self.directory, self.manifest), fitted or stored
        projection = fit_projection(_sample(parts, self.manifest.dim), self.store.dims)
        name = projection_name(projection)
        write_npz(self.directory / name, {"projection": projection})
        self._written.add(name)
        return name, projection, count

    def _is_stored(self, shard: ShardRef) -> bool:
        dim = self.manifest.dim
        layout = (self.store.width(dim), self.store.dtype, dim if self.store.full else 0)
        return not self._refitted and self._layout(shard) == layout

    def _stored(self, shard: ShardRef, projection: npt.NDArray[np.float32] | None) -> Rows:
        rows = self._shards[shard]
        if self._is_stored(shard):
            return rows
        whole = rows.whole()
        full = whole if self.store.full else whole[:, :0]
        return replace(rows, vectors=self.store.encode(whole, projection), full=full)

    def _open_intact(self, manifest: Manifest | None) -> dict[ShardRef, Rows]:
        """Shards whose every byte is as written. The images of a damaged one are embedded again: it is left out."""
        intact: dict[ShardRef, Rows] = {}
        if manifest is None:
            return intact
        projected = self._checked_projection()
        for shard in manifest.shards:
            path = self.directory / SHARDS / shard.file
            try:
                if file_sha256(path) != shard.sha256:
                    raise IndexDamagedError(f"{path}: checksum does not match")
                rows = open_shard(self.directory, shard, manifest)
                if rows.vectors.shape[1] != self.manifest.dim and not projected:
                    rows = _unprojected(path, rows)
                intact[shard] = rows
            except (FileNotFoundError, IndexDamagedError) as error:
                log.warning("%s; its %d images are embedded again", error, shard.rows)
            except OSError as error:
                raise IndexWriteError(
                    f"{path}: cannot be read ({error.strerror or error}); make it readable, or remove this file to "
                    f"embed its {shard.rows} images again"
                ) from error
        return intact

    def _checked_projection(self) -> bool:
        """Whether the projection of a "pca" store is whole; one that is not is forgotten, to be fitted again."""
        try:
            return load_projection(self.directory, self.manifest) is not None
        except IndexDamagedError as error:
            log.warning("%s", error)
            self.manifest = replace(self.manifest, projection="")
            return False

    def _without(self, keys: set[Key]) -> list[ShardRef]:
        # Not those that an interrupted call has written and the manifest does not name.
        named = [shard for shard in self.manifest.shards if shard in self._shards]
        if not keys:
            return named
        kept = []
        for shard in named:
            rows = self._shards[shard]
            stay = np.array([key not in keys for key in rows.keys], dtype=np.bool_)
            if stay.all():
                kept.append(shard)
            elif stay.any():
                kept.append(self._write(rows.take(stay)))
        return kept

    def _few(self, shards: list[ShardRef]) -> list[ShardRef]:
        """The same rows, with the small shards that wait to be stored merged where there are many."""
        small = [shard for shard in shards if shard.rows < SHARD_ROWS // 2 and self._is_plain(shard)]
        if len(small) < _MOST_SMALL:
            return shards
        merged = [self._write(Rows.concatenate(self._shards[shard] for shard in run)) for run in _runs(small)]
        return [*(shard for shard in shards if shard not in small), *merged]

    def _is_plain(self, shard: ShardRef) -> bool:
        return self._layout(shard) == (self.manifest.dim, np.dtype(np.float32), 0)

    def _layout(self, shard: ShardRef) -> tuple[int, np.dtype[Any], int]:
        rows = self._shards[shard]
        return rows.vectors.shape[1], rows.vectors.dtype, rows.full.shape[1]

    def _join(self, run: list[ShardRef], projection: npt.NDArray[np.float32] | None) -> ShardRef:
        if len(run) == 1 and self._is_stored(run[0]):
            return run[0]
        return self._write(Rows.concatenate(self._stored(shard, projection) for shard in run))

    def _write(self, rows: Rows) -> ShardRef:
        name = f"{_next_number(self.directory / SHARDS):06d}.npz"
        path = self.directory / SHARDS / name
        digest = write_npz(path, rows.arrays())
        shard = ShardRef(name, len(rows), path.stat().st_size, digest)
        self._written.add(name)
        self._shards[shard] = open_shard(self.directory, shard, self.manifest)
        return shard

    def _commit(self, shards: list[ShardRef]) -> None:
        """Name exactly these shards in the manifest, then remove files that it no longer names."""
        self.manifest = replace(self.manifest, shards=tuple(shards))
        save_manifest(self.directory, self.manifest)
        self._shards = {shard: self._shards[shard] for shard in shards}
        named = {shard.file for shard in shards} | {self.manifest.projection}
        for path in [*(self.directory / SHARDS).glob(SHARD_PATTERN), *self.directory.glob(PROJECTION_PATTERN)]:
            if path.name not in named and self._is_ours(path):
                path.unlink(missing_ok=True)

    def _is_ours(self, path: Path) -> bool:
        """Whether a file was written by embedlab: a name alone does not tell."""
        if path.name in self._written:
            return True
        try:
            arrays = open_npz(path)
            if path.parent == self.directory:
                return projection_name(arrays["projection"]) == path.name
            Rows.from_arrays(arrays)
        except (IndexDamagedError, IndexUnreadableError, KeyError, ValueError):
            return False
        return True


def _lock(directory: Path) -> FileLock:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        lock = FileLock(directory / LOCK)
        lock.acquire(timeout=0)
    except Timeout as error:
        raise IndexWriteError(f"{directory}: another embed run is writing this index; wait for it to end") from error
    except OSError as error:
        raise IndexWriteError(
            f"{directory}: cannot be written ({error.strerror or error}); choose another folder with --out"
        ) from error
    return lock


def _existing(directory: Path, models: tuple[ModelRef, ...]) -> Manifest | None:
    try:
        manifest = load_manifest(directory)
    except IndexMissingError:
        return None
    if manifest.models != models:
        made_by, asked = (" + ".join(map(str, refs)) for refs in (manifest.models, models))
        raise ModelMismatchError(
            f"{directory}: this index was made by {made_by}, not by {asked}; give the index another folder"
        )
    return manifest


def _brought_up(rows: Rows, numbers: npt.NDArray[np.int32], trusted: npt.NDArray[np.bool_]) -> Rows:
    """Rows with the numbers that their folders have now. trusted: of which folders modification times tell anything."""
    mtimes = np.where(trusted[rows.folders], rows.mtimes, _UNKNOWN_TIME)
    return replace(rows, folders=numbers[rows.folders], mtimes=mtimes)


def _is_of_format_1(path: Path) -> bool:
    return "folders" not in open_npz(path)


def _next_number(shards_dir: Path) -> int:
    """One above the highest number in use, so that a new shard never replaces a file that a reader has mapped."""
    return 1 + max((int(path.stem) for path in shards_dir.glob("*.npz") if path.stem.isdigit()), default=-1)


def _remove_leftovers(directory: Path) -> None:
    """What killed runs left behind; not what other commands, which need no lock, are about to write."""
    remove_leftovers(directory / SHARDS, SHARD_PATTERN)
    for name in (MANIFEST, PROJECTION_PATTERN, SKIPPED, METRICS):
        remove_leftovers(directory, name)
    remove_leftovers(directory, "*", older=_STALE)


def _runs(shards: list[ShardRef]) -> list[list[ShardRef]]:
    """Neighbouring small shards stand together, so that the number of files stays proportional to the images."""
    runs: list[list[ShardRef]] = []
    room = 0
    for shard in shards:
        if not runs or shard.rows > room:
            runs.append([])
            room = SHARD_ROWS
        runs[-1].append(shard)
        room = room - shard.rows if shard.rows < SHARD_ROWS // 2 else 0
    return runs


def _unprojected(path: Path, rows: Rows) -> Rows:
    """Rows whose projection is lost, as they were before. Raises IndexDamagedError if their vectors were not kept."""
    if not rows.full.shape[1]:
        raise IndexDamagedError(f"{path}: its vectors cannot be read without their projection")
    return replace(rows, vectors=rows.full, full=rows.full[:, :0])


def _checked_store(directory: Path, manifest: Manifest, store: Store | None) -> Store:
    current = Store.parse(manifest.store)
    if store is None or store == current:
        return current
    if store.kind == "pca" and len(manifest.models) > 1:
        raise StoreError(f"store {store}: would mix the models of an ensemble; use float16 or int8")
    if store.dims >= manifest.dim:
        raise StoreError(f"store {store}: the vectors have {manifest.dim} dimensions; keep fewer of them")
    if manifest.count and current.kind != "float32" and not current.full:
        raise StoreError(
            f"{directory}: the vectors are stored as {current}, from which {store} cannot be made; "
            "give the index another folder to embed everything again"
        )
    return store


def is_whole(rows: Rows, dim: int) -> bool:
    """Whether rows have their float32 vectors of `dim` columns, beside their codes or in their place."""
    whole = rows.whole()
    return whole.shape[1] == dim and whole.dtype == np.float32


def _sample(parts: Sequence[Rows], dim: int) -> npt.NDArray[np.float32]:
    """Whole vectors (n, d) of at most SAMPLE_ROWS rows, evenly spaced in the order of their keys: it does not depend on
    the runs that the rows came in."""
    places = sorted((key, part, row) for part, rows in enumerate(parts) for row, key in enumerate(rows.keys))
    chosen = places[:: max(1, -(-len(places) // SAMPLE_ROWS))]
    return np.array([parts[part].whole()[row] for _, part, row in chosen], np.float32).reshape(-1, dim)
