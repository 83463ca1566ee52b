"""Where model folders are, and bringing, checking and removing them."""

import functools
import logging
import os
import re
import shutil
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from embedlab_core.encoders.registry import (
    AUTO,
    CHECKPOINT_NAMES,
    EMBEDDED,
    LOCAL_PREFIX,
    MAIN,
    REGISTRY,
    Pretrained,
    canonical_name,
)
from embedlab_core.encoders.spec import MODEL_JSON, ModelSpec, load_model_spec
from embedlab_core.errors import MissingPackageError, ModelError, ModelMismatchError, ModelPullError
from embedlab_core.index.files import file_sha256
from embedlab_core.index.manifest import ModelRef
from embedlab_core.packages import needed_for, require
from embedlab_core.user_cache import user_cache

log = logging.getLogger(__name__)

_PACKAGE = Path(__file__).resolve().parents[1]

# How long `auto` waits for a network before it takes the embedded model. The hub's client tries six times: a download
# that stalls after the network has answered is over after 23 seconds in place of 65.
_NETWORK_SECONDS = 3


@dataclass(frozen=True, slots=True)
class KnownModel:
    """A model known by name, or found here, or both. folder: where it is, None if it is not. megabytes: of its files
    if it is here, else of its checkpoint."""

    name: str
    source: str
    dim: int
    image_size: int
    license: str
    megabytes: int
    folder: Path | None


def model_roots() -> list[Path]:
    """Folders of model folders, in the order they are looked through."""
    checkout = _PACKAGE.parent / "weights"
    roots = [checkout if checkout.is_dir() else _PACKAGE / "_weights"]
    if extra := os.environ.get("EMBEDLAB_WEIGHTS"):
        roots.append(Path(extra))
    return [*roots, _user_cache()]


def find_model(backbone: str) -> ModelSpec | None:
    """The folder of a backbone, if it is here. Raises ModelError if it is here but incomplete."""
    folder_name = _folder_name(backbone)
    for root in model_roots():
        if (root / folder_name / MODEL_JSON).is_file():
            return load_model_spec(root / folder_name)
    return None


def known_models() -> list[KnownModel]:
    """The registry and all model folders here, by name. Raises ModelError if one of them is incomplete."""
    known = {model.name: _registered(model) for model in REGISTRY.values()}
    for root in reversed(model_roots()):
        for path in sorted(root.glob(f"[!.]*/{MODEL_JSON}")):
            spec = load_model_spec(path.parent)
            known[spec.name] = _found(spec)
    return [known[name] for name in sorted(known)]


def known_model(backbone: str) -> KnownModel:
    """Raises ModelError if the model is neither registered nor here."""
    name = canonical_name(backbone)
    if spec := find_model(name):
        return _found(spec)
    if name in REGISTRY:
        return _registered(REGISTRY[name])
    raise _not_here(name)


def pull(backbone: str) -> ModelSpec:
    """The folder of a backbone, made from its open_clip checkpoint if it is not here yet.

    Weights come from the hub's cache, else from the network. Raises ModelError if there is no such model, and
    ModelPullError or MissingPackageError if it cannot be brought here; then nothing half-made is left.
    """
    name = canonical_name(backbone)
    if spec := find_model(name):
        return spec
    if name == EMBEDDED:
        raise ModelError(f"{EMBEDDED}: its folder is missing from {model_roots()[0]}; restore it from the project")
    require(
        "making a model of a checkpoint", "huggingface_hub", "open_clip", "torch", "onnx", "onnxscript", "safetensors"
    )
    from embedlab_core.encoders.export import export_model
    from embedlab_core.encoders.openclip import fetch, find_source, load

    source = find_source(name)
    fetch(source)
    log.info("%s: exporting to ONNX, once", name)
    return export_model(name, source, load(source), _pull_root() / _folder_name(name))


def verify(backbone: str) -> ModelSpec:
    """Compare every file of a model folder with its checksum. Raises ModelError, which names the damaged ones."""
    spec = _installed(backbone)
    damaged = [file for file, known in spec.files.items() if file_sha256(spec.folder / file) != known.sha256]
    if damaged:
        raise ModelError(
            f"{spec.folder}: {', '.join(damaged)} differ from what was made; "
            f"run: embedlab models remove '{spec.name}', then pull it again"
        )
    return spec


def remove(name: str) -> Path:
    """Delete a pulled model folder. Raises ModelError if it is not here, or is the one in the box."""
    if canonical_name(name) == EMBEDDED:
        raise ModelError(f"{EMBEDDED}: is a part of embedlab and stays")
    folder = _installed(name).folder
    shutil.rmtree(folder)
    return folder


def resolve_backbones(backbones: Sequence[str], made_by: Sequence[ModelRef] = ()) -> list[ModelSpec]:
    """The models that `--backbone` means, pulled if need be.

    "auto" alone stands for the models of the index that is being updated (`made_by`), if there is one. Raises
    ModelError, ModelPullError and ModelMismatchError.
    """
    backbones = [backbone.strip() for backbone in backbones]
    if backbones == [AUTO] and made_by:
        return [model_of_index(model) for model in made_by]
    return [resolve_backbone(backbone) for backbone in backbones]


def resolve_backbone(backbone: str) -> ModelSpec:
    """The model of one backbone, pulled if need be.

    "auto" is the main model if it is here or can be pulled; else the embedded one, with a warning. Raises ModelError
    and ModelPullError.
    """
    if backbone != AUTO:
        return pull(backbone)
    if spec := find_model(MAIN.name):
        return spec
    if reason := _why_no_main():
        log.warning("%s; using the embedded model %s", reason, EMBEDDED)
        return _installed(EMBEDDED)
    return pull(MAIN.name)


def model_of_index(ref: ModelRef) -> ModelSpec:
    """The very model that made an index. Raises ModelMismatchError if the one here has other weights."""
    spec = find_model(ref.name)
    if spec is None:
        raise ModelError(
            f"model {ref.name} made this index and is not here; get it back with: embedlab models pull '{ref.name}'"
        )
    if spec.fingerprint != ref.fingerprint:
        raise ModelMismatchError(
            f"this index was made by {ref}, but {spec.folder} holds {spec.name} ({spec.fingerprint}); "
            "restore that model, or delete the index and run embed again"
        )
    return spec


def _installed(backbone: str) -> ModelSpec:
    name = canonical_name(backbone)
    spec = find_model(name)
    if spec is None:
        raise _not_here(name)
    return spec


def _not_here(name: str) -> ModelError:
    return ModelError(f"model {name}: is not here; get it with: embedlab models pull '{name}'")


def _registered(model: Pretrained) -> KnownModel:
    source = f"{model.architecture}:{model.tag}"
    return KnownModel(model.name, source, model.dim, model.image_size, model.license, model.megabytes, None)


def _found(spec: ModelSpec) -> KnownModel:
    megabytes = round(sum(file.bytes for file in spec.files.values()) / 1e6)
    return KnownModel(spec.name, spec.source, spec.dim, spec.pixels.size, spec.license, megabytes, spec.folder)


def _folder_name(backbone: str) -> str:
    """A file name for a backbone: `hf-hub:org/name` -> `hf-hub--org--name`."""
    if backbone.startswith(LOCAL_PREFIX):
        backbone = LOCAL_PREFIX + str(Path(backbone.removeprefix(LOCAL_PREFIX)).resolve()).lstrip("/")
    return re.sub(r"[^\w.-]+", "--", backbone)


def _pull_root() -> Path:
    """EMBEDLAB_WEIGHTS if it is set; weights/ of a checkout; else the user's cache."""
    if extra := os.environ.get("EMBEDLAB_WEIGHTS"):
        return Path(extra)
    checkout = _PACKAGE.parent / "weights"
    return checkout if checkout.is_dir() else _user_cache()


def _user_cache() -> Path:
    return user_cache() / "models"


@functools.cache
def _why_no_main() -> str | None:
    """Why the main model cannot be pulled, None if it was. Found out once a process: it takes seconds."""
    # The client reads these when it is imported. `models pull` is for the patient: it leaves them as they are.
    os.environ.setdefault("HF_HUB_ETAG_TIMEOUT", str(_NETWORK_SECONDS))
    os.environ.setdefault("HF_HUB_DOWNLOAD_TIMEOUT", str(_NETWORK_SECONDS))
    try:
        if _in_hub_cache() or _hub_answers():
            pull(MAIN.name)
            return None
    except (ModelPullError, MissingPackageError) as error:
        return str(error)
    return f"{MAIN.name} is not here and the network is out of reach"


def _hub_answers() -> bool:
    """Whether offline mode is off and the hub answers a request for the main model's first byte within seconds.

    An answer for less proves less: the front page, and headers, can come from another machine than the weights do.
    """
    if _is_set("HF_HUB_OFFLINE") or _is_set("TRANSFORMERS_OFFLINE"):
        return False
    # 15 ms that a search need not pay.
    import http.client
    import urllib.error
    import urllib.request

    endpoint = os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")
    url = f"{endpoint}/{MAIN.hub_repo}/resolve/main/{CHECKPOINT_NAMES[0]}"
    answered = threading.Event()

    def ask() -> None:
        try:
            request = urllib.request.Request(url, headers={"Range": "bytes=0-0"})
            with urllib.request.urlopen(request, timeout=_NETWORK_SECONDS) as response:
                response.read(1)
        except urllib.error.HTTPError:
            pass  # An error page is an answer too.
        except (OSError, ValueError, http.client.HTTPException):
            return
        answered.set()

    # Looking up a name has no timeout of its own, hence the thread.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    answered.wait(_NETWORK_SECONDS)
    return answered.is_set()


def _in_hub_cache() -> bool:
    with needed_for("looking for a model in the hub's cache"):
        from huggingface_hub import try_to_load_from_cache

    return any(isinstance(try_to_load_from_cache(MAIN.hub_repo, name), str) for name in CHECKPOINT_NAMES)


def _is_set(variable: str) -> bool:
    return os.environ.get(variable, "").lower() in {"1", "true", "yes", "on"}
