"""embedlab embed"""

import os
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from embedlab_core.cli.command import Command
from embedlab_core.cli.log import say
from embedlab_core.cli.options import FilePath, QualityFlagList, printable, quiet_option, reports_errors
from embedlab_core.cli.progress import ProgressBar
from embedlab_core.cli.stop import Stopped

if TYPE_CHECKING:
    from embedlab_core.embed import EmbedReport
    from embedlab_core.encoders.base import Precision
    from embedlab_core.encoders.open import Device
    from embedlab_core.images.quality import QualityFlag


def _patterns(context: click.Context, parameter: click.Parameter, patterns: tuple[str, ...]) -> tuple[str, ...]:
    for pattern in patterns:
        if not pattern.strip("/."):
            raise click.BadParameter(f"{pattern!r} names nothing in the images folder")
    return patterns


@click.command("embed", cls=Command)
@click.option(
    "--images-dir",
    "images_dirs",
    type=FilePath(),
    multiple=True,
    required=True,
    help="Folder of images; repeatable, for one index of several folders. An index gets a new folder beside those that "
    "it has if all are named.",
)
@click.option(
    "--out",
    type=FilePath(),
    required=True,
    help="Folder of the index: a new or empty one, or an index, which is brought up to date.",
)
@click.option(
    "--replace",
    is_flag=True,
    help="Make the index one of these folders instead of those it has; images of the same content keep their vectors.",
)
@click.option("--prune", is_flag=True, help="Go on where more than half of the index would be dropped.")
@click.option(
    "--backbone",
    "backbones",
    multiple=True,
    default=["auto"],
    show_default="auto",
    help="Model: a name from `embedlab models list`, any ARCH:TAG, hf-hub:REPO or local-dir:PATH that open_clip "
    "understands, or auto: the index's own model, else ViT-B-32 if it is here or can be pulled, else lite. Repeat it "
    "for an ensemble.",
)
@click.option(
    "--device",
    type=click.Choice(["cpu", "cuda", "mps", "auto"]),
    default="cpu",
    show_default=True,
    help="Where images are encoded; auto is the GPU if there is one. Of several, CUDA_VISIBLE_DEVICES chooses.",
)
@click.option(
    "--precision",
    type=click.Choice(["float32", "bfloat16", "float16"]),
    default="float32",
    show_default=True,
    help="Arithmetic of the image tower. On the CPU, bfloat16 needs the extra `openvino`.",
)
@click.option(
    "--batch-size",
    type=click.IntRange(1, 4096),
    help="Images encoded together.  [default: 8 on the CPU, 128 on a GPU]",
)
@click.option(
    "--workers",
    type=click.IntRange(1, 256),
    default=min(os.cpu_count() or 1, 256),
    show_default="number of CPUs",
    help="Threads that read and decode images.",
)
@click.option(
    "--store",
    metavar="STORE",
    help="How vectors are kept: float32, float16, int8 or pca:N; the last three with +full to keep float32 beside them "
    "for exact ranking.  [default: as the index is, else float32]",
)
@click.option(
    "--refit",
    is_flag=True,
    help="Fit the store pca:N to all images that are here now, encoding again those whose whole vectors were not kept. "
    "With +full this needs no option: it is done whenever the index has grown by half.",
)
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="Random seed, recorded.")
@click.option(
    "--exclude-flagged",
    type=QualityFlagList(),
    default=(),
    metavar="FLAG,…",
    help="Leave images with any of these quality flags out of the index: blank, low-entropy, dark, overexposed, "
    "blurred, tiny, extreme-aspect, truncated. A later run without it brings them in.",
)
@click.option("--recursive/--no-recursive", default=True, show_default=True, help="Also take images in subfolders.")
@click.option(
    "--hidden",
    is_flag=True,
    help="Also take what is hidden: files and folders whose names begin with a dot, and folders of deleted files, "
    "snapshots and thumbnails that systems and photo programs make (#recycle, $RECYCLE.BIN, @eaDir, lost+found, "
    "__MACOSX and the like).",
)
@click.option(
    "--exclude",
    metavar="GLOB",
    multiple=True,
    callback=_patterns,
    help="Leave out files and folders that match, with all that is in the folders; repeat it for more. A pattern "
    "without a slash is for names, in any folder: '*_edited.jpg', thumbs. With a slash it is for the path from the "
    "images folder on: 2019/raw, /thumbs, '*/raw'. With a slash at its end it is for folders only. * and ? match no "
    "slash; ** stands for any folders between.",
)
@click.option(
    "--files",
    "files",
    type=click.File("rb"),
    metavar="LIST",
    help="Embed only the files that LIST names; - is standard input. One a line, or ended by NUL as `find -print0` "
    "writes them; relative to the current directory; all in the images folders. Each is tried, whatever its suffix, "
    "hidden or not. The index is of these files: images of an earlier run that LIST does not name are dropped.",
)
@quiet_option
@reports_errors
def command(
    images_dirs: tuple[Path, ...],
    out: Path,
    backbones: tuple[str, ...],
    device: "Device",
    precision: "Precision",
    batch_size: int | None,
    workers: int,
    store: str | None,
    refit: bool,
    seed: int,
    exclude_flagged: "tuple[QualityFlag, ...]",
    recursive: bool,
    replace: bool,
    prune: bool,
    hidden: bool,
    exclude: tuple[str, ...],
    files: BinaryIO | None,
    quiet: bool,
) -> None:
    """Embed a folder of images into an index.

    Only new and changed files are read; files that are gone are dropped. Files that cannot be decoded are named,
    counted, and listed in skipped.jsonl. A run that was stopped goes on where it was when it is started again.
    """
    from embedlab_core.embed import EmbedOptions, embed_folders
    from embedlab_core.encoders.ensemble import Ensemble
    from embedlab_core.encoders.folders import resolve_backbones
    from embedlab_core.encoders.open import default_batch_size, open_encoder
    from embedlab_core.images.listed import names_in
    from embedlab_core.index.manifest import models_of
    from embedlab_core.index.store import Store

    specs = resolve_backbones(backbones, models_of(out))
    batch = batch_size or default_batch_size(device)
    ensemble = Ensemble([open_encoder(spec, device, precision, batch) for spec in specs])
    kept = None if store is None else Store.parse(store)
    names = None if files is None else names_in(files.read())
    options = EmbedOptions(
        batch, workers, recursive, seed, kept, exclude_flagged, replace, prune, hidden, exclude, names, refit
    )
    with ProgressBar("embedding", quiet) as bar:
        try:
            report = embed_folders([*map(str, images_dirs)], out, ensemble, options, bar)
        except Stopped as stopped:
            stopped.safe = _what_is_safe(out, bar.left)
            raise
    if report.store_recall is not None and not quiet:
        say(f"compressed vectors: recall@5 {report.store_recall:.3f} against float32")
    if report.outgrown is not None:
        say(
            f"the store was fitted to {report.outgrown:,} of these {report.count:,} images and finds the others less "
            "well; --refit encodes all of them again and fits it anew",
            "warning",
            "Warning: ",
        )
    for skip in report.skipped:
        say(f"skipped: {printable(skip.path)}: {skip.reason}", "warning")
    for image in report.truncated:
        share = max(1, round(100 * image.missing))
        say(f"truncated: {printable(image.path)}: about {share} % of the picture is lost", "warning")
    if not quiet:
        truncated = f"{len(report.truncated)} truncated, " if report.truncated else ""
        say(
            f"{report.count} images in {out}: model {report.model}, dim {report.dim}; {report.encoded} embedded, "
            f"{report.reused} reused, {report.unchanged} unchanged, {report.removed} removed, "
            f"{len(report.skipped)} skipped, {truncated}{report.other} other files; {report.seconds['total']:.2f} s, "
            f"{report.images_per_second:.1f} images/s"
        )
        if passed_over := _passed_over(report, exclude):
            say(printable(passed_over))


def _passed_over(report: "EmbedReport", exclude: tuple[str, ...]) -> str:
    """One line on the files that were not tried; "" if there are none."""
    from embedlab_core.images.formats import others_in_words
    from embedlab_core.images.selection import left_out_in_words

    parts = []
    if report.other_kinds:
        parts.append(others_in_words(report.other_kinds))
    if report.left_out:
        parts.append(left_out_in_words(report.left_out))
    if "hidden" in report.left_out:
        parts.append("--hidden takes what is hidden")
    if exclude and "excluded" not in report.left_out:
        parts.append("--exclude matches nothing")
    return "; ".join(parts)


def _what_is_safe(out: Path, left: int | None) -> str:
    """left: images that were still to do; None if that was not yet known."""
    from embedlab_core.errors import EmbedlabError
    from embedlab_core.index.manifest import load_manifest

    try:
        count = load_manifest(out).count
    except EmbedlabError:
        return f"nothing is in {out} yet; the same command begins again"
    to_do = "" if left is None else f", {left:,} are still to do"
    return f"{count:,} images are safe in {out}{to_do}; the same command goes on from there"
