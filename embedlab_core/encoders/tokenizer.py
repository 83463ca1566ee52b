"""open_clip's tokenizers as `tokenizers` files, which need neither torch nor transformers to run."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from embedlab_core.encoders.prompts import PromptCleaning
from embedlab_core.errors import ModelError

if TYPE_CHECKING:
    import tokenizers


@dataclass(frozen=True, slots=True)
class TextTokenizer:
    """tokenizer: cleaned prompt -> ids, padded and cut to `context_length`. cleaning: what comes before it."""

    tokenizer: "tokenizers.Tokenizer"
    context_length: int
    cleaning: PromptCleaning


def tokenizer_of(source: Any) -> TextTokenizer:
    """The equal of an open_clip tokenizer. Raises ModelError for the kinds that have none."""
    from open_clip.tokenizer import HFTokenizer, SimpleTokenizer

    if isinstance(source, SimpleTokenizer) and source.reduction_fn is None:
        tokenizer, pad_id, pad_token, sides = _byte_pair(source), 0, "!", ("right", "right")
    elif isinstance(source, HFTokenizer) and not source.tokenizer_mode:
        tokenizer, pad_id, pad_token = _hugging_face(source)
        sides = source.tokenizer.truncation_side, source.tokenizer.padding_side
    else:
        raise ModelError(f"tokenizer {type(source).__name__}: has no equal without torch; choose another model")
    tokenizer.enable_truncation(source.context_length, direction=sides[0])
    tokenizer.enable_padding(direction=sides[1], length=source.context_length, pad_id=pad_id, pad_token=pad_token)
    return TextTokenizer(tokenizer, source.context_length, _cleaning(source))


def separator_to_strip(source: Any) -> int | None:
    """The token id that open_clip replaces by 0 after tokenizing, for the models that want it (CLIPA)."""
    return cast(int, source.tokenizer.sep_token_id) if getattr(source, "strip_sep_token", False) else None


def _byte_pair(source: Any) -> "tokenizers.Tokenizer":
    """CLIP's byte-pair encoding (Radford et al. 2021): a regular expression cuts words, each ends in "</w>"."""
    from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

    merges = sorted(source.bpe_ranks, key=source.bpe_ranks.__getitem__)
    # No cleaned prompt holds control characters.
    marks = {source.decoder[id_]: chr(number) for number, id_ in enumerate(source.all_special_ids, start=1)}
    vocabulary = {marks.get(token, token): id_ for token, id_ in source.encoder.items()}
    tokenizer = Tokenizer(models.BPE(vocabulary, merges, end_of_word_suffix="</w>"))
    words = f"(?i:{source.pat.pattern})"

    def where_a_word_begins(token: str) -> str:
        return rf"\G(?:[{''.join(marks.values())}]|(?!{token})(?>{words}|\s))*+\K{token}"

    # `tokenizers` would find special tokens anywhere; open_clip finds none that follow other punctuation. So those it
    # finds are replaced by marks first.
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Replace(Regex(where_a_word_begins(token)), mark) for token, mark in marks.items()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(words), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.add_special_tokens([AddedToken(mark, normalized=True) for mark in marks.values()])
    start, end = (marks[source.decoder[id_]] for id_ in (source.sot_token_id, source.eot_token_id))
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{start} $A {end}", special_tokens=[(start, vocabulary[start]), (end, vocabulary[end])]
    )
    return tokenizer


def _hugging_face(source: Any) -> "tuple[tokenizers.Tokenizer, int, str]":
    from tokenizers import Tokenizer

    fast = getattr(source.tokenizer, "backend_tokenizer", None)
    if fast is None:
        raise ModelError(f"tokenizer {source.tokenizer.name_or_path}: has no tokenizer.json; choose another model")
    return Tokenizer.from_str(fast.to_str()), source.tokenizer.pad_token_id, source.tokenizer.pad_token


def _cleaning(source: Any) -> PromptCleaning:
    from open_clip import tokenizer

    names: dict[Any, PromptCleaning] = {
        tokenizer.get_clean_fn("lower"): "lower",
        tokenizer.get_clean_fn("canonicalize"): "canonicalize",
        tokenizer.get_clean_fn("whitespace"): "whitespace",
    }
    return names[source.clean_fn]
