"""What of a folder gets into the index, and what a run says of the rest."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from embedlab_core.encoders.onnx import OnnxEncoder
from embedlab_core.errors import ImagesDirError
from embedlab_core.images.discover import Skip
from embedlab_core.images.listed import names_in
from tests.images.dng import make_dng
from tests.images.test_formats import encoded
from tests.support import ROOT, Ran, embed_images, picture, run_cli, run_python, save_pictures, vectors_of

Env = dict[str, str]
# The program in a process to which rawpy is not installed.
_WITHOUT_RAWPY = 'import sys; sys.modules["rawpy"] = None; from embedlab_core.cli import main; main()'


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Six pictures, 000.png to 005.png."""
    save_pictures(tmp_path / "images", range(6))
    return tmp_path / "images"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def embedded(images: Path, out: Path, env: Env, *options: str | Path) -> Ran:
    return run_cli("embed", "--images-dir", images, "--out", out, "--backbone", "tiny", *options, env=env)


def passed_over(ran: Ran) -> str:
    """The line on what was passed over. Fails unless the run succeeded and it is the last one."""
    assert ran.code == 0, ran.stderr
    return ran.stderr.splitlines()[-1]


def test_what_is_passed_over_is_told_in_one_line(images: Path, out: Path, tiny_env: Env) -> None:
    for name in ("a.mov", "b.MOV", "c.txt", "README"):
        (images / name).touch()
    save_pictures(images / "#recycle", range(2))
    save_pictures(images / "thumbs", range(2))
    (images / ".a.png").touch()
    ran = embedded(images, out, tiny_env, "--exclude", "thumbs/", "--exclude", "005.*", "--exclude", "*.txt")
    assert passed_over(ran) == (
        "3 others: 2 .mov, 1 without a suffix; left out: 2 hidden files or folders, 3 excluded; "
        "--hidden takes what is hidden"
    )
    assert len(vectors_of(out)) == 5
    metrics = json.loads((out / "metrics.json").read_text())
    assert metrics["other"] == 3
    assert metrics["other_kinds"] == {".mov": 2, "": 1}
    assert metrics["left_out"] == {"hidden": 2, "excluded": 3}


def test_nothing_passed_over_is_not_told(images: Path, out: Path, tiny_env: Env) -> None:
    assert "images/s" in passed_over(embedded(images, out, tiny_env))


def test_hidden_images_are_taken_on_request(images: Path, out: Path, tiny_env: Env) -> None:
    (images / "000.png").rename(images / ".000.png")
    assert "images/s" in passed_over(embedded(images, out, tiny_env, "--hidden"))
    assert ".000.png" in vectors_of(out)


def test_a_pattern_that_matches_nothing_is_told(images: Path, out: Path, tiny_env: Env) -> None:
    assert passed_over(embedded(images, out, tiny_env, "--exclude", "*.PNG")) == "--exclude matches nothing"


@pytest.mark.parametrize("pattern", ["", "/", "./"])
def test_a_pattern_for_nothing_or_everything_is_a_usage_error(
    images: Path, out: Path, tiny_env: Env, pattern: str
) -> None:
    ran = embedded(images, out, tiny_env, "--exclude", pattern)
    assert ran.code == 2
    assert "names nothing in the images folder" in ran.stderr


def test_a_folder_of_hidden_images_only_says_so(tmp_path: Path, out: Path, tiny: OnnxEncoder) -> None:
    save_pictures(tmp_path / "images" / ".thumbnails", range(2))
    with pytest.raises(ImagesDirError, match=r"no images here \(left out: 1 hidden file or folder\)"):
        embed_images(tmp_path / "images", out, tiny)


def test_another_index_among_the_images_is_not_embedded(
    images: Path, out: Path, tmp_path: Path, tiny: OnnxEncoder
) -> None:
    embed_images(images, images / "first", tiny)
    picture(99).save(images / "first" / "calibration-roc.png")
    report = embed_images(images, out, tiny)
    assert report.left_out == {"index": 1}
    assert sorted(vectors_of(out)) == [f"{number:03d}.png" for number in range(6)]


def test_an_index_is_of_the_files_that_a_list_names(images: Path, out: Path, tmp_path: Path, tiny_env: Env) -> None:
    embedded(images, out, tiny_env)
    whole = vectors_of(out)
    (images / "000.png").rename(images / "zero")
    (images / "004.png").unlink()
    names = ["zero", "./images/001.png", "002.png", "images/../images/003.png", "004.png", "../b.png"]
    names = [name if name.startswith(("./", "images/")) else f"images/{name}" for name in names]
    (tmp_path / "b.png").touch()
    listing = tmp_path / "list.txt"
    listing.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(names).encode())
    # From the folder that the names are relative to, as any tool is run.
    program = ROOT / "embedlab.py"
    ran = run_python(
        *(program, "embed", "--images-dir", "images", "--out", out, "--backbone", "tiny", "--files", listing),
        cwd=tmp_path,
        env=tiny_env,
    )
    assert ran.code == 0, ran.stderr
    assert vectors_of(out) == {
        **{"zero": whole["000.png"]},
        **{name: whole[name] for name in ("001.png", "002.png", "003.png")},
    }
    assert "1 reused, 3 unchanged, 3 removed, 2 skipped" in ran.stderr
    skipped = [json.loads(line) for line in (out / "skipped.jsonl").read_text().splitlines()]
    assert [(Path(line["path"]).name, line["reason"]) for line in skipped] == [
        ("b.png", "does not lie in images"),
        ("004.png", "no such file"),
    ]


def test_a_list_may_come_from_find(images: Path, out: Path, tiny_env: Env) -> None:
    try:
        Path(os.fsdecode(os.fsencode(images) + b"/caf\xe9\n.png")).write_bytes((images / "000.png").read_bytes())
    except OSError:
        (images / "a\nb.png").write_bytes((images / "000.png").read_bytes())
    listing = b"".join(os.fsencode(path) + b"\0" for path in images.iterdir() if path.name != "003.png")
    done = subprocess.run(
        [
            *(sys.executable, "embedlab.py", "embed", "--images-dir", images, "--out", out, "--backbone", "tiny"),
            *("--files", "-", "--exclude", "004.*"),
        ],
        input=listing,
        cwd=ROOT,
        env={**os.environ, **tiny_env},
        capture_output=True,
        check=True,
    )
    assert len(vectors_of(out)) == 5
    assert {"003.png", "004.png"}.isdisjoint(vectors_of(out))
    assert done.stderr.decode().splitlines()[-1] == "left out: 1 excluded"


@pytest.mark.parametrize(
    ("listing", "message"),
    [
        (b"", "the list names no file in here$"),
        (b"nowhere.png\n", r"the list names no file in here \(.*nowhere\.png: does not lie in .*images\)$"),
    ],
)
def test_a_list_of_nothing_is_an_error_that_leaves_the_index_alone(
    images: Path, out: Path, tiny: OnnxEncoder, listing: bytes, message: str
) -> None:
    embed_images(images, out, tiny)
    before = vectors_of(out)
    with pytest.raises(ImagesDirError, match=message):
        embed_images(images, out, tiny, files=names_in(listing))
    assert vectors_of(out) == before


def test_a_list_that_is_not_there_is_a_usage_error(images: Path, out: Path, tmp_path: Path, tiny_env: Env) -> None:
    for listing in (tmp_path / "nowhere.txt", tmp_path):
        ran = embedded(images, out, tiny_env, "--files", listing)
        assert ran.code == 2
        assert f"'{listing}'" in ran.stderr


def test_heic_jpeg_xl_and_raw_are_images(tmp_path: Path, out: Path, tiny_env: Env) -> None:
    images = tmp_path / "images"
    images.mkdir()
    shown = picture(3, (600, 400))
    (images / "a.heic").write_bytes(encoded(".heic", shown))
    names = ["a.heic"]
    if pytest.importorskip("pillow_jxl"):
        (images / "b.jxl").write_bytes(encoded(".jxl", shown))
        names.append("b.jxl")
    if pytest.importorskip("rawpy"):
        (images / "c.DNG").write_bytes(make_dng(picture(3, (96, 64)), shown))
        names.append("c.DNG")
    assert "images/s" in passed_over(embedded(images, out, tiny_env))
    assert sorted(vectors_of(out)) == names


def test_without_rawpy_raw_files_are_others_and_the_way_out_is_told(images: Path, out: Path, tiny_env: Env) -> None:
    for name in ("a.dng", "b.CR2", "c.dng"):
        (images / name).write_bytes(make_dng(picture(3, (96, 64)), picture(3, (600, 400))))
    arguments = ("-c", _WITHOUT_RAWPY, "embed", "--images-dir", images, "--out", out, "--backbone", "tiny")
    ran = run_python(*arguments, env=tiny_env)
    assert passed_over(ran) == "3 others: 2 .dng (RAW: install embedlab[raw]), 1 .cr2"
    assert len(vectors_of(out)) == 6


def test_without_rawpy_a_raw_file_under_another_name_is_named(images: Path, out: Path, tiny_env: Env) -> None:
    """Pillow would have taken its thumbnail for the picture."""
    (images / "a.tif").write_bytes(make_dng(picture(3, (96, 64)), picture(3, (600, 400))))
    arguments = ("-c", _WITHOUT_RAWPY, "embed", "--images-dir", images, "--out", out, "--backbone", "tiny")
    ran = run_python(*arguments, env=tiny_env)
    assert "a.tif: a RAW file; to read it, install embedlab[raw]" in ran.stderr
    assert len(vectors_of(out)) == 6


def test_a_time_that_an_index_cannot_hold_costs_one_reading_a_run(images: Path, out: Path, tiny: OnnxEncoder) -> None:
    late = 9_246_000_000 * 10**9
    os.utime(images / "000.png", ns=(late, late))
    if (images / "000.png").stat().st_mtime_ns != late:
        pytest.skip("this file system has no such times")
    assert embed_images(images, out, tiny).encoded == 6
    before = vectors_of(out)
    report = embed_images(images, out, tiny)
    assert (report.encoded, report.reused, report.unchanged, report.removed) == (0, 1, 5, 0)
    assert vectors_of(out) == before


def test_a_change_that_keeps_such_a_time_and_the_size_is_seen(images: Path, out: Path, tiny: OnnxEncoder) -> None:
    late = 9_246_000_000 * 10**9
    picture(1).save(images / "000.bmp")
    os.utime(images / "000.bmp", ns=(late, late))
    embed_images(images, out, tiny)
    before = vectors_of(out)["000.bmp"]
    picture(2).save(images / "000.bmp")
    os.utime(images / "000.bmp", ns=(late, late))
    assert embed_images(images, out, tiny).unchanged == 6
    assert vectors_of(out)["000.bmp"] != before


def test_a_file_that_becomes_a_pipe_after_it_was_listed_is_named(images: Path, out: Path, tiny_root: Path) -> None:
    """In a process of its own, since it would wait for ever."""
    code = """
import os, sys
from pathlib import Path
from embedlab_core.encoders.onnx import OnnxEncoder
from embedlab_core.encoders.spec import load_model_spec
from tests.support import embed_images

images, out, model = map(Path, sys.argv[1:])

def swap(done: int, total: int) -> None:
    if not (images / "005.png").is_fifo():
        (images / "005.png").unlink()
        os.mkfifo(images / "005.png")

report = embed_images(images, out, OnnxEncoder(load_model_spec(model)), swap, batch_size=1, workers=1)
print([(skip.path, skip.reason) for skip in report.skipped])
"""
    ran = run_python("-c", code, images, out, tiny_root / "tiny")
    assert ran.stdout.strip() == str([("005.png", "file cannot be read (not a regular file)")])


def test_a_query_that_is_a_pipe_is_named(
    tmp_path: Path, images: Path, out: Path, tiny: OnnxEncoder, tiny_env: Env
) -> None:
    embed_images(images, out, tiny)
    os.mkfifo(tmp_path / "pipe.png")
    ran = run_cli("search", "--index", out, "--query", tmp_path / "pipe.png", env=tiny_env)
    assert ran.code == 1
    assert "pipe.png: file cannot be read (not a regular file)" in ran.error


def test_what_could_not_be_looked_at_stays_in_the_index(images: Path, out: Path, tiny: OnnxEncoder) -> None:
    embed_images(images, out, tiny)
    (images / "000.png").unlink()
    (images / "000.png").symlink_to("000.png")
    report = embed_images(images, out, tiny)
    assert report.skipped == (Skip("000.png", "cannot be looked at (Too many levels of symbolic links)"),)
    assert report.removed == 0
    assert "000.png" in vectors_of(out)
