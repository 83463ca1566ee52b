"""Models come from the hub whole or not at all, and an index is only ever searched with the model that made it."""

import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from embedlab_core.encoders.folders import find_model, pull, verify
from embedlab_core.encoders.registry import REGISTRY
from embedlab_core.encoders.spec import load_model_spec
from embedlab_core.errors import ModelError, ModelPullError
from embedlab_core.index.manifest import load_manifest
from tests.checkpoints import CHECKPOINT, CONFIG, VIT_B_32_REPO
from tests.encoders.conftest import Machine, Pair, PulledVit, new_machine
from tests.hub import PAUSE, Fault, Hub, faulty, serve
from tests.support import ROOT, Ran, no_network, run_python, save_pictures
from tests.tiny_model import write_tiny_model

NAME = "hf-hub:tests/hf-text-tower"
FOLDER = "hf-hub--tests--hf-text-tower"

# How long a person waits for the bad news, with the timeouts of the hub's client at 1 s; they are 10 s by default.
PATIENCE = 15.0
IMPATIENT = {"HF_HUB_ETAG_TIMEOUT": "1", "HF_HUB_DOWNLOAD_TIMEOUT": "1"}

# Three seconds of waiting, and what a busy machine adds.
AUTO_WAITS = 5.0

# Six tries of three seconds each, the client's pauses between them, and what a busy machine adds.
AUTO_STALLS = 35.0


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder where this process pulls to."""
    monkeypatch.setenv("EMBEDLAB_WEIGHTS", str(tmp_path / "weights"))
    return tmp_path / "weights"


def everything_in(folder: Path) -> set[str]:
    """Files and folders, apart from locks."""
    return {path.name for path in folder.rglob("*") if path.suffix != ".lock"} if folder.exists() else set()


def start(machine: Machine, *args: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "embedlab.py", *args],
        cwd=ROOT,
        env={**os.environ, **machine.env},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def kill(process: "subprocess.Popen[bytes]") -> None:
    assert process.poll() is None, "it ended before it could be killed"
    process.send_signal(signal.SIGKILL)
    process.wait()


def wait_for(folder: Path, pattern: str, process: "subprocess.Popen[bytes]") -> None:
    while not any(folder.glob(pattern)):
        assert process.poll() is None, f"it ended without {pattern}"
        time.sleep(0.02)


def partial_downloads(machine: Machine) -> list[Path]:
    return list(machine.cache.rglob("*.incomplete"))


# Pulling.


def test_a_killed_pull_leaves_no_model_and_the_next_one_goes_through(machine: Machine, hub: Hub) -> None:
    with faulty(hub, "stall"):
        process = start(machine, "models", "pull", NAME)
        assert hub.stalled.wait(timeout=30)
        kill(process)
    assert everything_in(machine.weights) == set()
    assert partial_downloads(machine)

    process = start(machine, "models", "pull", NAME)
    wait_for(machine.weights, ".tmp-*/image.onnx", process)
    kill(process)
    assert partial_downloads(machine) == []
    assert NAME not in machine.run("models", "list").stdout
    assert machine.run("models", "show", NAME).error.startswith(f"model {NAME}: is not here")

    # All that it needs is in the hub's cache by now.
    hub.requests.clear()
    assert machine.run("models", "pull", NAME, HF_HUB_OFFLINE="1").code == 0
    assert machine.run("models", "verify", NAME).code == 0
    assert not any("tmp" in name for name in everything_in(machine.weights))

    again = machine.run("models", "pull", NAME)
    assert (again.code, again.stderr) == (0, "")
    assert str(machine.weights / FOLDER) in again.stdout
    assert hub.requests == []


FAILURES: dict[Fault, str] = {
    "missing": r"no such repository at http://\S+, or it needs a login",
    "broken": r"http://\S+ answered 500 for open_clip_config.json; try again later",
    "hang": r"download of open_clip_config.json from http://\S+ failed \(.+\); run it again later, or use .+ lite",
    "hang bert": r"download of config.json from http://\S+ failed \(.+\); run it again later, or use .+ lite",
    "cut": r"download of \S+safetensors from http://\S+ failed \(.+\); run it again later, or use .+ lite",
}


@pytest.fixture(scope="module")
def failed_pulls(
    checkpoints: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[Fault, tuple[Ran, float, set[str]]]:
    """How a pull from each failing hub ended, after how many seconds, and what it left. Most of each is waiting."""

    def fail(fault: Fault) -> tuple[Ran, float, set[str]]:
        with serve(checkpoints) as hub, faulty(hub, fault):
            machine = new_machine(tmp_path_factory.mktemp(fault), hub)
            started = time.monotonic()
            ran = machine.run("models", "pull", NAME, **IMPATIENT)
            return ran, time.monotonic() - started, everything_in(machine.weights)

    with ThreadPoolExecutor() as pool:
        return dict(zip(FAILURES, pool.map(fail, FAILURES), strict=True))


@pytest.mark.parametrize("fault", FAILURES)
def test_a_hub_that_fails_costs_one_line_and_little_time(
    failed_pulls: dict[Fault, tuple[Ran, float, set[str]]], fault: Fault
) -> None:
    ran, seconds, left = failed_pulls[fault]
    assert ran.code == 1
    repo = "bert" if fault == "hang bert" else "hf-text-tower"
    assert re.fullmatch(f"tests/{repo}: {FAILURES[fault]}", ran.error)
    assert len(ran.stderr.splitlines()) == 1
    assert seconds < PATIENCE
    assert left == set()


def test_a_slow_download_that_moves_goes_through_and_a_cached_text_tower_is_not_waited_for(
    machine: Machine, hub: Hub
) -> None:
    # Every pause is shorter than the client's patience, all of them together are longer.
    assert float(IMPATIENT["HF_HUB_DOWNLOAD_TIMEOUT"]) > PAUSE
    with faulty(hub, "slow"):
        assert machine.run("models", "pull", NAME, **IMPATIENT).code == 0
    assert machine.run("models", "remove", NAME).code == 0
    with faulty(hub, "hang bert"):
        started = time.monotonic()
        ran = machine.run("models", "pull", NAME, **IMPATIENT)
    assert (ran.code, ran.stderr) == (0, "")
    # As long as from a hub that answers, and one timeout.
    assert time.monotonic() - started < 2 * PATIENCE


def test_a_running_download_is_left_alone_by_another_pull(machine: Machine, hub: Hub) -> None:
    with faulty(hub, "stall"):
        running = start(machine, "models", "pull", NAME)
        assert hub.stalled.wait(timeout=30)
        before = partial_downloads(machine)
        asked = len(hub.requests)
        waiting = start(machine, "models", "pull", NAME)
        # It asks for the checkpoint's length twice, then waits for the lock on the download.
        while sum(request.endswith(CHECKPOINT) for request in hub.requests[asked:]) < 2:
            time.sleep(0.02)
        time.sleep(0.5)
        assert partial_downloads(machine) == before != []
        kill(running)
        kill(waiting)


def test_a_corrupted_download_is_named_with_its_checksum_and_removed(machine: Machine, hub: Hub) -> None:
    with faulty(hub, "corrupt"):
        ran = machine.run("models", "pull", NAME)
    assert ran.code == 1
    assert re.match(rf"{CHECKPOINT}: corrupted download: sha256 is [0-9a-f]{{64}}, the hub announced", ran.error)
    assert not [path for path in machine.cache.rglob("*") if re.fullmatch("[0-9a-f]{64}", path.name)]
    assert everything_in(machine.weights) == set()


def test_offline_with_an_empty_cache_is_one_line_and_no_request(machine: Machine, hub: Hub) -> None:
    ran = machine.run("models", "pull", NAME, HF_HUB_OFFLINE="1")
    assert ran.error.startswith("tests/hf-text-tower: not in the hub's cache, and HF_HUB_OFFLINE is set")
    assert hub.requests == []


def test_a_repository_without_a_checkpoint_is_named(machine: Machine) -> None:
    assert "tests/bert: has none of open_clip_config.json" in machine.run("models", "pull", "hf-hub:tests/bert").error


@pytest.mark.parametrize("name", ["hf-hub:", "hf-hub:a/b/c", "hf-hub:with space"])
def test_what_cannot_name_a_repository_is_refused(weights: Path, name: str) -> None:
    with pytest.raises(ModelError, match="cannot be the name of a repository"):
        pull(name)


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("ViT-B-33", "ViT-B-32"),
        ("ViT-B-32:laion2b", "ViT-B-32:laion2b_s34b_b79k"),
        ("vit-b-32-openai", "ViT-B-32-openai"),
        ("ViT-B-16-SigLIP:web", "ViT-B-16-SigLIP:webli"),
        ("light", "lite"),
    ],
)
def test_an_unknown_model_is_answered_with_the_nearest_names(weights: Path, name: str, nearest: str) -> None:
    with pytest.raises(ModelError, match=f"^{name}: no such model; the nearest names are ") as caught:
        pull(name)
    assert nearest in re.split("[ ,]+", str(caught.value))


def test_a_name_like_nothing_known_points_at_the_list(weights: Path) -> None:
    with pytest.raises(ModelError, match=r"^zzz: no such model; see: embedlab models list"):
        pull("zzz")


# What a local checkpoint can have wrong with it.


@pytest.fixture
def local(tmp_path: Path, checkpoints: Path) -> Path:
    return Path(shutil.copytree(checkpoints / "tests" / "tiny-vit", tmp_path / "local"))


def test_a_checkpoint_of_the_wrong_shape_is_refused(local: Path, weights: Path) -> None:
    config = json.loads((local / CONFIG).read_text("utf-8"))
    config["model_cfg"]["embed_dim"] = 48
    (local / CONFIG).write_text(json.dumps(config), "utf-8")
    with pytest.raises(ModelError, match=r"^local-dir:.+: the checkpoint cannot be loaded \(.*size mismatch"):
        pull(f"local-dir:{local}")
    assert everything_in(weights) == set()


def test_a_damaged_checkpoint_is_refused(local: Path, weights: Path) -> None:
    os.truncate(local / CHECKPOINT, 1000)
    with pytest.raises(ModelError, match=r"^local-dir:.+: the checkpoint cannot be loaded"):
        pull(f"local-dir:{local}")
    (local / CHECKPOINT).unlink()
    with pytest.raises(ModelError, match=r"^local-dir:.+: the checkpoint cannot be loaded"):
        pull(f"local-dir:{local}")
    (local / CONFIG).unlink()
    with pytest.raises(ModelError, match=f"{CONFIG}: no such file"):
        pull(f"local-dir:{local}")
    assert everything_in(weights) == set()


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """A full disk, as far as one process can have its own."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("full_at", ["image.onnx.data", "tokenizer.json"])
def test_a_full_disk_leaves_nothing_half_made(local: Path, weights: Path, tiny_vit: Pair, full_at: str) -> None:
    sizes = {name: file.bytes for name, file in tiny_vit.encoder.spec.files.items()}
    assert max(sizes, key=sizes.__getitem__) == "tokenizer.json"
    with largest_file(sizes[full_at] - 1), pytest.raises(ModelPullError, match=r"cannot be written \(.+; free some"):
        pull(f"local-dir:{local}")
    assert everything_in(weights) == set()


def test_a_full_disk_during_the_download_is_one_line(machine: Machine) -> None:
    limited = f"import resource, runpy; resource.setrlimit({resource.RLIMIT_FSIZE}, (100_000, 100_000))"
    script = f"{limited}; runpy.run_path('embedlab.py', run_name='__main__')"
    done = subprocess.run(
        [sys.executable, "-c", script, "models", "pull", NAME],
        cwd=ROOT,
        env={**os.environ, **machine.env},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert re.fullmatch(rf"Error: .+ download of {CHECKPOINT} failed \(.+\); free some space and .+\n", done.stderr)
    assert not list(machine.cache.rglob("*.incomplete"))


# Models that are here.


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
