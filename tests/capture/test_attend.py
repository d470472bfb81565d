"""Traces of Hugging Face models: streams, axes, rules for masks, hidden states, and bad input."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers as hf
from capture_models import SMALL, TimmLikeAttention, bart, vitrail_models, wordpiece
from torch import Tensor, nn

from vitrail.capture import Wishes, attend, next_token, record_attention, trace_run
from vitrail.capture.pictures import patch_axis
from vitrail.errors import ConfigError, DataError, ModelError
from vitrail.trace import Trace, load_trace


def bert() -> Any:
    torch.manual_seed(0)
    return hf.BertModel(hf.BertConfig(**SMALL)).eval()


def same_as_the_model(trace: Trace, model: nn.Module, inputs: dict[str, Tensor]) -> None:
    with torch.no_grad(), record_attention(model) as record:
        model(**inputs)
    layers = {layer.name: (stream.name, layer) for stream in trace.parts for layer in stream.layers}
    assert set(layers) == set(record.weights)
    for name, weights in record.weights.items():
        stream, layer = layers[name]
        assert np.abs(trace.weights(name, stream=stream) - weights[0].numpy()).max() <= 1e-6
        assert layer.shipped is None
        assert layer.errors.model is not None
        assert layer.errors.model <= 1e-6
        assert layer.errors.stored == 0


def test_bert_reads_two_texts(tmp_path: Path) -> None:
    model, tokenizer = bert(), wordpiece()
    trace = attend(model, tokenizer, "the dog was playing", "a cat ran", wishes=Wishes(hidden=True))
    assert trace.streams == ("encoder",)
    axis = trace.tokens()
    assert axis.texts == ("[CLS]", "the", "dog", "was", "play", "##ing", "[SEP]", "a", "cat", "ran", "[SEP]")
    assert axis.special is not None
    assert axis.special.nonzero()[0].tolist() == [0, 6, 10]
    assert axis.words is not None
    assert axis.words.tolist() == [-1, 0, 1, 2, 3, 3, -1, 4, 5, 6, -1]
    assert axis.segments is not None
    assert axis.segments.tolist() == [-1, 0, 0, 0, 0, 0, -1, 1, 1, 1, -1]
    assert axis.offsets is not None
    assert "the dog was playing"[slice(*axis.offsets[4])] == "play"
    ids = torch.from_numpy(axis.ids).long()[None] if axis.ids is not None else torch.empty(0)
    kinds = torch.tensor([[0] * 7 + [1] * 4])
    same_as_the_model(trace, model, {"input_ids": ids, "token_type_ids": kinds})
    with torch.no_grad():
        states = model(ids, token_type_ids=kinds, output_hidden_states=True).hidden_states
    for layer, state in zip(trace.parts[0].layers, states[1:], strict=True):
        assert layer.hidden is not None
        assert np.allclose(layer.hidden, state[0].numpy(), atol=1e-5)
        assert layer.mask.rule == "all"
        assert layer.vo is not None
    embedded = trace.parts[0].embedded
    assert embedded is not None
    assert np.allclose(embedded, states[0][0].numpy(), atol=1e-5)
    assert load_trace(trace.save(tmp_path / "bert.safetensors")).tokens().texts == axis.texts


def test_how_much_values_weigh() -> None:
    model = bert()
    trace = attend(model, wordpiece(), "the dog ran")
    layer = trace.layer(1)
    matrix = model.encoder.layer[1].attention.output.dense.weight.detach().numpy()
    assert layer.v is not None
    assert layer.vo is not None
    for head in range(3):
        expected = np.linalg.norm(layer.v[head] @ matrix[:, 4 * head : 4 * head + 4].T, axis=-1)
        assert np.allclose(layer.vo[head], expected, atol=1e-5)


def llama(**options: Any) -> Any:
    torch.manual_seed(0)
    return hf.LlamaForCausalLM(
        hf.LlamaConfig(**{**SMALL, "num_attention_heads": 6, "num_key_value_heads": 3, **options})
    ).eval()


def test_masks_become_rules() -> None:
    text = "the dog ran to the park the cat was playing"
    tokenizer = wordpiece()
    trace = attend(llama(), tokenizer, text)
    layer = trace.layer(0)
    assert trace.streams == ("decoder",)
    assert layer.mask.rule == "causal"
    assert layer.k.shape[0] == 3
    assert trace.keys(0).shape[0] == 6
    mistral = hf.MistralConfig(**SMALL, num_key_value_heads=1, sliding_window=5)
    trace = attend(hf.MistralModel(mistral).eval(), tokenizer, text)
    assert (trace.layer(0).mask.rule, trace.layer(0).mask.before, trace.layer(0).mask.after) == ("window", 4, 0)
    torch.manual_seed(0)
    gemma = hf.Gemma2Config(
        **{**SMALL, "num_attention_heads": 2}, num_key_value_heads=1, head_dim=6, attn_logit_softcapping=2.0
    )
    trace = attend(hf.Gemma2Model(gemma).eval(), tokenizer, text)
    assert trace.layer(0).softcap == 2.0
    assert trace.layer(0).errors.model is not None
    assert trace.layer(0).errors.model <= 1e-6


def test_biases_become_few_numbers() -> None:
    torch.manual_seed(0)
    t5 = hf.T5Config(vocab_size=17, d_model=12, d_kv=5, d_ff=19, num_layers=2, num_heads=3, decoder_start_token_id=0)
    model = hf.T5ForConditionalGeneration(t5).eval()
    trace = attend(model, wordpiece(), "the dog ran to the park", target="a dog was playing")
    assert trace.streams == ("encoder", "decoder", "cross")
    kinds = [None if layer.bias is None else layer.bias.kind for part in trace.parts for layer in part.layers]
    assert kinds == ["toeplitz"] * 4 + [None] * 2
    assert [layer.errors.model is not None and layer.errors.model <= 1e-6 for layer in trace.parts[0].layers] == [
        True
    ] * 2
    torch.manual_seed(0)
    bloom = hf.BloomModel(hf.BloomConfig(vocab_size=17, hidden_size=12, n_layer=2, n_head=3)).eval()
    layer = attend(bloom, wordpiece(), "the dog ran to the park").layer(0)
    assert layer.mask.rule == "causal"
    assert layer.bias is not None
    assert layer.errors.model is not None
    assert layer.errors.model <= 1e-6


def test_sinks_take_their_share() -> None:
    torch.manual_seed(0)
    config = hf.GptOssConfig(
        **{**SMALL, "hidden_size": 16, "intermediate_size": 16, "num_attention_heads": 4},
        num_key_value_heads=1,
        head_dim=4,
        num_local_experts=2,
        num_experts_per_tok=1,
        sliding_window=3,
    )
    model = hf.GptOssModel(config).eval()
    trace = attend(model, wordpiece(), "the dog ran to the park")
    layer = trace.layer(0)
    assert layer.sinks is not None
    assert layer.normaliser == "sink"
    assert (trace.weights(0).sum(-1) < 1).all()
    assert layer.errors.model is not None
    assert layer.errors.model <= 1e-6


def test_an_encoder_decoder_has_three_streams() -> None:
    model, tokenizer = bart(), wordpiece()
    trace = attend(model, tokenizer, "the dog ran", target="a cat")
    assert trace.streams == ("encoder", "decoder", "cross")
    assert trace.tokens("encoder").texts == ("[CLS]", "the", "dog", "ran", "[SEP]")
    assert trace.tokens("decoder").texts == ("[SEP]", "[CLS]", "a", "cat")  # start, and the target without its end
    assert trace.tokens("cross", "keys").texts == trace.tokens("encoder").texts
    source = torch.tensor([[2, 5, 6, 7, 3]])
    same_as_the_model(trace, model, {"input_ids": source, "decoder_input_ids": torch.tensor([[3, 2, 9, 10]])})
    written = attend(model, tokenizer, "the dog ran")
    ids = written.tokens("decoder").ids
    assert ids is not None
    expected = model.generate(source, do_sample=False, num_beams=1, max_new_tokens=64)[0].tolist()
    assert ids.tolist() == expected[:-1]
    assert written.provenance.texts == ("the dog ran", tokenizer.decode(expected[:-1], skip_special_tokens=True))
    assert trace.provenance.texts == ("the dog ran", "a cat")


def test_an_image_has_a_grid() -> None:
    torch.manual_seed(0)
    config = hf.ViTConfig(
        hidden_size=12, num_hidden_layers=2, num_attention_heads=3, intermediate_size=19, image_size=30, patch_size=5
    )
    model = hf.ViTModel(config).eval()
    image = torch.rand(3, 30, 30)
    trace = attend(model, image=image)
    axis = trace.tokens()
    assert axis.grid == (6, 6)
    assert axis.places is not None
    assert axis.places.tolist() == [-1, *range(36)]
    assert axis.texts is not None
    assert axis.texts[:3] == ("[CLS]", "0,0", "0,1")
    assert np.array_equal(trace.images["image"], (image * 255).round().byte().permute(1, 2, 0).numpy())
    with pytest.raises(DataError, match="can't read this input"):
        attend(model, image=torch.rand(3, 31, 31))


def test_a_masked_autoencoder_of_hugging_face_has_two_streams() -> None:
    torch.manual_seed(0)
    sizes = {
        "decoder_hidden_size": 20,
        "decoder_num_hidden_layers": 2,
        "decoder_num_attention_heads": 5,
        "decoder_intermediate_size": 11,
    }
    config = hf.ViTMAEConfig(
        hidden_size=12,
        num_hidden_layers=2,
        num_attention_heads=3,
        intermediate_size=19,
        image_size=30,
        patch_size=5,
        **sizes,
    )
    trace = attend(hf.ViTMAEForPreTraining(config).eval(), image=torch.rand(3, 30, 30), seed=3)
    assert trace.streams == ("encoder", "mae-decoder")
    visible, everything = trace.tokens("encoder"), trace.tokens("mae-decoder")
    assert (visible.length, everything.length) == (10, 37)
    assert visible.places is not None
    assert everything.hidden is not None
    assert sorted(visible.places[1:].tolist()) == np.flatnonzero(~everything.hidden).tolist()


def test_our_own_models_join_through_trace_run() -> None:
    model, (images,), _ = vitrail_models()["vit"]

    def axes(stream: str, side: str, length: int) -> Any:
        return patch_axis(length, (10, 14), (2, 2))

    trace = trace_run(model, lambda: model(images[:1]), axes, images={"image": np.zeros((10, 14, 3), np.uint8)})
    assert trace.streams == ("encoder",)
    assert trace.tokens().grid == (5, 7)
    assert trace.layer(0).vo is not None
    model, (source, target), _ = vitrail_models()["seq2seq"]
    trace = trace_run(model, lambda: model(source[:1], target[:1]))
    assert trace.streams == ("encoder", "decoder", "cross")
    assert trace.tokens("cross").length == 5
    with pytest.raises(ModelError, match="computed no attention"):
        trace_run(nn.Linear(2, 3), lambda: None)


def test_windows_are_joined() -> None:
    class Windows(nn.Module):
        """Two windows of five positions, as a batch."""

        def __init__(self) -> None:
            super().__init__()
            self.attn = TimmLikeAttention(12, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.attn(x.unflatten(1, (2, 5))[0])

    model = Windows()
    trace = trace_run(model, lambda: model(torch.randn(1, 10, 12)))
    layer = trace.layer(0)
    assert layer.size == (10, 10)
    assert layer.mask.rule == "blocks"
    assert (trace.weights(0)[:, :5, 5:] == 0).all()
    assert layer.errors.model is not None
    assert layer.errors.model <= 1e-6


def test_half_precision_is_as_exact_as_its_rounding() -> None:
    model = bert().bfloat16()
    trace = attend(model, wordpiece(), "the dog ran")
    assert trace.provenance.precision == "bfloat16"
    assert trace.layer(0).shipped is None
    assert 1e-6 < (trace.layer(0).errors.model or 0) < 2**-7
    kept = attend(bert(), wordpiece(), "the dog ran", wishes=Wishes(half=True)).layer(0)
    assert kept.q.dtype == np.float16
    assert 0 < (kept.errors.stored or 0) < 1e-2


def test_another_output_while_recording_is_refused() -> None:
    class TwoPaths(nn.Module):
        """Its fused attention looks back only, its plain one doesn't."""

        def __init__(self) -> None:
            super().__init__()
            self.inner = bert()

        def forward(self, x: Tensor) -> Tensor:
            fused = self.inner.config._attn_implementation == "sdpa"
            found: Tensor = self.inner(x[:, :3] if fused else x[:, :4]).last_hidden_state[:, :1]
            return found

    model, ids = TwoPaths(), torch.tensor([[5, 6, 7, 9]])
    with pytest.raises(ModelError, match=r"gave another output .* load it with attn_implementation='eager'"):
        trace_run(model, lambda: model(ids))
    trace = trace_run(model, lambda: model(ids), wishes=Wishes(partial=True))
    assert float(trace.provenance.notes["output difference"]) > 1e-3
    unchecked = trace_run(model, lambda: model(ids), wishes=Wishes(check=False))
    assert "output difference" not in unchecked.provenance.notes


def test_gradients_of_the_next_token() -> None:
    model = llama()
    trace = attend(model, wordpiece(), "the dog ran", gradient=next_token(7))
    assert trace.provenance.target == "log-probability of the next token"
    assert np.abs(trace.gradients(0)).max() > 0
    assert all(parameter.grad is None for parameter in model.parameters())


def test_causality_is_switched_and_restored() -> None:
    model, tokenizer = llama(), wordpiece()
    before = dict(vars(model.config))
    assert attend(model, tokenizer, "the dog ran", causal=False).layer(0).mask.rule == "all"
    assert attend(model, tokenizer, "the dog ran").layer(0).mask.rule == "causal"
    assert attend(bert(), tokenizer, "the dog ran", causal=True).layer(0).mask.rule == "causal"
    assert vars(model.config) == before


def test_the_untrained_twin_is_another_model() -> None:
    model, tokenizer = bert(), wordpiece()
    trained = attend(model, tokenizer, "the dog ran")
    for how in ("library", "pytorch"):
        twin = attend(model, tokenizer, "the dog ran", untrained=how, seed=5)
        again = attend(model, tokenizer, "the dog ran", untrained=how, seed=5)
        assert twin.provenance.weights == f"untrained ({how})"
        assert not np.allclose(twin.weights(0), trained.weights(0))
        assert np.array_equal(twin.weights(0), again.weights(0))


def test_bad_input_is_told_in_one_sentence() -> None:
    model, tokenizer = bert(), wordpiece()
    with pytest.raises(DataError, match="the text is empty"):
        attend(model, tokenizer, "  ")
    with pytest.raises(DataError, match="has 32 tokens and BertModel has places for 23"):
        attend(model, tokenizer, "dog " * 30)
    with pytest.raises(DataError, match="neither a text nor an image"):
        attend(model, tokenizer)
    with pytest.raises(DataError, match="needs the model's tokenizer"):
        attend(model, None, "dog")
    with pytest.raises(ConfigError, match="writes no target"):
        attend(model, tokenizer, "dog", target="cat")
    with pytest.raises(DataError, match="the target is empty"):
        attend(bart(), tokenizer, "dog", target=" ")
    with pytest.raises(ModelError, match="no folder and no name on the hub"):
        attend("no/such-model-here", text="dog")
    resnet = hf.ResNetModel(hf.ResNetConfig(embedding_size=4, hidden_sizes=[4, 8], depths=[1, 1])).eval()
    with pytest.raises(ModelError, match="computed no attention"):
        attend(resnet, image=torch.rand(3, 32, 32))


def test_a_folder_is_read_with_its_tokenizer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bert().save_pretrained(tmp_path)
    wordpiece().save_pretrained(tmp_path)
    capsys.readouterr()
    trace = attend(tmp_path, text="the dog ran")
    assert capsys.readouterr() == ("", ""), "no bars of progress"
    assert hf.utils.logging.is_progress_bar_enabled()
    assert trace.provenance.model == str(tmp_path)
    assert trace.tokens().length == 5
