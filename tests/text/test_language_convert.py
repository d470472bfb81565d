"""Against Hugging Face's GPT-2 and BERT on random weights: logits, loss, gradients; there and back to the bit."""

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import (
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoTokenizer,
    BertConfig,
    BertForMaskedLM,
    GPT2Config,
    GPT2LMHeadModel,
)

from vitrail.errors import ModelError
from vitrail.nn.renaming import carry_there
from vitrail.text.language import LanguageConfig, LanguageModel
from vitrail.text.language_huggingface import from_huggingface, rules_of, to_huggingface
from vitrail.text.language_presets import bert_base
from vitrail.text.tokens import train_tokenizer
from vitrail.train.hub import write_folder

WORDS = 53
READ = torch.tensor([[5, 7, 11, 13, 17, 19, 2], [23, 29, 31, 2, 37, 41, 43], [47, 51, 3, 8, 6, 9, 1]])
LABELS = torch.tensor([[-100, 7, -100, 13, -100, 19, 2], [-100] * 6 + [4], [50, -100, -100, -100, 6, -100, 1]])
MASK = torch.tensor([[1] * 7, [1] * 4 + [0] * 3, [1] * 6 + [0]], dtype=torch.bool)
TYPES = torch.tensor([[0] * 4 + [1] * 3, [0] * 7, [0] + [1] * 6])


def gpt2(**changes: Any) -> GPT2LMHeadModel:
    sizes = {"n_embd": 30, "n_layer": 3, "n_head": 5, "n_inner": 37, "n_positions": 19}
    config = GPT2Config(vocab_size=WORDS, bos_token_id=2, eos_token_id=2, **{**sizes, **changes})
    return randomised(GPT2LMHeadModel(config))


def bert(**changes: Any) -> BertForMaskedLM:
    sizes = {"hidden_size": 30, "num_hidden_layers": 3, "num_attention_heads": 5, "intermediate_size": 37}
    config = BertConfig(vocab_size=WORDS, max_position_embeddings=19, **{**sizes, **changes})
    return randomised(BertForMaskedLM(config))


def randomised(model: Any) -> Any:
    """Weights of a size at which every part of the network matters, biases and norms among them."""
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator) * 0.2
            norm = name.endswith("weight") and ("ln_" in name or "LayerNorm" in name)
            parameter.copy_(1 + noise if norm else noise)
    return model.eval()


THEIRS = {
    "gpt2": gpt2,
    "gpt2, relu": lambda: gpt2(activation_function="relu", layer_norm_epsilon=1e-2),
    "gpt2, four times as wide": lambda: gpt2(n_inner=None),
    "bert": bert,
    "bert, gelu by tanh, one kind of segment": lambda: bert(hidden_act="gelu_new", type_vocab_size=1),
}


def compare(name: str) -> tuple[float, float, float]:
    """Largest differences of logits, loss and gradients."""
    theirs = THEIRS[name]()
    ours = from_huggingface(theirs).eval()
    if ours.config.causal:
        expected = theirs(input_ids=READ, labels=READ.masked_fill(LABELS == -100, -100))
        logits = ours(READ)
        asked = READ.masked_fill(LABELS == -100, -100)[:, 1:]
        loss = F.cross_entropy(logits[:, :-1].flatten(0, 1), asked.flatten())
    else:
        types = TYPES if ours.config.token_types > 1 else None
        expected = theirs(input_ids=READ, attention_mask=MASK.long(), token_type_ids=types, labels=LABELS)
        logits = ours(READ, MASK, types)
        loss = F.cross_entropy(logits.flatten(0, 1), LABELS.flatten())
    shown = MASK if not ours.config.causal else torch.ones_like(MASK)
    far = float((logits - expected.logits)[shown].detach().abs().max())
    loss.backward()
    expected.loss.backward()
    found = carry_there(rules_of(ours.config), with_gradients(ours))
    worst = 0.0
    for key, parameter in theirs.named_parameters():
        if key in found:
            size = max(1, float(parameter.grad.abs().max()))
            worst = max(worst, float((found[key] - parameter.grad).abs().max()) / size)
    missing = {key for key, _ in theirs.named_parameters()} - found.keys()
    assert missing <= {"cls.predictions.decoder.bias"}
    return far, float((loss - expected.loss).detach().abs()), worst


def with_gradients(model: LanguageModel) -> LanguageModel:
    """The model with each weight replaced by its gradient."""
    twin = copy.deepcopy(model)
    for own, parameter in zip(model.parameters(), twin.parameters(), strict=True):
        assert own.grad is not None
        parameter.data = own.grad
    return twin


@pytest.mark.parametrize("name", THEIRS)
def test_logits_loss_and_gradients_are_theirs(name: str) -> None:
    assert max(compare(name)) <= 1e-5, compare(name)


@pytest.mark.parametrize("name", THEIRS)
def test_there_and_back_to_the_bit(name: str, tmp_path: Path) -> None:
    theirs = THEIRS[name]()
    ours = from_huggingface(theirs)
    to_huggingface(ours, tmp_path)
    again = from_huggingface(tmp_path)
    assert again.config == ours.config
    for key, tensor in ours.state_dict().items():
        assert torch.equal(again.state_dict()[key], tensor), key
    auto = AutoModelForCausalLM if ours.config.causal else AutoModelForMaskedLM
    loaded, found = auto.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(found[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    assert type(loaded) is type(theirs)
    for key, tensor in theirs.state_dict().items():
        assert torch.equal(loaded.state_dict()[key], tensor), key


def test_published_names_are_read(tmp_path: Path) -> None:
    """As the Hub's first files have them: GPT-2 without its prefix and with masks, BERT with gamma, beta and pooler."""

    def published(name: str, folder: Path, extra: dict[str, Tensor], change: Any) -> None:
        theirs = THEIRS[name]()
        weights = {change(key): x.clone() for key, x in theirs.state_dict().items() if key not in ("lm_head.weight",)}
        settings = theirs.config.to_dict() | {"architectures": [type(theirs).__name__]}
        write_folder(folder, weights | extra, {"config.json": settings})
        ours, direct = from_huggingface(folder), from_huggingface(theirs)
        for key, tensor in direct.state_dict().items():
            assert torch.equal(ours.state_dict()[key], tensor), key

    published(
        "gpt2", tmp_path / "gpt2", {"h.0.attn.bias": torch.ones(1, 1, 19, 19)},
        lambda key: key.removeprefix("transformer."),
    )  # fmt: skip
    beside = {"bert.pooler.dense.weight": torch.ones(30, 30), "cls.seq_relationship.bias": torch.ones(2)}
    published(
        "bert", tmp_path / "bert", beside,
        lambda key: key.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"),
    )  # fmt: skip


def test_attention_alone_is_a_gpt2_that_adds_nothing_else(tmp_path: Path) -> None:
    torch.manual_seed(3)
    config = LanguageConfig(WORDS, dim=30, heads=5, hidden=37, layers=2, max_length=19, feed_forward=False)
    ours = randomised(LanguageModel(config))
    to_huggingface(ours, tmp_path)
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path).eval()
    with torch.no_grad():
        torch.testing.assert_close(ours(READ), loaded(input_ids=READ).logits, atol=1e-5, rtol=1e-5)
    again = from_huggingface(tmp_path)
    assert again.config == replace(config, hidden=1)
    assert all(torch.equal(x, again.state_dict()[key]) for key, x in ours.state_dict().items())


@pytest.mark.parametrize("masked", [False, True])
def test_a_folder_with_its_tokenizer_is_all_transformers_needs(masked: bool, tmp_path: Path) -> None:
    texts = [f"the {word} is here and there" for word in ("cat", "dog", "bird")] * 9
    words = train_tokenizer(texts, 300, mask=masked)
    base = bert_base(len(words)) if masked else LanguageConfig(len(words))
    ours = LanguageModel(replace(base, dim=30, heads=5, hidden=37, layers=2, max_length=19)).eval()
    documents = {"tokenizer.json": json.loads(words.to_json()), "tokenizer_config.json": words.settings()}
    to_huggingface(ours, tmp_path, documents)
    theirs = AutoTokenizer.from_pretrained(tmp_path)
    model = (AutoModelForMaskedLM if masked else AutoModelForCausalLM).from_pretrained(tmp_path).eval()
    text = "the cat is <mask> and there" if masked else "the cat is here"
    ids = theirs(text, return_tensors="pt", add_special_tokens=False).input_ids
    assert ids.tolist() == words.encode([text])
    assert (theirs.mask_token_id if masked else theirs.eos_token_id) == (words.mask if masked else words.end)
    with torch.no_grad():
        torch.testing.assert_close(model(input_ids=ids).logits, ours(ids), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"norm_first": False}, "GPT-2 can't express post-norm blocks"),
        ({"activation": "swiglu"}, "the activation swiglu"),
        ({"token_types": 2}, "token types"),
        ({"causal": False}, "BERT can't express pre-norm blocks"),
        ({"causal": False, "norm_first": False, "feed_forward": False}, "blocks without a feed-forward network"),
    ],
)
def test_what_neither_can_express_is_refused(changes: dict[str, Any], words: str, tmp_path: Path) -> None:
    shape: dict[str, Any] = {"dim": 10, "heads": 2, "hidden": 7, "layers": 1, "max_length": 5, **changes}
    with pytest.raises(ModelError, match=words):
        to_huggingface(LanguageModel(LanguageConfig(WORDS, **shape)), tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_other_models_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="this Linear is a Linear, not a GPT2LMHeadModel or BertForMaskedLM"):
        from_huggingface(nn.Linear(2, 3))
    with pytest.raises(ModelError, match=r"no config\.json"):
        from_huggingface(tmp_path)
    with pytest.raises(ModelError, match="scale_attn_by_inverse_layer_idx True"):
        from_huggingface(gpt2(scale_attn_by_inverse_layer_idx=True))
    theirs = gpt2()
    theirs.lm_head.weight = nn.Parameter(torch.randn(WORDS, 30))
    with pytest.raises(ModelError, match=r"holds lm_head\.weight"):
        from_huggingface(theirs)
