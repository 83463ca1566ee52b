"""Checkpoints, the hub that serves them, and models exported from them, once a session."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from embedlab_core.encoders.folders import pull
from embedlab_core.encoders.onnx import OnnxEncoder
from embedlab_core.encoders.spec import ModelSpec, load_model_spec
from tests.checkpoints import (
    CHECKPOINT,
    VIT_B_32_REPO,
    publish_hf_text_tower,
    write_bert,
    write_hf_text_tower,
    write_siglip,
    write_timm_tower,
    write_tiny_vit,
)
from tests.hub import Hub, serve
from tests.support import ROOT, Ran, run_cli, run_python


@dataclass(frozen=True, slots=True)
class Machine:
    """A user's machine as the program sees it. env: on top of the environment. weights, cache: where models go."""

    env: dict[str, str]
    weights: Path
    cache: Path

    def run(self, *args: str | Path, **env: str) -> Ran:
        return run_cli(*args, env={**self.env, **env})


@dataclass(frozen=True, slots=True)
class Pair:
    """A model folder and the open_clip model that it was made from. transform: open_clip's, for a picture."""

    encoder: OnnxEncoder
    model: Any
    tokenizer: Any
    transform: Callable[..., Any]


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder in the hub's layout, ORG/NAME/FILE."""
    root = tmp_path_factory.mktemp("hub")
    write_tiny_vit(root / "tests" / "tiny-vit")
    write_timm_tower(root / "tests" / "timm-tower")
    write_siglip(root / "local" / "siglip")
    bert = write_bert(root / "tests" / "bert")
    local = write_hf_text_tower(root / "local" / "hf-text-tower", bert)
    publish_hf_text_tower(local, bert, root / "tests" / "hf-text-tower", "tests/bert")
    yield root
    shutil.rmtree(root)


@pytest.fixture(scope="session")
def hub(checkpoints: Path) -> Iterator[Hub]:
    with serve(checkpoints) as running:
        yield running


def new_machine(root: Path, hub: Hub) -> Machine:
    env = {
        "EMBEDLAB_WEIGHTS": str(root / "weights"),
        "XDG_CACHE_HOME": str(root / "xdg"),
        "HF_HOME": str(root / "hf"),
        "HF_HUB_CACHE": str(root / "hf" / "hub"),
        "HF_ENDPOINT": hub.url,
        "HF_HUB_OFFLINE": "",
        "HF_HUB_ETAG_TIMEOUT": "30",
        "HF_HUB_DOWNLOAD_TIMEOUT": "30",
        "NO_PROXY": "127.0.0.1",
        # Two threads of torch wait for each other where another test has one of the cores.
        "OMP_NUM_THREADS": "1",
    }
    return Machine(env, root / "weights", root / "hf" / "hub")


@pytest.fixture
def machine(tmp_path: Path, hub: Hub) -> Machine:
    """One that has never pulled anything."""
    hub.requests.clear()
    return new_machine(tmp_path, hub)


@dataclass(frozen=True, slots=True)
class PulledVit:
    """ran: how the pull went. requests: what it asked the hub for."""

    machine: Machine
    checkpoint: Path
    ran: Ran
    requests: list[str]


@pytest.fixture(scope="session", autouse=True)
def vit_pull(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator["Future[PulledVit] | None"]:
    """A pull of ViT-B-32 that runs beside the first tests, if any test wants it: it takes half a minute."""
    selected = [item for item in request.session.items if isinstance(item, pytest.Function)]
    if not any("pulled_vit" in item.fixturenames or "[vit_b_32" in item.name for item in selected):
        yield None
        return
    root = tmp_path_factory.mktemp("vit")
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(_pull_vit, root)
    # 1.8 GB that pytest would keep for three more runs.
    shutil.rmtree(root)


def _pull_vit(root: Path) -> PulledVit:
    repo = root / "hub" / VIT_B_32_REPO
    written = run_python("-c", f"from tests.checkpoints import *; write_vit_b_32(Path({str(repo)!r}))")
    assert written.code == 0, written.stderr
    with serve(root / "hub") as hub:
        machine = new_machine(root, hub)
        # Without run_cli's limit: beside other work on two cores it has taken minutes.
        done = subprocess.run(
            [sys.executable, "embedlab.py", "models", "pull", "ViT-B-32"],
            cwd=ROOT,
            env={**os.environ, **machine.env},
            capture_output=True,
            text=True,
            check=False,
        )
    return PulledVit(machine, repo / CHECKPOINT, Ran(done.returncode, done.stdout, done.stderr), hub.requests)


@pytest.fixture(scope="session")
def pulled_vit(vit_pull: "Future[PulledVit]") -> PulledVit:
    pulled = vit_pull.result()
    assert pulled.ran.code == 0, pulled.ran.stderr
    return pulled


@pytest.fixture(scope="session")
def vit_b_32(pulled_vit: PulledVit) -> Pair:
    spec = load_model_spec(pulled_vit.machine.weights / "ViT-B-32")
    return _pair(spec, "ViT-B-32", str(pulled_vit.checkpoint))


@pytest.fixture(scope="session")
def weights_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("weights")


def pull_into(root: Path, backbone: str) -> ModelSpec:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EMBEDLAB_WEIGHTS", str(root))
        return pull(backbone)


@pytest.fixture(scope="session")
def tiny_vit(weights_root: Path, checkpoints: Path) -> Pair:
    name = f"local-dir:{checkpoints / 'tests' / 'tiny-vit'}"
    return _pair(pull_into(weights_root, name), name)


@pytest.fixture(scope="session")
def timm_tower(weights_root: Path, checkpoints: Path) -> Pair:
    name = f"local-dir:{checkpoints / 'tests' / 'timm-tower'}"
    return _pair(pull_into(weights_root, name), name)


@pytest.fixture(scope="session")
def siglip(weights_root: Path, checkpoints: Path) -> Pair:
    name = f"local-dir:{checkpoints / 'local' / 'siglip'}"
    return _pair(pull_into(weights_root, name), name)


@pytest.fixture(scope="session")
def hf_text_tower(weights_root: Path, checkpoints: Path) -> Pair:
    name = f"local-dir:{checkpoints / 'local' / 'hf-text-tower'}"
    return _pair(pull_into(weights_root, name), name)


def _pair(spec: ModelSpec, model_name: str, pretrained: str | None = None) -> Pair:
    import open_clip
    import torch

    torch.set_num_threads(1)
    model, _, transform = open_clip.create_model_and_transforms(model_name, pretrained=pretrained)
    encoder = OnnxEncoder(spec, many=True)
    return Pair(encoder, model.eval(), open_clip.get_tokenizer(model_name), transform)


@pytest.fixture(scope="session", params=["vit_b_32", "timm_tower", "siglip", "hf_text_tower"])
def pair(request: pytest.FixtureRequest) -> Pair:
    value = request.getfixturevalue(request.param)
    assert isinstance(value, Pair)
    return value
