"""Fixtures that several folders of tests share. Slow ones live for the whole session."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

from embedlab_core.encoders.onnx import OnnxEncoder
from embedlab_core.encoders.spec import load_model_spec
from embedlab_core.index.reader import IndexReader
from tests.support import LITE, make_index
from tests.tiny_model import write_tiny_model

# The same examples on every run: a red build must mean that the code changed.
settings.register_profile("embedlab", deadline=None, derandomize=True, max_examples=60, database=None)
# For a hunt after new ones: pytest --hypothesis-profile thorough
settings.register_profile("thorough", deadline=None, max_examples=2000, database=None)
settings.load_profile("embedlab")

IndexFactory = Callable[..., IndexReader]


@pytest.fixture(scope="session")
def new_index(tmp_path_factory: pytest.TempPathFactory) -> IndexFactory:
    """make_index in a fresh folder on every call, so that one hypothesis test can make many."""

    def make(*args: object, **kwargs: object) -> IndexReader:
        return make_index(tmp_path_factory.mktemp("index"), *args, **kwargs)  # type: ignore[arg-type]

    return make


@pytest.fixture(scope="session")
def tiny_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of model folders: tiny, and other, which differs in its weights."""
    root = tmp_path_factory.mktemp("models")
    write_tiny_model(root, "tiny")
    write_tiny_model(root, "other", seed=1)
    return root


@pytest.fixture(scope="session")
def tiny(tiny_root: Path) -> OnnxEncoder:
    return OnnxEncoder(load_model_spec(tiny_root / "tiny"))


@pytest.fixture(scope="session")
def other(tiny_root: Path) -> OnnxEncoder:
    return OnnxEncoder(load_model_spec(tiny_root / "other"))


@pytest.fixture(scope="session")
def tiny_env(tiny_root: Path) -> dict[str, str]:
    """The environment in which the program finds the tiny models."""
    return {"EMBEDLAB_WEIGHTS": str(tiny_root)}


@pytest.fixture(scope="session")
def lite() -> OnnxEncoder:
    """The embedded model as search runs it."""
    return OnnxEncoder(load_model_spec(LITE))


@pytest.fixture(scope="session")
def lite_many() -> OnnxEncoder:
    """The embedded model as embed runs it."""
    return OnnxEncoder(load_model_spec(LITE), many=True)
