"""What the commands print: tables, JSON, explanations, and names that are hard to print."""

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support import ROOT, picture, run_cli, run_python, save_pictures

Env = dict[str, str]
Document = dict[str, Any]


def objects(stdout: str) -> list[Document]:
    return [json.loads(line) for line in stdout.splitlines()]


def names(document: Document) -> list[str]:
    return [Path(hit["path"]).name for hit in document["results"]]


def test_a_search_without_json_is_a_table(tiny_index: Path, tiny_env: Env) -> None:
    ran = run_cli("search", "--index", tiny_index, "--q-text", "red", "--q-text", "blue", "--k", "3", env=tiny_env)
    assert (ran.code, ran.stderr) == (0, "")
    lines = ran.stdout.splitlines()
    assert [lines[0], lines[4], lines[5]] == ["red", "", "blue"]
    assert len(lines) == 9
    for rank, line in enumerate(lines[1:4], start=1):
        assert re.fullmatch(rf" *{rank} +-?[01]\.\d{{4}}  .*/images/0\d\d\.png", line)


def test_an_analysis_without_json_is_a_table(tiny_index: Path) -> None:
    ran = run_cli("analyze", "--index", tiny_index, "--anomaly-top", "2")
    assert (ran.code, ran.stderr) == (0, "")
    lines = ran.stdout.splitlines()
    assert lines[0] == "1 group of near-duplicates, 3 images, 2 beyond one of each"
    assert lines[1].split() == ["group", "images", "cosine"]
    assert lines[2].split() == ["1", "3", "1.0000", "to", "1.0000"]
    assert [Path(line.strip()).name for line in lines[3:6]] == ["000.png", "010.png", "011.png"]
    assert lines[6].startswith("the 2 most isolated images")
    assert len(lines) == 10


def test_explained_hits_carry_distance_rank_percentile_and_band(tiny_index: Path, tiny_env: Env) -> None:
    query = str(tiny_index.parent / "images" / "003.png")
    arguments = ["search", "--index", str(tiny_index), "--query", query, "--k", "12", "--json"]
    plain, explained = (run_cli(*arguments, *extra, env=tiny_env) for extra in ([], ["--explain"]))
    (before,), (document,) = objects(plain.stdout), objects(explained.stdout)
    assert (document["backbone"], document["dim"]) == ("tiny", 16)
    assert [{"path": hit["path"], "score": hit["score"]} for hit in document["results"]] == before["results"]
    for place, hit in enumerate(document["results"]):
        assert hit["rank"] == place + 1
        assert hit["distance"] == pytest.approx(1 - hit["score"], abs=2e-6)
        above = sum(other["score"] > hit["score"] for other in document["results"])
        assert hit["percentile"] == pytest.approx(100 * (12 - above) / 12, abs=0.01)
        assert hit["band"] in {"near-duplicate", "related", "unrelated"}
        assert (hit["band"] == "near-duplicate") == (hit["score"] >= 0.92)
    assert names(document)[0] == "003.png"
    assert document["results"][0]["score"] == pytest.approx(1, abs=1e-6)


def test_an_explained_analysis_adds_keys_and_changes_none(tiny_index: Path) -> None:
    arguments = ["analyze", "--index", str(tiny_index), "--anomaly-top", "4", "--json"]
    (before,), (document,) = (objects(run_cli(*arguments, *extra).stdout) for extra in ([], ["--explain"]))
    assert before.items() <= document.items()
    assert (document["backbone"], document["dim"]) == ("tiny", 16)
    assert [sorted(facts) for facts in document["group_tightness"]] == [["loosest", "tightest"]]
    assert document["group_tightness"][0]["tightest"] == pytest.approx(1, abs=1e-6)
    (facts,) = document["group_facts"]
    assert (facts["chains"], facts["keeper_reason"]) == (False, "path")
    assert facts["keeper"] == document["duplicate_groups"][0][0]
    assert len(document["anomaly_scores"]) == 4
    assert document["anomaly_scores"] == sorted(document["anomaly_scores"], reverse=True)


def test_an_explained_table_names_bands_and_tightness(tiny_index: Path, tiny_env: Env) -> None:
    search = run_cli("search", "--index", tiny_index, "--q-text", "red", "--explain", env=tiny_env).stdout
    assert all("% of the index; z " in line for line in search.splitlines()[1:])
    assert " 1.0000 to 1.0000" in run_cli("analyze", "--index", tiny_index, "--explain").stdout


def test_queries_are_answered_in_the_documented_order(tiny_index: Path, tiny_env: Env, tmp_path: Path) -> None:
    save_pictures(tmp_path / "queries", [7, 2])
    picture(5).save(tmp_path / "single.png")
    (tmp_path / "prompts.txt").write_text("# green\n\nwhite\n")
    options = ["--q-text-file", "prompts.txt", "--q-text", "red", "--query", "single.png", "--q-text", "blue"]
    command = ["search", "--index", str(tiny_index), *options, "--query-dir", "./queries", "--k", "1", "--json"]
    ran = run_python(ROOT / "embedlab.py", *command, cwd=tmp_path, env=tiny_env)
    assert (ran.code, ran.stderr) == (0, "")
    documents = objects(ran.stdout)
    assert [document["query"] for document in documents] == [
        *("queries/002.png", "queries/007.png", "single.png", "red", "blue", "# green", "white"),
    ]
    assert [names(document)[0] for document in documents[:3]] == ["002.png", "007.png", "005.png"]


def test_k_beyond_the_index_lists_every_image_once(tiny_index: Path, tiny_env: Env) -> None:
    huge = str(10**21)
    ran = run_cli("search", "--index", tiny_index, "--q-text", "red", "--k", huge, "--json", env=tiny_env)
    (document,) = objects(ran.stdout)
    assert sorted(names(document)) == [f"{number:03d}.png" for number in range(12)]


def test_scores_are_rounded_to_six_decimals(tiny_index: Path, tiny_env: Env) -> None:
    ran = run_cli("search", "--index", tiny_index, "--q-text", "red", "--k", "12", "--json", env=tiny_env)
    assert re.findall(r'"score": -?\d\.\d{7,}', ran.stdout) == []
    assert len(re.findall(r'"score": -?\d\.\d+', ran.stdout)) == 12


def test_a_too_long_prompt_is_answered_with_a_warning(tiny_index: Path, tiny_env: Env) -> None:
    ran = run_cli("search", "--index", tiny_index, "--q-text", "red " * 30, "--json", env=tiny_env)
    assert ran.code == 0
    assert len(objects(ran.stdout)) == 1
    assert ran.stderr.startswith("Warning: prompt cut at 8 tokens: red red")
    assert len(ran.stderr.splitlines()) == 1


def test_a_broken_query_is_left_out_with_a_warning(tiny_index: Path, tiny_env: Env, tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(b"broken")
    command = ["search", "--index", str(tiny_index), "--query", str(tmp_path / "bad.png"), "--q-text", "red", "--json"]
    ran = run_cli(*command, env=tiny_env)
    assert ran.code == 0
    assert [document["query"] for document in objects(ran.stdout)] == ["red"]
    (warning,) = ran.stderr.splitlines()
    assert warning.startswith("Warning: ")
    assert "bad.png: not an image that Pillow can read; this query is left out" in warning


HARD_NAMES = ["ü 日本 🙂.png", 'quote".png', "apostrophe'.png", "back\\slash.png", "-dash.png", "a;b&c|d.png", "%s.png"]


@pytest.fixture(scope="module")
def hard_index(tmp_path_factory: pytest.TempPathFactory, tiny_env: Env) -> Path:
    """Files whose names are hard to print, one of them broken. Given as `./images` from the folder above."""
    root = tmp_path_factory.mktemp("hard")
    (root / "images").mkdir()
    for seed, name in enumerate([*HARD_NAMES, "new\nline.png", "esc\x1b[31m.png"]):
        picture(seed).save(root / "images" / name)
    (root / "images" / "bro\nken.png").write_bytes(b"broken")
    ran = run_python(
        *(ROOT / "embedlab.py", "embed", "--images-dir", "./images", "--out", "index", "--backbone", "tiny"),
        cwd=root,
        env=tiny_env,
    )
    assert ran.code == 0, ran.stderr
    (root / "stderr").write_text(ran.stderr)
    return root / "index"


def test_hard_names_come_back_from_json_unchanged(hard_index: Path, tiny_env: Env) -> None:
    ran = run_cli("search", "--index", hard_index, "--q-text", "red", "--k", "99", "--json", env=tiny_env)
    assert ran.code == 0, ran.stderr
    (document,) = objects(ran.stdout)
    found = {hit["path"] for hit in document["results"]}
    assert found == {f"{hard_index.parent}/images/{name}" for name in [*HARD_NAMES, "new\nline.png", "esc\x1b[31m.png"]}


def test_a_table_has_one_line_for_each_name_and_moves_no_cursor(hard_index: Path, tiny_env: Env) -> None:
    for arguments in (["search", "--q-text", "red", "--k", "99"], ["analyze", "--anomaly-top", "99"]):
        ran = run_cli(*arguments, "--index", hard_index, env=tiny_env)
        assert ran.code == 0, ran.stderr
        assert len([line for line in ran.stdout.splitlines() if ".png" in line]) == 9
        assert "\x1b" not in ran.stdout
        assert "new\\nline.png" in ran.stdout
        assert "ü 日本 🙂.png" in ran.stdout


def test_a_skipped_file_is_one_line_whatever_its_name(hard_index: Path) -> None:
    lines = (hard_index.parent / "stderr").read_text().splitlines()
    assert len(lines) == 2
    assert lines[0] == "skipped: bro\\nken.png: not an image that Pillow can read"


def test_a_console_that_cannot_show_a_name_gets_escapes(hard_index: Path, tiny_env: Env) -> None:
    env = {**tiny_env, "PYTHONIOENCODING": "cp1252"}
    ran = run_cli("search", "--index", hard_index, "--q-text", "red", "--q-text", "日本", "--k", "99", env=env)
    assert ran.code == 0
    assert ran.stderr.splitlines() == [
        "Warning: \\u65e5\\u672c: model tiny knows no word of this prompt; its results mean nothing"
    ]
    assert " \\u65e5\\u672c " in ran.stdout


def test_a_warning_or_an_error_is_one_line_whatever_the_name(hard_index: Path, tiny_env: Env) -> None:
    broken = hard_index.parent / "images" / "bro\nken.png"
    command = ["search", "--index", str(hard_index), "--query", str(broken)]
    warned = run_cli(*command, "--q-text", "red", env=tiny_env)
    assert warned.code == 0
    assert len(warned.stderr.splitlines()) == 1
    refused = run_cli(*command, env=tiny_env)
    assert refused.code == 1
    assert "bro\\nken.png: not an image" in refused.error


def test_names_that_are_not_utf8_survive(tmp_path: Path, tiny_env: Env) -> None:
    name = os.fsencode(tmp_path) + b"/images/caf\xe9.png"
    (tmp_path / "images").mkdir()
    try:
        picture(1).save(os.fsdecode(name), "PNG")
    except OSError:
        pytest.skip("this file system takes only valid Unicode")
    embedded = run_cli(
        *("embed", "--images-dir", tmp_path / "images", "--out", tmp_path / "index", "--backbone", "tiny"), env=tiny_env
    )
    assert embedded.code == 0, embedded.stderr
    ran = run_cli("search", "--index", tmp_path / "index", "--query", name, "--json", env=tiny_env)
    assert (ran.code, ran.stderr) == (0, "")
    (document,) = objects(ran.stdout)
    assert os.fsencode(document["query"]) == name
    assert os.fsencode(document["results"][0]["path"]) == name
    for form, end in (("-0", b"\0"), ("--csv", b"\n")):
        plain = run_cli("search", "--index", tmp_path / "index", "--query", name, form, env=tiny_env)
        assert os.fsencode(plain.stdout).endswith(name + end)
    table = run_cli("search", "--index", tmp_path / "index", "--query", name, env=tiny_env)
    assert table.code == 0, table.stderr
    assert "caf\\udce9.png" in table.stdout


def test_embed_is_silent_when_told_so_but_still_names_what_it_skips(tmp_path: Path, tiny_env: Env) -> None:
    save_pictures(tmp_path / "images", range(3))
    command = ["embed", "--images-dir", str(tmp_path / "images"), "--out", str(tmp_path / "index"), "--quiet"]
    ran = run_cli(*command, "--backbone", "tiny", env=tiny_env)
    assert (ran.code, ran.stdout, ran.stderr) == (0, "", "")
    (tmp_path / "images" / "bad.png").touch()
    ran = run_cli(*command, "--backbone", "tiny", env=tiny_env)
    assert (ran.code, ran.stdout, ran.stderr) == (0, "", "skipped: bad.png: the file is empty\n")


def test_embed_shows_progress_on_a_terminal(tmp_path: Path, tiny_env: Env) -> None:
    save_pictures(tmp_path / "images", range(5))
    command = ["embed", "--images-dir", str(tmp_path / "images"), "--out", str(tmp_path / "index")]
    reader, writer = pty.openpty()
    done = subprocess.run(
        [sys.executable, "embedlab.py", *command, "--backbone", "tiny"],
        cwd=ROOT,
        env={**os.environ, **tiny_env},
        stderr=writer,
        timeout=60,
        check=False,
    )
    shown = os.read(reader, 100_000).decode()
    os.close(writer)
    os.close(reader)
    assert done.returncode == 0
    assert "embedding" in shown
    assert "5/5" in shown


def test_odd_metadata_in_many_threads_prints_no_warning(tmp_path: Path, tiny_env: Env) -> None:
    (tmp_path / "images").mkdir()
    for seed in range(100):
        path = tmp_path / "images" / f"{seed}.jpg"
        picture(seed, (400, 300)).save(path, exif=b"Exif\0\0II*\0\x08\0\0\0\x09\0")
    command = ["embed", "--images-dir", str(tmp_path / "images"), "--out", str(tmp_path / "index"), "--workers", "16"]
    ran = run_cli(*command, "--backbone", "tiny", env=tiny_env)
    assert ran.code == 0
    assert len(ran.stderr.splitlines()) == 1, ran.stderr
    assert "100 images in" in ran.stderr


def test_a_reader_that_goes_away_ends_the_program_quietly(tiny_index: Path, tiny_env: Env) -> None:
    prompts = [part for _ in range(3000) for part in ("--q-text", "red")]
    process = subprocess.Popen(
        [sys.executable, "embedlab.py", "search", "--index", str(tiny_index), *prompts, "--json"],
        cwd=ROOT,
        env={**os.environ, **tiny_env},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline().startswith(b'{"query": "red"')
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait() == 1
