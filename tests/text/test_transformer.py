"""The course's layout beside PyTorch's layers; a cache, branches and padding change nothing."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vitrail.errors import ConfigError
from vitrail.nn.attention import causal_mask
from vitrail.nn.relative import distance_buckets
from vitrail.text.presets import PRESETS, course
from vitrail.text.transformer import Transformer, TransformerConfig

WORDS = 53
TINY = TransformerConfig(
    WORDS, dim=30, encoder_layers=2, decoder_layers=3, heads=5, hidden=37, max_length=19, entry_dropout=0.1
)
T5 = replace(
    PRESETS["t5_v1_1_small"](WORDS), dim=30, encoder_layers=2, decoder_layers=3, heads=3, head_dim=7, hidden=37,
    buckets=6, max_distance=5, pad=0,
)  # fmt: skip
SHAPES = {
    "course": TINY,
    "pre-norm, two entries": replace(TINY, norm_first=True, final_norm=True, one_entry=False, tied=False),
    "t5": T5,
}


def tokens(*shape: int, seed: int = 3) -> Tensor:
    return torch.randint(2, WORDS, shape, generator=torch.Generator().manual_seed(seed))


def model_of(config: TransformerConfig) -> Transformer:
    torch.manual_seed(5)
    model = Transformer(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return model


def test_the_course_is_made_of_pytorchs_layers() -> None:
    ours = model_of(TINY)
    shape = {"d_model": 30, "nhead": 5, "dim_feedforward": 37, "dropout": 0.0, "batch_first": True}
    source, target = tokens(3, 7), tokens(3, 4, seed=4)
    source[1, 4:] = source[2, 1:] = TINY.pad
    hidden = source == TINY.pad

    def entered(x: Tensor) -> Tensor:
        x = ours.embedding(x) + ours.encoder_entry.positions.weight[: x.shape[1]]  # type: ignore[union-attr]
        return ours.encoder_entry.norm(x)

    def load(layer: nn.Module, parts: dict[str, nn.Module]) -> None:
        for name, part in parts.items():
            getattr(layer, name).load_state_dict(part.state_dict())

    x = entered(source)
    for block in ours.encoder:
        layer = nn.TransformerEncoderLayer(**shape).train()  # training: not the fused path, which cuts padding off
        _load_attention(layer.self_attn, block.attention)
        load(layer, {"linear1": block.feed_forward.up, "linear2": block.feed_forward.down})
        load(layer, {"norm1": block.norm1, "norm2": block.norm2})
        x = layer(x, src_key_padding_mask=hidden)
    y = entered(target)
    for block in ours.decoder:
        layer = nn.TransformerDecoderLayer(**shape)
        _load_attention(layer.self_attn, block.self_attention)
        _load_attention(layer.multihead_attn, block.cross_attention)
        load(layer, {"linear1": block.feed_forward.up, "linear2": block.feed_forward.down})
        load(layer, {"norm1": block.norm1, "norm2": block.norm2, "norm3": block.norm3})
        y = layer(y, x, tgt_mask=~causal_mask(4, 4), memory_key_padding_mask=hidden)
    expected = F.linear(y, ours.embedding.weight, ours.output_bias)
    torch.testing.assert_close(ours(source, target), expected, atol=1e-5, rtol=1e-5)


def _load_attention(theirs: nn.MultiheadAttention, ours: nn.Module) -> None:
    own = ours.state_dict()
    theirs.load_state_dict(
        {
            "in_proj_weight": own["qkv.weight"]
            if "qkv.weight" in own
            else torch.cat([own["q.weight"], own["kv.weight"]]),
            "in_proj_bias": own["qkv.bias"] if "qkv.bias" in own else torch.cat([own["q.bias"], own["kv.bias"]]),
            "out_proj.weight": own["out.weight"],
            "out_proj.bias": own["out.bias"],
        }
    )


@pytest.mark.parametrize("name", SHAPES)
def test_token_by_token_is_all_at_once(name: str) -> None:
    model = model_of(SHAPES[name])
    source, target = tokens(3, 7), tokens(3, 11, seed=4)
    source[1, 4:] = model.config.pad
    mask = source != model.config.pad
    with torch.no_grad():
        whole = model(source, target, mask)
        state = model.begin(source, mask)
        for place in range(11):
            seen = torch.ones(3, 1, place + 1, dtype=torch.bool)
            step = model.step(target[:, place, None], state, seen, place)
            torch.testing.assert_close(step[:, 0], whole[:, place], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", SHAPES)
def test_branches_see_themselves_only(name: str) -> None:
    """Two texts about each source, with a common beginning, in one cache; then one source leaves."""
    model = model_of(SHAPES[name])
    source, first, second = tokens(3, 7), tokens(3, 5, seed=4), tokens(3, 5, seed=5)
    second[:, :2] = first[:, :2]
    mask = torch.ones_like(source, dtype=torch.bool)
    with torch.no_grad():
        wholes = [model(source, text, mask) for text in (first, second)]
        state = model.begin(source, mask)
        rows = torch.arange(3)
        for place in range(5):
            if place < 2:
                found = model.step(
                    first[rows, place, None], state, torch.ones(3, 1, place + 1, dtype=torch.bool), place
                )
                torch.testing.assert_close(found[:, 0], wholes[0][rows, place], atol=1e-5, rtol=1e-5)
                continue
            if place == 4:
                rows = torch.tensor([2, 0])
                state.take(rows)
            pairs = torch.stack([first[rows, place], second[rows, place]], 1)
            own = torch.eye(2, dtype=torch.bool).repeat(1, place - 1)
            seen = torch.cat([torch.ones(2, 2, dtype=torch.bool), own], 1).expand(len(rows), -1, -1)
            found = model.step(pairs, state, seen, place)
            for branch in range(2):
                torch.testing.assert_close(found[:, branch], wholes[branch][rows, place], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", SHAPES)
def test_padding_and_what_comes_after_change_nothing(name: str) -> None:
    model = model_of(SHAPES[name])
    source, target = tokens(2, 5), tokens(2, 6, seed=4)
    longer = torch.cat([source, torch.full((2, 3), model.config.pad)], 1)
    with torch.no_grad():
        whole = model(source, target)
        torch.testing.assert_close(model(longer, target), whole, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(model(source, target[:, :3]), whole[:, :3], atol=1e-5, rtol=1e-5)


def test_all_weights_get_a_gradient_and_none_stands_twice() -> None:
    for config in SHAPES.values():
        model = Transformer(config).train()
        model(tokens(2, 7), tokens(2, 5, seed=4)).square().mean().backward()
        assert all(parameter.grad is not None for parameter in model.parameters())
        names = list(model.state_dict())
        assert len({tensor.data_ptr() for tensor in model.state_dict().values()}) == len(names)


def test_too_long_a_text_says_so() -> None:
    model = model_of(TINY)
    with pytest.raises(ConfigError, match="20 tokens is longer than the 19 positions"):
        model(tokens(1, 20), tokens(1, 2))
    assert model_of(T5)(tokens(1, 50), tokens(1, 2)).shape == (1, 2, WORDS)


def test_buckets_of_distances() -> None:
    distance = torch.tensor([[-300, -128, -127, -40, -9, -8, -1, 0, 1, 7, 8, 200]])
    one_way = distance_buckets(distance, 32, 128, both_ways=False)
    assert one_way.tolist() == [[31, 31, 31, 23, 9, 8, 1, 0, 0, 0, 0, 0]]
    both = distance_buckets(distance, 32, 128, both_ways=True)
    assert both.tolist() == [[15, 15, 15, 12, 8, 8, 1, 0, 17, 23, 24, 31]]


COUNTS = {
    "course": 46_418_276,
    "small": 7_585_600,
    "tiny": 1_315_536,
    "bart_base": 139_467_609,
    "bart_large": 406_337_625,
    "t5_small": 60_506_624,
    "t5_v1_1_small": 76_961_152,
}
"""Parameters with each one's own vocabulary, or this; published BARTs have four rows more."""
VOCABULARY = {"course": 32_100, "small": 8_000, "tiny": 2_000}


def test_every_preset_has_its_exact_size() -> None:
    assert COUNTS.keys() == PRESETS.keys()
    for name, preset in PRESETS.items():
        config = preset(VOCABULARY[name]) if name in VOCABULARY else preset()  # type: ignore[call-arg]
        with torch.device("meta"):
            model = Transformer(config)
        assert sum(parameter.numel() for parameter in model.parameters()) == COUNTS[name], name


def test_sizes_that_cannot_be_meant() -> None:
    with pytest.raises(ConfigError, match="7 heads"):
        replace(course(WORDS), heads=7)
    with pytest.raises(ConfigError, match="the start token is 53"):
        replace(course(WORDS), start=53)
    with pytest.raises(ConfigError, match="decoder_layers is 0"):
        replace(course(WORDS), decoder_layers=0)
