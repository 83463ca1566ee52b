"""open_clip checkpoints: which one a backbone means, where it comes from, and loading it.

torch, open_clip and huggingface_hub are imported inside the functions: no search process pays for them.
"""

import difflib
import hashlib
import logging
import pickle
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from embedlab_core.encoders.registry import CHECKPOINT_NAMES, EMBEDDED, HUB_PREFIX, LOCAL_PREFIX, REGISTRY
from embedlab_core.errors import ModelError, ModelPullError

log = logging.getLogger(__name__)

_CONFIG = "open_clip_config.json"
_SHA256_DIGITS = 64


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
        entry = REGISTRY[backbone]
        return _tagged(entry.architecture, entry.tag, entry.license)
    if backbone.startswith(HUB_PREFIX):
        return Source(backbone, None, backbone.removeprefix(HUB_PREFIX), None, "see its hub page")
    if backbone.startswith(LOCAL_PREFIX):
        folder = Path(backbone.removeprefix(LOCAL_PREFIX))
        if not (folder / _CONFIG).is_file():
            raise ModelError(f"{folder / _CONFIG}: no such file; local-dir wants a folder that open_clip saved")
        return Source(f"{LOCAL_PREFIX}{folder}", None, None, None, "as its owner says")
    architecture, _, tag = backbone.partition(":")
    return _tagged(architecture, tag, "see its hub page")


def _tagged(architecture: str, tag: str, license: str) -> Source:
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
    return Source(architecture, tag, repo, filename or None, license, config.get("quick_gelu", False))


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
    """Load a checkpoint that `fetch` brought. Raises ModelError if it does not fit its architecture."""
    import open_clip
    import safetensors

    try:
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
        raise ModelError(f"{source.model_name}: the checkpoint cannot be loaded ({_first_line(error)})") from error
    return LoadedModel(model.eval(), tokenizer, open_clip.get_model_preprocess_cfg(model))


def _download(repo: str, filenames: tuple[str, ...]) -> Path:
    """The first of `filenames` that the repository has, as a path in the hub's cache."""
    from huggingface_hub import constants, hf_hub_download
    from huggingface_hub.errors import (
        EntryNotFoundError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
    )

    # The base class of the HTTP client's own errors, whichever client this version of the hub uses.
    http_error: type[Exception] = HfHubHTTPError.__mro__[1]

    endpoint = constants.ENDPOINT
    for filename in filenames:
        try:
            return Path(hf_hub_download(repo, filename))
        except (LocalEntryNotFoundError, OfflineModeIsEnabled) as error:
            if constants.HF_HUB_OFFLINE:
                if filename != filenames[-1]:
                    continue
                raise ModelPullError(
                    f"{repo}: not in the hub's cache, and HF_HUB_OFFLINE is set; unset it, or use --backbone lite"
                ) from error
            raise ModelPullError(
                f"{repo}: {endpoint} does not answer; try again later, or use --backbone lite"
            ) from error
        except RepositoryNotFoundError as error:
            raise ModelPullError(f"{repo}: no such repository at {endpoint}, or it needs a login") from error
        except EntryNotFoundError:
            continue
        except HfHubHTTPError as error:
            status = error.response.status_code
            raise ModelPullError(f"{repo}: {endpoint} answered {status} for {filename}; try again later") from error
        except (OSError, http_error) as error:
            raise ModelPullError(
                f"{repo}: download of {filename} failed ({_first_line(error)}); run it again to go on where it stopped"
            ) from error
    raise ModelPullError(f"{repo}: has none of {', '.join(filenames)} at {endpoint}")


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


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
