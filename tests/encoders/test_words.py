"""Which prompts a tokenizer knows no word of."""

import random
import string
from functools import cache

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from embedlab_core.analysis.vocabulary import vocabulary
from embedlab_core.encoders.onnx import OnnxEncoder
from embedlab_core.encoders.prompts import clean_prompt
from embedlab_core.encoders.words import Words
from tests.support import LITE

# Words, with spaces between them.
ENGLISH = (
    "chihuahua hovercraft snowboarding raspberries screwdrivers windsurfing kayaking grandmother's x-ray T-shirts "
    "self-driving smartphones dragonflies Reykjavik Gandalf Photoshop WhatsApp fjord rhythm lynx gypsy sphinx crypt "
    "myth cwm tv bbq pc 4k 2024 42 co2 PS4 Porsche 911 mop bib hoe yak kiwi tofu baboon sarcophagus onomatopoeia"
)
OTHER_LATIN = "Schmetterling Hund Katze Sonnenuntergang voiture maison coucher plage perro playa"
FOREIGN = "猫 犬 人 猴子 いぬ ネコ 고양이 кошка собака γάτα חתול قطة बिल्ली แมว"
GIBBERISH = (
    "asdfqwer zxcv",
    "zxcv",
    "hjkl hjkl",
    "xqzv",
    "sdfkjh wqxz",
    "qwrtzp",
    "Fgtrhx 'vbnm'",
    "zzxxccvv",
)


@cache
def lite_words() -> tuple[Tokenizer, Words]:
    tokenizer = Tokenizer.from_file(str(LITE / "tokenizer.json"))
    return tokenizer, Words(tokenizer)


@cache
def clip_words() -> tuple[Tokenizer, Words]:
    from open_clip.tokenizer import SimpleTokenizer

    from embedlab_core.encoders.tokenizer import tokenizer_of

    tokenizer = tokenizer_of(SimpleTokenizer()).tokenizer
    return tokenizer, Words(tokenizer)


def unknown(model: str, prompt: str) -> bool:
    tokenizer, words = lite_words() if model == "lite" else clip_words()
    cleaned = prompt if model == "lite" else clean_prompt(prompt, "lower")
    return words.none_known(cleaned, tokenizer.encode(cleaned))


@pytest.mark.parametrize("model", ["lite", "clip"])
def test_every_phrase_of_the_vocabulary_is_known(model: str) -> None:
    assert [phrase for phrase in vocabulary() if unknown(model, phrase)] == []


@pytest.mark.parametrize("model", ["lite", "clip"])
def test_rare_english_and_near_languages_are_known(model: str) -> None:
    assert [word for word in f"{ENGLISH} {OTHER_LATIN}".split() if unknown(model, word)] == []


@pytest.mark.parametrize("model", ["lite", "clip"])
def test_gibberish_and_other_scripts_are_not(model: str) -> None:
    assert [prompt for prompt in (*FOREIGN.split(), *GIBBERISH) if not unknown(model, prompt)] == []


@pytest.mark.parametrize("model", ["lite", "clip"])
def test_one_known_word_is_enough_and_signs_are_not_judged(model: str) -> None:
    assert unknown(model, "zxcv hjkl")
    for prompt in ("a red zxcv", "zxcv car", "?!", "...", "a", "5"):
        assert not unknown(model, prompt)


@pytest.mark.parametrize(("model", "least"), [("lite", 0.75), ("clip", 0.6)])
def test_most_random_letters_are_not_known(model: str, least: float) -> None:
    chance = random.Random(0)

    def word() -> str:
        return "".join(chance.choice(string.ascii_lowercase) for _ in range(chance.randint(4, 9)))

    prompts = [f"{word()} {word()}" for _ in range(1000)]
    assert sum(unknown(model, prompt) for prompt in prompts) / 1000 >= least


def test_a_tokenizer_of_many_languages_knows_words_of_one_character() -> None:
    pieces = [("<unk>", 0.0), ("\u2581", -2.0), ("\u2581\u732b", -1.0), ("\u5199\u771f", -1.0), ("\u306e", -1.0)]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=0))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    words = Words(tokenizer)
    for prompt, wanted in (("\u732b", False), ("\u732b\u306e\u5199\u771f", False), ("\u72ac", True)):
        assert words.none_known(prompt, tokenizer.encode(prompt)) is wanted


def test_the_encoder_names_them(lite: OnnxEncoder) -> None:
    assert lite.encode_texts(["a cat", "\u732b", "asdfqwer zxcv"]).unknown == ("\u732b", "asdfqwer zxcv")
