"""Prompt templates: one concept said in several ways, whose mean vector is steadier than that of any one of them."""

import numpy as np
import numpy.typing as npt

# After the templates that CLIP was evaluated with (Radford et al. 2021, section 3.1.4), without an article before the
# concept, since a prompt brings its own, and with two for screens and drawings.
TEMPLATES = (
    "{}",
    "a photo of {}.",
    "a bad photo of {}.",
    "a close-up photo of {}.",
    "a screenshot of {}.",
    "a drawing of {}.",
)


def template_prompts(prompt: str) -> tuple[str, ...]:
    """The prompt in every template, itself first."""
    return tuple(template.format(prompt) for template in TEMPLATES)


def averaged(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Unit vectors (n, t, d) of n concepts in t templates -> the direction of each concept's mean, float32 (n, d).

    Text embedding ensembling of CLIP (Radford et al. 2021, section 3.1.4).
    """
    means = vectors.mean(axis=1, dtype=np.float64)
    unit: npt.NDArray[np.float32] = (means / np.linalg.norm(means, axis=1, keepdims=True)).astype(np.float32)
    return unit
