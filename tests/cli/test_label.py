"""label, quality, labels in analyze, metrics.json and --log-format, as a user meets them."""

import csv
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest

from embedlab_core.analysis.labels import ImageLabel, Labelling
from embedlab_core.api import Index
from embedlab_core.cli.label_output import write_csv
from embedlab_core.encoders.onnx import OnnxEncoder
from embedlab_core.errors import FileWriteError, IndexWriteError
from embedlab_core.metrics import METRICS
from tests.cli.conftest import Grader
from tests.support import ASSETS, as_ordinary_user, embed_images, run_cli, save_pictures

Env = dict[str, str]


def document(stdout: str) -> dict[str, Any]:
    (line,) = stdout.splitlines()
    found: dict[str, Any] = json.loads(line)
    return found


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    root = tmp_path_factory.mktemp("words")
    (root / "labels.txt").write_text("red\ngreen\nblue\n")
    (root / "twice.txt").write_text("red\nRed\n")
    (root / "empty.txt").write_text("\n \n")
    (root / "latin.txt").write_bytes(b"caf\xe9\n")
    return {path.stem: str(path) for path in root.iterdir()} | {"nowhere": str(root / "nowhere")}


def test_label_prints_an_object_and_writes_a_table(
    tiny_index: Path, tiny_env: Env, words: dict[str, str], tmp_path: Path
) -> None:
    command = ["label", "--index", str(tiny_index), "--labels", words["labels"], "--csv", str(tmp_path / "out.csv")]
    ran = run_cli(*command, "--json", env=tiny_env)
    assert (ran.code, ran.stderr) == (0, "")
    found = document(ran.stdout)
    assert list(found["counts"]) == ["red", "green", "blue", "none of these"]
    assert sum(found["counts"].values()) == len(found["images"]) == 12
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["path"], row["label"]) for row in rows] == [
        (entry["path"], entry["label"]) for entry in found["images"]
    ]


def test_analyze_with_labels_adds_counts_and_the_labels_of_groups_and_anomalies(
    tiny_index: Path, tiny_env: Env
) -> None:
    command = ["analyze", "--index", str(tiny_index), "--anomaly-top", "3", "--json"]
    plain = document(run_cli(*command, env=tiny_env).stdout)
    found = document(run_cli(*command, "--q-text", "red", "--q-text", "blue", env=tiny_env).stdout)
    assert plain.items() <= found.items()
    assert list(found["label_counts"]) == ["red", "blue", "none of these"]
    assert len(found["group_labels"]) == len(found["duplicate_groups"])
    assert len(found["anomaly_labels"]) == 3
    explained = document(run_cli(*command, "--q-text", "red", "--explain", env=tiny_env).stdout)
    labels = {entry["path"]: entry["label"] for entry in explained["image_labels"]}
    assert explained["anomaly_labels"] == [labels[path] for path in explained["anomalies"]]
    assert all(set(entry) >= {"path", "flags", "scores"} for entry in explained["quality_flags"])


@pytest.mark.parametrize("method", ["knn", "lof", "kde"])
def test_every_anomaly_method_ranks(tiny_index: Path, method: str) -> None:
    ran = run_cli("analyze", "--index", tiny_index, "--anomaly-method", method, "--k", "3", "--json", "--explain")
    found = document(ran.stdout)
    assert len(found["anomalies"]) == 8
    assert found["anomaly_scores"] == sorted(found["anomaly_scores"], reverse=True)


def test_clusters_are_named_by_a_vocabulary(tiny_index: Path, tiny_env: Env, words: dict[str, str]) -> None:
    command = ["label", "--index", str(tiny_index), "--vocabulary", words["labels"], "--clusters", "2"]
    found = document(run_cli(*command, "--json", env=tiny_env).stdout)["clusters"]
    assert sum(cluster["size"] for cluster in found) == 12
    assert all(set(cluster["names"]) <= {"red", "green", "blue"} for cluster in found)
    table = run_cli(*command, env=tiny_env).stdout.splitlines()
    assert len(table) == sum(1 + len(cluster["examples"]) for cluster in found)


@pytest.mark.parametrize(
    ("command", "code", "message"),
    [
        ("label --labels {twice}", 1, "label 'red' is given 2 times"),
        ("label --labels {empty}", 1, "empty.txt: no labels here"),
        ("label --labels {latin}", 1, "latin.txt: not UTF-8 text (byte 0xe9 at 3); save it as UTF-8"),
        ("label --labels {nowhere}", 1, "nowhere: no such file"),
        ("label --labels {labels} --csv {nowhere}/out.csv", 1, "out.csv: cannot be written"),
        ("label --vocabulary {latin}", 1, "latin.txt: not UTF-8 text (byte 0x"),
        ("label --vocabulary {empty}", 1, "empty.txt: no labels here"),
        ("label --vocabulary {labels} --clusters 13", 1, "13 clusters of 12 images"),
        ("label --csv {nowhere}", 2, "--csv needs --labels"),
        ("label --labels {labels} --clusters 2", 2, "leave them out with --labels"),
        ("analyze --k 12", 1, "--k 12 needs more than 12 images, and the index holds 12"),
        ("analyze --anomaly-method svm", 2, "'svm' is not one of"),
        ("analyze --q-text red --q-text red", 1, "label 'red' is given 2 times"),
        ("analyze --log-format xml", 2, "'xml' is not one of"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    tiny_index: Path, tiny_env: Env, words: dict[str, str], command: str, code: int, message: str
) -> None:
    ran = run_cli(*command.format_map(words).split(), "--index", tiny_index, env=tiny_env)
    assert ran.code == code
    assert message in ran.error


def test_an_empty_label_is_one_line(tiny_index: Path, tiny_env: Env) -> None:
    ran = run_cli("analyze", "--index", tiny_index, "--q-text", " ", env=tiny_env)
    assert ran.code == 1
    assert "an empty label has no meaning" in ran.error


def test_an_unknown_flag_is_wrong_usage(tmp_path: Path) -> None:
    ran = run_cli("embed", "--images-dir", tmp_path, "--out", tmp_path / "out", "--exclude-flagged", "blank,blurry")
    assert ran.code == 2
    assert "'blurry' is no quality flag; choose from blank, low-entropy," in ran.error


def test_an_index_of_one_image_has_itself_as_its_only_finding(tmp_path: Path, tiny: OnnxEncoder, tiny_env: Env) -> None:
    save_pictures(tmp_path / "images", [1])
    embed_images(tmp_path / "images", tmp_path / "index", tiny)
    ran = run_cli("analyze", "--index", tmp_path / "index", "--json", env=tiny_env)
    assert ran.code == 0
    assert ran.stderr.startswith("Warning: ")
    assert "one image has nothing to be compared with" in ran.stderr
    assert len(ran.stderr.splitlines()) == 1
    assert len(document(ran.stdout)["anomalies"]) == 1
    refused = run_cli("analyze", "--index", tmp_path / "index", "--k", "1", env=tiny_env)
    assert (refused.code, "needs more than 1 images" in refused.error) == (1, True)


def test_quality_flags_of_the_assets_are_the_broken_oddballs_alone(grader: Grader) -> None:
    report = document(grader.run("quality", "--index", "./index", "--json").stdout)
    found = {Path(entry["path"]).name: entry["flags"] for entry in report["flagged"]}
    assert found == {"080.png": ["extreme-aspect"], "097.png": ["blank", "low-entropy"], "102.png": ["blurred"]}
    assert found.keys() <= set(json.loads((ASSETS / "labels.json").read_text())["oddballs"])
    table = grader.run("quality", "--index", "./index").stdout.splitlines()
    assert table[0] == "3 of 119 images are flagged"


def test_labels_of_the_assets_are_mostly_right(grader: Grader) -> None:
    truth = json.loads((ASSETS / "labels.json").read_text())["prompts"]
    arguments = [part for prompt in truth for part in ("--q-text", prompt)]
    found = document(grader.run("analyze", "--index", "./index", *arguments, "--json", "--explain").stdout)
    labels = {Path(entry["path"]).name: entry["label"] for entry in found["image_labels"]}
    wanted = {name: prompt for prompt, names in truth.items() for name in names}
    assert sum(labels[name] == prompt for name, prompt in wanted.items()) >= 0.85 * len(wanted)


@pytest.fixture
def own(tiny_index: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_index, tmp_path / "own"))


@pytest.mark.parametrize(
    ("command", "stages"),
    [
        ("search --q-text red", {"encode", "rank", "total"}),
        ("analyze", {"rank", "total"}),
        ("analyze --explain --q-text red", {"encode", "rank", "total"}),
        ("quality", {"rank", "total"}),
        ("label --labels {labels}", {"encode", "rank", "total"}),
        ("label --vocabulary {labels}", {"encode", "rank", "total"}),
    ],
)
def test_every_command_leaves_its_metrics(
    own: Path, tiny_env: Env, words: dict[str, str], command: str, stages: set[str]
) -> None:
    ran = run_cli(*command.format_map(words).split(), "--index", own, env=tiny_env)
    assert (ran.code, ran.stderr) == (0, "")
    metrics = json.loads((own / METRICS).read_text())
    assert (metrics["command"], metrics["images"]) == (command.split()[0], 12)
    assert set(metrics["seconds"]) == stages
    assert metrics["images_per_second"] > 0
    assert 1 < metrics["peak_memory_mb"] < 10_000


def test_embed_leaves_counts_and_the_seconds_of_its_stages(tmp_path: Path, tiny: OnnxEncoder) -> None:
    save_pictures(tmp_path / "images", range(3))
    embed_images(tmp_path / "images", tmp_path / "index", tiny)
    metrics = json.loads((tmp_path / "index" / METRICS).read_text())
    assert (metrics["command"], metrics["encoded"], metrics["skipped"]) == ("embed", 3, 0)
    assert set(metrics["seconds"]) == {"discover", "decode", "encode", "write", "total"}


def test_an_index_that_cannot_be_written_still_answers(tiny_index: Path) -> None:
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        own = shutil.copytree(tiny_index, Path(name, "own"), ignore=shutil.ignore_patterns(METRICS))
        own.chmod(0o555)
        with as_ordinary_user():
            analysis = Index.open(own).analyze()
        own.chmod(0o755)
        assert len(analysis.groups) == 1
        assert not (own / METRICS).exists()


def test_json_logs_are_one_object_a_line(tmp_path: Path, tiny_env: Env) -> None:
    save_pictures(tmp_path / "images", range(2))
    (tmp_path / "images" / "bad.png").touch()
    command = ["--images-dir", str(tmp_path / "images"), "--out", str(tmp_path / "index"), "--backbone", "tiny"]
    ran = run_cli("embed", *command, "--log-format", "json", env=tiny_env)
    assert (ran.code, ran.stdout) == (0, "")
    skipped, summary = map(json.loads, ran.stderr.splitlines())
    assert skipped == {"level": "warning", "message": "skipped: bad.png: the file is empty"}
    assert summary["level"] == "info"
    assert summary["message"].startswith("2 images in ")


def test_a_failure_is_a_json_line_too(tmp_path: Path) -> None:
    ran = run_cli("search", "--index", tmp_path, "--q-text", "red", "--log-format", "json")
    assert (ran.code, ran.stdout) == (1, "")
    error = json.loads(ran.stderr)
    assert error["level"] == "error"
    assert "no index here" in error["message"]


def test_csv_of_labels_quotes_what_would_end_a_field(tmp_path: Path) -> None:
    paths = ["two\nlines", "carriage\rreturn", 'a "quoted", one']
    images = tuple(ImageLabel(path, f"{path}!", 0.5, 0.25) for path in paths)
    write_csv(tmp_path / "labels.csv", Labelling(images, {}))
    with (tmp_path / "labels.csv").open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert [(row["path"], row["label"]) for row in rows] == [(path, f"{path}!") for path in paths]
    with pytest.raises(FileWriteError, match="cannot be written") as caught:
        write_csv(tmp_path, Labelling(images, {}))
    assert not isinstance(caught.value, IndexWriteError)
