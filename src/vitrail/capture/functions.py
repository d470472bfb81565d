"""Hearing PyTorch's own attention functions: scaled_dot_product_attention and multi_head_attention_forward.

Both are intercepted while they are called, whoever calls them. The fused kernel never holds its weights: they are
computed here from the same queries and keys, in at least float32, and the kernel's output is passed on untouched. Of a
multi-head call the projections are repeated; where the output that follows from them is not the one that PyTorch gave,
the call is refused instead of recorded wrongly.
"""

import inspect
from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from vitrail.capture.call import Call, attended, weights_of
from vitrail.capture.tracking import Tracker
from vitrail.errors import ModelError

CLOSE = 1e-4
"""Largest difference, relative to the output's largest entry, between a multi-head output and its repetition."""


def hear_fused(tracker: Tracker, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
    """Run ``scaled_dot_product_attention`` and write the call down."""
    given = _fused_arguments(*args, **kwargs)
    q, k, v = (_four(given[name]) for name in ("query", "key", "value"))
    mask = None if given["attn_mask"] is None else _mask_four(given["attn_mask"], given["query"])
    scale = q.shape[-1] ** -0.5 if given["scale"] is None else float(given["scale"])
    causal = bool(given["is_causal"])
    changed = tracker.graph
    if tracker.edit is not None:
        edited = tracker.edit.inputs(tracker.name_next(), q, k, v)
        changed = changed or any(new is not old for new, old in zip(edited, (q, k, v), strict=True))
        q, k, v = edited
    dtype = torch.promote_types(q.dtype, torch.float32)
    weights = weights_of(q.to(dtype), k.to(dtype), scale=scale, mask=mask, causal=causal)
    if tracker.graph or tracker.edit is not None:
        # The explicit formula, so that gradients and changes reach what follows.
        output = tracker.on_path(attended(weights, v) if changed else _four(function(*args, **kwargs)))
        if tracker.edit is not None:
            output = tracker.edit.output(tracker.name_next(), output)
        result = output.reshape(*given["query"].shape[:-1], v.shape[-1])
    else:
        result = function(*args, **kwargs)
        output = _four(result)
    tracker.hear(Call("", "fused", weights, q, k, v, output, mask, causal, scale))
    return result


def _fused_arguments(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> dict[str, Any]:
    return {"query": query, "key": key, "value": value, "attn_mask": attn_mask, "is_causal": is_causal, "scale": scale}


def _four(x: Tensor) -> Tensor:
    """[… h n d] as [b h n d]."""
    if x.ndim == 4:
        return x
    return x.reshape(*[1] * (4 - x.ndim), *x.shape) if x.ndim < 4 else x.flatten(0, x.ndim - 4)


def _mask_four(mask: Tensor, query: Tensor) -> Tensor:
    """A mask that fits to what ``_four`` made of the queries."""
    if query.ndim > 4:
        return mask.expand(*query.shape[:-2], *mask.shape[-2:]).flatten(0, query.ndim - 4)
    return mask.reshape(*[1] * (4 - mask.ndim), *mask.shape)


def hear_multihead(tracker: Tracker, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Run ``multi_head_attention_forward`` and write the call down.

    Raises:
        ModelError: repeating the call gave something else.
    """
    given = inspect.signature(F.multi_head_attention_forward).bind(*args, **kwargs)
    given.apply_defaults()
    a = given.arguments
    batched = a["query"].ndim == 3
    q, k, v, mask = _projected(a, batched)
    scale = q.shape[-1] ** -0.5
    if tracker.edit is not None:
        q, k, v = tracker.edit.inputs(tracker.name_next(), q, k, v)
    dtype = torch.promote_types(q.dtype, torch.float32)
    weights = weights_of(q.to(dtype), k.to(dtype), scale=scale, mask=mask)
    heads = tracker.on_path(attended(weights, v))
    if tracker.edit is not None:
        heads = tracker.edit.output(tracker.name_next(), heads)
    mine = F.linear(rearrange(heads, "b h q d -> q b (h d)"), a["out_proj_weight"], a["out_proj_bias"])
    mine = mine if batched else mine.squeeze(1)
    if tracker.edit is not None or tracker.graph:
        shown = weights.mean(1) if a["average_attn_weights"] else weights
        result = (mine, (shown if batched else shown.squeeze(0)) if a["need_weights"] else None)
    else:
        result = function(*args, **kwargs)
        dropped = a["training"] and a["dropout_p"] > 0
        if not dropped and not _close(mine, result[0]):
            name = tracker.name_next() or type(tracker.current()).__name__
            raise ModelError(
                f"{name} gives another output than its projections and mask explain, so its weights would be wrong; "
                "record a module without forward hooks or parametrised projections there"
            )
    call = Call("", "multihead", weights, q, k, v, heads, mask, False, scale, cross=a["query"] is not a["key"])
    tracker.hear(call)
    return result


def _close(mine: Tensor, theirs: Tensor) -> bool:
    largest = theirs.detach().abs().nan_to_num().max() if theirs.numel() else torch.zeros(())
    precise = 1.0 if theirs.dtype in (torch.float32, torch.float64) else 200.0
    difference = (mine - theirs).detach().abs().nan_to_num().max() if theirs.numel() else torch.zeros(())
    return bool(difference <= precise * CLOSE * (largest + 1e-6))


def _projected(a: dict[str, Any], batched: bool) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """Queries, keys and values [b h n d] and one additive or boolean mask, as the function makes them."""
    query, key, value = (a[name] if batched else a[name].unsqueeze(1) for name in ("query", "key", "value"))
    width, heads = a["embed_dim_to_check"], a["num_heads"]
    biases = [None] * 3 if a["in_proj_bias"] is None else a["in_proj_bias"].chunk(3)
    if a["use_separate_proj_weight"]:
        matrices = [a["q_proj_weight"], a["k_proj_weight"], a["v_proj_weight"]]
    else:
        matrices = list(a["in_proj_weight"].split(width))
    q, k, v = (F.linear(x, w, b) for x, w, b in zip((query, key, value), matrices, biases, strict=True))
    if a["bias_k"] is not None:
        k = torch.cat([k, a["bias_k"].expand(1, k.shape[1], -1)])
        v = torch.cat([v, a["bias_v"].expand(1, v.shape[1], -1)])
    q, k, v = (rearrange(x, "n b (h d) -> b h n d", h=heads) for x in (q, k, v))
    if a["static_k"] is not None:
        k = rearrange(a["static_k"], "(b h) n d -> b h n d", h=heads)
    if a["static_v"] is not None:
        v = rearrange(a["static_v"], "(b h) n d -> b h n d", h=heads)
    if a["add_zero_attn"]:
        k, v = (F.pad(x, (0, 0, 0, 1)) for x in (k, v))
    return q, k, v, _multihead_mask(a, batched, q, k)


def _multihead_mask(a: dict[str, Any], batched: bool, q: Tensor, k: Tensor) -> Tensor | None:
    """The attention mask (True = may *not* attend) and the keys' padding as one additive mask."""
    mask: Tensor | None = None
    if a["attn_mask"] is not None:
        mask = _added(a["attn_mask"], q.dtype)
        mask = rearrange(mask, "(b h) q k -> b h q k", b=len(q)) if mask.ndim == 3 else mask[None, None]
    elif a["is_causal"]:
        mask = _added(torch.ones(q.shape[-2], k.shape[-2], dtype=torch.bool).triu(1), q.dtype)[None, None]
    if a["key_padding_mask"] is not None:
        padding = _added(a["key_padding_mask"], q.dtype)
        padding = (padding if batched else padding[None])[:, None, None]
        missing = k.shape[-2] - padding.shape[-1]
        padding = F.pad(padding, (0, missing)) if missing else padding
        mask = F.pad(mask, (0, k.shape[-2] - mask.shape[-1])) if mask is not None else None
        return padding if mask is None else mask + padding
    return mask if mask is None else F.pad(mask, (0, k.shape[-2] - mask.shape[-1]))


def _added(mask: Tensor, dtype: torch.dtype) -> Tensor:
    if mask.dtype != torch.bool:
        return mask.to(dtype)
    return torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill_(mask, float("-inf"))
