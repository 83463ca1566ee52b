"""Models come from the hub whole or not at all."""

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
import transformers
from safetensors.torch import save_file

from embedlab_core.encoders.folders import pull, resolve_backbones
from embedlab_core.errors import ModelError, ModelPullError
from tests.checkpoints import CHECKPOINT, CONFIG
from tests.encoders.conftest import Machine, Pair, new_machine
from tests.hub import PAUSE, Fault, Hub, faulty, serve
from tests.support import ROOT, Ran

NAME = "hf-hub:tests/hf-text-tower"
FOLDER = "hf-hub--tests--hf-text-tower"

# How long a person waits for the bad news, with the timeouts of the hub's client at 1 s; they are 10 s by default.
PATIENCE = 15.0
IMPATIENT = {"HF_HUB_ETAG_TIMEOUT": "1", "HF_HUB_DOWNLOAD_TIMEOUT": "1"}


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


@pytest.mark.parametrize("name", [" lite", "lite ", "\tlite\n"])
def test_spaces_around_a_name_are_nobodys_intent(weights: Path, name: str) -> None:
    assert pull(name).name == "lite"
    assert [spec.name for spec in resolve_backbones([name])] == ["lite"]


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


def test_a_checkpoint_of_transformers_is_called_so_in_one_line(local: Path, weights: Path) -> None:
    tower = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    config = transformers.CLIPConfig(text_config=tower, vision_config={**tower, "image_size": 32, "patch_size": 8})
    clip = transformers.CLIPModel(config)
    save_file({name: tensor.contiguous() for name, tensor in clip.state_dict().items()}, local / CHECKPOINT)
    with pytest.raises(ModelError, match="a model of transformers, not of open_clip") as caught:
        pull(f"local-dir:{local}")
    assert len(str(caught.value)) < 400
    (local / CONFIG).unlink()
    (local / "config.json").write_text(config.to_json_string())
    with pytest.raises(ModelError, match="a model of transformers, not of open_clip"):
        pull(f"local-dir:{local}")


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
