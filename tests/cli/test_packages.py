"""A package that is not installed is one line that says what to install, and costs no work before it."""

import os
import sys
from pathlib import Path

import pytest

from embedlab_core.errors import MissingPackageError
from embedlab_core.packages import needed_for, require
from embedlab_core.search.cache import CACHE
from tests.support import ROOT, Ran, run_cli, run_python

Env = dict[str, str]


def everything_in(index: Path) -> set[str]:
    """What lies in an index, but for the cache of queries, which any search may make."""
    return {path.name for path in index.iterdir()} - {CACHE}


def without(modules: str, env: Env | None = None) -> Env:
    path = os.pathsep.join((str(ROOT / "tests" / "missing"), str(ROOT)))
    return {**(env or {}), "PYTHONPATH": path, "MISSING": modules}


@pytest.mark.parametrize(
    ("command", "module", "message"),
    [
        ("calibrate", "sklearn", "calibrating needs scikit-learn, which is not installed; get it with: pip install s"),
        ("calibrate", "matplotlib", "calibrating needs matplotlib, which is not installed; get it with: pip install m"),
        ("label --clusters 2", "sklearn", "finding clusters needs scikit-learn, which is not installed"),
        ("search --q-text violet", "onnxruntime", "running a model needs onnxruntime, which is not installed"),
        ("search --q-text violet", "tokenizers", "reading prompts needs tokenizers, which is not installed"),
    ],
)
def test_a_command_names_the_package_that_it_lacks(
    tiny_index: Path, tiny_env: Env, command: str, module: str, message: str
) -> None:
    before = everything_in(tiny_index)
    ran = run_cli(*command.split(), "--index", tiny_index, env=without(module, tiny_env))
    assert ran.code == 1
    assert ran.error.startswith(message)
    assert len(ran.stderr.splitlines()) == 1
    assert everything_in(tiny_index) == before


def pulled(tmp_path: Path, modules: str, name: str = "ViT-B-32") -> Ran:
    # No hub answers at this port: a pull that began would say so.
    env = {"EMBEDLAB_WEIGHTS": str(tmp_path), "HF_HOME": str(tmp_path / "hub"), "HF_ENDPOINT": "http://127.0.0.1:9"}
    return run_cli("models", "pull", name, env=without(modules, env))


@pytest.mark.parametrize(
    ("module", "package"),
    [
        ("open_clip", "open_clip_torch"),
        ("torch", "torch"),
        ("onnx", "onnx"),
        ("onnxscript", "onnxscript"),
        ("huggingface_hub", "huggingface_hub"),
        ("safetensors", "safetensors"),
    ],
)
def test_a_pull_names_the_package_that_it_lacks_before_it_downloads(tmp_path: Path, module: str, package: str) -> None:
    ran = pulled(tmp_path, module)
    assert ran.code == 1
    assert ran.error == (
        f"making a model of a checkpoint needs {package}, which is not installed; get it with: pip install {package}"
    )


def test_auto_goes_on_with_the_model_in_the_box(tmp_path: Path) -> None:
    program = (
        "import logging; logging.basicConfig(format='%(message)s');"
        "from embedlab_core.encoders import folders; folders._hub_answers = lambda: True;"
        "print(folders.resolve_backbone('auto').name)"
    )
    env = {"EMBEDLAB_WEIGHTS": str(tmp_path), "HF_HOME": str(tmp_path / "hub")}
    ran = run_python("-c", program, env=without("open_clip", env))
    assert ran.stdout == "lite\n"
    assert "needs open_clip_torch, which is not installed" in ran.stderr


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (
            "from embedlab_core.encoders.openvino import OpenVinoEncoder; OpenVinoEncoder(None, 1)",
            "bfloat16 on the CPU needs openvino, which is not installed; get it with: pip install 'embedlab[openvino]'",
        ),
        (
            "from embedlab_core.encoders.torch import TorchEncoder; TorchEncoder(None, 'cuda', 'float32', 1)",
            "the device cuda needs torch, which is not installed; get it with: pip install torch",
        ),
        (
            "from embedlab_core.search import ann; ann.LEAST_ROWS = 0; ann.AnnIndex.open([])",
            "approximate search needs faiss-cpu, which is not installed; get it with: pip install faiss-cpu",
        ),
        (
            "import numpy as np; from pathlib import Path; from embedlab_core.analysis.curves import _draw;"
            "_draw(Path('x'), np.ones(1), np.ones(1), ('a', 'b'), 0, 0.5)",
            "drawing the curves needs matplotlib, which is not installed; get it with: pip install matplotlib",
        ),
        (
            "from embedlab_core.encoders.prompts import clean_prompt; clean_prompt('\xf6', 'lower')",
            "repairing a prompt needs ftfy, which is not installed; get it with: pip install ftfy",
        ),
        (
            "from embedlab_core.search.rank import _single_threaded_blas; _single_threaded_blas(True)",
            "searching in several threads needs threadpoolctl, which is not installed; "
            "get it with: pip install threadpoolctl",
        ),
    ],
)
def test_the_library_raises_one_error(program: str, message: str) -> None:
    modules = "openvino,torch,faiss,matplotlib,threadpoolctl,ftfy"
    ran = run_python("-c", program, env=without(modules))
    assert ran.stderr.splitlines()[-1] == f"embedlab_core.errors.MissingPackageError: {message}"


def test_without_torch_there_is_no_gpu() -> None:
    program = "from embedlab_core.encoders.torch import available_device; print(available_device())"
    assert run_python("-c", program, env=without("torch")).stdout == "None\n"


def test_a_package_that_cannot_be_loaded_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_package.py").write_text("raise ImportError('libgone.so: cannot open\\nmore', name=__name__)")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(MissingPackageError) as caught, needed_for("this"):
        import broken_package  # type: ignore[import-not-found]  # noqa: F401
    assert str(caught.value) == (
        "this needs broken_package, which cannot be loaded (libgone.so: cannot open); "
        "mend it with: pip install --force-reinstall broken_package"
    )
    assert (caught.value.package, caught.value.extra) == ("broken_package", None)


def test_what_is_there_is_not_imported_to_see_that_it_is() -> None:
    require("this", "antigravity")
    assert "antigravity" not in sys.modules
