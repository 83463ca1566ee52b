"""Cleaning of prompts before they are tokenized, as each model was trained with it."""

import html
import string
from typing import Literal

from embedlab_core.packages import needed_for

PromptCleaning = Literal["none", "whitespace", "lower", "canonicalize"]

_NO_PUNCTUATION = str.maketrans("_", " ", string.punctuation.replace("_", ""))


def clean_prompt(text: str, cleaning: PromptCleaning) -> str:
    """Repair broken Unicode and HTML entities, collapse white space; then as `cleaning` says.

    "lower" also lower-cases (CLIP), "canonicalize" also drops ASCII punctuation and lower-cases (SigLIP), "whitespace"
    does neither, "none" leaves the text to the tokenizer. The rules are open_clip's (`open_clip.tokenizer`).
    """
    if cleaning == "none":
        return text
    text = html.unescape(html.unescape(_repair(text))).strip()
    if cleaning == "canonicalize":
        text = text.translate(_NO_PUNCTUATION)
    if cleaning != "whitespace":
        text = text.lower()
    return " ".join(text.split())


def _repair(text: str) -> str:
    """ftfy changes nothing in printable ASCII without an entity, and costs a tenth of a cold start to import."""
    if text.isascii() and text.isprintable() and "&" not in text:
        return text
    with needed_for("repairing a prompt"):
        import ftfy

    return ftfy.fix_text(text)
