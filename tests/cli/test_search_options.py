"""The options of search, as a user types them."""

import base64
import csv
import io
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from embedlab_core.cli.output import search_csv
from embedlab_core.cli.preview import iterm2, kitty, protocol, sixel, thumbnails
from embedlab_core.search.queries import Query
from embedlab_core.search.rank import Hit
from embedlab_core.search.search import SearchResult
from tests.cli.conftest import Grader
from tests.support import picture, run_cli

Env = dict[str, str]


def documents(stdout: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stdout.splitlines()]


def search(index: Path, env: Env, *args: str) -> list[dict[str, Any]]:
    ran = run_cli("search", "--index", index, "--json", *args, env=env)
    assert ran.code == 0, ran.stderr
    return documents(ran.stdout)


def test_combined_queries_are_one_object_with_their_shares(tiny_index: Path, tiny_env: Env) -> None:
    image = str(tiny_index.parent / "images" / "003.png")
    arguments = ["--combine", "--query", image, "--q-text", "2:red", "--minus-text", "blue", "--explain"]
    (found,) = search(tiny_index, tiny_env, *arguments)
    assert found["query"] == f"{image} + 2:red - blue"
    assert [part["weight"] for part in found["parts"]] == [1, 2, -1]
    for hit in found["results"]:
        assert sum(hit["shares"]) == pytest.approx(hit["score"], abs=1e-5)
        assert hit["band"] is None


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--minus-text", "red", "--q-text", "blue"], 2, "--minus-text and --minus-image need --combine"),
        (["--combine", "--minus-text", "red"], 1, "nothing to search for but what to take away"),
        (["--combine", "--q-text", "red", "--minus-text", "red"], 1, "cancel out"),
        (["--combine", "--q-text", "1.2.3:red"], 1, "weight '1.2.3' is not a number"),
        (["--combine", "--q-text", "0:red"], 1, "a weight must be above 0"),
        (["--combine", "--query", "nowhere.png", "--q-text", "red"], 1, "nowhere.png: file cannot be read"),
        (["--q-text", "red", "--ann", "--k", "9", "--rerank", "3"], 2, "--rerank must be at least --k"),
        (["--q-text", "red", "--json", "--csv"], 2, "exclude each other"),
        (
            ["--q-text", "red", "--min-band", "near-duplicate"],
            1,
            "no such band for text queries; there is related, match",
        ),
        (["--q-text", "red", "--combine", "--min-band", "related"], 1, "no such band for composed queries"),
        (["--q-text", "red", "--path-glob", "*.gif"], 1, "no image of"),
        (["--q-text", "red", "--diversity", "1.5"], 2, "--diversity"),
        (["--q-text", "red", "--min-score", "nan"], 2, "nan is not a number"),
    ],
)
def test_what_cannot_be_answered_is_one_line(
    tiny_index: Path, tiny_env: Env, arguments: list[str], code: int, message: str
) -> None:
    ran = run_cli("search", "--index", tiny_index, *arguments, env=tiny_env)
    assert (ran.code, ran.stdout) == (code, "")
    last = ran.stderr.splitlines()[-1]
    assert last.startswith("Error: ")
    assert message in last


def test_results_below_the_floor_are_left_out(tiny_index: Path, tiny_env: Env) -> None:
    image = str(tiny_index.parent / "images" / "003.png")
    (everything,) = search(tiny_index, tiny_env, "--query", image, "--k", "12")
    floor = everything["results"][4]["score"]
    (above,) = search(tiny_index, tiny_env, "--query", image, "--k", "12", "--min-score", str(floor - 1e-6))
    assert above["results"] == everything["results"][:5]
    (near,) = search(tiny_index, tiny_env, "--query", image, "--k", "12", "--min-band", "near-duplicate")
    assert near["results"] == [hit for hit in everything["results"] if hit["score"] >= 0.92]


def test_the_query_itself_and_its_copies_can_be_left_out(tiny_index: Path, tiny_env: Env, tmp_path: Path) -> None:
    shutil.copy(tiny_index.parent / "images" / "000.png", tmp_path / "copy.png")
    (found,) = search(tiny_index, tiny_env, "--query", str(tmp_path / "copy.png"), "--exclude-query", "--k", "12")
    names = [Path(hit["path"]).name for hit in found["results"]]
    assert sorted(names) == [f"{number:03d}.png" for number in range(1, 10)]


def test_duplicates_of_a_better_result_are_named_or_left_out(tiny_index: Path, tiny_env: Env) -> None:
    image = str(tiny_index.parent / "images" / "000.png")
    (explained,) = search(tiny_index, tiny_env, "--query", image, "--k", "3", "--explain")
    first, *copies = explained["results"]
    assert first["duplicate_of"] is None
    assert [copy["duplicate_of"] for copy in copies] == [first["path"]] * 2
    (collapsed,) = search(tiny_index, tiny_env, "--query", image, "--k", "12", "--collapse-duplicates")
    names = [Path(hit["path"]).name for hit in collapsed["results"]]
    assert names[0] == "000.png"
    assert not {"010.png", "011.png"} & set(names)


def test_csv_has_a_header_and_one_line_a_result(tiny_index: Path, tiny_env: Env) -> None:
    arguments = ["--q-text", 'red, "blue"', "--q-text", "red", "--k", "3"]
    ran = run_cli("search", "--index", tiny_index, "--csv", *arguments, env=tiny_env)
    rows = list(csv.DictReader(io.StringIO(ran.stdout)))
    as_json = search(tiny_index, tiny_env, *arguments)
    wanted = [(found["query"], hit["path"], hit["score"]) for found in as_json for hit in found["results"]]
    assert [(row["query"], row["path"], float(row["score"])) for row in rows] == wanted
    assert [row["rank"] for row in rows] == ["1", "2", "3"] * 2


@pytest.mark.parametrize("text", ["two\nlines", "carriage\rreturn", "both\r\n", 'a "quoted", one', "plain"])
def test_csv_quotes_what_would_end_a_field(text: str) -> None:
    query = Query(text, "text", np.ones(1, np.float32))
    result = SearchResult(query, (), [Hit(0, f"{text}.png", 0.5)], [])
    written = "".join(f"{line}\n" for line in search_csv([result]))
    assert list(csv.reader(io.StringIO(written, newline=""))) == [
        ["query", "rank", "score", "path"],
        [text, "1", "0.5", f"{text}.png"],
    ]


def test_csv_of_a_prompt_of_two_lines_is_read_back(tiny_index: Path, tiny_env: Env) -> None:
    ran = run_cli("search", "--index", tiny_index, "--csv", "--q-text", "red\rblue\nred", "--k", "2", env=tiny_env)
    rows = list(csv.DictReader(io.StringIO(ran.stdout, newline="")))
    assert [row["query"] for row in rows] == ["red\rblue\nred"] * 2


def test_a_query_without_results_says_so_in_the_table_only(tiny_index: Path, tiny_env: Env) -> None:
    arguments = ["search", "--index", str(tiny_index), "--q-text", "red", "--min-score", "0.999"]
    assert run_cli(*arguments, env=tiny_env).stdout == "red\n   -  no image reaches 0.9990\n"
    assert documents(run_cli(*arguments, "--json", env=tiny_env).stdout) == [{"query": "red", "results": []}]


def test_a_prompt_of_unknown_words_has_no_band_and_is_told_on_stderr(tiny_index: Path, tiny_env: Env) -> None:
    command = ["search", "--index", str(tiny_index), "--q-text", "asdfqwer zxcv", "--q-text", "red"]
    warning = "Warning: asdfqwer zxcv: model tiny knows no word of this prompt; its results mean nothing\n"
    explained = run_cli(*command, "--json", "--explain", env=tiny_env)
    unknown, known = documents(explained.stdout)
    assert explained.stderr == warning
    assert {hit["band"] for hit in unknown["results"]} == {None}
    assert None not in {hit["band"] for hit in known["results"]}
    judged = run_cli(*command, "--min-band", "related", env=tiny_env)
    assert judged.stderr == warning
    assert judged.stdout.startswith("asdfqwer zxcv\n   -  no band: the model knows no word of this prompt\n\nred\n")


def test_paths_are_ended_by_nul_and_stand_once(tiny_index: Path, tiny_env: Env) -> None:
    ran = run_cli("search", "--index", tiny_index, "-0", "--q-text", "red", "--q-text", "red", "--k", "3", env=tiny_env)
    (found, _) = search(tiny_index, tiny_env, "--q-text", "red", "--q-text", "red", "--k", "3")
    assert ran.stdout == "".join(f"{hit['path']}\0" for hit in found["results"])


def test_no_thumbnail_ever_enters_a_pipe(tiny_index: Path, tiny_env: Env) -> None:
    arguments = ["search", "--index", str(tiny_index), "--q-text", "red"]
    plain = run_cli(*arguments, env=tiny_env)
    assert run_cli(*arguments, "--preview", env={**tiny_env, "TERM": "xterm-kitty"}) == plain


def test_a_photograph_of_195_megapixels_has_a_thumbnail_and_what_cannot_be_read_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("L", (15_000, 13_000), 90).save(tmp_path / "large.jpg", quality=1)
    (tmp_path / "bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    monkeypatch.setenv("TERM", "xterm-kitty")
    monkeypatch.setattr("sys.stdout", Terminal())
    thumbnail = thumbnails()
    (data,) = re.findall(r"\x1b_G[^;]*;([^\x1b]*)\x1b\\", thumbnail(str(tmp_path / "large.jpg")))
    with Image.open(io.BytesIO(base64.b64decode(data))) as image:
        assert image.size == (160, 139)
    for name in ("bomb.png", "gone.png", "."):
        assert thumbnail(str(tmp_path / name)) == ""


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_terminal_decides_the_protocol() -> None:
    assert protocol({"TERM": "xterm-kitty"}) is kitty
    assert protocol({"TERM": "xterm-256color", "TERM_PROGRAM": "WezTerm"}) is iterm2
    assert protocol({"TERM": "foot-extra"}) is sixel
    assert protocol({"TERM": "xterm-256color"}) is None


def test_kitty_and_iterm2_carry_the_picture_as_png() -> None:
    image = picture(0, (120, 80))
    chunks = re.findall(r"\x1b_G[^;]*;([^\x1b]*)\x1b\\", kitty(image))
    assert all(len(chunk) <= 4096 for chunk in chunks)
    inline = re.fullmatch(r"\x1b]1337;File=inline=1;width=120px;height=80px:(.*)\a", iterm2(image))
    assert inline is not None
    for data in ("".join(chunks), inline[1]):
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(base64.b64decode(data)))), np.asarray(image))


def test_sixels_draw_every_pixel_in_its_colour() -> None:
    pixels = np.zeros((8, 5, 3), np.uint8)
    pixels[:, 2:] = (255, 0, 0)
    sequence = sixel(Image.fromarray(pixels))
    colours = dict(re.findall(r"#(\d+);2;(\d+;\d+;\d+)", sequence))
    body = sequence[sequence.index("#", sequence.rindex(";")) :].removesuffix("\x1b\\")
    drawn = {}
    for number, band in enumerate(body.split("-")):
        for colour, line in re.findall(r"#(\d+)([?-~]+)", band):
            for x, char in enumerate(line):
                for bit in range(6):
                    if (ord(char) - 63) >> bit & 1:
                        drawn[6 * number + bit, x] = colours[colour]
    assert drawn == {(y, x): "100;0;0" if x >= 2 else "0;0;0" for y in range(8) for x in range(5)}


def test_a_photograph_and_a_prompt_find_what_neither_finds_alone(grader: Grader) -> None:
    """The one drawing of a cat, by a photograph of a cat and "a pencil drawing"."""

    def found(*args: str) -> bool:
        (document,) = documents(grader.run("search", "--index", "./index", "--k", "8", "--json", *args).stdout)
        return "114.png" in [Path(hit["path"]).name for hit in document["results"]]

    cat, sketch = ["--query", "assets/queries/q1.jpg"], ["--q-text", "a pencil drawing"]
    assert [found(*cat), found(*sketch), found("--combine", *cat, *sketch)] == [False, False, True]
