"""Every preset's exact number of parameters; those with a name elsewhere have as many as there."""

import pytest
import torch
from transformers import BertConfig, BertForMaskedLM, GPT2Config, GPT2LMHeadModel

from vitrail.errors import ConfigError
from vitrail.text.language import LanguageModel
from vitrail.text.language_presets import PRESETS
from vitrail.vision.presets import named_preset

COUNTS = {
    ("gpt_small", 8000): 6_852_608,
    ("bert_small", 8000): 6_927_424,
    ("gpt2", 50_257): 124_439_808,
    ("bert_base", 30_522): 109_514_298,
}


def count(name: str, vocabulary: int) -> int:
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in LanguageModel(PRESETS[name](vocabulary)).parameters())


def test_every_preset_is_in_the_table() -> None:
    assert {name for name, _ in COUNTS} == PRESETS.keys()
    assert {key: count(*key) for key in COUNTS} == COUNTS


def test_as_many_as_hugging_faces() -> None:
    with torch.device("meta"):
        theirs = [GPT2LMHeadModel(GPT2Config()).num_parameters(), BertForMaskedLM(BertConfig()).num_parameters()]
    assert [count("gpt2", 50_257), count("bert_base", 30_522)] == theirs


def test_an_unknown_one_is_named() -> None:
    with pytest.raises(ConfigError, match="no preset called 'gpt_smal'"):
        named_preset(PRESETS, "gpt_smal")
