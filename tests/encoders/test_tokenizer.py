"""An exported tokenizer gives the ids that open_clip's gives."""
# ruff: noqa: RUF001 (letters that look like others are what these texts are for)

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from open_clip.tokenizer import HFTokenizer, SimpleTokenizer
from tokenizers import Tokenizer

from embedlab_core.encoders.prompts import clean_prompt
from embedlab_core.encoders.tokenizer import separator_to_strip, tokenizer_of
from embedlab_core.errors import ModelError
from tests.checkpoints import hf_tokenizer, sentence_pieces

WORDS = "a the cat photo login screen Bücher naïve café THE END iPhone 3d co-op rock'n'roll e.g. antidisestablishment"
WRITTEN = [
    *WORDS.split(),
    *(
        "Привет",
        "мир",
        "Γειά",
        "σου",
        "Σίσυφος",
        "你好",
        "世界",
        "こんにちは",
        "カタカナ",
        "안녕하세요",
        "مرحبا",
        "שלום",
    ),
    *("नमस्ते", "สวัสดี", "გამარჯობა", "ሰላም", "Բարեւ", "வணக்கம்", "Tiếng Việt", "İstanbul", "straße", "ǅ", "ﬁ", "ﷺ"),
    *("😀", "👩‍👩‍👧", "🇫🇷", "👍🏽", "❤️", "1️⃣", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "→", "½", "x²", "①", "Ⅷ", "٣", "५", "๙"),
    *("e\u0301", "a\u030a\u0301", "\u0301", "Z̷͔͆", "\u200d", "\u200b", "\ufe0f", "\u00ad", "\u202e"),
    *("&amp;", "&lt;p&gt;", "&amp;amp;", "&quot;", "&#39;", "&#x27;", "&eacute;", "&nope;", "&", "&amp"),
    *("\x00", "\x07", "\x1b[1m", "\x7f", "\x85", "\t", "\n", "\r\n", "\xa0", "\u3000", "\u2028", "\ufeff"),
    *("schÃ¶n", "â€œ", "Ð¿Ñ€Ð¸", "ä½ å¥½", "CafÃ©", "\ufffd"),
    *("it's", "IT'S", "we're", "they'll", "I'd", "I'm", "don't", "could've", "'s", "''s", "'S", "'ſ", "’s"),
    *("0", "007", "3.14", "1,000,000", "1e-9", "0x1F", "2024-01-31"),
    *("!", "?!", "...", "--", "___", "C++", "#tag", "@user", "http://a.b/c?d=e&f=g", "<>", "(:", "$€£", "\\", "|", "~"),
    *("<end_of_text>", "<start_of_text>", "<|endoftext|>", "<END_OF_TEXT>", "<end_of_text", "end_of_text>", "</w>"),
    *("[CLS]", "[SEP]", "[PAD]", "[MASK]", "[UNK]", "##s", "</s>", "<pad>"),
    "x" * 300,
    "word " * 120,
    "猫" * 100,
]

# Letters that every Unicode version since 2010 knows; the newest scripts are letters to one regular-expression engine
# and not yet to another.
BLOCKS = [(0x20, 0x7F), (0xA0, 0x250), (0x370, 0x400), (0x400, 0x500), (0x5D0, 0x5EB), (0x621, 0x64B), (0x905, 0x93A)]
BLOCKS += [(0xE01, 0xE3B), (0x10D0, 0x10F1), (0x3041, 0x3097), (0x4E00, 0x9FA6), (0xAC00, 0xD7A4), (0x1F300, 0x1F5FF)]


def varied_strings(count: int, seed: int) -> list[str]:
    rng = random.Random(seed)

    def piece() -> str:
        if rng.random() < 0.7:
            return rng.choice(WRITTEN)
        low, high = rng.choice(BLOCKS)
        return "".join(chr(rng.randrange(low, high)) for _ in range(rng.randint(1, 8)))

    def text() -> str:
        return rng.choice(["", " ", " ", "  "]).join(piece() for _ in range(rng.randint(1, 12)))

    return [*WRITTEN, "", " ", *(text() for _ in range(count - len(WRITTEN) - 2))]


def differences(source: Any, tokenizer: Tokenizer, texts: list[str]) -> dict[str, tuple[list[int], list[int]]]:
    """open_clip's ids and ours, where they differ."""
    cleaning = tokenizer_of(source).cleaning
    expected = dict(zip(texts, source(texts).tolist(), strict=True))
    actual = {text: tokenizer.encode(clean_prompt(text, cleaning)).ids for text in texts}
    return {text: (ids, actual[text]) for text, ids in expected.items() if actual[text] != ids}


def saved(source: Any, folder: Path) -> Tokenizer:
    """By way of the file that a model folder holds."""
    path = folder / "tokenizer.json"
    path.write_text(tokenizer_of(source).tokenizer.to_str(), "utf-8")
    return Tokenizer.from_file(str(path))


@pytest.mark.parametrize("clean", ["lower", "canonicalize", "whitespace"])
def test_clips_byte_pairs_are_the_same_on_1000_strings(tmp_path: Path, clean: str) -> None:
    source = SimpleTokenizer(clean=clean)
    texts = varied_strings(1000, seed=len(clean))
    assert len(texts) == 1000
    assert differences(source, saved(source, tmp_path), texts) == {}


@pytest.fixture
def new_hf_tokenizer(tmp_path: Path) -> Callable[..., HFTokenizer]:
    def make(padding_side: str = "right", **options: object) -> HFTokenizer:
        hf_tokenizer(padding_side).save_pretrained(tmp_path / "hf")
        return HFTokenizer(str(tmp_path / "hf"), context_length=20, **options)

    return make


@pytest.mark.parametrize("clean", ["lower", "canonicalize", "whitespace"])
@pytest.mark.parametrize("padding_side", ["right", "left"])
def test_a_fast_tokenizer_is_the_same_on_1000_strings(
    tmp_path: Path, new_hf_tokenizer: Callable[..., HFTokenizer], clean: str, padding_side: str
) -> None:
    source = new_hf_tokenizer(padding_side, clean=clean)
    assert differences(source, saved(source, tmp_path), varied_strings(1000, seed=7)) == {}


def test_sentence_pieces_are_the_same_on_1000_strings(tmp_path: Path) -> None:
    sentence_pieces().save_pretrained(tmp_path / "hf")
    source = HFTokenizer(str(tmp_path / "hf"), context_length=16, clean="canonicalize")
    assert differences(source, saved(source, tmp_path), varied_strings(1000, seed=8)) == {}


def test_the_separator_is_stripped_only_where_open_clip_strips_it(
    new_hf_tokenizer: Callable[..., HFTokenizer],
) -> None:
    source = new_hf_tokenizer(strip_sep_token=True)
    assert separator_to_strip(source) == source.tokenizer.sep_token_id
    assert separator_to_strip(new_hf_tokenizer()) is None
    assert separator_to_strip(SimpleTokenizer()) is None


def test_the_context_length_is_the_models() -> None:
    text = tokenizer_of(SimpleTokenizer(context_length=10))
    assert text.context_length == len(text.tokenizer.encode("a " * 50).ids) == len(text.tokenizer.encode("").ids) == 10


def test_tokenizers_that_draw_words_by_chance_are_refused() -> None:
    with pytest.raises(ModelError, match="SimpleTokenizer: has no equal"):
        tokenizer_of(SimpleTokenizer(reduction_mask="random"))
