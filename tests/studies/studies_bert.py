"""A BERT of two layers in a folder, which knows the words of a study's sentences."""

import re
from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import BertConfig, BertModel, BertTokenizerFast


def write_bert(folder: Path, texts: Sequence[str]) -> None:
    words = dict.fromkeys(word for text in texts for word in re.findall(r"\w+|[^\w\s]", text.lower()))
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]
    folder.mkdir()
    (folder / "vocab.txt").write_text("\n".join(names) + "\n")
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(names),
        hidden_size=14,
        num_hidden_layers=2,
        num_attention_heads=7,
        intermediate_size=11,
        initializer_range=0.4,
        max_position_embeddings=64,
    )
    BertModel(config).save_pretrained(folder)
    BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
