"""Queries and keys before rotary positions (Su et al. 2021): what their maps, or the norms after these, gave.

Attention is heard after the rotation. What was there before is taken from the modules that Llama and its many kin have
for it: ``q_proj`` and ``k_proj`` beside the attention, and the norms of queries and keys that some put after them. It
is kept only where a rotation explains the difference: one that leaves every vector as long as it was. Models that map
to queries, keys and values at once (GPT-NeoX, Phi-3), or from a compressed state (DeepSeek), have no such module.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import Tensor, nn

from vitrail.capture.call import Call

Projected = dict[str, Tensor]
"""What the last of these modules gave, by the attention's path and "q" or "k"."""
NAMES: dict[str, Literal["q", "k"]] = {
    "q_proj": "q",
    "q_norm": "q",
    "q_layernorm": "q",
    "k_proj": "k",
    "k_norm": "k",
    "k_layernorm": "k",
}


@contextmanager
def projections(root: nn.Module) -> Iterator[Projected]:
    """Collect what maps to queries and keys give; hooks are taken off again."""
    found: Projected = {}
    handles: list[Any] = []

    def keeping(place: str) -> Any:
        def hook(module: nn.Module, args: object, output: object) -> None:
            if isinstance(output, Tensor):  # norms run after maps: the last one stands
                found[place] = output.detach()

        return hook

    try:
        for path, module in root.named_modules():
            side = NAMES.get(path.rpartition(".")[2])
            if side is not None:
                handles.append(module.register_forward_hook(keeping(f"{path.rpartition('.')[0]}:{side}")))
        yield found
    finally:
        for handle in handles:
            handle.remove()


def before_rotation(call: Call, projected: Projected) -> tuple[Tensor, Tensor] | None:
    """Queries [b h q d] and keys [b hkv k d] before they were rotated; None where they weren't, or can't be had."""
    pairs = [(projected.get(f"{call.layer}:{side}"), getattr(call, side)) for side in ("q", "k")]
    found = [None if before is None or after is None else _turned(before, after) for before, after in pairs]
    q, k = found
    return None if q is None or k is None else (q, k)


def _turned(before: Tensor, after: Tensor) -> Tensor | None:
    """What a map gave, arranged as ``after`` is, if ``after`` is the same turned."""
    b, h, n, d = after.shape
    shapes = {(b, n, h * d): False, (b, n, h, d): False, (b, h, n, d): True}
    if tuple(before.shape) not in shapes:
        return None
    proposals = [before.reshape(b, n, h, d).transpose(1, 2)]
    if before.shape == after.shape:
        proposals.append(before)
    return next((one for one in proposals if _is_turned(one, after)), None)


def _is_turned(before: Tensor, after: Tensor) -> bool:
    """Whether vectors are others, as long as they were but for one factor of all (as rotations for long texts do)."""
    if torch.equal(before, after):
        return False
    old, new = (x.float().norm(dim=-1) for x in (before, after))
    factor = new.sum() / old.sum().clamp_min(1e-30)
    rounding = 1e-4 if after.dtype in (torch.float32, torch.float64) else 3e-2
    return bool((new - factor * old).abs().max() <= rounding * new.max())
