"""open_clip checkpoints of seeded random weights, in the layout that open_clip saves and the hub keeps."""

import json
import string
from pathlib import Path
from typing import Any

CHECKPOINT = "open_clip_model.safetensors"
CONFIG = "open_clip_config.json"

# What embedlab's main model is asked for by.
VIT_B_32_REPO = "laion/CLIP-ViT-B-32-laion2B-s34B-b79K"

_WORDS = ["a", "the", "of", "photo", "login", "screen", "cat", "red", "##s", "##ing"]
_SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def write_vit_b_32(folder: Path) -> Path:
    """The true architecture, 605 MB."""
    import open_clip

    return _write(folder, {"model_cfg": open_clip.get_model_config("ViT-B-32")})


def write_tiny_vit(folder: Path, seed: int = 0) -> Path:
    """CLIP's own two towers and byte-pair encoding, on 32 pixels. Its tokenizer.json is the largest of its files."""
    vision = {"image_size": 32, "patch_size": 8, "layers": 2, "width": 64, "head_width": 32}
    text = {"context_length": 24, "vocab_size": 49408, "layers": 2, "width": 16, "heads": 2}
    return _write(folder, {"model_cfg": {"embed_dim": 32, "vision_cfg": vision, "text_cfg": text}}, seed)


def write_timm_tower(folder: Path) -> Path:
    """A timm network for images, pre-processed as SigLIP does it, and its canonicalizing clean-up of prompts."""
    vision = {"timm_model_name": "test_efficientnet", "timm_pool": "avg", "timm_proj": "linear", "image_size": 160}
    text = {
        "context_length": 16,
        "vocab_size": 49408,
        "layers": 1,
        "width": 32,
        "heads": 2,
        "tokenizer_kwargs": {"clean": "canonicalize"},
    }
    preprocess = {"mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bilinear", "resize_mode": "squash"}
    model = {"embed_dim": 24, "vision_cfg": vision, "text_cfg": text, "custom_text": True}
    return _write(folder, {"model_cfg": model, "preprocess_cfg": preprocess})


def write_siglip(folder: Path) -> Path:
    """SigLIP's kind (Zhai et al. 2023): attention-pooled timm tower, text read from its last token, sentence pieces."""
    sentence_pieces().save_pretrained(folder)
    vision = {"timm_model_name": "test_vit", "timm_pool": "map", "timm_proj": "none", "image_size": 160}
    text = {
        "context_length": 16,
        "vocab_size": 256,
        "layers": 1,
        "width": 64,
        "heads": 2,
        "hf_tokenizer_name": str(folder),
        "tokenizer_kwargs": {"clean": "canonicalize"},
        "no_causal_mask": True,
        "proj_bias": True,
        "pool_type": "last",
    }
    preprocess = {"mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bicubic", "resize_mode": "squash"}
    model = {"embed_dim": 64, "vision_cfg": vision, "text_cfg": text, "custom_text": True, "init_logit_bias": -10}
    return _write(folder, {"model_cfg": model, "preprocess_cfg": preprocess})


def write_hf_text_tower(folder: Path, bert: Path) -> Path:
    """CLIP's image tower with a text tower of `bert`'s kind, which lies in a folder of its own.

    open_clip takes the tokenizer of a local model from beside the checkpoint.
    """
    hf_tokenizer().save_pretrained(folder)
    vision = {"image_size": 48, "patch_size": 16, "layers": 1, "width": 32, "head_width": 16}
    text = {"hf_model_name": str(bert), "hf_tokenizer_name": str(bert), "hf_proj_type": "mlp", "context_length": 20}
    preprocess = {"interpolation": "bicubic", "resize_mode": "longest", "fill_color": 127}
    model = {"embed_dim": 32, "vision_cfg": vision, "text_cfg": text}
    return _write(folder, {"model_cfg": model, "preprocess_cfg": preprocess})


def publish_hf_text_tower(local: Path, bert: Path, folder: Path, bert_repo: str) -> None:
    """The same model as the hub has it: its text tower is named by a repository."""
    folder.mkdir(parents=True)
    (folder / CHECKPOINT).symlink_to(local / CHECKPOINT)
    config = (local / CONFIG).read_text("utf-8")
    (folder / CONFIG).write_text(config.replace(str(bert), bert_repo), "utf-8")


def write_bert(folder: Path) -> Path:
    """config.json and the tokenizer of a BERT of two layers; its weights are a part of open_clip's checkpoint."""
    import transformers

    tokenizer = hf_tokenizer()
    tokenizer.save_pretrained(folder)
    transformers.BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=32,
    ).save_pretrained(folder)
    return folder


def hf_tokenizer(padding_side: str = "right") -> Any:
    """BERT's kind of tokenizer over ASCII and a few words: everything else is unknown to it."""
    import transformers
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    characters = string.ascii_lowercase + string.digits + string.punctuation
    pieces = [*_SPECIAL, *characters, *(f"##{char}" for char in characters), *_WORDS]
    vocabulary = {piece: number for number, piece in enumerate(dict.fromkeys(pieces))}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", vocabulary["[SEP]"]), ("[CLS]", vocabulary["[CLS]"]))
    fast: Any = transformers.PreTrainedTokenizerFast
    return fast(
        tokenizer_object=tokenizer,
        padding_side=padding_side,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
    )


def sentence_pieces() -> Any:
    """T5's kind of tokenizer, as SigLIP has it: a unigram model over ASCII, padded with the token that ends a text."""
    import transformers
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    pieces = [
        "</s>",
        "<unk>",
        "\u2581",
        *string.ascii_lowercase,
        *string.digits,
        *(f"\u2581{word}" for word in _WORDS[:8]),
    ]
    tokenizer = Tokenizer(models.Unigram([(piece, -float(len(pieces) - len(piece))) for piece in pieces], unk_id=1))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 0)])
    fast: Any = transformers.PreTrainedTokenizerFast
    return fast(tokenizer_object=tokenizer, pad_token="</s>", eos_token="</s>", unk_token="<unk>")


def _write(folder: Path, config: dict[str, Any], seed: int = 0) -> Path:
    import open_clip
    import torch
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    (folder / CONFIG).write_text(json.dumps({"preprocess_cfg": {}, **config}), "utf-8")
    torch.manual_seed(seed)
    model = open_clip.create_model(f"local-dir:{folder}", pretrained_text=False)
    with torch.no_grad():
        # As they are initialised, the towers send all images to nearly one vector: any pre-processing would pass.
        for name, parameter in model.named_parameters():
            if parameter.ndim > 1 and "positional" not in name:
                parameter.mul_(1.5)
    save_file(model.state_dict(), folder / CHECKPOINT)
    return folder
