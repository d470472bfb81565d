"""Which of two multiplied tensors is what: queries and keys, or weights and values; matrices, or axes with letters."""

import re
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Pair:
    """Two tensors that are multiplied, in the roles that they may have."""

    left: Tensor
    right: Tensor
    """As they were given."""
    q: Tensor | None
    k: Tensor | None
    """Arranged [… q d] and [… k d], so that the result is q kᵀ; None where it is none."""
    v: Tensor | None
    """The right one arranged [… k dv], where the left one are weights [… q k]."""
    order: list[int]
    """Permutation that makes [… q dv] of the result, where the left one are weights."""


def matrices(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Pair | None:
    """The roles in a product of matrices; None where it isn't one of [… q d] and [… d k]."""
    tensors = [x for x in (*args, *kwargs.values()) if isinstance(x, Tensor)]
    left, right = tensors[1:3] if name == "baddbmm" else tensors[:2]
    if left.ndim < 3 or left.ndim != right.ndim:
        return None
    lead = torch.broadcast_shapes(left.shape[:-2], right.shape[:-2])
    q, v = (x.expand(*lead, *x.shape[-2:]) for x in (left, right))
    return Pair(left, right, q, v.transpose(-1, -2), v, list(range(left.ndim)))


def letters(args: tuple[Any, ...]) -> Pair | None:
    """Two tensors whose axes have letters; one letter is shared and summed over, each has one of its own."""
    equation, *given = args
    given = list(given[0]) if len(given) == 1 and isinstance(given[0], list | tuple) else given
    if not isinstance(equation, str) or len(given) != 2:
        return None
    equation = equation.replace(" ", "")
    if not re.fullmatch(r"[a-zA-Z]+,[a-zA-Z]+->[a-zA-Z]+", equation):
        return None
    ins, out = equation.split("->")
    a, b = ins.split(",")
    shared = [x for x in a if x in b and x not in out]
    mine, theirs = ([x for x in out if x in one and x not in other] for one, other in ((a, b), (b, a)))
    if len(shared) != 1 or len(mine) != 1 or len(theirs) != 1:
        return None
    left, right = given
    batch = [x for x in out if x in a and x in b]
    q = k = None
    mine_side = left.permute([a.index(x) for x in [*batch, mine[0], shared[0]]])
    their_side = right.permute([b.index(x) for x in [*batch, theirs[0], shared[0]]])
    if out == "".join([*batch, mine[0], theirs[0]]):
        q, k = mine_side, their_side
    elif out == "".join([*batch, theirs[0], mine[0]]):
        q, k = their_side, mine_side
    batch = [x for x in a if x in batch]
    v = right.permute([b.index(x) for x in [*batch, shared[0], theirs[0]]])
    weights_first = a == "".join([*batch, mine[0], shared[0]])
    order = [out.index(x) for x in [*batch, mine[0], theirs[0]]]
    return Pair(left, right, q, k, v if weights_first else None, order)
