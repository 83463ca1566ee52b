"""What the heads and towers are trained to make small."""

import torch
from torch import Tensor
from torch.nn import functional


def contrastive(a: Tensor, b: Tensor, same: Tensor, scale: Tensor | float) -> Tensor:
    """Symmetric InfoNCE (Oord et al. 2018) of unit (n, d) and (m, d); same (n, m) marks pairs that belong together."""
    logits = scale * a @ b.T
    rows = -(functional.log_softmax(logits, 1) * same / same.sum(1, keepdim=True)).sum(1).mean()
    columns = -(functional.log_softmax(logits, 0) * same / same.sum(0, keepdim=True)).sum(0).mean()
    return (rows + columns) / 2


def crowding(z: Tensor, same: Tensor) -> Tensor:
    """Mean log distance of unit (n, d) to the nearest vector that is not the same image, negated.

    The differential entropy regulariser of Sablayrolles et al. (2019), as SSCD (Pizzi et al. 2022) uses it for copies.
    """
    with torch.no_grad():
        nearest = (z @ z.T).masked_fill(same > 0, -2).argmax(1)
    return -torch.log(torch.linalg.vector_norm(z - z[nearest], dim=1) + 1e-6).mean()
