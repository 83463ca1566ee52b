"""The three commands of the exercise, word for word, with the network cut off; and the truth of assets/labels.json."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from embedlab_core.index.reader import IndexReader
from tests.cli.conftest import Grader, run_offline
from tests.support import ASSETS, ROOT, no_network

SEARCH_IMAGES = ["search", "--index", "./index", "--query-dir", "./assets/queries", "--k", "5", "--json"]
SEARCH_TEXT = ["search", "--index", "./index", "--q-text", "login screen", "--k", "5", "--json"]
ANALYZE = ["analyze", "--index", "./index", "--dup-threshold", "0.92", "--anomaly-top", "8", "--json"]

Document = dict[str, Any]


@pytest.fixture(scope="module")
def labels() -> Document:
    document: Document = json.loads((ASSETS / "labels.json").read_text("utf-8"))
    return document


@pytest.fixture(scope="module")
def image_results(grader: Grader) -> list[Document]:
    return results_of(grader, SEARCH_IMAGES)


@pytest.fixture(scope="module")
def analysis(grader: Grader) -> Document:
    ran = grader.run(*ANALYZE)
    assert (ran.code, ran.stderr) == (0, "")
    (line,) = ran.stdout.splitlines()
    document: Document = json.loads(line)
    return document


def results_of(grader: Grader, arguments: list[str]) -> list[Document]:
    ran = grader.run(*arguments)
    assert (ran.code, ran.stderr) == (0, "")
    return [json.loads(line) for line in ran.stdout.splitlines()]


def names(paths: list[str]) -> list[str]:
    assert all(path.startswith("assets/images/") for path in paths)
    return [Path(path).name for path in paths]


def top(result: Document, k: int) -> list[str]:
    return names([hit["path"] for hit in result["results"][:k]])


def test_the_network_is_really_cut_off() -> None:
    prefix, env = no_network()
    for command, variables in ((prefix, env), ([], {"PYTHONPATH": str(ROOT / "tests" / "offline")})):
        done = subprocess.run(
            [*command, sys.executable, "-c", "import socket; socket.create_connection(('192.0.2.1', 80), 60)"],
            env={**os.environ, **variables},
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
        assert "OSError: " in done.stderr


def test_embed_indexes_every_image_and_says_so_on_stderr(grader: Grader) -> None:
    assert grader.embed.code == 0, grader.embed.stderr
    assert grader.embed.stdout == ""
    count = len(list((ASSETS / "images").iterdir()))
    assert f"{count} images in index: model " in grader.embed.stderr
    assert "dim 512" in grader.embed.stderr
    assert "0 skipped" in grader.embed.stderr
    assert "images/s" in grader.embed.stderr
    assert {path.name for path in (grader.folder / "index").iterdir()} >= {
        "manifest.json",
        "metrics.json",
        "shards",
        "skipped.jsonl",
    }
    assert len(IndexReader.open(grader.folder / "index")) == count


def test_embed_of_an_unchanged_folder_reads_nothing(grader: Grader) -> None:
    again = grader.run("embed", "--images-dir", "./assets/images", "--out", "./index")
    assert again.code == 0, again.stderr
    assert " 0 embedded, 0 reused, " in again.stderr
    # The index is what it was: "auto" stays with its model, without another word.
    assert len(again.stderr.splitlines()) == 1


def test_search_by_images_prints_one_object_a_line_for_each_query(image_results: list[Document]) -> None:
    queries = sorted(path.name for path in (ASSETS / "queries").iterdir())
    assert [result["query"] for result in image_results] == [f"assets/queries/{name}" for name in queries]
    known = {f"assets/images/{path.name}" for path in (ASSETS / "images").iterdir()}
    for result in image_results:
        assert list(result) == ["query", "results"]
        assert len(result["results"]) == 5
        for hit in result["results"]:
            assert list(hit) == ["path", "score"]
            assert hit["path"] in known
            assert -1 <= hit["score"] <= 1 + 1e-6
        scores = [hit["score"] for hit in result["results"]]
        assert scores == sorted(scores, reverse=True)


def test_search_by_text_prints_the_prompt_as_the_query(grader: Grader) -> None:
    (result,) = results_of(grader, SEARCH_TEXT)
    assert result["query"] == "login screen"
    assert list(result) == ["query", "results"]
    assert len(result["results"]) == 5
    assert all(list(hit) == ["path", "score"] for hit in result["results"])


def test_analyze_prints_lists_of_paths(analysis: Document) -> None:
    assert list(analysis) == ["duplicate_groups", "anomalies"]
    assert len(analysis["anomalies"]) == len(set(analysis["anomalies"])) == 8
    known = {f"assets/images/{path.name}" for path in (ASSETS / "images").iterdir()}
    assert set(analysis["anomalies"]) <= known
    for group in analysis["duplicate_groups"]:
        assert len(group) > 1
        assert group == sorted(group)
        assert set(group) <= known
    assert analysis["duplicate_groups"] == sorted(analysis["duplicate_groups"])


def test_the_same_commands_print_the_same_bytes_from_a_new_index(grader: Grader, tmp_path: Path) -> None:
    for name in ("embedlab.py", "assets"):
        (tmp_path / name).symlink_to(grader.folder / name)
    embedded = run_offline(
        tmp_path, "embed", "--images-dir", "assets/images", "--out", "index", "--batch-size", "7", "--workers", "1"
    )
    assert embedded.code == 0, embedded.stderr
    for arguments in (SEARCH_IMAGES, SEARCH_TEXT, ANALYZE):
        assert run_offline(tmp_path, *arguments) == grader.run(*arguments)


def test_every_duplicate_group_is_found_and_no_other(analysis: Document, labels: Document) -> None:
    found = [names(group) for group in analysis["duplicate_groups"]]
    assert found == sorted(sorted(group) for group in labels["duplicate_groups"])


def test_at_least_7_of_the_8_oddballs_are_in_the_top_8(analysis: Document, labels: Document) -> None:
    assert len(labels["oddballs"]) == 8
    assert len(set(names(analysis["anomalies"])) & set(labels["oddballs"])) >= 7


def test_every_query_image_has_a_right_answer_in_its_top_5(image_results: list[Document], labels: Document) -> None:
    assert {Path(result["query"]).name for result in image_results} == labels["queries"].keys()
    missed = {
        result["query"]: top(result, 5)
        for result in image_results
        if not set(top(result, 5)) & set(labels["queries"][Path(result["query"]).name])
    }
    assert missed == {}


def test_at_least_10_of_the_12_prompts_have_a_right_answer_in_their_top_3(grader: Grader, labels: Document) -> None:
    assert len(labels["prompts"]) == 12
    arguments = [part for prompt in labels["prompts"] for part in ("--q-text", prompt)]
    results = results_of(grader, ["search", "--index", "./index", *arguments, "--k", "3", "--json"])
    assert [result["query"] for result in results] == list(labels["prompts"])
    missed = {
        result["query"]: top(result, 3)
        for result in results
        if not set(top(result, 3)) & set(labels["prompts"][result["query"]])
    }
    assert len(missed) <= 2, missed
