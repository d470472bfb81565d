"""What a trace keeps on wish: predictions and the logit lens, queries before rotation, effects of heads; gradients."""

from typing import Any

import numpy as np
import pytest
import torch
import transformers as hf
from capture_models import SMALL, bart, vitrail_models, wordpiece
from torch import Tensor, nn

from vitrail.capture import Vocabulary, Wishes, attend, next_token, record_attention, trace_run
from vitrail.capture.asking import target_of
from vitrail.capture.interventions import Ablate, run_edited
from vitrail.capture.predicting import classes, vocabulary_of
from vitrail.errors import ConfigError
from vitrail.trace import Predictions, Trace

TEXT = "the dog ran to the park"


def seeded(kind: Any, **options: Any) -> Any:
    torch.manual_seed(0)
    return kind(kind.config_class(**{**SMALL, **options})).eval()


def gpt2() -> Any:
    torch.manual_seed(0)
    config = hf.GPT2Config(vocab_size=17, n_embd=12, n_layer=3, n_head=3, n_positions=23, initializer_range=0.3)
    return hf.GPT2LMHeadModel(config).eval()


def t5() -> Any:
    torch.manual_seed(0)
    sizes = {"vocab_size": 17, "d_model": 12, "d_kv": 5, "d_ff": 19, "num_layers": 2, "num_heads": 3}
    return hf.T5ForConditionalGeneration(hf.T5Config(**sizes, decoder_start_token_id=0)).eval()


def kept(trace: Trace, stream: str | None = None) -> Predictions:
    found = trace.stream(stream).predictions
    assert found is not None
    return found


def same_as(found: Predictions, logits: Tensor, layer: int | None = None) -> None:
    """Whether the likeliest and their probabilities are those of logits [n v]."""
    best = logits.softmax(-1).topk(5)
    choices, chances = found.choices, found.probabilities
    if layer is not None:
        assert found.lens is not None
        assert found.lens_probabilities is not None
        choices, chances = found.lens[layer], found.lens_probabilities[layer]
    assert np.array_equal(found.ids[choices], best.indices.numpy())
    assert np.allclose(chances, best.values.numpy(), atol=1e-6)


WISH = Wishes(predictions=True)


def test_what_comes_next_and_after_each_layer() -> None:
    model, tokenizer = gpt2(), wordpiece()
    trace = attend(model, tokenizer, TEXT, wishes=Wishes(predictions=True, hidden=True))
    found = kept(trace)
    ids = torch.from_numpy(np.asarray(trace.tokens().ids)).long()[None]
    with torch.no_grad():
        logits = model(ids).logits[0]
        assert found.of == "next token"
        same_as(found, logits)
        same_as(found, logits, layer=2)
        for place, layer in enumerate(trace.parts[0].layers):
            assert layer.hidden is not None
            same_as(found, model.lm_head(model.transformer.ln_f(torch.from_numpy(layer.hidden))), place)
    assert found.likeliest(3)[0][0] == tokenizer.convert_ids_to_tokens([int(logits[3].argmax())])[0]
    assert len(found.texts) == len(set(found.ids.tolist()))
    assert "predictions" not in trace.provenance.notes
    assert attend(model, tokenizer, TEXT).parts[0].predictions is None


def hooks_of(module: nn.Module) -> int:
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_forward_hooks_always_called")
    return sum(len(getattr(part, kind)) for part in module.modules() for kind in kinds)


def test_nothing_is_left_behind_whatever_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    model = seeded(hf.LlamaForCausalLM)
    before = hooks_of(model)
    everything = Wishes(hidden=True, before_rotation=True, predictions=True, ablation="zero")
    ids = torch.tensor([[2, 5, 6]])
    with torch.no_grad():
        plain = model(ids).logits
    attend(model, wordpiece(), TEXT, gradient="next", wishes=everything)
    with torch.no_grad():
        assert torch.equal(model(ids).logits, plain)
    assert hooks_of(model) == before

    def stop(*_: object) -> None:
        raise KeyError("stop")

    for place in ("keeping.before_rotation", "predicting._likeliest", "tracing.head_effects"):
        monkeypatch.setattr(f"vitrail.capture.{place}", stop)
        with pytest.raises(KeyError, match="stop"):
            attend(model, wordpiece(), TEXT, wishes=everything)
        monkeypatch.undo()
        assert hooks_of(model) == before
        assert model.config._attn_implementation == "sdpa"
    assert not any(parameter.grad is not None for parameter in model.parameters())


def test_the_lens_is_the_same_layer_by_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    at_once = kept(attend(gpt2(), wordpiece(), TEXT, wishes=WISH))
    monkeypatch.setattr("vitrail.capture.predicting.LARGE", 1)
    one_by_one = kept(attend(gpt2(), wordpiece(), TEXT, wishes=WISH))
    assert at_once.lens is not None
    assert one_by_one.lens is not None
    assert np.array_equal(at_once.lens, one_by_one.lens)


@pytest.mark.parametrize("name", ["gemma2", "albert", "t5", "bart"])
def test_whatever_a_model_does_after_its_blocks_is_done(name: str) -> None:
    """A cap on the logits, a map, a scale, blocks that are shared: the last row of the lens is the model's own."""
    tokenizer, target, stream = wordpiece(), None, None
    if name == "gemma2":
        model = seeded(hf.Gemma2ForCausalLM, num_key_value_heads=3, head_dim=4, final_logit_softcapping=2.0)
    elif name == "albert":
        model = seeded(hf.AlbertForMaskedLM, embedding_size=7)
    else:
        model = t5() if name == "t5" else bart()
        target, stream = "a cat ran", "decoder"
    trace = attend(model, tokenizer, TEXT, target=target, wishes=WISH)
    found = kept(trace, stream)
    assert found.of == ("token" if name == "albert" else "next token")
    assert found.lens is not None
    assert found.lens_probabilities is not None
    assert np.array_equal(found.lens[-1], found.choices)
    assert np.allclose(found.lens_probabilities[-1], found.probabilities, atol=1e-5)
    assert not np.allclose(found.lens_probabilities[0], found.probabilities, atol=1e-3)
    assert len(found.choices) == trace.tokens(stream).length


def test_one_block_for_all_layers_has_a_state_for_each() -> None:
    model = seeded(hf.AlbertModel, embedding_size=7)
    trace = attend(model, wordpiece(), TEXT, wishes=Wishes(hidden=True))
    ids = torch.from_numpy(np.asarray(trace.tokens().ids)).long()[None]
    with torch.no_grad():
        states = model(ids, output_hidden_states=True).hidden_states
    for layer, state in zip(trace.parts[0].layers, states[1:], strict=True):
        assert layer.hidden is not None
        assert np.allclose(layer.hidden, state[0].numpy(), atol=1e-5)


def test_classes_are_of_the_whole_input() -> None:
    names = {0: "cat", 1: "dog", 2: "park"}
    model = seeded(hf.BertForSequenceClassification, num_labels=3, id2label=names)
    trace = attend(model, wordpiece(), TEXT, wishes=WISH)
    found = kept(trace)
    assert found.of == "class"
    assert found.choices.shape == (1, 3)
    assert {text for text, _ in found.likeliest()} == set(names.values())
    assert found.lens is not None
    assert found.lens.shape == (2, 1, 3)
    assert sum(chance for _, chance in found.likeliest(0, layer=0)) == pytest.approx(1)
    image = seeded(hf.ViTForImageClassification, image_size=30, patch_size=5, num_labels=3)
    assert kept(attend(image, image=torch.rand(3, 30, 30), wishes=WISH)).texts == ("LABEL_0", "LABEL_1", "LABEL_2")


def test_a_model_that_says_nothing_has_no_predictions() -> None:
    trace = attend(seeded(hf.BertModel), wordpiece(), TEXT, wishes=WISH)
    assert trace.parts[0].predictions is None
    assert trace.provenance.notes["predictions"].startswith("none: BertModel says nothing about tokens or classes")


def test_our_own_models_predict_too() -> None:
    model, (source, target), _ = vitrail_models()["seq2seq"]
    names = Vocabulary("token", lambda ids: [f"<{token}>" for token in ids], lambda word: [])
    trace = trace_run(model, lambda: model(source[:1], target[:1]), vocabulary=names, wishes=WISH)
    with torch.no_grad():
        logits = model(source[:1], target[:1])[0]
    same_as(kept(trace, "decoder"), logits)
    same_as(kept(trace, "decoder"), logits, layer=2)
    assert kept(trace, "decoder").texts[0] == f"<{kept(trace, 'decoder').ids[0]}>"
    model, (images,), _ = vitrail_models()["vit"]
    nn.init.normal_(model.head.weight)
    trace = trace_run(model, lambda: model(images[:1]), vocabulary=classes("abcde"), wishes=WISH)
    with torch.no_grad():
        same_as(kept(trace), model(images[:1]))


def rotated(model: Any, layer: int, x: np.ndarray) -> np.ndarray:
    """By the model's own rotary positions."""
    cos, sin = model.model.rotary_emb(torch.zeros(1), torch.arange(x.shape[1])[None])
    q = torch.from_numpy(x)[None]
    half = x.shape[-1] // 2
    turned = torch.cat([-q[..., half:], q[..., :half]], -1)
    return (q * cos[:, None] + turned * sin[:, None])[0].detach().numpy()


@pytest.mark.parametrize("kind", [hf.LlamaForCausalLM, hf.Qwen3ForCausalLM])
@pytest.mark.parametrize("gradient", [None, "next"])
def test_queries_and_keys_before_they_were_rotated(kind: Any, gradient: str | None) -> None:
    model = seeded(kind, num_attention_heads=6, num_key_value_heads=3, head_dim=4)
    trace = attend(model, wordpiece(), TEXT, gradient=gradient, wishes=Wishes(before_rotation=True))
    for place, layer in enumerate(trace.parts[0].layers):
        assert layer.q_before is not None
        assert layer.k_before is not None
        assert np.allclose(rotated(model, place, layer.q_before), layer.q, atol=1e-5)
        assert np.allclose(rotated(model, place, layer.k_before), layer.k, atol=1e-5)
    assert attend(model, wordpiece(), TEXT).layer(0).q_before is None


def test_what_is_not_rotated_or_has_no_maps_of_its_own_keeps_none() -> None:
    neox = seeded(hf.GPTNeoXForCausalLM)
    opt = seeded(hf.OPTForCausalLM, ffn_dim=19, word_embed_proj_dim=12)  # q_proj and learned positions
    for model in (neox, opt):
        layer = attend(model, wordpiece(), TEXT, wishes=Wishes(before_rotation=True)).layer(0)
        assert layer.q_before is None
        assert layer.k_before is None


def test_what_taking_each_head_away_does() -> None:
    model, tokenizer = gpt2(), wordpiece()
    trace = attend(model, tokenizer, TEXT, wishes=Wishes(ablation="zero"))
    ids = torch.from_numpy(np.asarray(trace.tokens().ids)).long()[None]
    with torch.no_grad():
        before = model(ids).logits[0].log_softmax(-1)
    for place, layer in enumerate(trace.parts[0].layers):
        assert layer.digest is not None
        effects = layer.digest.scores["ablation"]
        assert effects.shape == (3,)
        assert (effects > 0).all()
        after = run_edited(model, lambda: model(ids), Ablate({layer.name: [1]})).logits[0].log_softmax(-1)
        divergence = (before.exp() * (before - after)).sum(-1).mean()
        assert effects[1] == pytest.approx(float(divergence), rel=1e-3), place
    assert trace.provenance.notes["ablation"] == "zero: divergence of the output, in nats, mean over positions"


def test_the_effect_on_a_target_is_its_change() -> None:
    model, tokenizer = gpt2(), wordpiece()
    trace = attend(model, tokenizer, TEXT, gradient="next:dog", wishes=Wishes(ablation="mean"))
    ids = torch.from_numpy(np.asarray(trace.tokens().ids)).long()[None]
    target, layer = next_token(6), trace.layer(1)
    with torch.no_grad(), record_attention(model):
        before = float(target(model(ids)))
    after = float(target(run_edited(model, lambda: model(ids), Ablate({layer.name: [2]}, "mean"))))
    assert layer.digest is not None
    assert layer.digest.scores["ablation"][2] == pytest.approx(after - before, rel=1e-3)
    assert trace.provenance.notes["ablation"] == "mean: change of the log-probability of 'dog' after the last position"
    assert layer.g is not None
    assert "importance" in layer.digest.scores


def test_gradients_are_asked_for_in_a_word() -> None:
    tokenizer, masked = wordpiece(), seeded(hf.BertForMaskedLM)
    trace = attend(masked, tokenizer, "the [MASK] ran", gradient="masked:dog")
    assert trace.provenance.target == "log-probability of 'dog' at position 2"
    ids = torch.from_numpy(np.asarray(trace.tokens().ids)).long()[None]
    with record_attention(masked, graph=True) as record:
        logits = masked(ids).logits[0]
    (g,) = torch.autograd.grad(logits[2].log_softmax(-1)[6], [record.calls[0].output])
    assert np.allclose(trace.layer(0).g, g[0].numpy(), atol=1e-6)
    image = seeded(hf.ViTForImageClassification, image_size=30, patch_size=5, num_labels=3)
    by_number = attend(image, image=torch.ones(3, 30, 30), gradient="class:2")
    assert by_number.provenance.target == "logit of class 2 (LABEL_2)"
    by_name = attend(image, image=torch.ones(3, 30, 30), gradient="class:LABEL_2")
    assert np.array_equal(by_number.layer(0).g, by_name.layer(0).g)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("weather", "'weather' is nothing to take gradients of; ask for next"),
        ("loss:3", "'loss:3' is nothing to take gradients of"),
        ("class", "output isn't over classes, so 'class' has no gradients"),
        ("next@7", "there is no position 7: the text has 3 tokens"),
        ("next:zebra", "there is no token 'zebra'"),
        ("masked", r"hides no token behind a mask \[MASK\]; write one there"),
    ],
)
def test_what_cannot_be_asked_for(asked: str, said: str) -> None:
    names = Vocabulary(
        "token", lambda ids: ["[MASK]" if token == 4 else "x" for token in ids], lambda word: [5] * (word == "x"), 4
    )
    assert target_of("masked", names, [7, 4, 5]).name == "log-probability of the likeliest token at position 1"
    assert target_of("next@-2:x", names, [7, 8, 5]).name == "log-probability of 'x' after position -2"
    with pytest.raises(ConfigError, match=said):
        target_of(asked, names, [7, 8, 5])


def test_what_classes_are_called() -> None:
    names = classes(("0", "two", "1"))
    assert [list(names.find(name)) for name in ("two", "1", "0", "2", "3", "-1")] == [[1], [2], [0], [2], [], []]
    with pytest.raises(ConfigError, match="there is no class '3'"):
        target_of("class:3", names)
    with pytest.raises(ConfigError, match="names a position, and a class is of the whole input"):
        target_of("class@3", names)
    with pytest.raises(ConfigError, match="output isn't over tokens"):
        target_of("next", names)
    with pytest.raises(ConfigError, match="gives no loss"):
        target_of("loss", None)(torch.ones(()))
    assert vocabulary_of(seeded(hf.BertModel), wordpiece()) is None
