"""The summarization exercise: names, signatures, weights; numbers beside loops, PyTorch and the library's own model."""

import inspect
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from vitrail.errors import ConfigError
from vitrail.homework import summarization as course
from vitrail.homework.summarization_cases import cached, padding
from vitrail.text.transformer import Transformer as OwnTransformer
from vitrail.text.transformer import TransformerConfig

SIGNATURES = {
    "scaled_dot_product_attention": "(q, k, v, key_padding_mask=None, causal=False)",
    "MultiheadAttention": "(d_model, n_heads)",
    "TransformerLayer": "(is_decoder, d_model, n_heads, d_ffn, p_drop)",
    "Transformer": "(n_words, pad_id, eos_id, max_len, n_layers, d_model, n_heads, d_ffn, p_drop)",
    "MultiheadAttention.forward": "(self, q, k, v, key_padding_mask=None, causal=False)",
    "TransformerLayer.forward": "(self, x, padding_mask, encoder_out=None, encoder_padding_mask=None, use_cache=False, "
    "past_kv=None)",
    "Transformer.make_positions": "(self, input_ids)",
    "Transformer.forward": "(self, input_ids, attention_mask, labels)",
}
WIDTH, HEADS, HIDDEN = 28, 7, 37


def layer(is_decoder: bool, p_drop: float = 0.0) -> course.TransformerLayer:
    """A layer in which nothing is zero."""
    torch.manual_seed(0)
    return lively(course.TransformerLayer(is_decoder, WIDTH, HEADS, HIDDEN, p_drop))


def model(p_drop: float = 0.0) -> course.Transformer:
    torch.manual_seed(0)
    return lively(course.Transformer(53, 0, 1, 19, 2, WIDTH, HEADS, HIDDEN, p_drop))


def lively(module: Any) -> Any:
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return module


def test_the_names_are_those_of_the_course() -> None:
    assert sorted(course.__all__) == sorted(name for name in SIGNATURES if "." not in name)


@pytest.mark.parametrize("name", SIGNATURES)
def test_signatures(name: str) -> None:
    thing: Any = course
    for part in name.split("."):
        thing = getattr(thing, part)
    signature = inspect.signature(thing)
    kept = [parameter.replace(annotation=inspect.Parameter.empty) for parameter in signature.parameters.values()]
    assert str(inspect.Signature(kept)) == SIGNATURES[name]


def naive(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, causal: bool) -> Tensor:
    """Equation 1, number by number."""
    out = torch.zeros(q.shape[0], q.shape[1], v.shape[2])
    for n in range(q.shape[0]):
        for i in range(q.shape[1]):
            seen = [
                j
                for j in range(k.shape[1])
                if not (mask is not None and mask[n, j]) and not (causal and j > i + k.shape[1] - q.shape[1])
            ]
            logits = [float(q[n, i] @ k[n, j]) / math.sqrt(q.shape[2]) for j in seen]
            total = sum(math.exp(logit) for logit in logits)
            for j, logit in zip(seen, logits, strict=True):
                out[n, i] += math.exp(logit) / total * v[n, j]
    return out


@pytest.mark.parametrize("kind", [torch.uint8, torch.bool, torch.int64])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_attention_is_the_equation(masked: bool, causal: bool, kind: torch.dtype) -> None:
    q, k, v = torch.randn(2, 5, 11), torch.randn(2, 5, 11), torch.randn(2, 5, 13)
    mask = padding("00011", "00001").to(kind) if masked else None
    found = course.scaled_dot_product_attention(q, k, v, key_padding_mask=mask, causal=causal)
    torch.testing.assert_close(found, naive(q, k, v, mask, causal))


def test_attention_reads_another_sequence() -> None:
    q, k, v = torch.randn(2, 5, 11), torch.randn(2, 3, 11), torch.randn(2, 3, 13)
    torch.testing.assert_close(course.scaled_dot_product_attention(q, k, v), naive(q, k, v, None, False))


def test_weights_have_the_names_and_shapes_of_the_courses() -> None:
    attention = {f"{name}_proj.{part}" for name in "qkvo" for part in ("weight", "bias")}
    encoder = {f"self_attn.{name}" for name in attention}
    encoder |= {f"{name}.{part}" for name in ("self_attn_ln", "fc1", "fc2", "ffn_ln") for part in ("weight", "bias")}
    decoder = encoder | {f"cross_attn.{name}" for name in attention} | {"cross_attn_ln.weight", "cross_attn_ln.bias"}
    assert set(course.MultiheadAttention(WIDTH, HEADS).state_dict()) == attention
    assert set(layer(False).state_dict()) == encoder
    assert set(layer(True).state_dict()) == decoder
    whole = {"emb_word.weight", "emb_pos.weight", "emb_ln.weight", "emb_ln.bias", "lm_head.weight", "lm_head.bias"}
    whole |= {f"encoder_layers.{i}.{name}" for i in range(2) for name in encoder}
    whole |= {f"decoder_layers.{i}.{name}" for i in range(2) for name in decoder}
    state = model().state_dict()
    assert set(state) == whole
    shapes = {"emb_word.weight": (53, 28), "emb_pos.weight": (19, 28), "lm_head.bias": (53,)}
    assert {name: tuple(state[name].shape) for name in shapes} == shapes
    assert state["encoder_layers.1.fc1.weight"].shape == (37, 28)


def test_the_size_is_the_courses() -> None:
    with torch.device("meta"):
        large = course.Transformer(32_100, 0, 1, 1024, 4, 512, 8, 2048, 0.1)
    assert round(sum(parameter.numel() for parameter in large.parameters()) / 1e6, 1) == 46.4


@pytest.mark.parametrize("masked", [False, True])
def test_with_a_cache_token_by_token_it_is_the_same(masked: bool) -> None:
    decoder, x, memory = layer(True), torch.randn(3, 5, WIDTH), torch.randn(3, 7, WIDTH)
    hidden = padding("0000000", "0000011", "0000001") if masked else torch.zeros(3, 7, dtype=torch.uint8)
    whole = decoder(x, torch.zeros(3, 5, dtype=torch.uint8), memory, hidden)
    by_token, past = cached(decoder, x, memory, hidden)
    torch.testing.assert_close(by_token, whole)
    assert torch.equal(past, x)


def test_with_a_cache_padding_is_over_all_positions() -> None:
    """A text padded on the left: its row is what it would be without the padding."""
    decoder, x, memory = layer(True), torch.randn(1, 4, WIDTH), torch.randn(1, 3, WIDTH)
    y, past = decoder(x[:, 3:], padding("1000"), memory, use_cache=True, past_kv=x[:, :3])
    shorter, _ = decoder(x[:, 3:], None, memory, use_cache=True, past_kv=x[:, 1:3])
    torch.testing.assert_close(y, shorter)
    assert torch.equal(past, x)


def test_a_decoder_without_an_encoder_says_so() -> None:
    with pytest.raises(ConfigError, match="reads what an encoder made, and got none: give encoder_out"):
        layer(True)(torch.randn(2, 3, WIDTH), None)


def test_dropout_only_while_training() -> None:
    encoder, x = layer(False, 0.5), torch.randn(2, 3, WIDTH)
    assert not torch.equal(encoder(x, None), encoder(x, None))
    encoder.eval()
    assert torch.equal(encoder(x, None), encoder(x, None))


def test_positions_count_from_zero() -> None:
    words = torch.tensor([[5, 0, 0], [7, 8, 9]])
    assert model().make_positions(words).tolist() == [[0, 1, 2]] * 2
    with pytest.raises(ConfigError, match="a text of 20 tokens is longer than the 19 positions"):
        model().make_positions(torch.ones(1, 20, dtype=torch.int64))


def batch() -> dict[str, Tensor]:
    source, labels = torch.randint(2, 53, (3, 7)), torch.randint(2, 53, (3, 5))
    source[1, 4:], labels[0, 2:], labels[:, -1] = 0, -100, -100
    return {"input_ids": source, "attention_mask": (source != 0).long(), "labels": labels}


def as_own(ours: course.Transformer) -> OwnTransformer:
    """The library's model of the same weights."""
    config = TransformerConfig(53, WIDTH, 2, 2, HEADS, HIDDEN, max_length=19, dropout=0.0, pad=0, start=1, end=1)
    own, state = OwnTransformer(config), ours.state_dict()
    carried = {
        "embedding.weight": state["emb_word.weight"],
        "encoder_entry.positions.weight": state["emb_pos.weight"],
        "output_bias": state["lm_head.bias"],
    }
    for part in ("weight", "bias"):
        carried[f"encoder_entry.norm.{part}"] = state[f"emb_ln.{part}"]
        for side, last in (("encoder", "norm2"), ("decoder", "norm3")):
            for i in range(2):
                theirs, mine = f"{side}_layers.{i}", f"{side}.{i}"
                projections = [state[f"{theirs}.self_attn.{name}_proj.{part}"] for name in "qkv"]
                attention = "attention" if side == "encoder" else "self_attention"
                carried[f"{mine}.{attention}.qkv.{part}"] = torch.cat(projections)
                carried[f"{mine}.{attention}.out.{part}"] = state[f"{theirs}.self_attn.o_proj.{part}"]
                carried[f"{mine}.norm1.{part}"] = state[f"{theirs}.self_attn_ln.{part}"]
                carried[f"{mine}.feed_forward.up.{part}"] = state[f"{theirs}.fc1.{part}"]
                carried[f"{mine}.feed_forward.down.{part}"] = state[f"{theirs}.fc2.{part}"]
                carried[f"{mine}.{last}.{part}"] = state[f"{theirs}.ffn_ln.{part}"]
                if side == "decoder":
                    cross = f"{theirs}.cross_attn"
                    carried[f"{mine}.cross_attention.q.{part}"] = state[f"{cross}.q_proj.{part}"]
                    both = [state[f"{cross}.{name}_proj.{part}"] for name in "kv"]
                    carried[f"{mine}.cross_attention.kv.{part}"] = torch.cat(both)
                    carried[f"{mine}.cross_attention.out.{part}"] = state[f"{cross}.o_proj.{part}"]
                    carried[f"{mine}.norm2.{part}"] = state[f"{theirs}.cross_attn_ln.{part}"]
    own.load_state_dict(carried)
    return own


def test_the_model_is_the_librarys() -> None:
    ours, inputs = model(), batch()
    output = ours(**inputs)
    target = torch.cat([torch.ones(3, 1, dtype=torch.int64), inputs["labels"][:, :-1]], dim=1).clamp_min(0)
    logits = as_own(ours)(inputs["input_ids"], target)
    real = inputs["labels"] != -100
    torch.testing.assert_close(output.logits[real], logits[real], atol=1e-4, rtol=1e-4)
    expected = nn.functional.cross_entropy(logits[real], inputs["labels"][real])
    torch.testing.assert_close(output.loss, expected, atol=1e-4, rtol=1e-4)
    assert output[0] is output.loss


def test_no_token_sees_a_later_one_or_padding() -> None:
    ours, inputs = model(), batch()
    before = ours(**inputs).logits
    later = {**inputs, "labels": inputs["labels"].clone(), "input_ids": inputs["input_ids"].clone()}
    later["labels"][1, 3] = 17
    later["input_ids"][1, 5] = 23  # padding
    after = ours(**later).logits
    assert torch.equal(before[:, :4], after[:, :4])
    assert not torch.equal(before[1, 4], after[1, 4])


def test_tied_weights_are_saved_and_come_back_tied(tmp_path: Path) -> None:
    ours = model()
    save_file(ours.state_dict(), tmp_path / "model.safetensors")
    other = course.Transformer(53, 0, 1, 19, 2, WIDTH, HEADS, HIDDEN, 0.0)
    other.load_state_dict(load_file(tmp_path / "model.safetensors"))
    assert other.lm_head.weight is other.emb_word.weight
    inputs = batch()
    assert torch.equal(other(**inputs).logits, ours(**inputs).logits)


def test_a_new_model_guesses_nearly_evenly() -> None:
    torch.manual_seed(0)
    fresh = course.Transformer(53, 0, 1, 19, 2, WIDTH, HEADS, HIDDEN, 0.0)
    assert fresh(**batch()).loss.item() == pytest.approx(math.log(53), abs=0.1)
