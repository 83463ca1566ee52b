"""Bring an index up to date with its folders: only new and changed files are read."""

import os
import platform
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path, PurePosixPath

import numpy as np

import embedlab_core
from embedlab_core.encoders.ensemble import Ensemble
from embedlab_core.errors import ImagesDirError, IndexDamagedError, ManyGoneError, ModelError, StoreError
from embedlab_core.images.discover import Discovery, ImageFile, Skip, discover, merged, shown_path
from embedlab_core.images.formats import others_in_words
from embedlab_core.images.listed import listed
from embedlab_core.images.quality import THRESHOLDS, QualityFlag, QualityScores, quality_flags
from embedlab_core.images.selection import LeftOut, left_out_in_words
from embedlab_core.index.folders import Folder, check_apart
from embedlab_core.index.manifest import Manifest, is_index
from embedlab_core.index.rows import Key, Rows
from embedlab_core.index.skipped import SKIPPED, Excluded, load_skipped, save_skipped
from embedlab_core.index.store import Store
from embedlab_core.index.writer import SHARD_ROWS, IndexWriter, is_whole
from embedlab_core.metrics import Stopwatch, save_metrics
from embedlab_core.pipeline import KnownRow, batches, encode_batch, read_outcomes

# Between two writes: a killed run loses at most the work of so many seconds.
FLUSH_SECONDS = 30.0
# Files of one batch, most of which may need no encoding.
_BATCHED = 2048

# So many images without a vector, and none with one, are the model's fault and end a first run.
_ENOUGH = 8


@dataclass(frozen=True, slots=True)
class EmbedOptions:
    """How an index is brought up to date.

    Attributes:
        batch_size: images encoded together; changes no vector.
        workers: decoding threads; change no vector.
        recursive: whether images in subfolders are taken too.
        seed: recorded in the index.
        store: how vectors are kept; None for as the index keeps them, which is float32 for a new one.
        exclude_flagged: images with one of these flags are left out, also those that an earlier run took in.
        replace: let go of folders that the index has and that are not given now; vectors are reused by content.
        prune: go on where more than half of the index would be dropped.
        hidden: take also hidden files and folders, see `is_hidden`.
        exclude: patterns of files and folders that are left out, see `is_excluded`.
        files: the names of the only files that the index is of, see `listed`; None for all in the folders.
        refit: encode images again whose whole vectors were not kept, so that a "pca" store is fitted to all of them.
    """

    batch_size: int = 8
    workers: int = os.cpu_count() or 1
    recursive: bool = True
    seed: int = 0
    store: Store | None = None
    exclude_flagged: tuple[QualityFlag, ...] = ()
    replace: bool = False
    prune: bool = False
    hidden: bool = False
    exclude: tuple[str, ...] = ()
    files: tuple[str, ...] | None = None
    refit: bool = False


@dataclass(frozen=True, slots=True)
class Truncated:
    """An image that is in the index though its file has lost a part of it.

    Attributes:
        folder: the number of its folder.
        path: relative to that folder.
        missing: the share of the picture, 0..1.
    """

    folder: int
    path: str
    missing: float


@dataclass(frozen=True, slots=True)
class EmbedReport:
    """What a run did.

    Attributes:
        model: the names of those that made the index.
        dim: of its vectors.
        count: images in the index after the run.
        encoded: images that went through a model.
        reused: images with the content of another one, or known under another name or time.
        unchanged: images that were not read at all.
        removed: images that are no longer in the folders.
        other: files that are not images by name.
        other_kinds: those by suffix.
        left_out: files and folders that were not looked at on purpose, by reason.
        skipped: files that are not in the index, and why.
        truncated: images that this run took though a part of each is lost.
        store_recall: recall@5 of the vectors that this run compressed, against float32; None if it compressed none.
        outgrown: the images that a "pca" store was fitted to, where the index has grown by half since and only `refit`
            can fit it to all; else None.
        seconds: wall time by stage and "total"; "decode" is summed over the threads.
    """

    model: str
    dim: int
    count: int
    encoded: int
    reused: int
    unchanged: int
    removed: int
    other: int
    other_kinds: Mapping[str, int]
    left_out: Mapping[LeftOut, int]
    skipped: tuple[Skip, ...]
    truncated: tuple[Truncated, ...]
    store_recall: float | None
    outgrown: int | None
    seconds: Mapping[str, float]

    @property
    def images_per_second(self) -> float:
        return round(self.encoded / self.seconds["total"], 1)


def embed_folders(
    folders: Sequence[str],
    index_dir: Path,
    ensemble: Ensemble,
    options: EmbedOptions,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> EmbedReport:
    """Make or update the index at `index_dir` from the images under `folders`.

    `progress` is called with (files done, files to do). A file that cannot be decoded, or that the model sees nothing
    in, is skipped and reported.

    Raises ImagesDirError, ModelError, ModelMismatchError, NotAnIndexError, FoldersDifferError, ManyGoneError,
    StoreError, IndexDamagedError, IndexNewerError, IndexUnreadableError and IndexWriteError.
    """
    _seed(options.seed)
    watch = Stopwatch()
    check_apart(folders, index_dir)
    with watch.stage("discover"):
        found = _find([Path(folder) for folder in folders], index_dir, options)
    if not found.files:
        raise ImagesDirError(_no_images(folders, found, options))
    with IndexWriter(index_dir, ensemble.refs, folders, options.store, options.replace) as writer:
        if options.refit and writer.store.kind != "pca":
            raise StoreError(f"{index_dir}: the store {writer.store} is not fitted to images; only pca:N is")
        found = found.numbered([writer.number_of(folder) for folder in folders])
        known = {key: KnownRow(rows, row) for rows in writer.shards for row, key in enumerate(rows.keys)}
        leaving = {key for key in known if key[0] in writer.leaving}
        excluded = _still_excluded(found, known, _excluded_before(writer), options)
        settled = {item.file.key for item in excluded}
        usable = [rows for rows in writer.shards if not options.refit or is_whole(rows, writer.manifest.dim)]
        trusted = {key: known[key] for rows in usable for key in rows.keys} if options.refit else known
        changed = [file for file in found.files if not _is_unchanged(file, trusted.get(file.key))]
        pending = [file for file in changed if file.key not in settled]
        if not options.prune:
            gone = _gone(known.keys() - leaving, found, [])
            staying = {key: row for key, row in known.items() if key not in leaving}
            _refuse_many_gone(index_dir, writer.manifest.folders, gone, staying, pending)
        writer.begin()
        made = _Made(pending, usable if pending else ())
        outcomes = read_outcomes(
            [Path(folder.absolute) for folder in writer.manifest.folders],
            pending,
            ensemble.pixel_specs,
            made.by_content,
            options.workers,
            ahead=options.batch_size + 2 * options.workers,
            watch=watch,
            unwanted=frozenset(options.exclude_flagged),
        )
        skipped = [*found.unreadable, *map(_skip, excluded)]
        skipped_before = len(skipped)
        truncated: list[Truncated] = []
        encoded = reused = 0
        buffer = _Buffer(writer, watch)
        try:
            for batch in batches(outcomes, options.batch_size, _BATCHED):
                with watch.stage("encode"):
                    done = encode_batch(batch, ensemble, made.by_content)
                buffer.add(done.rows)
                truncated += _truncated(done.rows)
                made.add(done.rows)
                encoded += done.encoded
                reused += done.reused
                excluded += done.excluded
                skipped += [*done.skipped, *map(_skip, done.excluded)]
                if done.skipped and not encoded and not known:
                    _refuse_broken_model(ensemble, skipped, _ENOUGH)
                buffer.flush_if_due()
                progress(encoded + reused + len(skipped) - skipped_before, len(pending))
        except BaseException:
            # A run that is stopped keeps what it has encoded, and tells how much that is.
            buffer.flush()
            progress(buffer.written + len(skipped) - skipped_before, len(pending))
            raise
        buffer.flush()
        gone = _gone(known.keys() - leaving, found, skipped)
        with watch.stage("write"):
            writer.drop(gone)
            recall = writer.finish(_described(writer.manifest, ensemble, options))
            save_skipped(index_dir, skipped, excluded)
        report = EmbedReport(
            model=writer.manifest.model_names,
            dim=writer.manifest.dim,
            count=writer.manifest.count,
            encoded=encoded,
            reused=reused,
            unchanged=len(found.files) - len(settled) - len(pending),
            removed=len(gone) + len(leaving),
            other=found.other.total(),
            other_kinds=dict(found.other),
            left_out=dict(found.left_out),
            skipped=tuple(skipped),
            truncated=tuple(truncated),
            store_recall=recall,
            outgrown=writer.manifest.fitted if writer.outgrown else None,
            seconds=watch.seconds(),
        )
        save_metrics(index_dir, "embed", _counts(report), report.seconds, report.images_per_second)
    if report.count == 0:
        _refuse_broken_model(ensemble, skipped, 1)
        raise ImagesDirError(
            f"{' and '.join(folders)}: none of the {len(skipped)} images can be {'taken' if excluded else 'read'}; "
            f"{index_dir / SKIPPED} says why"
        )
    return report


def _find(folders: Sequence[Path], index_dir: Path, options: EmbedOptions) -> Discovery:
    if options.files is not None:
        return listed(folders, options.files, options.exclude)
    return merged(
        [
            discover(folder, options.recursive, index_dir, options.hidden, options.exclude, is_index)
            for folder in folders
        ]
    )


class _Buffer:
    """Rows that wait to be written. A killed run loses at most what came in since the last write."""

    def __init__(self, writer: IndexWriter, watch: Stopwatch) -> None:
        self._writer = writer
        self._watch = watch
        self._rows: list[Rows] = []
        self._flushed = time.monotonic()
        self.written = 0

    def add(self, rows: Iterable[Rows]) -> None:
        self._rows += rows

    def flush_if_due(self) -> None:
        if time.monotonic() - self._flushed >= FLUSH_SECONDS or sum(map(len, self._rows)) >= SHARD_ROWS:
            self.flush()

    def flush(self) -> None:
        if self._rows:
            with self._watch.stage("write"):
                for rows in _together(self._rows):
                    self._writer.append(rows)
                    self.written += len(rows)
            # Not sooner: what a run was writing when it was stopped, it writes before it ends.
            self._rows = []
        self._flushed = time.monotonic()


class _Made:
    """The rows that the index has of each content, and those that a run has made: equal files are encoded once.

    Of the latter only files that share their size with another one are kept, since no other can have a twin.
    """

    def __init__(self, pending: Iterable[ImageFile], shards: Iterable[Rows]) -> None:
        sizes = Counter(file.size for file in pending)
        self._shared = {size for size, count in sizes.items() if count > 1}
        self.by_content = {
            digest.tobytes(): KnownRow(rows, row) for rows in shards for row, digest in enumerate(rows.sha256)
        }

    def add(self, parts: Iterable[Rows]) -> None:
        for rows in parts:
            for row, size in enumerate(rows.sizes.tolist()):
                if size in self._shared:
                    self.by_content.setdefault(rows.sha256[row].tobytes(), KnownRow(rows, row))


def _refuse_many_gone(
    index_dir: Path,
    folders: Sequence[Folder],
    gone: Collection[Key],
    known: Mapping[Key, KnownRow],
    pending: Iterable[ImageFile],
) -> None:
    """Raises ManyGoneError if more than half of the index would be dropped, and not because files were renamed."""
    arrived = Counter(file.size for file in pending if file.key not in known)
    sizes = Counter(int(known[key].rows.sizes[known[key].row]) for key in gone)
    lost = (sizes - arrived).total()
    if 2 * lost <= len(known):
        return
    raise ManyGoneError(index_dir, lost, len(known), _emptied(folders, gone, known.keys() - set(gone)))


def _emptied(folders: Sequence[Folder], gone: Iterable[Key], rest: Iterable[Key]) -> tuple[str, ...]:
    """The topmost folders in which nothing of the index is left."""
    left = {(folder, parent) for folder, path in rest for parent in PurePosixPath(path).parents}
    found = set()
    for folder, path in gone:
        empty = [parent for parent in PurePosixPath(path).parents if (folder, parent) not in left]
        if empty:
            found.add(shown_path(folders[folder].given, str(empty[-1])))
    return tuple(sorted(found))


def _refuse_broken_model(ensemble: Ensemble, skipped: Iterable[Skip], at_least: int) -> None:
    """Raises ModelError if so many images got no vector. For runs in which no image got one."""
    unusable = [skip for skip in skipped if skip.kind == "unusable"]
    if len(unusable) >= at_least:
        paths = ", ".join(skip.path for skip in unusable[:3]) + (", …" if len(unusable) > 3 else "")
        names = " + ".join(ref.name for ref in ensemble.refs)
        raise ModelError(
            f"model {names}: no image has got a vector that can be used, of {len(unusable)} ({paths}: "
            f"{unusable[0].reason}); check the model with: embedlab models verify"
        )


def _seed(seed: int) -> None:
    """Nothing here draws random numbers; a runtime or a plugin might."""
    random.seed(seed)
    np.random.seed(seed)
    if torch := sys.modules.get("torch"):
        torch.manual_seed(seed)


def _together(parts: Iterable[Rows]) -> Iterator[Rows]:
    """The same rows in few pieces, each in the order of its files: vectors reused from a compressed index cannot stand
    in one array with new ones."""
    groups: dict[object, list[Rows]] = {}
    for rows in parts:
        groups.setdefault((rows.vectors.dtype, rows.vectors.shape[1], rows.full.shape[1]), []).append(rows)
    for alike in groups.values():
        rows = Rows.concatenate(alike)
        keys = rows.keys
        yield rows.take(np.array(sorted(range(len(keys)), key=keys.__getitem__), dtype=np.int64))


def _truncated(parts: Iterable[Rows]) -> list[Truncated]:
    found = []
    for rows in parts:
        missing = rows.quality[:, QualityScores._fields.index("missing")]
        cut = np.flatnonzero(missing > THRESHOLDS.missing)
        for (folder, path), share in zip(rows.take(cut).keys, missing[cut].tolist(), strict=True):
            found.append(Truncated(folder, path, share))
    return found


def _is_unchanged(file: ImageFile, known: KnownRow | None) -> bool:
    if known is None or not file.is_dated:
        return False
    return (file.size, file.mtime_ns) == (known.rows.sizes[known.row], known.rows.mtimes[known.row])


def _excluded_before(writer: IndexWriter) -> dict[Key, Excluded]:
    """What the last run left out for its flags. A damaged list costs only time: its images are decoded again."""
    try:
        lines = load_skipped(writer.directory, writer.before)
    except IndexDamagedError:
        return {}
    # The list was written when the folders had other numbers.
    found = [line.excluded for line in lines if line.excluded]
    moved = [replace(item, file=replace(item.file, folder=writer.numbers[item.file.folder])) for item in found]
    return {item.file.key: item for item in moved}


def _still_excluded(
    found: Discovery, known: Mapping[Key, KnownRow], before: Mapping[Key, Excluded], options: EmbedOptions
) -> list[Excluded]:
    """The unchanged files that have an unwanted flag by what is known of them, undecoded."""
    unwanted = frozenset(options.exclude_flagged)
    excluded = []
    for file in found.files if unwanted else ():
        row, item = known.get(file.key), before.get(file.key)
        if row and _is_unchanged(file, row):
            quality = row.quality
        elif item and file.is_dated and item.file == file:
            quality = item.quality
        else:
            continue
        if not unwanted.isdisjoint(quality_flags(quality)):
            excluded.append(Excluded(file, quality))
    return excluded


def _skip(excluded: Excluded) -> Skip:
    flags = ", ".join(quality_flags(excluded.quality))
    return Skip(excluded.file.path, f"flagged {flags}", "excluded", excluded.file.folder)


def _gone(known: Iterable[Key], found: Discovery, skipped: Iterable[Skip]) -> list[Key]:
    """Images in the index that are no longer there, or no images any more. What cannot be read is not gone."""
    unusable = {(skip.folder, skip.path) for skip in skipped if skip.kind != "unreadable"}
    present = {file.key for file in found.files} - unusable
    return [key for key in known if key not in present and not found.may_be_there(key)]


def _described(manifest: Manifest, ensemble: Ensemble, options: EmbedOptions) -> Manifest:
    versions = {name: version(name) for name in ("numpy", "pillow", "tokenizers")}
    versions |= {"python": platform.python_version(), "embedlab": embedlab_core.__version__}
    return replace(
        manifest,
        seed=options.seed,
        options={
            "recursive": options.recursive,
            "batch_size": options.batch_size,
            "exclude_flagged": list(options.exclude_flagged),
        },
        runtime=ensemble.runtime,
        versions=dict(sorted(versions.items())),
    )


def _counts(report: EmbedReport) -> dict[str, object]:
    counts = {name: value for name, value in asdict(report).items() if name not in ("skipped", "truncated", "seconds")}
    return {**counts, "skipped": len(report.skipped), "truncated": len(report.truncated)}


def _no_images(folders: Sequence[str], found: Discovery, options: EmbedOptions) -> str:
    what = "no images here" if options.files is None else "the list names no file in here"
    message = f"{' and '.join(folders)}: {what}"
    if found.other:
        message += f" ({others_in_words(found.other)})"
    if found.left_out:
        message += f" ({left_out_in_words(found.left_out)})"
    if found.unreadable:
        message += f" ({found.unreadable[0].path}: {found.unreadable[0].reason})"
    if options.files is None:
        message += "; give the folder that holds them"
    return message
