"""Every registered model is one that open_clip knows, described as open_clip describes it."""

from pathlib import Path

import open_clip
import pytest

from embedlab_core.encoders.openclip import find_source
from embedlab_core.encoders.registry import AUTO, EMBEDDED, MAIN, REGISTRY, Pretrained, canonical_name

each_model = pytest.mark.parametrize("model", REGISTRY.values(), ids=REGISTRY.keys())


@each_model
def test_open_clip_knows_the_tag_and_its_repository(model: Pretrained) -> None:
    assert open_clip.is_pretrained_cfg(model.architecture, model.tag)
    # No file is named: the checkpoint has the name that open_clip gives it.
    assert open_clip.get_pretrained_cfg(model.architecture, model.tag)["hf_hub"] == f"{model.hub_repo}/"
    source = find_source(model.name)
    assert (source.model_name, source.tag) == (model.architecture, model.tag)
    assert (source.hub_repo, source.filename) == (model.hub_repo, None)


@each_model
def test_dim_and_image_size_are_open_clips(model: Pretrained) -> None:
    config = open_clip.get_model_config(model.architecture)
    assert (config["embed_dim"], config["vision_cfg"]["image_size"]) == (model.dim, model.image_size)


@each_model
def test_the_architecture_has_the_activation_of_its_weights(model: Pretrained) -> None:
    trained = open_clip.get_pretrained_cfg(model.architecture, model.tag).get("quick_gelu", False)
    assert open_clip.get_model_config(model.architecture).get("quick_gelu", False) == trained


@each_model
def test_a_name_and_its_tag_are_one_model(model: Pretrained) -> None:
    assert canonical_name(model.name) == model.name
    assert canonical_name(f"{model.architecture}:{model.tag}") == model.name
    # open_clip takes a tag in either spelling.
    assert canonical_name(f"{model.architecture}:{model.tag.replace('_', '-').upper()}") == model.name


def test_unlisted_names_stay_as_they_are() -> None:
    for name in ("ViT-L-14:openai", "hf-hub:org/name", EMBEDDED, AUTO):
        assert canonical_name(name) == name


def test_a_local_folder_has_one_name_from_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert canonical_name("local-dir:model") == canonical_name(f"local-dir:{tmp_path}/other/../model")


def test_the_main_model_is_the_one_that_was_asked_for() -> None:
    assert (MAIN.architecture, MAIN.tag, MAIN.dim) == ("ViT-B-32", "laion2b_s34b_b79k", 512)


def test_unlisted_weights_get_the_activation_they_were_trained_with() -> None:
    assert find_source("ViT-B-32:openai").quick_gelu
    assert not find_source("ViT-B-32:laion2b_e16").quick_gelu
