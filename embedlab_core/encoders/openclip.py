"""open_clip checkpoints: which one a backbone means, where it comes from, and loading it.

torch, open_clip and huggingface_hub are imported inside the functions: no search process pays for them.
"""

import contextlib
import difflib
import errno
import hashlib
import logging
import pickle
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from embedlab_core.encoders.registry import CHECKPOINT_NAMES, EMBEDDED, HUB_PREFIX, LOCAL_PREFIX, REGISTRY
from embedlab_core.errors import ModelError, ModelPullError, first_line
from embedlab_core.packages import needed_for, require

log = logging.getLogger(__name__)

_CONFIG = "open_clip_config.json"
_SHA256_DIGITS = 64
# Names of tensors, and the settings, of CLIP as transformers saves it.
_TRANSFORMERS_TOWERS = ("vision_model.", "text_model.")
_TRANSFORMERS_CONFIG = "config.json"
_TRANSFORMERS = "a model of transformers, not of open_clip; give one that open_clip saved, or an ARCH:TAG that it knows"
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True, slots=True)
class Source:
    """What to hand to open_clip. model_name: an architecture, or a name with a schema. tag: only for architectures.

    hub_repo, filename: where the checkpoint lies on the hub; no filename means open_clip's own names for it.
    """

    model_name: str
    tag: str | None
    hub_repo: str | None
    filename: str | None
    license: str
    quick_gelu: bool = False


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """An open_clip model in eval mode on the CPU, its tokenizer, and its pre-processing as open_clip resolved it."""

    model: Any
    tokenizer: Any
    preprocess: dict[str, Any]


def find_source(backbone: str) -> Source:
    """Raises ModelError, with the nearest names, if open_clip knows no such model."""
    if backbone in REGISTRY:
        # All of it is known: a pull that cannot succeed is over before open_clip is imported, which takes seconds.
        entry = REGISTRY[backbone]
        return Source(entry.architecture, entry.tag, entry.hub_repo, None, entry.license)
    if backbone.startswith(HUB_PREFIX):
        return Source(backbone, None, _hub_repo(backbone), None, "see its hub page")
    if backbone.startswith(LOCAL_PREFIX):
        folder = Path(backbone.removeprefix(LOCAL_PREFIX))
        if not (folder / _CONFIG).is_file():
            if (folder / _TRANSFORMERS_CONFIG).is_file():
                raise ModelError(f"{folder}: {_TRANSFORMERS}")
            raise ModelError(f"{folder / _CONFIG}: no such file; local-dir wants a folder that open_clip saved")
        return Source(f"{LOCAL_PREFIX}{folder}", None, None, None, "as its owner says")
    architecture, _, tag = backbone.partition(":")
    return _tagged(architecture, tag)


def _hub_repo(backbone: str) -> str:
    from huggingface_hub import hf_hub_url
    from huggingface_hub.errors import HFValidationError

    repo = backbone.removeprefix(HUB_PREFIX)
    try:
        hf_hub_url(repo, _CONFIG)
    except HFValidationError as error:
        raise ModelError(f"{backbone}: cannot be the name of a repository ({first_line(error)})") from error
    return repo


def _tagged(architecture: str, tag: str) -> Source:
    with needed_for("a model by its open_clip name"):
        import open_clip

    if not open_clip.is_pretrained_cfg(architecture, tag):
        known = [*REGISTRY, EMBEDDED, *(f"{arch}:{known_tag}" for arch, known_tag in open_clip.list_pretrained())]
        asked = f"{architecture}:{tag}" if tag else architecture
        near = difflib.get_close_matches(asked, known, n=4, cutoff=0.5)
        hint = f"; the nearest names are {', '.join(near)}" if near else "; see: embedlab models list"
        raise ModelError(f"{asked}: no such model{hint}")
    config = open_clip.get_pretrained_cfg(architecture, tag)
    if not config.get("hf_hub"):
        raise ModelError(f"{architecture}:{tag}: open_clip has no hub repository for it; choose another tag")
    repo, _, filename = config["hf_hub"].rpartition("/")
    return Source(architecture, tag, repo, filename or None, "see its hub page", config.get("quick_gelu", False))


def fetch(source: Source) -> None:
    """Bring the checkpoint into the hub's cache, unless it is there, and check it against its checksum.

    Shows the hub client's progress bar. Honours HF_HUB_OFFLINE, HF_ENDPOINT and HF_HOME. Raises ModelPullError.
    """
    if source.hub_repo is None:
        return
    if source.tag is None:
        _download(source.hub_repo, (_CONFIG,))
    _check_sha256(_download(source.hub_repo, (source.filename,) if source.filename else CHECKPOINT_NAMES))


def load(source: Source) -> LoadedModel:
    """Load a checkpoint that `fetch` brought. Raises ModelError if it does not fit its architecture, ModelPullError if
    its text tower needs another repository and the hub does not answer for that, and MissingPackageError."""
    with needed_for("loading a checkpoint"):
        import open_clip
        import safetensors

    try:
        repos = _text_repos(open_clip.get_model_config(source.model_name))
        if repos:
            require(f"the text tower of {source.model_name}", "transformers")
        with contextlib.nullcontext() if all(map(_answers, repos)) else _offline():
            model = open_clip.create_model(
                source.model_name, pretrained=source.tag, require_pretrained=True, force_quick_gelu=source.quick_gelu
            )
            tokenizer = open_clip.get_tokenizer(source.model_name)
    except (
        RuntimeError,
        ValueError,
        LookupError,
        OSError,
        EOFError,
        pickle.UnpicklingError,
        zipfile.BadZipFile,
        safetensors.SafetensorError,
    ) as error:
        # torch names the tensors that it did not expect.
        if any(f'"{tower}' in str(error) for tower in _TRANSFORMERS_TOWERS):
            raise ModelError(f"{source.model_name}: {_TRANSFORMERS}") from error
        raise ModelError(f"{source.model_name}: the checkpoint cannot be loaded ({first_line(error)})") from error
    return LoadedModel(model.eval(), tokenizer, open_clip.get_model_preprocess_cfg(model))


def weights_sha256(loaded: LoadedModel) -> str:
    """Of all tensors, by their names: the same for every file they may come in."""
    digest = hashlib.sha256()
    for name, tensor in sorted(loaded.model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.contiguous().flatten().numpy().tobytes())
    return digest.hexdigest()


def _text_repos(config: dict[str, Any]) -> list[str]:
    """The repositories from which `transformers` takes the text tower's shape and its tokenizer, if it takes any."""
    text = config.get("text_cfg", {})
    names = dict.fromkeys(text.get(key) for key in ("hf_model_name", "hf_tokenizer_name"))
    return [name for name in names if name and not Path(name).is_dir()]


def _answers(repo: str) -> bool:
    """Whether the hub says anything of a repository. Raises ModelPullError if not, and none of it is cached.

    `transformers` asks a hub that is silent again and again, for minutes a file. What the answer is, is its business.
    """
    from huggingface_hub import constants, get_hf_file_metadata, hf_hub_url

    filename = "config.json"
    if constants.HF_HUB_OFFLINE:
        return False
    try:
        get_hf_file_metadata(hf_hub_url(repo, filename))
    except (OSError, _http_error()) as error:
        if getattr(error, "response", None) is not None:
            return True
        if any((_cache_of(repo) / "snapshots").glob("*/*")):
            return False
        raise ModelPullError(f"{repo}: {_why_not(filename, constants.ENDPOINT, error)}") from error
    return True


@contextlib.contextmanager
def _offline() -> Iterator[None]:
    """For a hub that is silent: it is not asked again, and what is cached is taken as it is."""
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


def _download(repo: str, filenames: tuple[str, ...]) -> Path:
    """The first of `filenames` that the hub's cache holds or the hub has, as a path in that cache."""
    from huggingface_hub import constants, get_hf_file_metadata, hf_hub_download, hf_hub_url
    from huggingface_hub.errors import (
        EntryNotFoundError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
    )

    # Its client tells of every retry in lines of its own.
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    endpoint = constants.ENDPOINT
    for filename in filenames:
        if cached := _cached(repo, (filename,)):
            return cached
        try:
            # hf_hub_download asks the same, but asks a hub that fails again and again, for minutes.
            get_hf_file_metadata(hf_hub_url(repo, filename))
            _discard_partial(repo)
            return Path(hf_hub_download(repo, filename))
        except RepositoryNotFoundError as error:
            raise ModelPullError(f"{repo}: no such repository at {endpoint}, or it needs a login") from error
        except (EntryNotFoundError, OSError, _http_error()) as error:
            if isinstance(error, EntryNotFoundError) and not isinstance(error, LocalEntryNotFoundError):
                continue
            if cached := _cached(repo, filenames):
                return cached
            raise ModelPullError(f"{repo}: {_why_not(filename, endpoint, error)}") from error
    why = "; it may hold a model of transformers, not of open_clip" if filenames == (_CONFIG,) else ""
    raise ModelPullError(f"{repo}: has none of {', '.join(filenames)} at {endpoint}{why}")


def _http_error() -> type[Exception]:
    """The base class of the HTTP client's own errors, whichever client this version of the hub uses."""
    from huggingface_hub.errors import HfHubHTTPError

    return HfHubHTTPError.__mro__[1]


def _discard_partial(repo: str) -> None:
    """Remove what killed downloads left. The client gives each download a name of its own: it never goes on from one,
    and they would lie there for good, hundreds of megabytes each. One that is still running holds its lock."""
    cache = _cache_of(repo)
    for partial in (cache / "blobs").glob("*.????????.incomplete"):
        lock = cache.parent / ".locks" / cache.name / f"{partial.name.split('.')[0]}.lock"
        with contextlib.suppress(Timeout), FileLock(lock, timeout=0):
            partial.unlink(missing_ok=True)


def _cache_of(repo: str) -> Path:
    """Where the hub's cache keeps a repository."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE) / f"models--{repo.replace('/', '--')}"


def _cached(repo: str, filenames: tuple[str, ...]) -> Path | None:
    from huggingface_hub import try_to_load_from_cache

    found = (try_to_load_from_cache(repo, filename) for filename in filenames)
    return next((Path(path) for path in found if isinstance(path, str)), None)


def _why_not(filename: str, endpoint: str, error: Exception) -> str:
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return "not in the hub's cache, and HF_HUB_OFFLINE is set; unset it, or use --backbone lite"
    if (response := getattr(error, "response", None)) is not None:
        return f"{endpoint} answered {response.status_code} for {filename}; try again later"
    if isinstance(error, OSError) and error.errno in _NO_ROOM:
        return f"download of {filename} failed ({error.strerror}); free some space and run it again"
    return (
        f"download of {filename} from {endpoint} failed ({first_line(error)}); "
        "run it again later, or use --backbone lite"
    )


def _check_sha256(path: Path) -> None:
    """The hub's cache names a large file's blob by the sha256 that the hub announced for it."""
    blob = path.resolve()
    if len(blob.name) != _SHA256_DIGITS:
        return
    with blob.open("rb") as file:
        actual = hashlib.file_digest(file, "sha256").hexdigest()
    if actual != blob.name:
        blob.unlink()
        raise ModelPullError(
            f"{path.name}: corrupted download: sha256 is {actual}, the hub announced {blob.name}; "
            "the file was removed, run the command again"
        )
