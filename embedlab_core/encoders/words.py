"""Which prompts a text tower cannot have understood: those of which its tokenizer knows no word.

A tokenizer never refuses: it spells gibberish and foreign scripts in fragments, and the tower gives them a vector like
any other, near to the same few images every time. A word counts as known if it is one token, if a part of five letters
is, or if its letters follow each other as in the words that the tokenizer has as one token each (most of "baboon" is
found in those, little of "asdfqwer"). Too little is seen of a word of three letters to judge it.

Measured with lite's tokenizer and CLIP's: of the 15,000 English words from the 5,001st most frequent on (wordfreq),
0.3 % and 0.0 % are called unknown, most of them abbreviations and symbols; of two random strings of 4 to 9 letters 81 %
and 69 %, of words in Cyrillic, Greek, Hebrew, Arabic, Hindi, Chinese, Japanese and Korean 97 % and more.
"""

import unicodedata
from collections import Counter
from functools import cache, cached_property
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tokenizers

_UNKNOWN = ("[UNK]", "<unk>")
# A part of a word that says something. CLIP has "asdf", which people type to say nothing.
_PART = 5
# Part of a word in a script that the tokenizer has few words of.
_FOREIGN_PART = 3
# A word of fewer letters cannot be judged.
_LEAST_LETTERS = 4
# Three letters in a row count as usual if so many known words have them.
_LEAST_WORDS = 5
# A word is misspelt if this many of its threes of letters are unusual, and more than this share of them.
_MISSPELT = 3
_MISSPELT_SHARE = 0.4


class Words:
    """The words that one tokenizer knows."""

    def __init__(self, tokenizer: "tokenizers.Tokenizer") -> None:
        self._tokenizer = tokenizer
        # It takes every Chinese character for a word, and has those that occur in English text.
        self._is_word_piece = type(tokenizer.model).__name__ == "WordPiece"

    def none_known(self, text: str, encoding: "tokenizers.Encoding") -> bool:
        """Whether a prompt, and what the tokenizer made of it, has words and none of them is known."""
        words: dict[int, list[tuple[str, int, int]]] = {}
        for word, token, (start, end) in zip(encoding.word_ids, encoding.tokens, encoding.offsets, strict=True):
            if word is not None:  # A mark of where the text begins or ends, or padding.
                words.setdefault(word, []).append((token, start, end))
        judged = {
            self._knows(text[min(start for _, start, _ in parts) : max(end for *_, end in parts)].strip(), parts, text)
            for parts in words.values()
        }
        return False in judged and True not in judged

    def _knows(self, word: str, parts: list[tuple[str, int, int]], text: str) -> bool | None:
        """None for what is no word, or one that cannot be judged."""
        if any(token in _UNKNOWN for token, _, _ in parts):
            return False
        letters = _letters(word)
        if letters == 0:
            return None
        if word.isascii() and (letters < _LEAST_LETTERS or any(char.isdigit() for char in word)):
            return True if len(parts) == 1 and letters > 1 else None
        if any(unicodedata.east_asian_width(char) in "WF" for char in word):
            return not self._is_word_piece and len(parts) <= letters
        if len(parts) == 1:
            return letters > 1
        longest = max(_letters(text[start:end]) for _, start, end in parts)
        plain = _without_accents(word)
        if plain.isascii():
            return longest >= _PART or self._is_spelt_as_usual(plain) or plain in _everyday_words()
        return longest >= _FOREIGN_PART

    def _is_spelt_as_usual(self, word: str) -> bool:
        threes = _threes(word)
        unusual = sum(three not in self._usual for three in threes)
        return unusual < _MISSPELT or unusual <= _MISSPELT_SHARE * len(threes)

    @cached_property
    def _usual(self) -> frozenset[str]:
        counts: Counter[str] = Counter()
        for token in self._tokenizer.get_vocab():
            word = self._whole_word(token)
            if len(word) > 1 and word.isascii() and word.isalpha():
                counts.update(_threes(word.lower()))
        return frozenset(three for three, count in counts.items() if count >= _LEAST_WORDS)

    def _whole_word(self, token: str) -> str:
        """The word that a token is; "" for a part of one."""
        if self._is_word_piece:
            return "" if token.startswith("##") else token
        if token.endswith("</w>"):
            return token.removesuffix("</w>")
        # How sentence pieces and GPT-2's kind mark the space before a word.
        return token[1:] if token.startswith(("\u2581", "\u0120")) else ""


@cache
def _everyday_words() -> frozenset[str]:
    """Those of the vocabulary that names clusters: kiwi and tofu are spelt like nothing else."""
    text = files("embedlab_core.analysis").joinpath("vocabulary.txt").read_text("utf-8")
    return frozenset(text.lower().split())


def _letters(text: str) -> int:
    return sum(char.isalnum() for char in text)


def _without_accents(word: str) -> str:
    decomposed = unicodedata.normalize("NFKD", word.lower())
    return "".join(char for char in decomposed if not unicodedata.combining(char))


def _threes(word: str) -> list[str]:
    """Every three characters in a row, with the word's two ends."""
    marked = f"^{word}$"
    return [marked[start : start + 3] for start in range(len(marked) - 2)]
