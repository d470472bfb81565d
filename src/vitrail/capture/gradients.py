"""How a number at the end depends on the attention inside: gradients with respect to weights, queries, keys, values.

What is kept of a layer is g = dL/d(what the heads give), linear in length; of the weights it is dL/dA = g vᵀ
(``weight_gradients``). Targets are functions from a model's output to one number: the probability's logarithm of the
next token, of a masked one, of a class, or whatever is asked.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from vitrail.capture.call import Call, Record
from vitrail.errors import ConfigError, ModelError


@dataclass(frozen=True)
class Target:
    """What gradients are of."""

    name: str
    """In words, as a trace keeps it."""
    number: Callable[[Any], Tensor]
    """From a model's output to one number."""

    def __call__(self, output: Any) -> Tensor:
        """The number."""
        return self.number(output)


def next_token(token: int | None = None, position: int = -1) -> Target:
    """The log-probability of the token that follows a position; the likeliest one unless given."""
    return Target("log-probability of the next token", _log_probability(token, position))


def masked_token(position: int, token: int | None = None) -> Target:
    """The log-probability of a token at a (masked) position; the likeliest one unless given."""
    return Target(f"log-probability of the token at {position}", _log_probability(token, position))


def class_score(label: int | None = None) -> Target:
    """The logit of a class; the largest one unless given."""

    def target(output: Any) -> Tensor:
        logits = logits_of(output)[0]
        _inside(label, logits.shape[-1], "class")
        return logits[int(logits.argmax()) if label is None else label]

    return Target("largest logit" if label is None else f"logit of class {label}", target)


def _log_probability(token: int | None, position: int) -> Callable[[Any], Tensor]:
    def target(output: Any) -> Tensor:
        logits = logits_of(output)[0]
        _inside(position, len(logits), "position")
        _inside(token, logits.shape[-1], "token")
        chosen = logits[position].log_softmax(-1)
        return chosen[int(chosen.argmax()) if token is None else token]

    return target


def _inside(index: int | None, count: int, what: str) -> None:
    if index is not None and not -count <= index < count:
        raise ConfigError(f"there is no {what} {index}: this model's output has {count} of them, counted from 0")


def logits_of(output: Any) -> Tensor:
    """The logits in what a model gave.

    Raises:
        ModelError: it gave none.
    """
    if isinstance(output, Tensor):
        return output
    for name in ("logits", "prediction_logits", "start_logits"):
        found = getattr(output, name, None)
        if isinstance(found, Tensor):
            return found
    raise ModelError(
        f"{type(output).__name__} holds no logits of tokens or classes; give a model with a head, or your own target"
    )


def output_gradients(target: Tensor, record: Record) -> list[Float[Tensor, "b h q dv"]]:
    """Of each call g = dL/d(head's output); zeros where the target doesn't depend on it.

    Raises:
        ConfigError: the target is no single number, or no function of the model's parameters.
        ModelError: the heads of a call could not be had.
    """
    if target.numel() != 1:
        raise ConfigError(f"a target of shape {list(target.shape)} has no gradient; reduce it to one number")
    if not target.requires_grad:
        raise ConfigError("the target depends on nothing that could be changed; compute it from the model's output")
    outputs = []
    for call in record:
        if call.output is None:
            raise ModelError(f"what the heads of {call.name} give could not be had, so it has no gradients")
        outputs.append(call.output)
    found = torch.autograd.grad(target.reshape(()), outputs, retain_graph=True, allow_unused=True)
    return [torch.zeros_like(x) if g is None else g for x, g in zip(outputs, found, strict=True)]


def weight_gradients(g: Float[Tensor, "b h q dv"], v: Float[Tensor, "b hkv k dv"]) -> Float[Tensor, "b h q k"]:
    """dL/dA = g vᵀ: how the target changes with each weight."""
    return g @ v.repeat_interleave(g.shape[1] // v.shape[1], dim=1).transpose(-1, -2)


def part_gradients(call: Call, g: Float[Tensor, "b h q dv"]) -> dict[str, Tensor]:
    """How the target changes with a call's ``weights``, ``q``, ``k`` and ``v``, by the chain rule from ``g``.

    With dA = g vᵀ the logits' gradient is A (dA - Σ A dA), times 1 - tanh² under a softcap; heads that share keys and
    values add theirs up.

    Raises:
        ModelError: queries and keys of the call could not be had.
    """
    if call.q is None or call.k is None or call.v is None or call.scale is None:
        raise ModelError(f"of {call.name} the weights alone could be recorded, so there are no gradients of its parts")
    q, k, v, a = (x.detach().to(g.dtype) for x in (call.q, call.k, call.v, call.weights))
    shared = q.shape[1] // k.shape[1]
    da = weight_gradients(g, v)
    logits = a * (da - (a * da).sum(-1, keepdim=True))
    repeated = k.repeat_interleave(shared, dim=1)
    if call.softcap is not None:
        logits = logits * (1 - torch.tanh(q @ repeated.transpose(-1, -2) * call.scale / call.softcap) ** 2)
    dq = logits @ repeated * call.scale
    dk = logits.transpose(-1, -2) @ q * call.scale
    dv = a.transpose(-1, -2) @ g
    # "b (hkv shared) k d -> b hkv k d", summed
    dk, dv = (x.unflatten(1, (k.shape[1], shared)).sum(2) for x in (dk, dv))
    return {"weights": da, "q": dq, "k": dk, "v": dv}
