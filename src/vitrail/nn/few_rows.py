"""Linear maps of few rows, as decoding asks for them: the same numbers, from weights that lie as a product reads them.

A step of decoding multiplies some rows (texts times beams) by every matrix of the decoder. With weights ``[out in]``,
as ``nn.Linear`` keeps them, a processor's library turns each matrix around at every step, which takes as long as the
product; kept ``[slices in out/slices]``, once turned, they are read from one end to the other
(``bench/decoding.py``; figures in ``results/LOG.md``).
"""

import copy

import torch
from jaxtyping import Float
from torch import Tensor, nn

SLICES = 8
"""Of a matrix's columns, where they can be cut so."""


class FewRowsLinear(nn.Module):
    """An ``nn.Linear`` as it is now, for inputs of few rows: x Wᵀ + b from a copy of W."""

    def __init__(self, weight: Float[Tensor, "out in"], bias: Float[Tensor, " out"] | None) -> None:
        super().__init__()
        out, into = weight.shape
        slices = SLICES if out % SLICES == 0 else 1
        self.weight: Tensor
        self.bias: Tensor
        turned = weight.detach().view(slices, out // slices, into).transpose(1, 2)
        self.register_buffer("weight", turned.contiguous(), persistent=False)
        kept = weight.new_zeros(out) if bias is None else bias.detach()
        self.register_buffer("bias", kept.view(slices, 1, out // slices), persistent=False)

    def forward(self, x: Float[Tensor, "*rows in"]) -> Float[Tensor, "*rows out"]:
        """The map of each row."""
        rows = x.flatten(0, -2)
        slices = torch.baddbmm(self.bias, rows.expand(len(self.weight), *rows.shape), self.weight)
        return slices.transpose(0, 1).reshape(*x.shape[:-1], self.bias.numel())


def for_few_rows(module: nn.Module, leave: tuple[str, ...] = ()) -> nn.Module:
    """A copy of a module whose linear maps are ``FewRowsLinear``; everything else is shared with it.

    Args:
        module: on a CPU, in float32; elsewhere nothing is gained.
        leave: names of linear maps that get many rows, and stay as they are.
    """
    shared = {id(tensor): tensor for tensor in (*module.parameters(), *module.buffers())}
    copied = copy.deepcopy(module, shared)
    for parent in list(copied.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.Linear) and name not in leave:
                setattr(parent, name, FewRowsLinear(child.weight, child.bias))
    return copied
