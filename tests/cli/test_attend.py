"""``vitrail attend``: what it keeps on wish, and what it shows of that."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import BertConfig, BertForMaskedLM, PreTrainedTokenizerFast

import vitrail as vt
from vitrail.cli.entry import main

WORDS = ["[PAD]", "[UNK]", "[MASK]", "the", "dog", "ran", "home"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A tiny BERT that fills in, as transformers writes it."""
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=7, hidden_size=12, num_hidden_layers=2, num_attention_heads=3, intermediate_size=17,
        max_position_embeddings=23,
    )  # fmt: skip
    BertForMaskedLM(config).save_pretrained(tmp_path / "bert")
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    special = {"pad_token": "[PAD]", "unk_token": "[UNK]", "mask_token": "[MASK]"}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special).save_pretrained(tmp_path / "bert")
    return tmp_path


def test_gradients_predictions_and_effects_by_command(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = folder / "t.safetensors"
    asked = ["--gradient", "masked:dog", "--predictions", "--ablate", "mean", "--hidden", "--output", str(output)]
    assert main(["attend", str(folder / "bert"), "the [MASK] ran home", *asked]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert [line.split()[0] for line in said.out.splitlines()[1:6]] == [
        "at",
        "-------------",
        "after",
        "after",
        "token",
    ]
    assert "at '[MASK]'" in said.out
    trace = vt.load_trace(output)
    assert trace.provenance.target == "log-probability of 'dog' at position 1"
    found = trace.parts[0].predictions
    assert found is not None
    text, chance = found.likeliest(1)[0]
    assert f"{text!r} {chance:.0%}" in said.out
    scores = vt.head_scores(trace)
    assert np.isfinite(scores[["importance", "ablation"]].to_numpy()).all()


def test_a_word_that_is_not_there(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["attend", str(folder / "bert"), "the dog ran home", "--gradient", "masked"]) == 2
    assert "the text hides no token behind a mask [MASK]" in capsys.readouterr().err
