"""``submission_log.json`` of the summarization exercise: the notebook's calls, on what its seeds draw.

For each key the log has ``KEY.shape`` and ``KEY.value``, a slice of the flattened result. The modules' weights are
drawn as the notebook draws them: PyTorch's own module is made after the seed, which draws too, then it is filled anew,
then ours gets copies.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from vitrail.homework.checking import Result, compare
from vitrail.homework.summarization import MultiheadAttention, TransformerLayer, scaled_dot_product_attention
from vitrail.homework.summarization_cases import DEEP, cached, padding

WIDTH, HEADS, HIDDEN = 128, 4, 512
STD = 0.05

Results = Mapping[str, Tensor]
Pair = tuple[Tensor, Tensor]
"""What is compared with, and ours."""


def submission_log(now: float | None = None) -> dict[str, Any]:
    """The log to hand in.

    Args:
        now: seconds since 1970, for ``time``; the clock's unless given.
    """
    log: dict[str, Any] = {"time": time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(now))}
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        for compute, slices in TABLE:
            for key, result in compute().items():
                log[f"{key}.shape"] = list(result.shape)
                log[f"{key}.value"] = result.flatten()[slices].tolist()
    return log


def _attention_plain() -> Results:
    torch.manual_seed(200)
    q, k, v = torch.randn(7, 5, 6), torch.randn(7, 3, 6), torch.randn(7, 3, 6)
    return {"scaled_dot_product_attention.3": scaled_dot_product_attention(q, k, v)}


def _attention_masked() -> Results:
    torch.manual_seed(220)
    q, k, v = (torch.randn(3, 5, 4) for _ in range(3))
    mask = padding("00001", "00000", "00011")
    return {"scaled_dot_product_attention.6": scaled_dot_product_attention(q, k, v, key_padding_mask=mask, causal=True)}


def _multihead() -> Pair:
    theirs, ours = _attentions()
    torch.manual_seed(500)
    q, k, v = torch.randn(2, 5, WIDTH), torch.randn(2, 3, WIDTH), torch.randn(2, 3, WIDTH)
    return theirs(q, k, v)[0], ours(q, k, v)


def _multihead_masked() -> Pair:
    theirs, ours = _attentions()
    torch.manual_seed(700)
    q, k, v = (torch.randn(2, 5, WIDTH) for _ in range(3))
    mask = padding("00111", "00001")
    beside = theirs(q, k, v, key_padding_mask=mask.bool(), attn_mask=_later(5))[0]
    return beside, ours(q, k, v, key_padding_mask=mask, causal=True)


def _encoder_layer() -> Pair:
    torch.manual_seed(750)
    theirs = nn.TransformerEncoderLayer(WIDTH, HEADS, HIDDEN, dropout=0.0, batch_first=True)
    _draw(*_of_attention(theirs.self_attn), *_of_network(theirs))
    ours = TransformerLayer(False, WIDTH, HEADS, HIDDEN, 0.0)
    _copy_attention(theirs.self_attn, ours.self_attn)
    _copy_network(theirs, ours)
    torch.manual_seed(900)
    x, mask = torch.randn(3, 4, WIDTH), padding("0001", "0001", "0011")
    return theirs(x, src_key_padding_mask=mask.bool()), ours(x, mask)


def _decoder_layer() -> Pair:
    theirs, ours = _decoder_layers()
    torch.manual_seed(1100)
    x, encoded = torch.randn(3, 4, WIDTH), torch.randn(3, 3, WIDTH)
    mask, hidden = padding("0000", "0001", "0011"), padding("000", "000", "001")
    beside = theirs(
        x,
        encoded,
        tgt_mask=_later(4),
        tgt_key_padding_mask=mask.bool(),
        memory_key_padding_mask=hidden.bool(),
    )
    return beside, ours(x, mask, encoded, hidden)


def _cached_layer() -> Pair:
    _, ours = _decoder_layers()
    torch.manual_seed(1100)
    x, encoded, hidden = torch.randn(3, 4, WIDTH), torch.randn(3, 3, WIDTH), padding("000", "000", "001")
    return ours(x, None, encoded, hidden), cached(ours, x, encoded, hidden)[0]


TABLE: tuple[tuple[Callable[[], Results], slice], ...] = (
    (_attention_plain, slice(5, 10)),
    (_attention_masked, slice(3, 8)),
    (lambda: _numbered("multihead_attention.2", *_multihead()), slice(126, 131)),
    (lambda: _numbered("multihead_attention.4", *_multihead_masked()), slice(126, 131)),
    # The notebook logs our layer's result under both keys.
    (lambda: _numbered("transformer_layer.2", *2 * _encoder_layer()[1:]), slice(126, 131)),
    (lambda: _numbered("transformer_layer.4", *2 * _decoder_layer()[1:]), slice(126, 131)),
)
"""Each call of the notebook, and the slice of its result that is logged."""

PAIRS: Mapping[str, Callable[[], Pair]] = {
    "MultiheadAttention, PyTorch's": _multihead,
    "MultiheadAttention, causal, PyTorch's": _multihead_masked,
    "TransformerLayer, encoder, PyTorch's": _encoder_layer,
    "TransformerLayer, decoder, PyTorch's": _decoder_layer,
    "TransformerLayer, token by token": _cached_layer,
}
"""What is to be the same, beside what it is compared with."""


def agreements() -> list[Result]:
    """Ours beside PyTorch's own modules, and a layer with a cache beside one without."""
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        pairs = {name: compute() for name, compute in PAIRS.items()}
    return [compare(name, DEEP, ("output",), ours, theirs) for name, (theirs, ours) in pairs.items()]


def _numbered(key: str, first: Tensor, second: Tensor) -> Results:
    return {f"{key}.0": first, f"{key}.1": second}


def _decoder_layers() -> tuple[nn.TransformerDecoderLayer, TransformerLayer]:
    """PyTorch's and ours, of the same weights."""
    torch.manual_seed(950)
    theirs = nn.TransformerDecoderLayer(WIDTH, HEADS, HIDDEN, dropout=0.0, batch_first=True)
    _draw(*_of_attention(theirs.self_attn), *_of_attention(theirs.multihead_attn), *_of_network(theirs))
    ours = TransformerLayer(True, WIDTH, HEADS, HIDDEN, 0.0)
    _copy_attention(theirs.self_attn, ours.self_attn)
    _copy_attention(theirs.multihead_attn, ours.cross_attn)
    _copy_network(theirs, ours)
    return theirs, ours


def _later(length: int) -> Tensor:
    """PyTorch's causal mask: True where a query may not look."""
    return torch.ones(length, length, dtype=torch.bool).triu(1)


def _attentions() -> tuple[nn.MultiheadAttention, MultiheadAttention]:
    """PyTorch's and ours, of the same weights."""
    torch.manual_seed(350)
    theirs = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)
    _draw(*_of_attention(theirs))
    ours = MultiheadAttention(WIDTH, HEADS)
    _copy_attention(theirs, ours)
    return theirs, ours


def _of_attention(module: nn.MultiheadAttention) -> tuple[Tensor | None, ...]:
    return module.in_proj_weight, module.in_proj_bias, module.out_proj.weight, module.out_proj.bias


def _of_network(layer: nn.TransformerEncoderLayer | nn.TransformerDecoderLayer) -> tuple[Tensor, ...]:
    return layer.linear1.weight, layer.linear1.bias, layer.linear2.weight, layer.linear2.bias


def _draw(*weights: Tensor | None) -> None:
    for weight in weights:
        if weight is not None:
            nn.init.normal_(weight, 0.0, STD)


def _copy_attention(theirs: nn.MultiheadAttention, ours: MultiheadAttention) -> None:
    parts = zip(theirs.in_proj_weight.chunk(3), theirs.in_proj_bias.chunk(3), strict=True)
    for project, (weight, bias) in zip((ours.q_proj, ours.k_proj, ours.v_proj), parts, strict=True):
        project.weight.copy_(weight)
        project.bias.copy_(bias)
    ours.o_proj.load_state_dict(theirs.out_proj.state_dict())


def _copy_network(theirs: nn.TransformerEncoderLayer | nn.TransformerDecoderLayer, ours: TransformerLayer) -> None:
    ours.fc1.load_state_dict(theirs.linear1.state_dict())
    ours.fc2.load_state_dict(theirs.linear2.state_dict())
