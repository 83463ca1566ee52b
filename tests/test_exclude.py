"""embed --exclude-flagged: what is left out, named, and brought back; and what a second run need not decode."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from embedlab_core.analysis.quality import quality_report
from embedlab_core.embed import EmbedReport
from embedlab_core.encoders.onnx import OnnxEncoder
from embedlab_core.errors import ImagesDirError, IndexDamagedError
from embedlab_core.index.folders import Folder
from embedlab_core.index.reader import IndexReader
from embedlab_core.index.skipped import SKIPPED, load_skipped
from tests.support import embed_images, picture, run_cli, save_pictures, vectors_of


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Three pictures, a blank one and a broken one."""
    save_pictures(tmp_path / "images", range(3))
    Image.new("RGB", (50, 50), "red").save(tmp_path / "images" / "blank.png")
    (tmp_path / "images" / "broken.png").write_bytes(b"broken")
    return tmp_path / "images"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def excluded(report: EmbedReport) -> list[tuple[str, str]]:
    return [(skip.path, skip.reason) for skip in report.skipped if skip.kind == "excluded"]


BLANK = [("blank.png", "flagged blank, low-entropy")]


def test_a_flagged_image_is_left_out_named_and_counted(images: Path, out: Path, tiny: OnnxEncoder) -> None:
    report = embed_images(images, out, tiny, exclude_flagged=("blank",))
    assert (report.count, report.encoded, len(report.skipped)) == (3, 3, 2)
    assert excluded(report) == BLANK
    assert "blank.png" not in vectors_of(out)


def test_a_second_run_does_not_decode_what_it_leaves_out_again(images: Path, out: Path, tiny: OnnxEncoder) -> None:
    embed_images(images, out, tiny, exclude_flagged=("blank",))
    (images / "broken.png").unlink()
    again = embed_images(images, out, tiny, exclude_flagged=("blank",))
    assert "decode" not in again.seconds
    assert (again.unchanged, again.encoded, excluded(again)) == (3, 0, BLANK)


def test_a_run_without_the_flag_brings_it_in_and_one_with_it_drops_it(
    images: Path, out: Path, tiny: OnnxEncoder
) -> None:
    embed_images(images, out, tiny, exclude_flagged=("blank",))
    everything = embed_images(images, out, tiny)
    assert (everything.encoded, excluded(everything)) == (1, [])
    assert "blank.png" in vectors_of(out)
    dropped = embed_images(images, out, tiny, exclude_flagged=("low-entropy",))
    assert (dropped.removed, dropped.encoded, excluded(dropped)) == (1, 0, BLANK)
    assert "blank.png" not in vectors_of(out)


def test_a_flag_that_was_not_asked_for_does_no_harm(images: Path, out: Path, tiny: OnnxEncoder) -> None:
    report = embed_images(images, out, tiny, exclude_flagged=("dark",))
    assert "blank.png" in vectors_of(out)
    assert excluded(report) == []


def test_a_changed_file_is_looked_at_again(images: Path, out: Path, tiny: OnnxEncoder) -> None:
    embed_images(images, out, tiny, exclude_flagged=("blank",))
    (images / "blank.png").write_bytes((images / "000.png").read_bytes())
    report = embed_images(images, out, tiny, exclude_flagged=("blank",))
    assert excluded(report) == []
    assert vectors_of(out)["blank.png"] == vectors_of(out)["000.png"]


def test_a_copy_of_an_indexed_image_is_excluded_by_its_stored_scores(
    images: Path, out: Path, tiny: OnnxEncoder
) -> None:
    embed_images(images, out, tiny)
    (images / "copy.png").write_bytes((images / "blank.png").read_bytes())
    report = embed_images(images, out, tiny, exclude_flagged=("blank",))
    assert excluded(report) == [*BLANK, ("copy.png", BLANK[0][1])]


def test_a_folder_of_which_nothing_is_left_is_an_error(images: Path, out: Path, tiny: OnnxEncoder) -> None:
    for seed in range(3):
        (images / f"{seed:03d}.png").unlink()
    with pytest.raises(ImagesDirError, match=r"none of the 2 images can be taken; .*skipped.jsonl says why"):
        embed_images(images, out, tiny, exclude_flagged=("blank",))


def test_the_report_lists_flagged_excluded_and_corrupted_images(images: Path, out: Path, tiny: OnnxEncoder) -> None:
    Image.new("RGB", (400, 20), "blue").save(images / "long.png")
    embed_images(images, out, tiny, exclude_flagged=("blank",))
    embed_images(images, out, tiny)
    report = quality_report(IndexReader.open(out))
    found = {Path(image.path).stem: (image.flags, image.indexed) for image in report.images}
    assert found["broken"] == (("corrupted",), False)
    assert found["blank"] == (("blank", "low-entropy"), True)
    assert found["long"] == (("blank", "low-entropy", "tiny", "extreme-aspect"), True)
    assert (report.total, report.counts["corrupted"], report.counts["blank"]) == (6, 1, 2)
    embed_images(images, out, tiny, exclude_flagged=("tiny",))
    again = quality_report(IndexReader.open(out))
    assert {Path(image.path).stem: image.indexed for image in again.images}["long"] is False
    assert [image.flags for image in again.images] == [image.flags for image in report.images]


def test_a_damaged_list_is_an_error_for_a_report_and_only_work_for_embed(
    images: Path, out: Path, tiny: OnnxEncoder
) -> None:
    embed_images(images, out, tiny, exclude_flagged=("blank",))
    (out / SKIPPED).write_text('{"path": 3')
    with pytest.raises(IndexDamagedError, match="not a readable list of skipped files"):
        quality_report(IndexReader.open(out))
    assert excluded(embed_images(images, out, tiny, exclude_flagged=("blank",))) == BLANK


def test_a_picture_whose_end_is_lost_is_taken_named_and_counted(tmp_path: Path, tiny_env: dict[str, str]) -> None:
    picture(1, (400, 300)).save(tmp_path / "whole.jpg", quality=90)
    data = (tmp_path / "whole.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(data[: len(data) // 2] + b"\xff\xd9")
    command = ["embed", "--images-dir", tmp_path, "--out", tmp_path / "index", "--backbone", "tiny"]
    ran = run_cli(*command, env=tiny_env)
    assert ran.code == 0
    said = [line for line in ran.stderr.splitlines() if "truncated" in line]
    assert said[0].startswith("truncated: cut.jpg: about ")
    assert "0 skipped, 1 truncated, 0 other files" in said[1]
    again = run_cli(*command, "--exclude-flagged", "truncated", env=tiny_env)
    assert "skipped: cut.jpg: flagged truncated" in again.stderr


def test_lists_of_earlier_versions_are_read(tmp_path: Path) -> None:
    (tmp_path / SKIPPED).write_text(json.dumps({"path": "images/a.png", "reason": "file cannot be read"}) + "\n")
    (line,) = load_skipped(tmp_path, [Folder("./images", "")])
    assert line.skip.path == "a.png"
    assert (line.skip.kind, line.excluded) == ("unreadable", None)


def test_a_truncated_picture_is_flagged_in_the_report_and_left_out_on_request(out: Path, tiny: OnnxEncoder) -> None:
    images = out.with_name("pictures")
    save_pictures(images, range(2))
    noise = np.random.default_rng(0).integers(1, 255, (90, 91, 3)).astype(np.uint8)
    Image.fromarray(noise).save(images / "cut.bmp")
    data = (images / "cut.bmp").read_bytes()
    (images / "cut.bmp").write_bytes(data[:14_000] + bytes(len(data) - 14_000))
    assert embed_images(images, out, tiny).count == 3
    report = quality_report(IndexReader.open(out))
    (found,) = [image for image in report.images if "truncated" in image.flags]
    assert Path(found.path).name == "cut.bmp"
    assert found.quality is not None
    assert found.quality.scores.missing == pytest.approx(1 - 14_000 / len(data), abs=0.01)
    again = embed_images(images, out, tiny, exclude_flagged=("truncated",))
    assert [(path, "truncated" in reason) for path, reason in excluded(again)] == [("cut.bmp", True)]
    # What the list of skipped files keeps of it is enough to leave it out again, undecoded.
    assert "decode" not in embed_images(images, out, tiny, exclude_flagged=("truncated",)).seconds
