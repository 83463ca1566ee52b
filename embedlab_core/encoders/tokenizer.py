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
        tokenizer, pad_id, pad_token = _byte_pair(source), 0, "!"
    elif isinstance(source, HFTokenizer) and not source.tokenizer_mode:
        tokenizer, pad_id, pad_token = _hugging_face(source)
    else:
        raise ModelError(f"tokenizer {type(source).__name__}: has no equal without torch; choose another model")
    tokenizer.enable_truncation(source.context_length)
    tokenizer.enable_padding(length=source.context_length, pad_id=pad_id, pad_token=pad_token)
    return TextTokenizer(tokenizer, source.context_length, _cleaning(source))


def separator_to_strip(source: Any) -> int | None:
    """The token id that open_clip replaces by 0 after tokenizing, for the models that want it (CLIPA)."""
    return cast(int, source.tokenizer.sep_token_id) if getattr(source, "strip_sep_token", False) else None


def _byte_pair(source: Any) -> "tokenizers.Tokenizer":
    """CLIP's byte-pair encoding (Radford et al. 2021): a regular expression cuts words, each ends in "</w>"."""
    from tokenizers import AddedToken, Regex, Tokenizer, models, pre_tokenizers, processors

    merges = sorted(source.bpe_ranks, key=source.bpe_ranks.__getitem__)
    tokenizer = Tokenizer(models.BPE(source.encoder, merges, end_of_word_suffix="</w>"))
    words = Regex(f"(?i:{source.pat.pattern})")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(words, behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    special = {source.decoder[id_]: id_ for id_ in source.all_special_ids}
    tokenizer.add_special_tokens([AddedToken(token, normalized=False) for token in special])
    start, end = source.decoder[source.sot_token_id], source.decoder[source.eot_token_id]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{start} $A {end}", special_tokens=[(start, special[start]), (end, special[end])]
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
