"""A backbone's name -> its model folder."""

import logging
import os
from pathlib import Path
from typing import NoReturn

from embedlab_core.encoders.spec import MODEL_JSON, ModelSpec, load_model_spec
from embedlab_core.errors import ModelError, ModelMismatchError
from embedlab_core.index.manifest import ModelRef

log = logging.getLogger(__name__)

AUTO = "auto"
MAIN_MODEL = "ViT-B-32"
EMBEDDED_MODEL = "lite"

_PACKAGE = Path(__file__).resolve().parents[1]


def model_roots() -> list[Path]:
    """Where model folders are looked for, in order: the checkout, or an installed package, then EMBEDLAB_WEIGHTS."""
    roots = [_PACKAGE.parent / "weights", _PACKAGE / "_weights"]
    if extra := os.environ.get("EMBEDLAB_WEIGHTS"):
        roots.append(Path(extra))
    return roots


def find_model(name: str) -> ModelSpec | None:
    for root in model_roots():
        if (root / name / MODEL_JSON).is_file():
            return load_model_spec(root / name)
    return None


def resolve_backbone(name: str) -> ModelSpec:
    """The model that `--backbone name` means; "auto" is the main model where it can be had, else the embedded one.

    Raises ModelError if there is no such model.
    """
    if name != AUTO:
        return find_model(name) or _missing(name)
    if spec := find_model(MAIN_MODEL):
        return spec
    log.warning("%s is not here; using the embedded model %s", MAIN_MODEL, EMBEDDED_MODEL)
    return find_model(EMBEDDED_MODEL) or _missing(EMBEDDED_MODEL)


def model_of_index(index_dir: Path, ref: ModelRef) -> ModelSpec:
    """The very model that made an index. Raises ModelMismatchError if the one at hand has other files."""
    spec = find_model(ref.name) or _missing(ref.name)
    if spec.ref != ref:
        raise ModelMismatchError(
            f"{index_dir}: this index was made by {ref}, but {spec.folder} holds {spec.ref}; "
            "restore that model, or delete the index and run embed again"
        )
    return spec


def _missing(name: str) -> NoReturn:
    looked = ", ".join(str(root) for root in model_roots())
    raise ModelError(f"model {name}: not found in {looked}; put its folder there or choose another with --backbone")
