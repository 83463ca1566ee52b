"""The Python API does what README shows."""

import hashlib
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from embedlab_core import Index
from embedlab_core.errors import QueryError
from embedlab_core.search.search import SearchOptions
from tests.cli.conftest import Grader
from tests.support import ROOT, make_rows, open_writer, picture, unit


def test_readmes_example_runs(
    grader: Grader, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
    monkeypatch.chdir(grader.folder)
    exec(compile(example, "README.md", "exec"), {})
    printed = capsys.readouterr().out
    assert len(re.findall(r"assets/images/\d{3}\.\w+", printed)) >= 5


@pytest.fixture
def index(tiny_index: Path, tiny_root: Path, monkeypatch: pytest.MonkeyPatch) -> Index:
    monkeypatch.setenv("EMBEDLAB_WEIGHTS", str(tiny_root))
    return Index.open(tiny_index)


def test_one_part_answers_for_itself_and_several_are_combined(index: Index, tiny_index: Path) -> None:
    image = tiny_index.parent / "images" / "003.png"
    assert index.search(text="red", k=3).query.modality == "text"
    assert index.search(image=image, k=3).hits[0].path.endswith("003.png")
    both = index.search(image=image, text=["red", "blue"], minus_text="black", k=3)
    assert [part.weight for part in both.query.parts] == [1, 1, 1, -1]
    assert len(both.hits) == 3


def test_options_hold(index: Index) -> None:
    result = index.search(text="red", k=4, options=SearchOptions(explain=True, path_glob="*/00?.png"))
    assert len(result.explanations) == len(result.hits) == 4
    assert all(re.search(r"/00\d\.png$", hit.path) for hit in result.hits)


def test_k_of_the_options_holds_unless_another_is_given(index: Index) -> None:
    options = SearchOptions(k=7)
    assert len(index.search(text="red", options=options).hits) == 7
    assert len(index.search(text="red", k=2, options=options).hits) == 2


def test_one_string_is_one_thing(index: Index, tiny_index: Path) -> None:
    assert list(index.label("red").counts) == ["red", "none of these"]
    (checked,) = index.check(str(tiny_index.parent / "images" / "003.png"))
    assert checked.matches[0].identical


def test_a_plan_of_a_number_holds_no_stranger(tmp_path: Path) -> None:
    # The second is near to both others, which are far from each other; all files look alike.
    (tmp_path / "images").mkdir()
    rows = make_rows(unit([[1, 0], [1, 1], [0, 1]]), ["0.png", "1.png", "2.png"])
    files = [tmp_path / "images" / path for path in rows.paths]
    for file in files:
        picture(1).save(file)
    digest = np.frombuffer(hashlib.sha256(files[0].read_bytes()).digest(), np.uint8)
    sizes = np.full(3, files[0].stat().st_size, np.int64)
    with open_writer(tmp_path / "index", 2, images_dir=str(tmp_path / "images")) as writer:
        writer.append(replace(rows, sizes=sizes, sha256=np.tile(digest, (3, 1))))
    plan = Index.open(tmp_path / "index").plan_dedupe(tmp_path / "plan.json", 0.7)
    assert [len(group.move) for group in plan.groups] == [1]


def test_an_empty_query_is_an_error(index: Index) -> None:
    with pytest.raises(QueryError, match="no queries given"):
        index.search()
