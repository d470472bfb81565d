"""What the positions of a text are, from a tokenizer: how each token reads, where it stands, which word it is of."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from vitrail.errors import DataError
from vitrail.trace import Axis

Tokenizer = Callable[..., Any]
"""One of Hugging Face's, or a function from a text (and a second one, or None) to an ``Axis`` with ``ids``."""


def tokenized(tokenizer: Tokenizer, text: str, pair: str | None = None, *, name: str = "tokens") -> Axis:
    """The axis of a text, or of two that a model reads together.

    Raises:
        DataError: the text is empty, or no token came of it.
    """
    if not text.strip() or (pair is not None and not pair.strip()):
        raise DataError("the text is empty: give at least one word to attend from")
    axis = (
        _of_huggingface(tokenizer, text, pair) if hasattr(tokenizer, "convert_ids_to_tokens") else tokenizer(text, pair)
    )
    if not isinstance(axis, Axis) or axis.ids is None:
        raise DataError(
            f"the tokenizer gave {type(axis).__name__}: a function of texts gives an Axis with its tokens' numbers"
        )
    if axis.length < 1:
        raise DataError(f"no token came of {text[:40]!r}: give a text that the tokenizer knows")
    return replace(axis, name=name)


def _of_huggingface(tokenizer: Any, text: str, pair: str | None) -> Axis:
    fast = bool(getattr(tokenizer, "is_fast", False))
    encoded = tokenizer(text, pair, return_offsets_mapping=fast, return_special_tokens_mask=True, truncation=False)
    ids = list(encoded["input_ids"])
    if not ids:
        raise DataError(f"no token came of {text[:40]!r}: give a text that the tokenizer knows")
    described: dict[str, Any] = {}
    if fast:
        words = encoded.word_ids()
        segments = np.array([-1 if s is None else s for s in encoded.sequence_ids()], dtype=np.int32)
        described = {
            "offsets": np.array(encoded["offset_mapping"], dtype=np.int32),
            "segments": segments,
            "words": _numbered(words, segments),
        }
    return Axis(
        "tokens",
        "tokens",
        len(ids),
        texts=tuple(read_tokens(tokenizer, ids)),
        ids=np.array(ids, dtype=np.int32),
        special=np.array(encoded["special_tokens_mask"], dtype=bool),
        **described,
    )


def of_ids(tokenizer: Any, ids: Sequence[int], name: str) -> Axis:
    """The axis of tokens that a model wrote itself, or that are given as numbers."""
    special = set(getattr(tokenizer, "all_special_ids", []))
    return Axis(
        name,
        "tokens",
        len(ids),
        texts=tuple(read_tokens(tokenizer, ids)),
        ids=np.array(ids, dtype=np.int32),
        special=np.array([token in special for token in ids], dtype=bool),
    )


def _numbered(words: Sequence[int | None], segments: np.ndarray) -> np.ndarray:
    """Words counted through both texts; -1 for special tokens."""
    found = np.array([-1 if word is None else word for word in words], dtype=np.int32)
    if (segments == 1).any():
        before = found[segments == 0].max(initial=-1) + 1
        found[(segments == 1) & (found >= 0)] += before
    return found


def ids_of(tokenizer: Any, word: str) -> list[int]:
    """The tokens of a word inside a text, as few as there can be: with the space before it where that is one."""
    ways = [list(tokenizer(text, add_special_tokens=False)["input_ids"]) for text in (f" {word}", word)]
    return min((ids for ids in ways if ids), key=len, default=[])


def read_tokens(tokenizer: Any, ids: Sequence[int]) -> list[str]:
    """Tokens as people read them: a leading space is a space, not ``Ġ`` or ``▁``; pieces of characters stay codes."""
    return [
        _read(tokenizer, token, piece) for token, piece in zip(ids, tokenizer.convert_ids_to_tokens(ids), strict=True)
    ]


def _read(tokenizer: Any, token: int, piece: str | None) -> str:
    if piece is None:
        return ""
    if piece.startswith("▁"):
        return piece.replace("▁", " ")
    if any(ord(x) >= 256 or x in "ĠĊ" for x in piece) and _is_byte_level(tokenizer):
        read: str = tokenizer.decode([token], clean_up_tokenization_spaces=False)
        return piece if "\N{REPLACEMENT CHARACTER}" in read else read
    return piece


def _is_byte_level(tokenizer: Any) -> bool:
    backend = getattr(tokenizer, "backend_tokenizer", None)
    return "ByteLevel" in repr(getattr(backend, "decoder", None)) or "ByteLevel" in repr(
        getattr(backend, "pre_tokenizer", None)
    )
