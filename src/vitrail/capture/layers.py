"""From a call to a layer of a trace: one example, tensors as numpy, masks as rules and biases as few numbers.

What a model adds to its logits is taken apart: where it lowers them by 1e4 or more, a query may not look (models write
-10000, the lowest finite number, or -inf); the rest is a bias. Attention within windows comes as one example a window;
the windows are joined into one example in which each window is a block.
"""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from vitrail.capture.call import Call
from vitrail.errors import ModelError
from vitrail.trace import Bias, Layer, Mask

FORBIDDEN = -1e4

EPSILON = {torch.bfloat16: 2.0**-7, torch.float16: 2.0**-10}
"""Rounding of weights near 1 in half precision: closer than this nothing can be recomputed."""


def layer_of(call: Call, *, values: bool = True) -> Layer:
    """What a trace keeps of a call, of the one example in it (``joined``); weights aside.

    Raises:
        ModelError: queries or keys were not captured, or the batch holds several examples.
    """
    if call.q is None or call.k is None or call.v is None or call.scale is None:
        raise ModelError(
            f"of {call.name} the weights alone could be recorded, and a trace needs queries and keys; read them with "
            "record_attention instead, or leave such layers out with partial=True"
        )
    if len(call.q) != 1:
        raise ModelError(f"{call.name} attends in {len(call.q)} examples at once, and a trace is of one; give one")
    queries, keys = call.q.shape[2], call.k.shape[2]
    allowed, added = _taken_apart(call, queries, keys)
    mask = Mask() if allowed is None else Mask.of(allowed)
    bias = None if added is None else Bias.of(added, allowed)
    sinks = None if call.sinks is None or call.sinks.ndim == 4 else _array(call.sinks.reshape(-1))
    return Layer(
        name=call.name,
        q=_array(call.q[0]),
        k=_array(call.k[0]),
        v=_array(call.v[0]) if values else None,
        scale=call.scale,
        softcap=call.softcap,
        bias=bias,
        mask=mask,
        sinks=sinks,
        normaliser="sink" if sinks is not None else "other" if call.sinks is not None else "softmax",
    )


def weights_array(call: Call) -> np.ndarray:
    """The model's own weights [h q k] in float32; a view where they are that already."""
    return call.weights[0].detach().to("cpu", torch.float32).numpy()


def tolerance_of(call: Call, tolerance: float) -> float:
    """How close recomputed weights can be to the model's own: weights in half precision are rounded themselves."""
    return max(tolerance, EPSILON.get(call.weights.dtype, EPSILON.get(call.q.dtype, 0) if call.q is not None else 0))


def _array(x: Tensor) -> np.ndarray:
    # A copy: the model may go on to change what it handed out.
    found: np.ndarray = x.detach().to("cpu", torch.float32).numpy().copy()
    return found


def _taken_apart(call: Call, queries: int, keys: int) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Flags [h|1 q k] of where queries may look, and what is added there; None for everywhere, and for nothing."""
    allowed: np.ndarray | None = None
    added: np.ndarray | None = None
    for term in (call.mask, call.bias):
        if term is None:
            continue
        dense = term.detach().to("cpu")
        dense = dense.reshape(*[1] * (4 - dense.ndim), *dense.shape)[0]
        flags = dense if dense.dtype == torch.bool else dense > FORBIDDEN
        if not bool(flags.all()):
            seen = flags.expand(-1, queries, keys).numpy()
            allowed = seen if allowed is None else allowed & seen
        if dense.dtype != torch.bool:
            rest = torch.where(flags, dense.float(), 0.0)
            if bool(rest.any()):
                one = rest.expand(-1, queries, keys).numpy()
                added = one if added is None else added + one
    if call.causal:
        seen = np.tril(np.ones((1, queries, keys), bool))
        allowed = seen if allowed is None else allowed & seen
    return allowed, added


def joined(call: Call) -> Call:
    """One example from windows or chunks: positions one after the other, each window seeing itself only."""
    windows = len(call.weights)
    if windows == 1:
        return call
    queries, keys = call.weights.shape[-2:]
    if call.sinks is not None and call.sinks.ndim == 4:
        raise ModelError(f"{call.name} attends in {windows} windows with sinks of their own, which can't be joined")
    own = torch.block_diag(*[torch.ones(queries, keys, dtype=torch.bool)] * windows)
    mask, bias = (_spread(term, windows, queries, keys) for term in (call.mask, call.bias))
    if call.causal:
        own &= torch.ones(queries, keys, dtype=torch.bool).tril().repeat(windows, windows)
    if mask is None:
        mask = own
    elif mask.dtype == torch.bool:
        mask = mask & own
    else:
        mask = mask.masked_fill(~own, float("-inf"))

    def lined_up(x: Tensor | None) -> Tensor | None:
        return None if x is None else x.transpose(0, 1).flatten(1, 2)[None]

    heads = [torch.block_diag(*call.weights[:, head]) for head in range(call.weights.shape[1])]
    return replace(
        call,
        weights=torch.stack(heads)[None],
        q=lined_up(call.q),
        k=lined_up(call.k),
        v=lined_up(call.v),
        output=lined_up(call.output),
        mask=mask,
        bias=bias,
        causal=False,
    )


def _spread(term: Tensor | None, windows: int, queries: int, keys: int) -> Tensor | None:
    """A mask or bias of windows [b h q k] as one of all positions [1 h (b q) (b k)]."""
    if term is None:
        return None
    term = term.reshape(*[1] * (4 - term.ndim), *term.shape)
    term = term.expand(windows, -1, queries, keys)
    blocks = [torch.block_diag(*term[:, head].to(torch.float32)) for head in range(term.shape[1])]
    return torch.stack(blocks)[None].to(term.dtype)
