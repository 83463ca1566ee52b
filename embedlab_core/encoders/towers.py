"""The two towers of an open_clip model as modules from raw input to unit vectors."""

from typing import Any

from embedlab_core.encoders.openclip import LoadedModel
from embedlab_core.encoders.tokenizer import separator_to_strip


def image_tower(loaded: LoadedModel) -> Any:
    """torch module: uint8 (b, size, size, 3) -> float32 (b, d), unit length. Normalisation is part of it."""
    import torch

    class ImageTower(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = loaded.model
            self.mean = torch.nn.Buffer(torch.tensor(loaded.preprocess["mean"]).view(1, 3, 1, 1))
            self.std = torch.nn.Buffer(torch.tensor(loaded.preprocess["std"]).view(1, 3, 1, 1))

        def forward(self, pixels: torch.Tensor) -> Any:
            scaled = pixels.permute(0, 3, 1, 2).float() / 255.0
            return self.model.encode_image((scaled - self.mean) / self.std, normalize=True)

    return ImageTower().eval()


def text_tower(loaded: LoadedModel) -> Any:
    """torch module: int64 (b, context length) -> float32 (b, d), unit length."""
    import torch

    separator = separator_to_strip(loaded.tokenizer)

    class TextTower(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = loaded.model

        def forward(self, ids: torch.Tensor) -> Any:
            if separator is not None:
                ids = torch.where(ids == separator, 0, ids)
            return self.model.encode_text(ids, normalize=True)

    return TextTower().eval()
