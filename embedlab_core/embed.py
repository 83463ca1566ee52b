"""Bring an index up to date with a folder: only new and changed files are read."""

import os
import platform
import random
import sys
from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path

import numpy as np

import embedlab_core
from embedlab_core.encoders.ensemble import Ensemble
from embedlab_core.errors import ImagesDirError, IndexDamagedError, ModelError
from embedlab_core.images.discover import Discovery, ImageFile, Skip, discover, shown_path
from embedlab_core.images.quality import QualityFlag, quality_flags
from embedlab_core.index.manifest import Manifest
from embedlab_core.index.rows import Rows
from embedlab_core.index.skipped import SKIPPED, Excluded, load_skipped, save_skipped
from embedlab_core.index.store import Store
from embedlab_core.index.writer import IndexWriter
from embedlab_core.metrics import Stopwatch, save_metrics
from embedlab_core.pipeline import Decoded, KnownRow, Reused, batches, encode_batch, read_outcomes

# Encoded rows between two writes: a killed run loses at most the work on this many images (about 15 seconds on two
# cores). Rows that are only reused wait longer: for each, a shard that holds the image under its old name or time is
# written anew.
FLUSH_ROWS = 2048
_REUSED_ROWS = 65_536

# So many images without a vector, and none with one, are the model's fault and end a first run.
_ENOUGH = 8


@dataclass(frozen=True, slots=True)
class EmbedOptions:
    """batch_size: images encoded together. workers: decoding threads. Neither changes a vector. store: how vectors are
    kept; None for as the index keeps them, which is float32 for a new one. exclude_flagged: images with one of these
    flags are left out of the index, also those that an earlier run took in."""

    batch_size: int = 8
    workers: int = os.cpu_count() or 1
    recursive: bool = True
    seed: int = 0
    store: Store | None = None
    exclude_flagged: tuple[QualityFlag, ...] = ()


@dataclass(frozen=True, slots=True)
class EmbedReport:
    """What a run did.

    count: images in the index after it. encoded: through the model. reused: same content under another name or time.
    unchanged: not read at all. removed: no longer in the folder. other: files that are not images by name.
    store_recall: recall@5 of the vectors that this run compressed, against float32; None if it compressed none.
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
    skipped: tuple[Skip, ...]
    store_recall: float | None
    seconds: Mapping[str, float]

    @property
    def images_per_second(self) -> float:
        return round(self.encoded / self.seconds["total"], 1)


def embed_folder(
    images_dir: str,
    index_dir: Path,
    ensemble: Ensemble,
    options: EmbedOptions,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> EmbedReport:
    """Make or update the index at `index_dir` from the images under `images_dir`.

    `progress` is called with (files done, files to do). A file that cannot be decoded, or that the model sees nothing
    in, is skipped and reported.
    Raises ImagesDirError, ModelError, ModelMismatchError, StoreError, IndexDamagedError, IndexUnreadableError and
    IndexWriteError.
    """
    _seed(options.seed)
    watch = Stopwatch()
    with watch.stage("discover"):
        found = discover(Path(images_dir), options.recursive, leave_out=index_dir)
    if not found.files:
        raise ImagesDirError(_no_images(images_dir, found))
    with IndexWriter(index_dir, ensemble.refs, shown_path(images_dir, ""), options.store) as writer:
        known = {path: KnownRow(rows, row) for rows in writer.shards for row, path in enumerate(rows.paths.tolist())}
        unwanted = frozenset(options.exclude_flagged)
        excluded = _still_excluded(found, images_dir, known, _excluded_before(index_dir), unwanted)
        settled = {item.file.path for item in excluded}
        changed = [file for file in found.files if not _is_unchanged(file, known.get(file.path))]
        pending = [file for file in changed if file.path not in settled]
        outcomes = read_outcomes(
            Path(images_dir),
            pending,
            ensemble.pixel_specs,
            _by_content(writer.shards) if pending else {},
            options.workers,
            ahead=options.batch_size + 2 * options.workers,
            watch=watch,
            unwanted=unwanted,
        )
        skipped = [*found.unreadable, *map(_skip, excluded)]
        skipped_before = len(skipped)
        encoded = reused = written = 0
        buffer: list[Rows] = []

        def flush() -> None:
            nonlocal buffer, written
            rows, buffer, written = buffer, [], encoded
            if rows:
                with watch.stage("write"):
                    for alike in _alike(rows):
                        writer.append(Rows.concatenate(alike))

        try:
            for batch in batches(outcomes, options.batch_size, FLUSH_ROWS):
                with watch.stage("encode"):
                    rows, unusable = encode_batch(batch, ensemble)
                buffer += rows
                encoded += sum(isinstance(outcome, Decoded) for outcome in batch) - len(unusable)
                reused += sum(isinstance(outcome, Reused) for outcome in batch)
                flagged = [outcome for outcome in batch if isinstance(outcome, Excluded)]
                excluded += flagged
                skipped += [outcome for outcome in batch if isinstance(outcome, Skip)] + [*map(_skip, flagged)]
                skipped += unusable
                if unusable and not encoded and not known:
                    _refuse_broken_model(ensemble, skipped, _ENOUGH)
                if encoded - written >= FLUSH_ROWS or sum(map(len, buffer)) >= _REUSED_ROWS:
                    flush()
                progress(encoded + reused + len(skipped) - skipped_before, len(pending))
        finally:
            # An interrupted run keeps what it has encoded.
            flush()
        gone = _gone(known, found, skipped)
        with watch.stage("write"):
            writer.drop(gone)
            recall = writer.finish(_described(writer.manifest, ensemble, options))
            save_skipped(index_dir, images_dir, skipped, excluded)
        report = EmbedReport(
            model=writer.manifest.model_names,
            dim=writer.manifest.dim,
            count=writer.manifest.count,
            encoded=encoded,
            reused=reused,
            unchanged=len(found.files) - len(settled) - len(pending),
            removed=len(gone),
            other=found.other,
            skipped=tuple(skipped),
            store_recall=recall,
            seconds=watch.seconds(),
        )
        save_metrics(index_dir, "embed", _counts(report), report.seconds, report.images_per_second)
    if report.count == 0:
        _refuse_broken_model(ensemble, skipped, 1)
        raise ImagesDirError(
            f"{images_dir}: none of its {len(skipped)} images can be {'taken' if excluded else 'read'}; "
            f"{index_dir / SKIPPED} says why"
        )
    return report


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


def _alike(parts: Iterable[Rows]) -> Iterable[list[Rows]]:
    """Rows whose vectors can stand in one array: those reused from a compressed index cannot stand with new ones."""
    groups: dict[object, list[Rows]] = {}
    for rows in parts:
        groups.setdefault((rows.vectors.dtype, rows.vectors.shape[1], rows.full.shape[1]), []).append(rows)
    return groups.values()


def _is_unchanged(file: ImageFile, known: KnownRow | None) -> bool:
    if known is None:
        return False
    return (file.size, file.mtime_ns) == (known.rows.sizes[known.row], known.rows.mtimes[known.row])


def _excluded_before(index_dir: Path) -> dict[str, Excluded]:
    """What the last run left out for its flags, by the path that results would show. A damaged list costs only time:
    its images are decoded again."""
    try:
        return {line.skip.path: line.excluded for line in load_skipped(index_dir) if line.excluded}
    except IndexDamagedError:
        return {}


def _still_excluded(
    found: Discovery,
    images_dir: str,
    known: Mapping[str, KnownRow],
    before: Mapping[str, Excluded],
    unwanted: Set[QualityFlag],
) -> list[Excluded]:
    """The unchanged files that have an unwanted flag by what is known of them, undecoded."""
    excluded = []
    for file in found.files if unwanted else ():
        row, item = known.get(file.path), before.get(shown_path(images_dir, file.path))
        if row and _is_unchanged(file, row):
            quality = row.quality
        elif item and (file.size, file.mtime_ns) == (item.file.size, item.file.mtime_ns):
            quality = item.quality
        else:
            continue
        if not unwanted.isdisjoint(quality_flags(quality)):
            excluded.append(Excluded(file, quality))
    return excluded


def _skip(excluded: Excluded) -> Skip:
    return Skip(excluded.file.path, f"flagged {', '.join(quality_flags(excluded.quality))}", "excluded")


def _by_content(shards: Iterable[Rows]) -> dict[bytes, KnownRow]:
    return {digest.tobytes(): KnownRow(rows, row) for rows in shards for row, digest in enumerate(rows.sha256)}


def _gone(known: Iterable[str], found: Discovery, skipped: list[Skip]) -> list[str]:
    """Paths in the index that no longer stand for an image. What cannot be looked at is kept."""
    present = {file.path for file in found.files} - {skip.path for skip in skipped}
    folders = tuple(f"{path}/" for path in found.hidden)
    return [path for path in known if path not in present | found.hidden and not path.startswith(folders)]


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
    counts = {name: value for name, value in asdict(report).items() if name not in ("skipped", "seconds")}
    return {**counts, "skipped": len(report.skipped)}


def _no_images(images_dir: str, found: Discovery) -> str:
    message = f"{images_dir}: no images here"
    if found.other:
        message += f" ({found.other} files of other kinds)"
    if found.unreadable:
        message += f" ({found.unreadable[0].path}: {found.unreadable[0].reason})"
    return message + "; give the folder that holds them with --images-dir"
