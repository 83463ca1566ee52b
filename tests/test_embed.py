"""An index follows its folder: only what changed is read, and no vector depends on how it got there."""

import json
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from embedlab_core.embed import EmbedReport
from embedlab_core.encoders.onnx import OnnxEncoder
from embedlab_core.errors import FoldersDifferError, ImagesDirError, ModelError, ModelMismatchError
from embedlab_core.images.discover import Skip
from embedlab_core.index.reader import SHARDS, IndexReader
from tests.support import ASSETS, as_ordinary_user, columns, embed_images, picture, save_pictures, vectors_of


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Eight pictures, 000.png to 007.png."""
    save_pictures(tmp_path / "images", range(8))
    return tmp_path / "images"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def counts(report: EmbedReport) -> dict[str, int]:
    """The counts that are not zero."""
    found = {
        "encoded": report.encoded,
        "reused": report.reused,
        "unchanged": report.unchanged,
        "removed": report.removed,
        "skipped": len(report.skipped),
    }
    return {name: count for name, count in found.items() if count}


def test_a_first_run_encodes_everything_and_a_second_reads_nothing(images: Path, out: Path, tiny: OnnxEncoder) -> None:
    report = embed_images(images, out, tiny)
    assert counts(report) == {"encoded": 8}
    assert (report.count, report.model, report.dim) == (8, "tiny", 16)
    before = {path: (path.stat().st_ino, path.read_bytes()) for path in (out / SHARDS).iterdir()}
    again = embed_images(images, out, tiny)
    assert counts(again) == {"unchanged": 8}
    assert "decode" not in again.seconds
    assert "encode" not in again.seconds
    assert {path: (path.stat().st_ino, path.read_bytes()) for path in (out / SHARDS).iterdir()} == before


def test_every_column_describes_its_file(images: Path, out: Path, tiny: OnnxEncoder) -> None:
    embed_images(images, out, tiny)
    (rows,) = IndexReader.open(out).shards
    assert rows.paths.tolist() == sorted(path.name for path in images.iterdir())
    for row, name in enumerate(rows.paths.tolist()):
        status = (images / name).stat()
        assert (rows.sizes[row], rows.mtimes[row]) == (status.st_size, status.st_mtime_ns)
        assert (rows.widths[row], rows.heights[row]) == (48, 40)
        pixels = np.asarray(Image.open(images / name).resize((16, 16), Image.Resampling.BILINEAR))
        assert np.array_equal(rows.vectors[row], tiny.encode_images(pixels[None])[0])


def test_a_changed_file_is_encoded_anew_and_no_other(images: Path, out: Path, tiny: OnnxEncoder) -> None:
    embed_images(images, out, tiny)
    before = vectors_of(out)
    picture(99).save(images / "003.png")
    assert counts(embed_images(images, out, tiny)) == {"encoded": 1, "unchanged": 7}
    after = vectors_of(out)
    assert {path for path in before if before[path] != after[path]} == {"003.png"}


def test_a_change_that_keeps_the_size_is_seen_by_its_time(images: Path, out: Path, tiny: OnnxEncoder) -> None:
    Image.new("RGB", (20, 20), "red").save(images / "000.bmp")
    embed_images(images, out, tiny)
    size = (images / "000.bmp").stat().st_size
    Image.new("RGB", (20, 20), "blue").save(images / "000.bmp")
    os.utime(images / "000.bmp", ns=(1, 1))
    assert (images / "000.bmp").stat().st_size == size
    assert counts(embed_images(images, out, tiny)) == {"encoded": 1, "unchanged": 8}


def test_a_touched_file_keeps_its_vector_without_encoding(images: Path, out: Path, tiny: OnnxEncoder) -> None:
    embed_images(images, out, tiny)
    before = vectors_of(out)
    os.utime(images / "003.png", ns=(1, 1))
    assert counts(embed_images(images, out, tiny)) == {"reused": 1, "unchanged": 7}
    assert vectors_of(out) == before
    # Its new time is known now.
    assert counts(embed_images(images, out, tiny)) == {"unchanged": 8}


def test_a_moved_file_keeps_its_vector_without_encoding(images: Path, out: Path, tiny: OnnxEncoder) -> None:
    embed_images(images, out, tiny)
    before = vectors_of(out)
    (images / "sub").mkdir()
    (images / "003.png").rename(images / "sub" / "new.png")
    assert counts(embed_images(images, out, tiny)) == {"reused": 1, "unchanged": 7, "removed": 1}
    after = vectors_of(out)
    assert after.pop("sub/new.png") == before.pop("003.png")
    assert after == before


def test_files_that_swap_their_names_swap_their_vectors(images: Path, out: Path, tiny: OnnxEncoder) -> None:
    embed_images(images, out, tiny)
    before = vectors_of(out)
    (images / "000.png").rename(images / "x")
    (images / "001.png").rename(images / "000.png")
    (images / "x").rename(images / "001.png")
    assert counts(embed_images(images, out, tiny)) == {"reused": 2, "unchanged": 6}
    after = vectors_of(out)
    assert (after["000.png"], after["001.png"]) == (before["001.png"], before["000.png"])


def test_a_copy_of_a_known_file_is_not_encoded(images: Path, out: Path, tiny: OnnxEncoder) -> None:
    embed_images(images, out, tiny)
    shutil.copy(images / "003.png", images / "copy.png")
    assert counts(embed_images(images, out, tiny)) == {"reused": 1, "unchanged": 8}
    assert vectors_of(out)["copy.png"] == vectors_of(out)["003.png"]


def test_a_removed_file_is_dropped(images: Path, out: Path, tiny: OnnxEncoder) -> None:
    embed_images(images, out, tiny)
    (images / "003.png").unlink()
    report = embed_images(images, out, tiny)
    assert counts(report) == {"unchanged": 7, "removed": 1}
    assert report.count == 7
    assert "003.png" not in vectors_of(out)


def test_a_file_that_becomes_unreadable_is_dropped_and_named(images: Path, out: Path, tiny: OnnxEncoder) -> None:
    embed_images(images, out, tiny)
    (images / "003.png").write_bytes((images / "003.png").read_bytes()[:200])
    report = embed_images(images, out, tiny)
    assert counts(report) == {"unchanged": 7, "removed": 1, "skipped": 1}
    assert "003.png" not in vectors_of(out)
    assert report.skipped[0].path == "003.png"
    assert "truncated" in report.skipped[0].reason


def test_files_without_permission_are_named_and_images_of_a_locked_folder_are_kept(tiny: OnnxEncoder) -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        root.chmod(0o777)
        save_pictures(root / "images", range(2))
        save_pictures(root / "images" / "sub", range(5, 7))
        with as_ordinary_user():
            embed_images(root / "images", root / "out", tiny)
        before = vectors_of(root / "out")
        (root / "images" / "000.png").chmod(0)
        (root / "images" / "sub").chmod(0)
        picture(9).save(root / "images" / "new.png")
        os.utime(root / "images" / "000.png", ns=(1, 1))
        with as_ordinary_user():
            report = embed_images(root / "images", root / "out", tiny)
        (root / "images" / "sub").chmod(0o755)
        after = vectors_of(root / "out")
    assert set(report.skipped) == {
        Skip("000.png", "file cannot be read (Permission denied)"),
        Skip("sub", "folder cannot be read (Permission denied)"),
    }
    assert after.items() >= before.items()
    assert after.keys() - before.keys() == {"new.png"}


def test_no_recursive_drops_what_lies_in_subfolders(images: Path, out: Path, tiny: OnnxEncoder) -> None:
    save_pictures(images / "sub", range(20, 22))
    assert embed_images(images, out, tiny).count == 10
    assert embed_images(images, out, tiny, recursive=False).count == 8


@pytest.mark.parametrize(("batch_size", "workers"), [(1, 1), (1, 4), (3, 1), (3, 4), (32, 4)])
def test_no_vector_depends_on_batch_size_or_workers(
    tmp_path: Path, tiny: OnnxEncoder, batch_size: int, workers: int
) -> None:
    save_pictures(tmp_path / "images", range(40))
    embed_images(tmp_path / "images", tmp_path / "whole", tiny, batch_size=32, workers=1)
    embed_images(tmp_path / "images", tmp_path / "out", tiny, batch_size=batch_size, workers=workers)
    assert columns(IndexReader.open(tmp_path / "out")) == columns(IndexReader.open(tmp_path / "whole"))


@pytest.fixture(scope="module")
def assets_part(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A third of the pictures that come with the project."""
    folder = tmp_path_factory.mktemp("part")
    for path in sorted((ASSETS / "images").iterdir())[::3]:
        shutil.copy2(path, folder)
    return folder


@pytest.fixture(scope="module")
def assets_part_vectors(
    assets_part: Path, lite_many: OnnxEncoder, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, bytes]:
    out = tmp_path_factory.mktemp("whole")
    embed_images(assets_part, out, lite_many)
    return vectors_of(out)


@pytest.mark.parametrize(("batch_size", "workers"), [(1, 4), (3, 1)])
def test_no_vector_of_the_real_model_depends_on_batch_size_or_workers(
    tmp_path: Path,
    lite_many: OnnxEncoder,
    assets_part: Path,
    assets_part_vectors: dict[str, bytes],
    batch_size: int,
    workers: int,
) -> None:
    embed_images(assets_part, tmp_path, lite_many, batch_size=batch_size, workers=workers)
    assert vectors_of(tmp_path) == assets_part_vectors


def test_no_vector_of_the_real_model_depends_on_when_its_image_was_added(
    tmp_path: Path, lite_many: OnnxEncoder, assets_part: Path, assets_part_vectors: dict[str, bytes]
) -> None:
    names = sorted(path.name for path in assets_part.iterdir())
    (tmp_path / "images").mkdir()
    for part in (names[1::2], names[:5], names):
        for name in part:
            shutil.copy2(assets_part / name, tmp_path / "images")
        embed_images(tmp_path / "images", tmp_path / "out", lite_many, batch_size=8)
    assert vectors_of(tmp_path / "out") == assets_part_vectors


def test_skipped_files_are_listed_with_their_reasons(images: Path, out: Path, tiny: OnnxEncoder) -> None:
    (images / "empty.png").touch()
    (images / "notes.png").write_text("not a picture")
    (images / "link.jpg").symlink_to(images / "nowhere")
    (images / "readme.txt").write_text("other")
    report = embed_images(images, out, tiny)
    assert counts(report) == {"encoded": 8, "skipped": 3}
    assert report.other == 1
    lines = [json.loads(line) for line in (out / "skipped.jsonl").read_text("utf-8").splitlines()]
    assert {line["path"]: line["reason"] for line in lines} == {
        "link.jpg": "file cannot be read (No such file or directory)",
        "empty.png": "the file is empty",
        "notes.png": "not an image that Pillow can read",
    }
    assert {line["folder"] for line in lines} == {0}
    for name in ("empty.png", "notes.png", "link.jpg"):
        (images / name).unlink()
    embed_images(images, out, tiny)
    assert (out / "skipped.jsonl").read_text("utf-8") == ""


def test_metrics_hold_counts_and_seconds_of_the_last_run(images: Path, out: Path, tiny: OnnxEncoder) -> None:
    (images / "empty.png").touch()
    report = embed_images(images, out, tiny)
    metrics = json.loads((out / "metrics.json").read_text("utf-8"))
    assert metrics.pop("seconds") == report.seconds
    assert set(report.seconds) == {"discover", "decode", "encode", "write", "total"}
    assert all(seconds >= 0 for seconds in report.seconds.values())
    assert report.seconds["encode"] <= report.seconds["total"]
    assert metrics.pop("images_per_second") == report.images_per_second > 0
    assert (
        metrics.items()
        >= {
            "command": "embed",
            "model": "tiny",
            "dim": 16,
            "count": 8,
            "encoded": 8,
            "reused": 0,
            "unchanged": 0,
            "removed": 0,
            "other": 0,
            "skipped": 1,
        }.items()
    )
    embed_images(images, out, tiny)
    assert json.loads((out / "metrics.json").read_text("utf-8"))["unchanged"] == 8


def test_the_manifest_records_model_seed_options_and_versions(images: Path, out: Path, tiny: OnnxEncoder) -> None:
    embed_images(images, out, tiny, seed=7, batch_size=4, recursive=False)
    manifest = IndexReader.open(out).manifest
    assert manifest.models == (tiny.ref,)
    assert manifest.seed == 7
    assert manifest.options == {"recursive": False, "batch_size": 4, "exclude_flagged": []}
    assert manifest.versions["numpy"] == np.__version__
    assert manifest.versions.keys() >= {"embedlab", "pillow", "python"}


def test_progress_goes_up_to_the_number_of_files_to_read(images: Path, out: Path, tiny: OnnxEncoder) -> None:
    (images / "empty.png").touch()
    seen: list[tuple[int, int]] = []
    embed_images(images, out, tiny, lambda *counts: seen.append(counts), batch_size=2)
    assert [total for _, total in seen] == [9] * len(seen)
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})
    assert seen[-1] == (9, 9)


def test_a_damaged_shard_costs_only_its_own_images(
    images: Path, out: Path, tiny: OnnxEncoder, caplog: pytest.LogCaptureFixture
) -> None:
    embed_images(images, out, tiny)
    before = columns(IndexReader.open(out))
    (shard,) = (out / SHARDS).iterdir()
    data = bytearray(shard.read_bytes())
    data[data.index(before["002.png"]["vectors"])] ^= 1
    shard.write_bytes(data)
    save_pictures(images, [50])
    report = embed_images(images, out, tiny)
    assert counts(report) == {"encoded": 9}
    assert [shard.name in message for message in caplog.messages] == [True]
    assert columns(IndexReader.open(out)).items() >= before.items()


def test_an_index_of_another_model_is_refused_with_both_names_and_stays(
    images: Path, out: Path, tiny: OnnxEncoder, other: OnnxEncoder
) -> None:
    embed_images(images, out, tiny)
    before = vectors_of(out)
    with pytest.raises(ModelMismatchError) as caught:
        embed_images(images, out, other)
    assert str(tiny.ref) in str(caught.value)
    assert str(other.ref) in str(caught.value)
    assert str(out) in str(caught.value)
    assert vectors_of(out) == before


def test_a_vector_without_direction_never_enters_an_index(images: Path, out: Path, tiny: OnnxEncoder) -> None:
    # The tiny model projects mid-grey to zero.
    Image.new("RGB", (20, 20), (128, 128, 128)).save(images / "z.png")
    Image.new("RGB", (20, 20), (128, 128, 128)).save(images / "0.png")
    reason = "model tiny gives it a vector of length 0"
    for batch_size in (1, 4, 100):
        shutil.rmtree(out, ignore_errors=True)
        report = embed_images(images, out, tiny, batch_size=batch_size)
        assert report.skipped == (Skip("0.png", reason, "unusable"), Skip("z.png", reason, "unusable"))
        assert counts(report) == {"encoded": 8, "skipped": 2}
        assert sorted(vectors_of(out)) == [f"{seed:03d}.png" for seed in range(8)]
        assert [line["reason"] for line in map(json.loads, (out / "skipped.jsonl").open())] == [reason] * 2


def test_a_known_picture_that_turns_into_one_without_a_vector_leaves_the_index(
    images: Path, out: Path, tiny: OnnxEncoder
) -> None:
    embed_images(images, out, tiny)
    Image.new("RGB", (20, 20), (128, 128, 128)).save(images / "003.png")
    assert [skip.path for skip in embed_images(images, out, tiny).skipped] == ["003.png"]
    assert "003.png" not in vectors_of(out)
    assert len(vectors_of(out)) == 7


@pytest.mark.parametrize("count", [1, 5, 200])
def test_a_model_that_gives_no_image_a_vector_is_named_with_the_images(
    tmp_path: Path, out: Path, tiny: OnnxEncoder, count: int
) -> None:
    (tmp_path / "images").mkdir()
    for number in range(count):
        Image.new("RGB", (20, 20 + number), (128, 128, 128)).save(tmp_path / "images" / f"{number:03d}.png")
    done: list[int] = []
    with pytest.raises(ModelError, match=r"^model tiny: no image .+ \(000\.png.*: .+ length 0\); .+ models verify$"):
        embed_images(tmp_path / "images", out, tiny, lambda files, total: done.append(files), batch_size=4)
    # It does not go through thousands of images to find that out.
    assert max(done, default=0) <= 8
    assert not list(out.glob(f"{SHARDS}/*"))


def test_a_folder_whose_every_image_is_broken_is_an_error(tmp_path: Path, out: Path, tiny: OnnxEncoder) -> None:
    (tmp_path / "images").mkdir()
    for name in ("a.png", "b.jpg"):
        (tmp_path / "images" / name).write_bytes(b"broken")
    with pytest.raises(ImagesDirError, match=r"images: none of the 2 images can be read.*skipped\.jsonl"):
        embed_images(tmp_path / "images", out, tiny)
    assert len((out / "skipped.jsonl").read_text().splitlines()) == 2


def test_a_folder_without_images_is_an_error_that_counts_the_others(
    tmp_path: Path, out: Path, tiny: OnnxEncoder
) -> None:
    (tmp_path / "images").mkdir()
    with pytest.raises(ImagesDirError, match="images: no images here; give"):
        embed_images(tmp_path / "images", out, tiny)
    (tmp_path / "images" / "a.txt").touch()
    with pytest.raises(ImagesDirError, match=r"images: no images here \(1 other: 1 \.txt\); give"):
        embed_images(tmp_path / "images", out, tiny)
    assert not out.exists()


def test_a_missing_folder_makes_no_index(tmp_path: Path, out: Path, tiny: OnnxEncoder) -> None:
    with pytest.raises(ImagesDirError, match="nowhere: no such folder"):
        embed_images(tmp_path / "nowhere", out, tiny)
    assert not out.exists()


def test_a_file_of_another_folder_is_another_file_even_of_the_same_name_size_and_time(
    tmp_path: Path, out: Path, tiny: OnnxEncoder
) -> None:
    for seed, folder in enumerate(("a", "b")):
        (tmp_path / folder).mkdir()
        picture(seed).save(tmp_path / folder / "x.bmp")
        os.utime(tmp_path / folder / "x.bmp", (1, 1))
    embed_images(tmp_path / "a", out, tiny)
    first = vectors_of(out)
    with pytest.raises(FoldersDifferError, match=rf"out: is an index of {tmp_path}/a, not of {tmp_path}/b"):
        embed_images(tmp_path / "b", out, tiny)
    assert vectors_of(out) == first
    assert counts(embed_images(tmp_path / "b", out, tiny, replace=True)) == {"encoded": 1, "removed": 1}
    assert vectors_of(out).keys() == first.keys()
    assert vectors_of(out) != first
    assert counts(embed_images(tmp_path / "b" / ".." / "b", out, tiny)) == {"unchanged": 1}


def test_an_index_of_another_folder_is_not_trusted_even_after_a_run_that_was_stopped(
    tmp_path: Path, out: Path, tiny: OnnxEncoder
) -> None:
    for first, folder in enumerate(("a", "b")):
        save_pictures(tmp_path / folder, range(6))
        for number in range(6):
            file = tmp_path / folder / f"{number:03d}.bmp"
            picture(100 * first + number).save(file)
            os.utime(file, (1, 1))

    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    embed_images(tmp_path / "a", out, tiny)
    with pytest.raises(KeyboardInterrupt):
        embed_images(tmp_path / "b", out, tiny, interrupt, batch_size=2, replace=True)
    embed_images(tmp_path / "b", out, tiny, replace=True)
    embed_images(tmp_path / "b", tmp_path / "anew", tiny)
    assert columns(IndexReader.open(out)) == columns(IndexReader.open(tmp_path / "anew"))


def test_touched_files_are_written_together(images: Path, out: Path, tiny: OnnxEncoder) -> None:
    embed_images(images, out, tiny)
    for path in images.rglob("*.*"):
        os.utime(path, (1, 1))
    assert counts(embed_images(images, out, tiny, batch_size=1)) == {"reused": 8}
    (shard,) = (out / "shards").iterdir()
    # One shard for the eight, and nothing to merge it with.
    assert shard.name == "000001.npz"


def test_images_behind_a_link_whose_drive_is_away_stay(tmp_path: Path, out: Path, tiny: OnnxEncoder) -> None:
    save_pictures(tmp_path / "images", range(2))
    save_pictures(tmp_path / "drive", range(3))
    (tmp_path / "images" / "link").symlink_to(tmp_path / "drive")
    embed_images(tmp_path / "images", out, tiny)
    (tmp_path / "drive").rename(tmp_path / "away")
    report = embed_images(tmp_path / "images", out, tiny)
    assert (report.count, report.removed) == (5, 0)
    assert [skip.path for skip in report.skipped] == ["link"]
    (tmp_path / "images" / "link").unlink()
    report = embed_images(tmp_path / "images", out, tiny, prune=True)
    assert (report.count, report.removed) == (2, 3)


def test_an_index_among_the_images_is_not_embedded(images: Path, tiny: OnnxEncoder) -> None:
    embed_images(images, images / "index", tiny)
    picture(99).save(images / "index" / "calibration-roc.png")
    assert counts(embed_images(images, images / "index", tiny)) == {"unchanged": 8}


def test_a_file_too_large_for_a_picture_is_named_and_not_read(images: Path, out: Path, tiny: OnnxEncoder) -> None:
    with (images / "film.png").open("wb") as file:
        file.truncate(3 * 2**30)
    report = embed_images(images, out, tiny)
    assert [(Path(skip.path).name, skip.reason) for skip in report.skipped] == [
        ("film.png", "3.0 GiB are too many for a picture")
    ]
