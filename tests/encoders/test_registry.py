"""Every registered model is one that open_clip knows, described as open_clip describes it."""

import open_clip
import pytest

from embedlab_core.encoders.openclip import find_source
from embedlab_core.encoders.registry import AUTO, EMBEDDED, MAIN, REGISTRY, Pretrained, canonical_name

each_model = pytest.mark.parametrize("model", REGISTRY.values(), ids=REGISTRY.keys())


@each_model
def test_open_clip_knows_the_tag_and_its_repository(model: Pretrained) -> None:
    assert open_clip.is_pretrained_cfg(model.architecture, model.tag)
    hub = open_clip.get_pretrained_cfg(model.architecture, model.tag)["hf_hub"]
    assert hub.rpartition("/")[0] == model.hub_repo
    assert find_source(model.name).hub_repo == model.hub_repo


@each_model
def test_dim_and_image_size_are_open_clips(model: Pretrained) -> None:
    config = open_clip.get_model_config(model.architecture)
    assert (config["embed_dim"], config["vision_cfg"]["image_size"]) == (model.dim, model.image_size)


@each_model
def test_the_activation_is_the_one_the_weights_were_trained_with(model: Pretrained) -> None:
    trained = open_clip.get_pretrained_cfg(model.architecture, model.tag).get("quick_gelu", False)
    built = open_clip.get_model_config(model.architecture).get("quick_gelu", False)
    assert find_source(model.name).quick_gelu or not trained
    assert built == trained


@each_model
def test_a_name_and_its_tag_are_one_model(model: Pretrained) -> None:
    assert canonical_name(model.name) == model.name
    assert canonical_name(f"{model.architecture}:{model.tag}") == model.name
    # open_clip takes a tag in either spelling.
    assert canonical_name(f"{model.architecture}:{model.tag.replace('_', '-').upper()}") == model.name


def test_unlisted_names_stay_as_they_are() -> None:
    for name in ("ViT-L-14:openai", "hf-hub:org/name", EMBEDDED, AUTO):
        assert canonical_name(name) == name


def test_a_local_folder_has_one_name_from_everywhere(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.chdir(tmp_path)
    assert canonical_name("local-dir:model") == canonical_name(f"local-dir:{tmp_path}/other/../model")


def test_the_main_model_is_the_one_that_was_asked_for() -> None:
    assert (MAIN.architecture, MAIN.tag, MAIN.dim) == ("ViT-B-32", "laion2b_s34b_b79k", 512)


def test_a_tag_that_was_trained_with_another_activation_gets_it() -> None:
    assert find_source("ViT-B-32:openai").quick_gelu
    assert not find_source("ViT-B-32").quick_gelu
