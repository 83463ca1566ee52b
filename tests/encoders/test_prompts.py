"""Prompts are cleaned exactly as open_clip cleans them."""
# ruff: noqa: RUF001 (letters that look like others are what these texts are for)

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from open_clip.tokenizer import get_clean_fn

from embedlab_core.encoders.prompts import PromptCleaning, clean_prompt

# Whole fragments that a clean-up reacts to: hypothesis would not spell them by chance.
FRAGMENTS = [
    *("&amp;", "&amp;lt;", "&lt;b&gt;", "&nbsp;", "&#0;", "&#x1F600;", "&notanentity;", "&amp", "<b>&amp;</b>"),
    *(
        "schÃ¶n",
        "â€œquotedâ€\x9d",
        "Ã©Ã©",
        "ï»¿",
        "\ufeff",
        "“”‘’",
        "ﬁ",
        "ＡＢＣ",
        "\x1b[31mred\x1b[0m",
        "\x00",
        "\x85",
    ),
    *("\r\n", "\u2028", "\u200b", "\xa0", "\u3000", "İ", "ß", "Σς", "\ud800", "_", "__a__", "...", "'s", "\\n"),
]

texts = st.lists(st.sampled_from(FRAGMENTS) | st.text(max_size=12), max_size=8).map("".join)


@pytest.mark.parametrize("cleaning", ["lower", "canonicalize", "whitespace"])
@given(text=texts)
@example(text="")
@example(text=" \t\n ")
@example(text="ASCII with no entity, which takes the short way: 100% (really)")
def test_any_text_is_cleaned_as_open_clip_does(cleaning: PromptCleaning, text: str) -> None:
    assert clean_prompt(text, cleaning) == get_clean_fn(cleaning)(text)


@given(text=st.text())
def test_no_cleaning_leaves_a_text_alone(text: str) -> None:
    assert clean_prompt(text, "none") == text
