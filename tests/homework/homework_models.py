"""A BERT of two layers that knows the exercise's words, and traces made by hand."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import BertConfig, BertForMaskedLM, BertModel, BertTokenizerFast

from vitrail.homework.attention_reading import BERT_TEXTS, BOTH, GPT_TEXTS
from vitrail.trace import Axis, Layer, Provenance, Stream, Trace, finish_layer, named

SHAPE: Mapping[str, Any] = {
    "hidden_size": 14,
    "num_hidden_layers": 2,
    "num_attention_heads": 7,
    "intermediate_size": 11,
    "initializer_range": 0.4,
    "max_position_embeddings": 64,
}


def exercise_texts() -> list[str]:
    return [BOTH, *GPT_TEXTS.values(), *(text for texts in BERT_TEXTS.values() for text in texts)]


def write_bert(folder: Path, kind: type[BertModel] | type[BertForMaskedLM]) -> None:
    """Its words are those of the exercise."""
    words = dict.fromkeys(word for text in exercise_texts() for word in re.findall(r"\w+|[^\w\s]", text.lower()))
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]
    folder.mkdir(parents=True)
    (folder / "vocab.txt").write_text("\n".join(names) + "\n")
    torch.manual_seed(0)
    kind(BertConfig(vocab_size=len(names), **SHAPE)).save_pretrained(folder)
    BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)


def made(texts: Sequence[str], words: Sequence[int], special: Sequence[bool], seed: int = 0) -> Trace:
    """Two layers of three heads over these tokens."""
    random = np.random.default_rng(seed)
    axis = Axis(
        "tokens",
        "tokens",
        len(texts),
        texts=tuple(texts),
        words=np.array(words, np.int32),
        special=np.array(special),
    )
    layers = []
    for number in range(2):
        q, k, v = (random.normal(size=(3, len(texts), 5)).astype(np.float32) for _ in range(3))
        layers.append(finish_layer(Layer(f"layer.{number}", q, k, v, scale=5**-0.5), axis, axis))
    stream = Stream("encoder", "tokens", "tokens", tuple(layers))
    return Trace(named([axis]), (stream,), Provenance("model", texts=("".join(texts),)))
