"""Against Hugging Face's BART, mBART and T5 on random weights: logits, loss, gradients; there and back to the bit."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import (
    AutoModelForSeq2SeqLM,
    BartConfig,
    BartForConditionalGeneration,
    MBartConfig,
    MBartForConditionalGeneration,
    T5Config,
    T5ForConditionalGeneration,
)

from vitrail.errors import ModelError
from vitrail.nn.renaming import carry_there
from vitrail.text.convert import from_huggingface, to_huggingface
from vitrail.text.huggingface import rules_of
from vitrail.text.transformer import Transformer, TransformerConfig

WORDS = 53

SOURCE = torch.tensor([[5, 7, 11, 13, 17, 19, 2], [23, 29, 31, 2, 1, 1, 1], [37, 2, 1, 1, 1, 1, 1]])
TARGET = torch.tensor([[2, 41, 43, 47, 5], [2, 3, 4, 2, 1], [2, 51, 52, 6, 8]])


def bart(before: bool = False, **changes: Any) -> BartForConditionalGeneration | MBartForConditionalGeneration:
    """A BART, or with norms before the blocks an mBART."""
    torch.manual_seed(3)
    sizes = {"d_model": 30, "encoder_attention_heads": 5, "decoder_attention_heads": 5}
    sizes |= {"encoder_ffn_dim": 37, "decoder_ffn_dim": 37, "max_position_embeddings": 41}
    sizes |= {"vocab_size": WORDS, "encoder_layers": 2, "decoder_layers": 3}
    if before:
        return randomised(MBartForConditionalGeneration(MBartConfig(decoder_start_token_id=2, **sizes, **changes)))
    return randomised(BartForConditionalGeneration(BartConfig(**sizes, **changes)))


def t5(gated: bool) -> T5ForConditionalGeneration:
    torch.manual_seed(3)
    # For transformers "not tied" means "not scaled": weights of its own are an output's by being others.
    kind = {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False} if gated else {}
    sizes = {"d_model": 30, "d_kv": 7, "d_ff": 37, "num_heads": 3, "num_layers": 2, "num_decoder_layers": 3}
    sizes |= {"relative_attention_num_buckets": 6, "relative_attention_max_distance": 5}
    config = T5Config(vocab_size=WORDS, pad_token_id=1, decoder_start_token_id=2, eos_token_id=2, **sizes, **kind)
    return randomised(T5ForConditionalGeneration(config))


def randomised(model: Any) -> Any:
    """Weights of a size at which every part of the network matters, biases and norms among them."""
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator) * 0.2
            parameter.copy_(1 + noise if "norm" in name and name.endswith("weight") else noise)
        if hasattr(model, "final_logits_bias"):
            model.final_logits_bias.copy_(torch.randn(1, WORDS, generator=generator))
    return model.eval()


THEIRS = {
    "bart, relu": lambda: bart(activation_function="relu"),
    "bart, gelu": lambda: bart(activation_function="gelu"),
    "bart, scaled embeddings": lambda: bart(scale_embedding=True),
    "mbart": lambda: bart(before=True, activation_function="relu"),
    "t5 1.0": lambda: t5(gated=False),
    "t5 1.1": lambda: with_own_output(t5(gated=True)),
    "t5 1.1, tied": lambda: t5(gated=True),
}


def with_own_output(model: Any) -> Any:
    """The published T5 1.1's, which transformers ties wherever it begins with random weights."""
    model.lm_head.weight = nn.Parameter(torch.randn(WORDS, 30, generator=torch.Generator().manual_seed(11)))
    return model


def our_loss(model: Transformer) -> tuple[Tensor, Tensor]:
    logits = model(SOURCE, TARGET[:, :-1])
    return logits, F.cross_entropy(logits.flatten(0, 1), TARGET[:, 1:].flatten(), ignore_index=1)


@pytest.mark.parametrize("name", THEIRS)
def test_logits_loss_and_gradients_are_theirs(name: str) -> None:
    theirs = THEIRS[name]()
    ours = from_huggingface(theirs).eval()
    labels = TARGET[:, 1:].masked_fill(TARGET[:, 1:] == 1, -100)
    expected = theirs(
        input_ids=SOURCE, attention_mask=(SOURCE != 1).long(), decoder_input_ids=TARGET[:, :-1], labels=labels
    )
    logits, loss = our_loss(ours)
    torch.testing.assert_close(logits, expected.logits, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(loss, expected.loss, atol=1e-5, rtol=1e-5)
    loss.backward()
    expected.loss.backward()
    found = carry_there(rules_of(ours.config), with_gradients(ours))
    for key, parameter in theirs.named_parameters():
        assert parameter.grad is not None, key
        unused = 2 if "embed_positions" in key else 0
        mine, yours = found[key][unused:], parameter.grad[unused:]
        assert float((mine - yours).abs().max()) <= 1e-5 * max(1, float(yours.abs().max())), key


def with_gradients(model: Transformer) -> Transformer:
    """The model with each weight replaced by its gradient."""
    for parameter in model.parameters():
        parameter.data = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
    return model


@pytest.mark.parametrize("name", THEIRS)
def test_there_and_back_to_the_bit(name: str, tmp_path: Path) -> None:
    theirs = THEIRS[name]()
    ours = from_huggingface(theirs)
    to_huggingface(ours, tmp_path)
    again = from_huggingface(tmp_path)
    assert again.config == ours.config
    for key, tensor in ours.state_dict().items():
        assert torch.equal(again.state_dict()[key], tensor), key
    loaded = AutoModelForSeq2SeqLM.from_pretrained(tmp_path).eval()
    assert type(loaded) is type(theirs)
    for key, tensor in theirs.state_dict().items():
        unused = 2 if "embed_positions" in key else 0
        assert torch.equal(loaded.state_dict()[key][unused:], tensor[unused:]), key


def test_the_course_and_its_one_entry(tmp_path: Path) -> None:
    torch.manual_seed(3)
    config = TransformerConfig(WORDS, dim=30, heads=5, hidden=37, encoder_layers=2, decoder_layers=2, max_length=41)
    ours = Transformer(config).eval()
    nn.init.normal_(ours.output_bias)  # type: ignore[arg-type]
    to_huggingface(ours, tmp_path)
    loaded = AutoModelForSeq2SeqLM.from_pretrained(tmp_path).eval()
    mask = SOURCE != 1
    with torch.no_grad():
        expected = loaded(input_ids=SOURCE, attention_mask=mask.long(), decoder_input_ids=TARGET).logits
        torch.testing.assert_close(ours(SOURCE, TARGET, mask), expected, atol=1e-5, rtol=1e-5)
    again = from_huggingface(tmp_path)
    assert again.config.one_entry
    assert len(list(again.parameters())) == len(list(ours.parameters()))
    settings = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(settings | {"vitrail_one_entry": False}))
    assert not from_huggingface(tmp_path).config.one_entry


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"norm_first": True}, "pre-norm blocks without a norm at the end"),
        ({"norm": "rms"}, "RMSNorm"),
        ({"activation": "swiglu"}, "the activation swiglu"),
        ({"tied": False}, "an output of its own"),
        ({"positions": "relative"}, "post-norm blocks"),
    ],
)
def test_what_neither_can_express_is_refused(changes: dict[str, Any], words: str, tmp_path: Path) -> None:
    model = Transformer(TransformerConfig(WORDS, dim=10, heads=2, hidden=7, max_length=5, **changes))
    with pytest.raises(ModelError, match=words):
        to_huggingface(model, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_other_models_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="this Linear is a Linear, not a Bart"):
        from_huggingface(nn.Linear(2, 3))
    with pytest.raises(ModelError, match=r"no config\.json"):
        from_huggingface(tmp_path)
    theirs = bart()
    theirs.config.decoder_attention_heads = 6
    with pytest.raises(ModelError, match="other heads"):
        from_huggingface(theirs)
    theirs = bart()
    theirs.config.activation_function = "silu"
    with pytest.raises(ModelError, match="silu is none of gelu"):
        from_huggingface(theirs)
