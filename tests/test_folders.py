"""Which folders an index is of: rows know theirs, no folder is taken for another, and nothing is dropped unasked."""

import json
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from embedlab_core import Index
from embedlab_core.embed import EmbedOptions, EmbedReport, embed_folders
from embedlab_core.encoders.ensemble import Ensemble
from embedlab_core.encoders.onnx import OnnxEncoder
from embedlab_core.errors import FoldersDifferError, ImagesDirError, ManyGoneError
from embedlab_core.index.manifest import MANIFEST
from embedlab_core.index.reader import SHARDS, IndexReader
from tests.images.dng import make_dng
from tests.support import ROOT, Ran, as_ordinary_user, picture, run_python, save_pictures, vectors_of


def embed(folders: list[Path], out: Path, encoder: OnnxEncoder, **options: bool) -> EmbedReport:
    return embed_folders([*map(str, folders)], out, Ensemble([encoder]), EmbedOptions(**options))


def cli(*args: str | Path, cwd: Path, env: dict[str, str]) -> Ran:
    return run_python(ROOT / "embedlab.py", *args, cwd=cwd, env=env)


def names(out: Path) -> list[tuple[str, str]]:
    index = IndexReader.open(out)
    return [(index.folders[folder].name, path) for folder, path in index.keys]


def plain(folder: Path, colour: str) -> None:
    """One picture whose size in bytes and time do not depend on its colour."""
    folder.mkdir(parents=True)
    Image.new("RGB", (20, 20), colour).save(folder / "x.bmp")
    os.utime(folder / "x.bmp", (1, 1))


# Which folder


def test_folders_of_one_name_are_not_taken_for_each_other(tmp_path: Path, tiny_env: dict[str, str]) -> None:
    plain(tmp_path / "one" / "photos", "red")
    plain(tmp_path / "two" / "photos", "blue")
    command = ["embed", "--images-dir", "photos", "--out", tmp_path / "out", "--backbone", "tiny"]
    assert cli(*command, cwd=tmp_path / "one", env=tiny_env).code == 0
    red = vectors_of(tmp_path / "out")["x.bmp"]
    ran = cli(*command, cwd=tmp_path / "two", env=tiny_env)
    assert ran.code == 1
    assert f"is an index of {tmp_path}/one/photos, not of photos; " in ran.error
    assert "--replace" in ran.error
    assert vectors_of(tmp_path / "out")["x.bmp"] == red
    assert cli(*command, "--replace", cwd=tmp_path / "two", env=tiny_env).code == 0
    assert vectors_of(tmp_path / "out")["x.bmp"] != red


def test_what_is_printed_can_be_opened_from_anywhere(tmp_path: Path, tiny_env: dict[str, str]) -> None:
    save_pictures(tmp_path / "photos", range(3))
    save_pictures(tmp_path / "elsewhere" / "photos", range(3))
    shutil.copy(tmp_path / "photos" / "000.png", tmp_path / "query.png")
    command = ["embed", "--images-dir", "./photos", "--out", "index", "--backbone", "tiny"]
    assert cli(*command, cwd=tmp_path, env=tiny_env).code == 0
    search = ["search", "--index", tmp_path / "index", "--query", tmp_path / "query.png", "--k", "1", "-0"]
    assert cli(*search, cwd=tmp_path, env=tiny_env).stdout == "photos/000.png\0"
    # There is a photos/000.png here too, but it is another one.
    assert cli(*search, cwd=tmp_path / "elsewhere", env=tiny_env).stdout == f"{tmp_path}/photos/000.png\0"


def test_a_folder_can_be_named_in_any_way_that_leads_to_it(tmp_path: Path, tiny: OnnxEncoder) -> None:
    save_pictures(tmp_path / "photos", range(2))
    (tmp_path / "link").symlink_to("photos")
    embed([tmp_path / "photos"], tmp_path / "out", tiny)
    for name in ("photos/../photos", "link", "./photos/."):
        assert embed([tmp_path / name], tmp_path / "out", tiny).unchanged == 2
    (tmp_path / "link").unlink()
    save_pictures(tmp_path / "other", range(2))
    (tmp_path / "link").symlink_to("other")
    with pytest.raises(FoldersDifferError):
        embed([tmp_path / "link"], tmp_path / "out", tiny)


def test_an_index_and_its_folder_can_move_together(
    tmp_path: Path, tiny: OnnxEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_pictures(tmp_path / "old" / "photos", range(3))
    monkeypatch.chdir(tmp_path / "old")
    embed([Path("photos")], Path("index"), tiny)
    (tmp_path / "old").rename(tmp_path / "new")
    monkeypatch.chdir(tmp_path)
    index = IndexReader.open(tmp_path / "new" / "index")
    assert all(Path(path).is_file() for path in index.paths(np.arange(3)))
    # Nothing is encoded, but another folder could be in its place, so the files are read.
    assert embed([tmp_path / "new" / "photos"], tmp_path / "new" / "index", tiny).reused == 3
    assert embed([tmp_path / "new" / "photos"], tmp_path / "new" / "index", tiny).unchanged == 3


def test_a_copied_index_does_not_take_another_folder_beside_it_for_its_own(tmp_path: Path, tiny: OnnxEncoder) -> None:
    plain(tmp_path / "old" / "photos", "red")
    embed([tmp_path / "old" / "photos"], tmp_path / "old" / "index", tiny)
    plain(tmp_path / "new" / "photos", "blue")
    (tmp_path / "old" / "index").rename(tmp_path / "new" / "index")
    shutil.rmtree(tmp_path / "old")
    assert embed([tmp_path / "new" / "photos"], tmp_path / "new" / "index", tiny).encoded == 1


def test_images_are_named_as_they_are_shown_or_as_they_open(
    tmp_path: Path, tiny: OnnxEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    from embedlab_core.analysis.named import rows_named

    save_pictures(tmp_path / "photos", range(3))
    monkeypatch.chdir(tmp_path)
    embed([Path("photos")], Path("index"), tiny)
    index = IndexReader.open(tmp_path / "index")
    ways = ["photos/001.png", "./photos/001.png", f"{tmp_path}/photos/001.png", "index/../photos/001.png"]
    assert rows_named(index, ways).tolist() == [1] * 4
    monkeypatch.chdir(tmp_path / "photos")
    assert rows_named(IndexReader.open(tmp_path / "index"), ["001.png", "../photos/001.png"]).tolist() == [1, 1]


# Several folders


def test_an_index_of_several_folders_knows_the_folder_of_each_row(tmp_path: Path, tiny: OnnxEncoder) -> None:
    save_pictures(tmp_path / "a", range(2))
    save_pictures(tmp_path / "b", range(1, 4))
    report = embed([tmp_path / "a", tmp_path / "b"], tmp_path / "out", tiny)
    # 001.png of both has the same content.
    assert (report.count, report.encoded, report.reused) == (5, 4, 1)
    assert names(tmp_path / "out") == [("a", "000.png"), ("a", "001.png"), *(("b", f"00{n}.png") for n in (1, 2, 3))]
    index = IndexReader.open(tmp_path / "out")
    assert sorted(map(str, index.files(np.arange(5)))) == sorted(index.paths(np.arange(5)))
    # The order in which they are named changes nothing.
    assert embed([tmp_path / "b", tmp_path / "a"], tmp_path / "out", tiny).unchanged == 5


def test_a_folder_is_added_beside_all_old_ones(tmp_path: Path, tiny: OnnxEncoder) -> None:
    for number, folder in enumerate("abc"):
        save_pictures(tmp_path / folder, [number])
    a, b, c = (tmp_path / folder for folder in "abc")
    embed([a], tmp_path / "out", tiny)
    report = embed([b, a], tmp_path / "out", tiny)
    assert (report.encoded, report.unchanged) == (1, 1)
    assert sorted(names(tmp_path / "out")) == [("a", "000.png"), ("b", "001.png")]
    for fewer in ([a], [b, c], [c]):
        with pytest.raises(FoldersDifferError, match=f"is an index of {a} and {b}, not of {fewer[0]}"):
            embed(fewer, tmp_path / "out", tiny)
    assert sorted(names(tmp_path / "out")) == [("a", "000.png"), ("b", "001.png")]


def test_replace_lets_go_of_folders_and_keeps_vectors_by_content(tmp_path: Path, tiny: OnnxEncoder) -> None:
    save_pictures(tmp_path / "a", range(3))
    save_pictures(tmp_path / "b", range(10, 12))
    shutil.copytree(tmp_path / "a", tmp_path / "c")
    picture(50).save(tmp_path / "c" / "new.png")
    embed([tmp_path / "a", tmp_path / "b"], tmp_path / "out", tiny)
    report = embed([tmp_path / "b", tmp_path / "c"], tmp_path / "out", tiny, replace=True)
    assert (report.encoded, report.reused, report.unchanged, report.removed) == (1, 3, 2, 3)
    embed([tmp_path / "b", tmp_path / "c"], tmp_path / "anew", tiny)
    assert sorted(names(tmp_path / "out")) == sorted(names(tmp_path / "anew"))
    assert vectors_of(tmp_path / "out") == vectors_of(tmp_path / "anew")
    assert embed([tmp_path / "b", tmp_path / "c"], tmp_path / "out", tiny).unchanged == 6


@pytest.mark.parametrize(("again", "reason"), [(".", "twice"), ("sub", "would count twice"), ("sub/..", "is given")])
def test_a_folder_in_another_one_is_refused(tmp_path: Path, tiny: OnnxEncoder, again: str, reason: str) -> None:
    save_pictures(tmp_path / "a" / "sub", range(2))
    with pytest.raises(ImagesDirError, match=reason):
        embed([tmp_path / "a", tmp_path / "a" / again], tmp_path / "out", tiny)
    assert not (tmp_path / "out").exists()


def test_the_folder_of_images_is_not_its_own_index(tmp_path: Path, tiny: OnnxEncoder) -> None:
    save_pictures(tmp_path / "a", range(2))
    with pytest.raises(ImagesDirError, match="a folder of its own"):
        embed([tmp_path / "a"], tmp_path / "a" / ".." / "a", tiny)
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["000.png", "001.png"]


def test_the_command_line_says_usage_for_what_cannot_be_meant(tmp_path: Path, tiny_env: dict[str, str]) -> None:
    save_pictures(tmp_path / "photos", range(1))
    for args in (
        ["embed", "--images-dir", "", "--out", "x"],
        ["embed", "--images-dir", "photos", "--out", ""],
        ["embed", "--images-dir", "photos", "--out", "x", "--out", "y"],
        ["search", "--index", "x", "--index", "y", "--q-text", "a"],
        ["search", "--index", "", "--q-text", "a"],
        ["analyze", "--index", "x", "--dup-threshold", "0.9", "--dup-threshold", "0.8"],
        ["models", "list", "--log-format", "text", "--log-format", "text"],
    ):
        ran = cli(*args, cwd=tmp_path, env=tiny_env)
        assert (ran.code, ran.stdout) == (2, ""), args
        assert "Usage:" in ran.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]


def test_the_home_is_expanded_where_no_shell_does_it(tmp_path: Path, tiny_env: dict[str, str]) -> None:
    save_pictures(tmp_path / "photos", range(1))
    env = {**tiny_env, "HOME": str(tmp_path)}
    ran = cli("embed", "--images-dir=~/photos", "--out=~/index", "--backbone=tiny", cwd=ROOT, env=env)
    assert ran.code == 0, ran.stderr
    assert len(Index.open(tmp_path / "index")) == 1


# What is gone


def test_most_of_an_index_is_not_dropped_unasked(tmp_path: Path, tiny: OnnxEncoder) -> None:
    save_pictures(tmp_path / "a", range(2))
    save_pictures(tmp_path / "a" / "mount" / "deep", range(10, 13))
    embed([tmp_path / "a"], tmp_path / "out", tiny)
    before = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    shutil.rmtree(tmp_path / "a" / "mount" / "deep")
    with pytest.raises(
        ManyGoneError, match=rf"3 of its 5 images .* nothing would be left of {tmp_path}/a/mount; "
    ) as caught:
        embed([tmp_path / "a"], tmp_path / "out", tiny)
    assert (caught.value.gone, caught.value.count) == (3, 5)
    assert {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()} == before
    assert embed([tmp_path / "a"], tmp_path / "out", tiny, prune=True).removed == 3


@pytest.mark.parametrize(("left", "refused"), [(3, False), (2, True)])
def test_more_than_half_is_too_much(tmp_path: Path, tiny: OnnxEncoder, left: int, refused: bool) -> None:
    save_pictures(tmp_path / "a", range(6 - (left == 2)))
    embed([tmp_path / "a"], tmp_path / "out", tiny)
    for file in sorted((tmp_path / "a").iterdir())[left:]:
        file.unlink()
    if refused:
        with pytest.raises(ManyGoneError):
            embed([tmp_path / "a"], tmp_path / "out", tiny)
    else:
        assert embed([tmp_path / "a"], tmp_path / "out", tiny).removed == 3


def test_folders_that_leave_do_not_hide_how_much_of_the_others_is_gone(tmp_path: Path, tiny: OnnxEncoder) -> None:
    save_pictures(tmp_path / "p", range(12))
    save_pictures(tmp_path / "q", range(20, 26))
    embed([tmp_path / "p", tmp_path / "q"], tmp_path / "out", tiny)
    for file in sorted((tmp_path / "q").iterdir())[1:]:
        file.unlink()
    with pytest.raises(ManyGoneError, match="5 of its 6 images"):
        embed([tmp_path / "q"], tmp_path / "out", tiny, replace=True)


def test_a_flag_of_a_file_of_another_folder_leaves_nothing_out(tmp_path: Path, tiny: OnnxEncoder) -> None:
    for folder, colour in (("a", "red"), ("b", "red")):
        plain(tmp_path / folder, colour)
    pixels = picture(3, (20, 20)).tobytes()
    data = (tmp_path / "b" / "x.bmp").read_bytes()
    (tmp_path / "b" / "x.bmp").write_bytes(data[:54] + pixels)
    for folder in "ab":
        save_pictures(tmp_path / folder, [9])
        os.utime(tmp_path / folder / "x.bmp", (1, 1))
    unwanted = EmbedOptions(exclude_flagged=("blank",))
    first = embed_folders([str(tmp_path / "a")], tmp_path / "out", Ensemble([tiny]), unwanted)
    assert first.count == 1
    again = EmbedOptions(exclude_flagged=("blank",), replace=True, prune=True)
    assert embed_folders([str(tmp_path / "b")], tmp_path / "out", Ensemble([tiny]), again).count == 2


def test_raw_files_stay_where_nothing_can_read_them(tmp_path: Path, tiny_env: dict[str, str]) -> None:
    save_pictures(tmp_path / "a", range(3))
    (tmp_path / "a" / "raw.dng").write_bytes(make_dng(picture(5)))
    command = ["embed", "--images-dir", str(tmp_path / "a"), "--out", str(tmp_path / "out"), "--backbone", "tiny"]
    assert cli(*command, cwd=ROOT, env=tiny_env).code == 0
    without = f"import sys; sys.modules['rawpy'] = None; sys.argv[1:] = {command!r}"
    ran = run_python("-c", f"{without}; from embedlab_core.cli.start import main; main()", env=tiny_env)
    assert "3 unchanged, 0 removed" in ran.stderr
    assert "1 other: 1 .dng (RAW: install embedlab[raw])" in ran.stderr
    assert "raw.dng" in vectors_of(tmp_path / "out")


def test_a_renamed_subfolder_is_not_gone(tmp_path: Path, tiny: OnnxEncoder) -> None:
    save_pictures(tmp_path / "a" / "2020", range(4))
    embed([tmp_path / "a"], tmp_path / "out", tiny)
    (tmp_path / "a" / "2020").rename(tmp_path / "a" / "holiday")
    report = embed([tmp_path / "a"], tmp_path / "out", tiny)
    assert (report.reused, report.removed) == (4, 4)


def test_the_command_line_names_the_way_on(tmp_path: Path, tiny_env: dict[str, str]) -> None:
    save_pictures(tmp_path / "a", range(4))
    command = ["embed", "--images-dir", "a", "--out", "out", "--backbone", "tiny"]
    assert cli(*command, cwd=tmp_path, env=tiny_env).code == 0
    for seed in (1, 2, 3):
        (tmp_path / "a" / f"00{seed}.png").unlink()
    ran = cli(*command, cwd=tmp_path, env=tiny_env)
    assert (ran.code, "--prune" in ran.error) == (1, True)
    assert cli(*command, "--prune", cwd=tmp_path, env=tiny_env).code == 0


def test_unreadable_is_not_gone(tiny: OnnxEncoder) -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        root.chmod(0o777)
        save_pictures(root / "a", range(4))
        with as_ordinary_user():
            embed([root / "a"], root / "out", tiny)
        before = vectors_of(root / "out")
        for file in (root / "a").iterdir():
            os.utime(file, (1, 1))
            file.chmod(0)
        with as_ordinary_user():
            report = embed([root / "a"], root / "out", tiny)
        assert (len(report.skipped), report.removed) == (4, 0)
        assert vectors_of(root / "out") == before


# Equal files, long paths, and indexes of format 1


def test_equal_files_are_encoded_once(tmp_path: Path, tiny: OnnxEncoder) -> None:
    save_pictures(tmp_path / "a", range(3))
    for number in range(20):
        shutil.copy(tmp_path / "a" / "001.png", tmp_path / "a" / f"copy{number}.png")
    report = embed([tmp_path / "a"], tmp_path / "out", tiny)
    assert (report.encoded, report.reused, report.count) == (3, 20, 23)
    found = vectors_of(tmp_path / "out")
    assert len({found[name] for name in found if name not in ("000.png", "002.png")}) == 1


def test_a_long_path_costs_only_itself(tmp_path: Path, tiny: OnnxEncoder) -> None:
    deep = tmp_path / "a" / Path(*["d" * 200] * 15)
    save_pictures(deep, [0])
    save_pictures(tmp_path / "a", range(200))
    embed([tmp_path / "a"], tmp_path / "out", tiny)
    (shard,) = (tmp_path / "out" / SHARDS).iterdir()
    assert shard.stat().st_size < 100_000
    assert deep.relative_to(tmp_path / "a").as_posix() + "/000.png" in vectors_of(tmp_path / "out")


def as_format_1(out: Path, images_dir: str) -> None:
    """Write an index of one folder again as embedlab 0.1.0 did."""
    document = json.loads((out / MANIFEST).read_text())
    (reader,) = IndexReader.open(out).shards
    columns = ("vectors", "full", "sha256", "sizes", "mtimes", "widths", "heights", "phashes")
    arrays = {name: getattr(reader, name) for name in columns}
    arrays |= {"paths": np.array(reader.paths.tolist(), np.str_), "quality": reader.quality[:, :4]}
    shard = out / SHARDS / document["shards"][0]["file"]
    shard.unlink()
    np.savez(shard, **arrays)
    import hashlib

    document["shards"][0] |= {
        "bytes": shard.stat().st_size,
        "sha256": hashlib.sha256(shard.read_bytes()).hexdigest(),
    }
    del document["embedlab"], document["folders"]
    (out / MANIFEST).write_text(json.dumps({**document, "format": 1, "images_dir": images_dir}))


@pytest.mark.parametrize("relative", [True, False])
def test_an_index_of_format_1_is_read_and_brought_up_without_encoding(
    tmp_path: Path, tiny: OnnxEncoder, monkeypatch: pytest.MonkeyPatch, relative: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    save_pictures(tmp_path / "photos", range(5))
    embed([Path("photos")], Path("out"), tiny)
    before = vectors_of(Path("out"))
    as_format_1(Path("out"), "photos" if relative else f"{tmp_path}/photos")
    assert vectors_of(Path("out")) == before
    shown = IndexReader.open(Path("out")).paths(np.arange(1))
    assert shown == ["photos/000.png" if relative else f"{tmp_path}/photos/000.png"]
    report = embed([Path("photos")], Path("out"), tiny)
    # Where a relative folder was is not known, so its times are not trusted.
    assert (report.encoded, report.reused, report.unchanged) == ((0, 5, 0) if relative else (0, 0, 5))
    assert vectors_of(Path("out")) == before
    assert json.loads((tmp_path / "out" / MANIFEST).read_text())["format"] == 2
    assert embed([Path("photos")], Path("out"), tiny).unchanged == 5


def test_an_index_of_format_1_of_another_folder_is_refused(tmp_path: Path, tiny: OnnxEncoder) -> None:
    save_pictures(tmp_path / "photos", range(2))
    save_pictures(tmp_path / "other", range(2))
    embed([tmp_path / "photos"], tmp_path / "out", tiny)
    as_format_1(tmp_path / "out", f"{tmp_path}/photos")
    with pytest.raises(FoldersDifferError):
        embed([tmp_path / "other"], tmp_path / "out", tiny)
    assert embed([tmp_path / "other"], tmp_path / "out", tiny, replace=True).reused == 2
