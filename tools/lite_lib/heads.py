"""The trained heads: features of a tower -> unit vectors of the common space."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

Array = npt.NDArray[np.float32]

MEANING = 384  # coordinates that images share with texts
LOOKS = 118  # coordinates of images alone, which tell copies from images alike; text vectors are 0 there
LAYOUT = 8  # and where an image is light and dark
DIM = MEANING + LOOKS + LAYOUT + 2  # and two that tell how near it is to texts of any kind


@dataclass(frozen=True)
class HeadShape:
    width: int
    hidden: int
    dropout: float
    noise: float  # added to the features while training, in standard deviations


class Head(nn.Module):
    """Features (b, d) -> unit vectors (b, width): a linear map plus a two-layer one, of standardised features."""

    def __init__(self, features: Tensor, shape: HeadShape) -> None:
        super().__init__()
        std = features.std(0)
        self.register_buffer("mean", features.mean(0))
        self.register_buffer("std", std.clamp(min=0.1 * float(std.median())))  # a near-constant feature is not blown up
        self.linear = nn.Linear(features.shape[1], shape.width)
        self.up = nn.Linear(features.shape[1], shape.hidden)
        self.down = nn.Linear(shape.hidden, shape.width)
        self.dropout, self.noise = shape.dropout, shape.noise

    def forward(self, x: Tensor) -> Tensor:
        x = (x - self.mean) / self.std
        if self.training:
            x = x + self.noise * torch.randn_like(x)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.training):  # three times as fast on the CPUs used here
            hidden = functional.dropout(functional.relu(self.up(x)), self.dropout, self.training)
            x = self.linear(x) + self.down(hidden)
        return functional.normalize(x.float())

    def matrices(self) -> tuple[Array, Array, Array, Array]:
        """The layers on raw features: (width + hidden, d) and its bias, (width, hidden) and its bias; the
        standardisation is folded in, and the first layer holds the linear map on top of the hidden one's input."""
        first = torch.cat([self.linear.weight, self.up.weight]) / self.std
        bias = torch.cat([self.linear.bias, self.up.bias]) - first @ self.mean
        first, bias, down, shift = (t.detach().numpy() for t in (first, bias, self.down.weight, self.down.bias))
        return first, bias, down, shift
