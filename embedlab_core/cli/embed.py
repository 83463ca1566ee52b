"""embedlab embed"""

import os
import sys
from pathlib import Path

import click

from embedlab_core.cli.options import quiet_option, reports_errors


@click.command("embed")
@click.option("--images-dir", required=True, help="Folder of images.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of the index; made or updated.")
@click.option(
    "--backbone",
    default="auto",
    show_default=True,
    help="Model: ViT-B-32, lite (in the box), or auto: the first of these that is there.",
)
@click.option(
    "--batch-size", type=click.IntRange(1, 4096), default=32, show_default=True, help="Images encoded together."
)
@click.option(
    "--workers",
    type=click.IntRange(1, 256),
    default=os.cpu_count() or 1,
    show_default="number of CPUs",
    help="Threads that read and decode images.",
)
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="Random seed, recorded.")
@click.option("--recursive/--no-recursive", default=True, show_default=True, help="Also take images in subfolders.")
@quiet_option
@reports_errors
def command(
    images_dir: str, out: Path, backbone: str, batch_size: int, workers: int, seed: int, recursive: bool, quiet: bool
) -> None:
    """Embed a folder of images into an index.

    Only new and changed files are read; files that are gone are dropped. Files that cannot be decoded are named,
    counted, and listed in skipped.jsonl. A run that was stopped goes on where it was when it is started again.
    """
    from embedlab_core.embed import EmbedOptions, embed_folder
    from embedlab_core.encoders.onnx import OnnxEncoder
    from embedlab_core.encoders.resolve import resolve_backbone

    encoder = OnnxEncoder(resolve_backbone(backbone))
    options = EmbedOptions(batch_size=batch_size, workers=workers, recursive=recursive, seed=seed)
    hidden = quiet or not sys.stderr.isatty()
    with click.progressbar(length=0, label="embedding", file=sys.stderr, hidden=hidden, show_pos=True) as bar:

        def show(done: int, total: int) -> None:
            bar.length = total
            bar.update(done - bar.pos)

        report = embed_folder(images_dir, out, encoder, options, show)
    for skip in report.skipped:
        click.echo(f"skipped: {skip.path}: {skip.reason}", err=True)
    if not quiet:
        click.echo(
            f"{report.count} images in {out}: model {report.model}, dim {report.dim}; {report.encoded} embedded, "
            f"{report.reused} reused, {report.unchanged} unchanged, {report.removed} removed, "
            f"{len(report.skipped)} skipped, {report.other} other files; {report.seconds['total']:.2f} s, "
            f"{report.images_per_second:.1f} images/s",
            err=True,
        )
