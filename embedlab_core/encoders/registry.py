"""The models that embedlab knows by name. Any other that open_clip understands works unlisted."""

from dataclasses import dataclass
from pathlib import Path

AUTO = "auto"
EMBEDDED = "lite"
HUB_PREFIX = "hf-hub:"
LOCAL_PREFIX = "local-dir:"

# Names under which open_clip looks for weights in a hub repository, best first.
CHECKPOINT_NAMES = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")


@dataclass(frozen=True, slots=True)
class Pretrained:
    """A checkpoint that open_clip can load.

    dim: of its vectors. image_size: side of its input, pixels. license: of the weights, as their hub page states it.
    megabytes: of the checkpoint, 4 bytes a parameter.
    """

    name: str
    architecture: str
    tag: str
    hub_repo: str
    dim: int
    image_size: int
    license: str
    megabytes: int


MAIN = Pretrained(
    "ViT-B-32", "ViT-B-32", "laion2b_s34b_b79k", "laion/CLIP-ViT-B-32-laion2B-s34B-b79K", 512, 224, "MIT", 605
)

REGISTRY: dict[str, Pretrained] = {
    model.name: model
    for model in (
        MAIN,
        # OpenAI trained with QuickGELU; open_clip's plain ViT-B-32 would run these weights with the wrong activation.
        Pretrained(
            "ViT-B-32-openai",
            "ViT-B-32-quickgelu",
            "openai",
            "timm/vit_base_patch32_clip_224.openai",
            512,
            224,
            "MIT",
            605,
        ),
        Pretrained(
            "ViT-B-32-datacomp",
            "ViT-B-32",
            "datacomp_xl_s13b_b90k",
            "laion/CLIP-ViT-B-32-DataComp.XL-s13B-b90K",
            512,
            224,
            "MIT",
            605,
        ),
        Pretrained(
            "ViT-B-32-256",
            "ViT-B-32-256",
            "datacomp_s34b_b86k",
            "laion/CLIP-ViT-B-32-256x256-DataComp-s34B-b86K",
            512,
            256,
            "MIT",
            605,
        ),
        Pretrained("ViT-B-16-SigLIP", "ViT-B-16-SigLIP", "webli", "timm/ViT-B-16-SigLIP", 768, 224, "Apache-2.0", 813),
        Pretrained(
            "MobileCLIP2-S0",
            "MobileCLIP2-S0",
            "dfndr2b",
            "timm/MobileCLIP2-S0-OpenCLIP",
            512,
            256,
            "Apple AMLR (research)",
            300,
        ),
        Pretrained(
            "MobileCLIP2-B",
            "MobileCLIP2-B",
            "dfndr2b",
            "timm/MobileCLIP2-B-OpenCLIP",
            512,
            224,
            "Apple AMLR (research)",
            600,
        ),
    )
}


def canonical_name(backbone: str) -> str:
    """The one name of a backbone: `ViT-B-32:laion2b_s34b_b79k` is ViT-B-32, a local folder has its full path, and
    spaces around a name are nobody's intent."""
    backbone = backbone.strip()
    if backbone.startswith(LOCAL_PREFIX):
        return LOCAL_PREFIX + str(Path(backbone.removeprefix(LOCAL_PREFIX)).resolve())
    architecture, _, tag = backbone.partition(":")
    for model in REGISTRY.values():
        # open_clip takes tags in any case, and with hyphens.
        if (architecture, tag.lower().replace("-", "_")) == (model.architecture, model.tag):
            return model.name
    return backbone
