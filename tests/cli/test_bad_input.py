"""Whatever is wrong: one clear line on stderr, nothing on stdout, exit code 1 or 2, and nothing lost."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from embedlab_core.index.reader import SHARDS
from tests.support import ROOT, Ran, open_writer, picture, run_cli, run_python, save_pictures, vectors_of

Env = dict[str, str]


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory, tiny_index: Path) -> dict[str, str]:
    """What the command lines below name in braces."""
    root = tmp_path_factory.mktemp("places")
    for name in ("empty", "text_only", "broken"):
        (root / name).mkdir()
    (root / "text_only" / "notes.txt").write_text("no picture")
    (root / "broken" / "a.png").write_bytes(b"broken")
    (root / "broken" / "b.jpg").touch()
    (root / "file.txt").write_text("a file")
    (root / "blank.txt").write_text(" \n\n")
    (root / "latin.txt").write_bytes(b"caf\xe9\n")
    for name in ("cut_manifest", "cut_shard", "gone_shard"):
        shutil.copytree(tiny_index, root / name)
    manifest = root / "cut_manifest" / "manifest.json"
    manifest.write_bytes(manifest.read_bytes()[:100])
    (shard,) = (root / "cut_shard" / SHARDS).iterdir()
    shard.write_bytes(shard.read_bytes()[:-100])
    (root / "gone_shard" / SHARDS / shard.name).unlink()
    known = {path.stem: str(path) for path in root.iterdir()}
    return {
        **known,
        "index": str(tiny_index),
        "images": str(tiny_index.parent / "images"),
        "nowhere": str(root / "nowhere"),
        "out": str(root / "out"),
        "shard": shard.name,
    }


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("search --index {index} --q-text red --k 0", "'--k': 0 is not in the range x>=1"),
        ("search --index {index} --q-text red --k -3", "'--k': -3 is not in the range x>=1"),
        ("search --index {index} --q-text red --k five", "'--k': 'five' is not a valid integer"),
        ("search --index {index} --q-text red --k", "'--k' requires an argument"),
        ("search --index {index}", "nothing to search for: give --query-dir, --query, --q-text or --q-text-file"),
        ("search --q-text red", "Missing option '--index'"),
        ("search --index {index} --q-txt red", "No such option"),
        ("search --index {index} --q-text red extra", "unexpected extra argument (extra)"),
        ("analyze", "Missing option '--index'"),
        ("analyze --index {index} --dup-threshold 1.5", "'--dup-threshold': 1.5 is not in the range -1<x<=1"),
        ("analyze --index {index} --dup-threshold -1", "'--dup-threshold': -1.0 is not in the range -1<x<=1"),
        ("analyze --index {index} --dup-threshold nan", "'--dup-threshold': nan is not a number"),
        ("analyze --index {index} --dup-threshold inf", "'--dup-threshold': inf is not in the range"),
        ("analyze --index {index} --dup-threshold high", "'--dup-threshold': 'high' is not a valid float"),
        ("analyze --index {index} --anomaly-top -1", "'--anomaly-top': -1 is not in the range x>=0"),
        ("analyze --index {index} --anomaly-top 1.5", "'--anomaly-top': '1.5' is not a valid integer"),
        ("analyze --index {index} --k 0", "'--k': 0 is not in the range x>=1"),
        ("search --index {index} --q-text red --diversity nan", "'--diversity': nan is not a number"),
        ("search --index {index} --q-text red --fusion-weight inf", "'--fusion-weight': inf is not a number"),
        ("search --index {index} --q-text red --explain --csv", "--explain adds to the table and to --json"),
        ("search --index {index} --q-text red --preview --json", "--preview goes with the table"),
        ("calibrate --index {index} --precision nan", "'--precision': nan is not a number"),
        ("calibrate --index {index} --seed -1", "'--seed': -1 is not in the range"),
        ("embed --out {out}", "Missing option '--images-dir'"),
        ("embed --images-dir {images}", "Missing option '--out'"),
        ("embed --images-dir {images} --out {out} --batch-size 0", "'--batch-size': 0 is not in the range"),
        ("embed --images-dir {images} --out {out} --workers 0", "'--workers': 0 is not in the range"),
        ("embed --images-dir {images} --out {out} --seed -1", "'--seed': -1 is not in the range"),
        ("embed --images-dir {images} --out {out} --seed 4294967296", "'--seed': 4294967296 is not in the range"),
        ("destroy", "No such command 'destroy'"),
    ],
)
def test_wrong_usage_is_told_in_one_line_and_exits_with_2(
    places: dict[str, str], tiny_env: Env, command: str, message: str
) -> None:
    ran = run_cli(*command.format_map(places).split(), env=tiny_env)
    assert ran.code == 2
    assert message in ran.error
    assert ran.stderr.startswith(("Usage: embedlab", "Error: "))
    assert not Path(places["out"]).exists()


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("search --index {nowhere} --q-text red", "{nowhere}: no index here; make one with: embedlab embed"),
        ("search --index {empty} --q-text red", "{empty}: no index here; make one with"),
        ("search --index {file} --q-text red", "file.txt: no index here; make one with"),
        ("search --index {cut_manifest} --q-text red", "cut_manifest/manifest.json: not a readable manifest"),
        ("search --index {cut_shard} --q-text red", "cut_shard/shards/{shard}: this part of the index is damaged"),
        ("search --index {gone_shard} --q-text red", "gone_shard/shards/{shard}: this part of the index is damaged"),
        ("search --index {index} --query-dir {nowhere}", "{nowhere}: no such folder"),
        ("search --index {index} --query-dir {empty}", "{empty}: no images here"),
        ("search --index {index} --query-dir {text_only}", "{text_only}: no images here"),
        ("search --index {index} --query-dir {file}", "file.txt: not a folder"),
        ("search --index {index} --query-dir {broken}", "a.png: not an image that Pillow can read"),
        ("search --index {index} --query {nowhere}.png", "nowhere.png: file cannot be read"),
        ("search --index {index} --query {file}", "file.txt: not an image that Pillow can read"),
        ("search --index {index} --query {empty}", "{empty}: file cannot be read (Is a directory)"),
        ("search --index {index} --q-text-file {nowhere}", "{nowhere}: no such file"),
        ("search --index {index} --q-text-file {empty}", "{empty}: a folder, not a file"),
        ("search --index {index} --q-text-file {blank}", "blank.txt: no prompts here"),
        ("search --index {index} --q-text-file {latin}", "latin.txt: not UTF-8 text (byte 0x"),
        ("analyze --index {nowhere}", "{nowhere}: no index here"),
        ("analyze --index {cut_manifest}", "cut_manifest/manifest.json: not a readable manifest"),
        ("analyze --index {cut_shard}", "cut_shard/shards/{shard}: this part of the index is damaged"),
        ("embed --images-dir {nowhere} --out {out} --backbone tiny", "{nowhere}: no such folder"),
        ("embed --images-dir {file} --out {out} --backbone tiny", "file.txt: not a folder"),
        ("embed --images-dir {empty} --out {out} --backbone tiny", "{empty}: no images here"),
        ("embed --images-dir {text_only} --out {out} --backbone tiny", "no images here (1 other: 1 .txt)"),
        ("embed --images-dir {images} --out {file} --backbone tiny", "file.txt: cannot be written"),
        ("embed --images-dir {images} --out {cut_manifest} --backbone tiny", "manifest.json: not a readable manifest"),
    ],
)
def test_a_failure_is_one_line_that_names_what_is_at_fault(
    places: dict[str, str], tiny_env: Env, command: str, message: str
) -> None:
    ran = run_cli(*command.format_map(places).split(), env=tiny_env)
    assert ran.code == 1
    assert message.format_map(places) in ran.error
    assert len(ran.stderr.splitlines()) == 1
    assert not Path(places["out"]).exists()


@pytest.mark.parametrize("prompt", ["", "   ", b"caf\xe9"])
def test_a_prompt_that_says_nothing_or_is_no_text_is_refused(
    places: dict[str, str], tiny_env: Env, prompt: str | bytes
) -> None:
    ran = run_cli("search", "--index", places["index"], "--q-text", "red", "--q-text", prompt, "--json", env=tiny_env)
    assert ran.code == 1
    assert "prompt" in ran.error
    assert len(ran.stderr.splitlines()) == 1


def test_a_folder_of_broken_images_is_an_error_that_says_where_the_reasons_are(
    places: dict[str, str], tiny_env: Env, tmp_path: Path
) -> None:
    ran = run_cli("embed", "--images-dir", places["broken"], "--out", tmp_path, "--backbone", "tiny", env=tiny_env)
    assert ran.code == 1
    assert "none of the 2 images can be read" in ran.error
    assert "skipped.jsonl says why" in ran.error
    assert len((tmp_path / "skipped.jsonl").read_text().splitlines()) == 2


@pytest.fixture
def own(tmp_path: Path, tiny_env: Env) -> Path:
    """A folder with images/ and an index of them that a test may break."""
    save_pictures(tmp_path / "images", range(5))
    assert embed(tmp_path, tiny_env).code == 0
    return tmp_path


def embed(folder: Path, env: Env, backbone: str = "tiny") -> Ran:
    paths = ["--images-dir", str(folder / "images"), "--out", str(folder / "index")]
    return run_cli("embed", *paths, "--backbone", backbone, env=env)


def test_an_index_of_another_model_is_refused_with_both_names(own: Path, tiny_env: Env) -> None:
    before = vectors_of(own / "index")
    ran = embed(own, tiny_env, "other")
    assert ran.code == 1
    assert "this index was made by tiny (" in ran.error
    assert "not by other (" in ran.error
    assert vectors_of(own / "index") == before


def test_a_second_embed_at_the_same_time_is_one_line(own: Path, tiny_env: Env) -> None:
    with open_writer(own / "elsewhere", 16):
        (own / "images" / "new.png").write_bytes((own / "images" / "000.png").read_bytes())
        ran = run_cli(
            *("embed", "--images-dir", own / "images", "--out", own / "elsewhere", "--backbone", "tiny"), env=tiny_env
        )
    assert ran.code == 1
    assert ran.error == f"{own / 'elsewhere'}: another embed run is writing this index; wait for it to end"


def test_a_damaged_shard_is_told_and_mended(own: Path, tiny_env: Env) -> None:
    before = vectors_of(own / "index")
    (shard,) = (own / "index" / SHARDS).iterdir()
    shard.write_bytes(shard.read_bytes()[:-7])
    refused = run_cli("search", "--index", own / "index", "--q-text", "red", env=tiny_env)
    assert refused.code == 1
    assert shard.name in refused.error
    mended = embed(own, tiny_env)
    assert mended.code == 0
    warning, summary = mended.stderr.splitlines()
    assert warning.startswith("Warning: ")
    assert f"{shard.name}: checksum does not match; its 5 images are embedded again" in warning
    assert "5 embedded" in summary
    assert vectors_of(own / "index") == before


def test_a_full_disk_is_one_line_and_leaves_the_old_index_whole(own: Path, tiny_env: Env) -> None:
    before = vectors_of(own / "index")
    save_pictures(own / "images", range(5, 60))
    program = """
import resource, sys
from embedlab_core.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000))
main(sys.argv[1:], prog_name="embedlab")
"""
    command = ["embed", "--images-dir", str(own / "images"), "--out", str(own / "index"), "--backbone", "tiny"]
    ran = run_python("-c", program, *command, env=tiny_env)
    assert ran.code == 1
    assert "000001.npz: cannot be written" in ran.error
    assert len(ran.stderr.splitlines()) == 1
    assert vectors_of(own / "index") == before
    assert [path.name for path in (own / "index" / SHARDS).iterdir()] == ["000000.npz"]
    assert embed(own, tiny_env).code == 0
    assert len(vectors_of(own / "index")) == 60


def test_broken_files_among_good_ones_are_named_and_do_not_stop_the_run(own: Path, tiny_env: Env) -> None:
    (own / "images" / "cut.png").write_bytes((own / "images" / "000.png").read_bytes()[:300])
    (own / "images" / "empty.jpg").touch()
    (own / "images" / "text.gif").write_text("not a picture")
    picture(9).save(own / "images" / "misnamed.jpg", "PNG")
    ran = embed(own, tiny_env)
    assert ran.code == 0
    *skipped, summary = ran.stderr.splitlines()
    assert [line.split(": ")[1] for line in skipped] == ["cut.png", "empty.jpg", "text.gif"]
    assert "1 embedded, 0 reused, 5 unchanged, 0 removed, 3 skipped" in summary
    assert "misnamed.jpg" in vectors_of(own / "index")


def test_a_name_that_the_system_refuses_is_one_line(own: Path, tiny_env: Env) -> None:
    long = "x" * 300
    index = own / "index"
    for arguments in (
        ("embed", "--images-dir", long, "--out", index),
        ("embed", "--images-dir", own / "images", "--out", index, "--backbone", long),
        ("search", "--index", long, "--q-text", "red"),
        ("search", "--index", index, "--query-dir", long),
        ("dedupe", "--index", index, "--plan", long),
    ):
        ran = run_cli(*arguments, env=tiny_env)
        assert ran.code == 1
        assert "File name too long" in ran.error


def test_a_closed_stderr_stops_no_run(own: Path, tiny_env: Env) -> None:
    arguments = ["embed", "--images-dir", str(own / "images"), "--out", str(own / "quiet"), "--backbone", "tiny"]
    closed = ["sh", "-c", 'exec "$@" 2>&-', "sh", sys.executable, str(ROOT / "embedlab.py"), *arguments]
    assert subprocess.run(closed, env={**os.environ, **tiny_env}, check=False).returncode == 0
    assert (own / "quiet" / "manifest.json").exists()
