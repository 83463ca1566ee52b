"""Which model a run takes, and that an index is only ever searched with the model that made it."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from embedlab_core.encoders.folders import find_model, pull, verify
from embedlab_core.encoders.registry import REGISTRY
from embedlab_core.encoders.spec import load_model_spec
from embedlab_core.index.manifest import load_manifest
from tests.checkpoints import CHECKPOINT, VIT_B_32_REPO
from tests.encoders.conftest import Machine, Pair, PulledVit
from tests.encoders.test_hub import IMPATIENT
from tests.hub import Fault, Hub, faulty, serve
from tests.support import ROOT, no_network, run_python, save_pictures
from tests.tiny_model import write_tiny_model

# Three seconds of waiting, and what a busy machine adds.
AUTO_WAITS = 5.0

# Six tries of three seconds each, the client's pauses between them, and what a busy machine adds.
AUTO_STALLS = 35.0


@pytest.fixture
def tiny_machine(tmp_path: Path, hub: Hub) -> Machine:
    """One with the model tiny and a few pictures in images/."""
    save_pictures(tmp_path / "images", range(4))
    write_tiny_model(tmp_path, "tiny")
    return Machine({"EMBEDLAB_WEIGHTS": str(tmp_path), "HF_ENDPOINT": hub.url}, tmp_path, tmp_path)


def embed(machine: Machine, backbone: str, out: str = "index", **env: str) -> str:
    """IndexReader images/ and give what was said on stderr."""
    folders = ("--images-dir", machine.weights / "images", "--out", machine.weights / out)
    ran = machine.run("embed", *folders, "--backbone", backbone, "--quiet", **env)
    assert ran.code == 0, ran.stderr
    return ran.stderr


def made_by(machine: Machine) -> str:
    return load_manifest(machine.weights / "index").model_names


def test_the_list_has_all_models_known_by_name_and_all_that_are_here(tiny_machine: Machine) -> None:
    listed = {
        model["name"]: model
        for model in map(json.loads, tiny_machine.run("models", "list", "--json").stdout.splitlines())
    }
    assert listed["tiny"]["folder"] == str(tiny_machine.weights / "tiny")
    assert set(REGISTRY) <= set(listed)
    assert listed["ViT-B-32-openai"]["folder"] is None
    table = tiny_machine.run("models", "list").stdout
    assert re.search(r"^tiny .* here ", table, re.MULTILINE)
    assert re.search(r"^ViT-B-32-openai .* can be pulled ", table, re.MULTILINE)


def test_a_damaged_file_is_named(tiny_machine: Machine) -> None:
    assert "all 3 files are as they were made" in tiny_machine.run("models", "verify", "tiny").stdout
    path = tiny_machine.weights / "tiny" / "image.onnx"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    ran = tiny_machine.run("models", "verify", "tiny")
    assert ran.code == 1
    assert "image.onnx" in ran.error
    assert "text.onnx" not in ran.error
    path.write_bytes(data[:-1])
    assert "image.onnx: this file of model tiny has" in tiny_machine.run("models", "show", "tiny").error


def test_a_removed_model_is_gone_and_the_embedded_one_stays(tiny_machine: Machine) -> None:
    assert tiny_machine.run("models", "remove", "tiny").code == 0
    assert not (tiny_machine.weights / "tiny").exists()
    assert tiny_machine.run("models", "remove", "tiny").error.startswith("model tiny: is not here")
    ran = tiny_machine.run("models", "remove", "lite")
    assert (ran.code, ran.error) == (1, "lite: is a part of embedlab and stays")


def test_an_index_without_its_model_says_how_to_get_it_back(tiny_machine: Machine) -> None:
    embed(tiny_machine, "tiny")
    tiny_machine.run("models", "remove", "tiny")
    ran = tiny_machine.run("search", "--index", tiny_machine.weights / "index", "--q-text", "red")
    assert ran.code == 1
    assert "get it back with: embedlab models pull 'tiny'" in ran.error


def test_other_weights_under_the_same_name_are_never_taken_for_the_model(tiny_machine: Machine) -> None:
    embed(tiny_machine, "tiny")
    before = load_model_spec(tiny_machine.weights / "tiny").fingerprint
    shutil.rmtree(tiny_machine.weights / "tiny")
    after = load_model_spec(write_tiny_model(tiny_machine.weights, "tiny", seed=1)).fingerprint
    searched = tiny_machine.run("search", "--index", tiny_machine.weights / "index", "--q-text", "red")
    folders = ("--images-dir", tiny_machine.weights / "images", "--out", tiny_machine.weights / "index")
    embedded = tiny_machine.run("embed", *folders, "--backbone", "tiny")
    for ran in (searched, embedded):
        assert ran.code == 1
        assert before in ran.error
        assert after in ran.error


# --backbone auto. A tiny model stands in the place of the large ones: only where it lies matters here.


@pytest.fixture
def auto_machine(tiny_machine: Machine) -> Machine:
    """One with an embedded model, should the checkout have none."""
    write_tiny_model(tiny_machine.weights, "lite")
    return tiny_machine


def test_auto_takes_the_main_model_where_it_is_here(auto_machine: Machine) -> None:
    write_tiny_model(auto_machine.weights, "ViT-B-32")
    assert embed(auto_machine, "auto") == ""
    assert made_by(auto_machine) == "ViT-B-32"


@pytest.mark.parametrize("fault", ["hang", "hang files", "hang bodies"])
def test_auto_waits_seconds_for_a_network_then_says_so_in_one_line(
    auto_machine: Machine, hub: Hub, fault: Fault
) -> None:
    started = time.monotonic()
    embed(auto_machine, "lite", out="another")
    without = time.monotonic() - started
    with faulty(hub, fault):
        started = time.monotonic()
        said = embed(auto_machine, "auto")
    assert time.monotonic() - started < without + AUTO_WAITS
    assert re.fullmatch(r"Warning: ViT-B-32 is not here and the network is .+; using the embedded model lite\n", said)
    assert made_by(auto_machine) == "lite"


def test_auto_asks_a_silent_hub_once_in_a_process(auto_machine: Machine, hub: Hub) -> None:
    program = """
from embedlab_core.encoders.folders import resolve_backbone
print(*(resolve_backbone("auto").name for _ in range(3)))
"""
    hub.requests.clear()
    with faulty(hub, "hang"):
        ran = run_python("-c", program, env=auto_machine.env)
    assert ran.stdout.split() == ["lite"] * 3
    assert len(hub.requests) == 1


def test_auto_gives_up_a_download_that_stalls(auto_machine: Machine, tmp_path: Path) -> None:
    repo = tmp_path / "hub" / VIT_B_32_REPO
    repo.mkdir(parents=True)
    (repo / CHECKPOINT).write_bytes(bytes(100_000))
    with serve(tmp_path / "hub") as hub, faulty(hub, "stall"):
        env = {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_CACHE": str(tmp_path / "hf" / "hub")}
        env |= IMPATIENT
        started = time.monotonic()
        said = embed(auto_machine, "auto", **env)
    assert time.monotonic() - started < AUTO_STALLS
    assert re.fullmatch(rf"Warning: .+ download of {CHECKPOINT} .+ failed .+; using the embedded model lite\n", said)
    assert made_by(auto_machine) == "lite"


def test_auto_takes_lite_where_a_pull_fails(auto_machine: Machine, hub: Hub) -> None:
    with faulty(hub, "broken"):
        said = embed(auto_machine, "auto")
    assert re.fullmatch(r"Warning: .+ViT-B-32.+ answered 500 .+; using the embedded model lite\n", said)
    assert made_by(auto_machine) == "lite"


def test_auto_without_a_network_uses_lite(auto_machine: Machine) -> None:
    prefix, env = no_network()
    command = ["embed", "--images-dir", "images", "--out", "index", "--quiet"]
    done = subprocess.run(
        [*prefix, sys.executable, str(ROOT / "embedlab.py"), *command],
        cwd=auto_machine.weights,
        env={**os.environ, **auto_machine.env, **env, "HF_ENDPOINT": "https://huggingface.co"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert made_by(auto_machine) == "lite"


def test_auto_asks_nobody_when_offline_mode_is_set(auto_machine: Machine, hub: Hub) -> None:
    hub.requests.clear()
    assert "using the embedded model lite" in embed(auto_machine, "auto", HF_HUB_OFFLINE="1")
    assert hub.requests == []


def test_auto_stays_with_the_model_of_the_index(auto_machine: Machine) -> None:
    embed(auto_machine, "tiny")
    write_tiny_model(auto_machine.weights, "ViT-B-32")
    assert embed(auto_machine, "auto") == ""
    assert made_by(auto_machine) == "tiny"


def test_a_pulled_model_is_found_and_verified_in_this_process(tiny_vit: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = tiny_vit.encoder.spec
    monkeypatch.setenv("EMBEDLAB_WEIGHTS", str(spec.folder.parent))
    assert find_model(spec.name) == spec
    assert verify(spec.name) == spec
    assert pull(spec.name) == spec


def test_a_pull_by_name_downloads_checks_and_exports(pulled_vit: PulledVit) -> None:
    machine = pulled_vit.machine
    assert str(machine.weights / "ViT-B-32") in pulled_vit.ran.stdout
    assert sum(request.startswith("GET") and request.endswith(CHECKPOINT) for request in pulled_vit.requests) == 1
    assert machine.run("models", "verify", "ViT-B-32").code == 0
    (shown,) = map(json.loads, machine.run("models", "show", "ViT-B-32", "--json").stdout.splitlines())
    assert shown["folder"] == str(machine.weights / "ViT-B-32")
    assert (shown["dim"], shown["image_size"], shown["license"]) == (512, 224, "MIT")
    assert shown["source"] == "ViT-B-32:laion2b_s34b_b79k"
    by_tag = machine.run("models", "pull", "ViT-B-32:laion2b_s34b_b79k")
    assert str(machine.weights / "ViT-B-32") in by_tag.stdout
