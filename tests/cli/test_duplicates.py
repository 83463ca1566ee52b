"""The commands that act on duplicates, as a user starts them."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.cli.conftest import Grader
from tests.support import ASSETS, ROOT, picture, run_cli

Env = dict[str, str]


@pytest.fixture
def index(tiny_index: Path, tmp_path: Path) -> Path:
    """A copy of the tiny index that may be written."""
    shutil.copytree(tiny_index, tmp_path / "index")
    return tmp_path / "index"


@pytest.fixture(scope="module")
def images(tiny_index: Path) -> Path:
    return tiny_index.parent / "images"


def analysis(index: Path, *extra: str) -> dict[str, Any]:
    ran = run_cli("analyze", "--index", index, "--json", *extra)
    assert (ran.code, ran.stderr) == (0, "")
    document: dict[str, Any] = json.loads(ran.stdout)
    return document


def names(group: list[str]) -> list[str]:
    return [Path(path).name for path in group]


def test_a_marked_pair_is_no_group_from_then_on(index: Path, images: Path) -> None:
    assert [names(group) for group in analysis(index)["duplicate_groups"]] == [["000.png", "010.png", "011.png"]]
    ran = run_cli("mark", "--index", index, "--not-duplicate", images / "000.png", images / "011.png")
    assert (ran.code, ran.stdout, ran.stderr) == (0, "", "")
    for grouping in ("components", "complete", "medoid"):
        groups = analysis(index, "--grouping", grouping)["duplicate_groups"]
        assert [names(group) for group in groups] in ([["000.png", "010.png"]], [["010.png", "011.png"]])


def test_a_pair_that_cannot_be_marked_is_told_in_one_line(index: Path, images: Path) -> None:
    ran = run_cli("mark", "--index", index, "--not-duplicate", images / "000.png", "nowhere.png")
    assert ran.code == 1
    assert ran.error.startswith(f"nowhere.png: not in {index}")
    ran = run_cli("mark", "--index", index, "--not-duplicate", images / "000.png", images / "000.png")
    assert ran.code == 1
    assert "both paths name this image" in ran.error


def test_check_tells_identical_bytes_near_duplicates_and_strangers(
    index: Path, images: Path, tmp_path: Path, tiny_env: Env
) -> None:
    picture(3).save(tmp_path / "copy.bmp")
    picture(77).save(tmp_path / "new.png")
    ran = run_cli(
        *("check", "--index", index, images / "004.png", tmp_path / "copy.bmp", tmp_path / "new.png"),
        *("--json", "--dup-threshold", "0.999"),
        env=tiny_env,
    )
    assert (ran.code, ran.stderr) == (0, "")
    same, near, new = (json.loads(line) for line in ran.stdout.splitlines())
    assert [(Path(match["path"]).name, match["identical"]) for match in same["matches"]] == [("004.png", True)]
    assert [(Path(match["path"]).name, match["identical"]) for match in near["matches"]] == [("003.png", False)]
    assert near["matches"][0]["cosine"] == pytest.approx(1, abs=1e-6)
    assert new == {"file": str(tmp_path / "new.png"), "matches": []}


def test_check_names_a_file_that_it_cannot_read(index: Path, images: Path, tmp_path: Path, tiny_env: Env) -> None:
    (tmp_path / "broken.png").write_bytes(b"broken")
    ran = run_cli("check", "--index", index, tmp_path / "broken.png", env=tiny_env)
    assert ran.code == 1
    assert "broken.png: not an image that Pillow can read" in ran.error
    ran = run_cli("check", "--index", index, tmp_path / "broken.png", images / "001.png", env=tiny_env)
    assert ran.code == 0
    assert "broken.png" in ran.stderr
    assert len(ran.stdout.splitlines()) == 2


def test_rotations_need_hashes(index: Path) -> None:
    ran = run_cli("analyze", "--index", index, "--rotations")
    assert ran.code == 2
    assert "give --fuse hash too" in ran.error


def test_fused_evidence_is_shown_for_every_pair(index: Path) -> None:
    document = analysis(index, "--fuse", "hash", "--rotations", "--explain")
    (facts,) = (facts for facts in document["group_facts"] if facts["pair_count"] == 3)
    assert 1 <= len(facts["pairs"]) <= 2
    assert all(pair["evidence"] == ["identical bytes", "embedding", "hash"] for pair in facts["pairs"])


def test_a_plan_is_written_applied_refused_and_undone(index: Path, images: Path, tmp_path: Path) -> None:
    folder = tmp_path / "images"
    shutil.copytree(images, folder)
    before = sorted(path.name for path in folder.iterdir())
    manifest = index / "manifest.json"
    manifest.write_text(manifest.read_text().replace(str(images), str(folder)))
    plan = tmp_path / "plan.json"
    ran = run_cli("dedupe", "--index", index, "--plan", plan)
    assert (ran.code, ran.stderr) == (0, "")
    assert ran.stdout == f"{plan}: 2 images of 1 group would move\n"
    (group,) = json.loads(plan.read_text())["groups"]
    assert group["keep"]["path"] == "000.png"
    assert group["reason"] in ("oldest", "path")
    assert sorted(path.name for path in folder.iterdir()) == before
    assert run_cli("dedupe", "--plan", plan, "--apply", "--move-to", tmp_path / "away").code == 0
    assert sorted(path.name for path in (tmp_path / "away").iterdir()) == ["010.png", "011.png"]
    again = run_cli("dedupe", "--plan", plan, "--apply", "--move-to", tmp_path / "away")
    assert again.code == 1
    assert "already applied" in again.error
    rewritten = run_cli("dedupe", "--index", index, "--plan", plan)
    assert rewritten.code == 1
    assert "can be undone" in rewritten.error
    assert run_cli("dedupe", "--undo", plan).code == 0
    assert sorted(path.name for path in folder.iterdir()) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("", "give --plan FILE, or --undo FILE"),
        ("--plan p.json", "give --index to write a plan"),
        ("--plan p.json --apply", "--apply and --move-to go together"),
        ("--plan p.json --move-to there", "--apply and --move-to go together"),
        ("--plan p.json --undo p.json", "--undo stands alone"),
        ("--plan p.json --apply --move-to there --index i", "--index is for writing a plan"),
        ("--plan p.json --apply --move-to there --dup-threshold 0.99", "--dup-threshold is for writing a plan"),
        ("--undo p.json --keep oldest", "--keep is for writing a plan"),
        ("--undo p.json --grouping medoid", "--grouping is for writing a plan"),
    ],
)
def test_options_of_dedupe_that_make_no_sense_are_wrong_usage(arguments: str, message: str) -> None:
    ran = run_cli("dedupe", *arguments.split())
    assert ran.code == 2
    assert message in ran.error


def test_pairs_to_look_at_are_printed_and_stay(tmp_path: Path, tiny_env: Env) -> None:
    (tmp_path / "images").mkdir()
    for seed, level in enumerate((90, 91)):
        # All flat: alike to a model, and nothing to lay over each other.
        Image.new("RGB", (60, 50), (level, level, level)).save(tmp_path / "images" / f"{seed}.png")
    images, out = tmp_path / "images", tmp_path / "index"
    assert run_cli("embed", "--images-dir", images, "--out", out, "--backbone", "tiny", env=tiny_env).code == 0
    ran = run_cli("dedupe", "--index", out, "--plan", tmp_path / "p.json")
    lines = ran.stdout.splitlines()
    assert lines[0].endswith("0 images of 0 groups would move")
    assert lines[1].startswith("1 pair to look at")
    assert "0.png and" in lines[2]
    assert len(json.loads((tmp_path / "p.json").read_text())["look_at"]) == 1


def test_a_folder_to_protect_has_to_be_there(index: Path, tmp_path: Path) -> None:
    ran = run_cli("dedupe", "--index", index, "--plan", tmp_path / "p.json", "--protect", tmp_path / "nowhere")
    assert ran.code == 2
    assert "nowhere" in ran.error


def test_a_plan_that_is_not_there_is_told_in_one_line(tmp_path: Path) -> None:
    ran = run_cli("dedupe", "--undo", tmp_path / "p.json")
    assert ran.code == 1
    assert "no plan here; write one with" in ran.error


def test_a_threshold_is_a_number_or_a_known_word(tiny_index: Path) -> None:
    for threshold in ("automatic", "1.5", "nan"):
        ran = run_cli("analyze", "--index", tiny_index, "--dup-threshold", threshold)
        assert (ran.code, ran.stdout) == (2, "")
        assert "Traceback" not in ran.stderr


def test_calibrate_finds_a_threshold_that_auto_and_check_use(grader: Grader, tmp_path: Path) -> None:
    shutil.copytree(grader.folder / "index", tmp_path / "index")
    (tmp_path / "assets").symlink_to(ASSETS)
    index = tmp_path / "index"
    (tmp_path / "embedlab.py").symlink_to(ROOT / "embedlab.py")
    without = run_cli("analyze", "--index", index, "--dup-threshold", "auto", cwd=tmp_path)
    assert without.error == f"{index}: not calibrated yet; run: embedlab calibrate --index {index}"
    ran = run_cli("calibrate", "--index", index, "--json", cwd=tmp_path)
    assert (ran.code, ran.stderr) == (0, "")
    found = json.loads(ran.stdout)
    assert found["precision"]["value"] >= 0.99
    assert set(found["copies"]) == {"re-encode", "resize", "crop", "mirror", "brightness", "lettering", "border"}
    for name in ("calibration.json", "calibration.csv", "calibration-roc.png", "calibration-pr.png"):
        assert (index / name).stat().st_size > 0
    assert json.loads((index / "metrics.json").read_text())["command"] == "calibrate"
    ran = run_cli("analyze", "--index", index, "--dup-threshold", "auto", "--json", cwd=tmp_path)
    groups = json.loads(ran.stdout)["duplicate_groups"]
    truth = json.loads((ASSETS / "labels.json").read_text())["duplicate_groups"]
    assert {name for group in groups for name in names(group)} == {Path(path).name for group in truth for path in group}
    ran = run_cli("check", "--index", index, "--json", str(ASSETS / "images" / Path(truth[0][0]).name), cwd=tmp_path)
    matches = json.loads(ran.stdout)["matches"]
    assert matches[0]["probability"] == 1
    assert all(0.5 < match["probability"] <= 1 for match in matches)


def test_calibrate_from_labels(index: Path, images: Path, tmp_path: Path) -> None:
    copies = [images / name for name in ("000.png", "010.png", "011.png")]
    others = [images / f"{number:03d}.png" for number in range(1, 10)]
    lines = [f"{one},{other},1" for one in copies for other in copies if one < other] * 10
    lines += [f"{one},{other},0" for one in others for other in others if one < other]
    (tmp_path / "pairs.csv").write_text("\n".join(["path_a,path_b,same", *lines]))
    ran = run_cli("calibrate", "--index", index, "--pairs", tmp_path / "pairs.csv", "--precision", "0.95")
    assert (ran.code, ran.stderr) == (0, "")
    assert ran.stdout.startswith("threshold  ")
    assert "recall     1.0000" in ran.stdout
    assert "30 pairs of duplicates, 36 of strangers: labelled pairs" in ran.stdout
    ran = run_cli("calibrate", "--index", index, "--pairs", tmp_path / "pairs.csv")
    assert "30 labelled pairs with same = 1: a precision of 0.99 takes 100" in ran.error


def test_calibrate_without_labels_needs_enough_images(index: Path, tiny_env: Env) -> None:
    ran = run_cli("calibrate", "--index", index, env=tiny_env)
    assert ran.code == 1
    assert "12 images could be read, and calibrating without labels takes 50" in ran.error
