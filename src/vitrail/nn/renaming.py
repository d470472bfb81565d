"""Weights under another library's names: exact rules both ways, and a refusal that names what does not fit.

A ``Rule`` says which of our tensors are which of theirs. Every rule only renames, reshapes, permutes, cuts or joins, so
that a tensor carried there and back is the same to the bit. Which names a library uses is told in the rooms.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vitrail.errors import ModelError

Weights = Mapping[str, Tensor]
Tensors = Sequence[Tensor]

SHOWN = 3
"""How many names an error lists before it only counts the rest."""


@dataclass(frozen=True)
class Rule:
    """Our tensors called ``ours`` are their tensors called ``theirs``; ``there`` and ``back`` carry the numbers."""

    ours: tuple[str, ...]
    theirs: tuple[str, ...]
    there: Callable[[Tensors], Tensors] = tuple
    back: Callable[[Tensors], Tensors] = tuple


def same(ours: str, theirs: str, *, bias: bool = True) -> list[Rule]:
    """A linear map or a norm: weight and bias are called so everywhere."""
    return [Rule((f"{ours}.{part}",), (f"{theirs}.{part}",)) for part in (("weight", "bias") if bias else ("weight",))]


def stacked(ours: str, theirs: Sequence[str], *, bias: bool = True) -> list[Rule]:
    """Several linear maps (queries', keys', values'): one above the other here, each its own there."""
    return [
        Rule(
            (f"{ours}.{part}",),
            tuple(f"{name}.{part}" for name in theirs),
            lambda x: x[0].chunk(len(theirs)),
            lambda x: [torch.cat(list(x))],
        )
        for part in (("weight", "bias") if bias else ("weight",))
    ]


def carry_there(rules: Sequence[Rule], model: nn.Module) -> dict[str, Tensor]:
    """The model's weights under their names; copies, so that neither side changes the other."""
    own = model.state_dict()
    carried: dict[str, Tensor] = {}
    for rule in rules:
        tensors = rule.there([own.pop(name).detach() for name in rule.ours])
        carried |= {name: x.contiguous().clone() for name, x in zip(rule.theirs, tensors, strict=True)}
    if own:
        raise ModelError(
            f"this model's weights {listed(own)} have no name in the other library; "
            "keep the model as a Vitrail run, which loses nothing"
        )
    return carried


def carry_back(rules: Sequence[Rule], weights: Weights, model: nn.Module, source: str) -> None:
    """Fill the model with weights under their names.

    Raises:
        ModelError: names that are missing or unexpected, or shapes that differ; ``source`` says whose weights they are.
    """
    expected = carry_there(rules, model)
    missing, unexpected = expected.keys() - weights.keys(), weights.keys() - expected.keys()
    if missing or unexpected:
        lacks = f"lacks {listed(missing)}" if missing else ""
        holds = f"holds {listed(unexpected)}, which the model has no place for" if unexpected else ""
        raise ModelError(
            f"{source} {' and '.join(filter(None, (lacks, holds)))}; "
            "check that the configuration (depth, class token, classifier, decoder) is that of the weights"
        )
    for name, x in expected.items():
        if x.shape != weights[name].shape or not weights[name].is_floating_point():
            raise ModelError(
                f"{source}: {name} is {_shape(weights[name])}, but the model needs {_shape(x)}; "
                "check that the configuration (image size, patch size, widths, classes) is that of the weights"
            )
    own: dict[str, Tensor] = {}
    for rule in rules:
        tensors = rule.back([weights[name].detach() for name in rule.theirs])
        own |= dict(zip(rule.ours, tensors, strict=True))
    model.load_state_dict(own)


def listed(names: Mapping[str, Tensor] | set[str]) -> str:
    """The first few names in order, and how many more there are."""
    first = sorted(names)
    rest = len(first) - SHOWN
    return ", ".join(first[:SHOWN]) + (f" and {rest} more" if rest > 0 else "")


def _shape(x: Tensor) -> str:
    kind = "" if x.is_floating_point() else f" of {str(x.dtype).removeprefix('torch.')}"
    return ("x".join(map(str, x.shape)) or "a single number") + kind


def refuse_faults(target: str, faults: Mapping[str, bool]) -> None:
    """Refuse a model that another library can't express.

    Args:
        target: the library.
        faults: what it has no place for → whether the model has it.

    Raises:
        ModelError: names the first that it has.
    """
    for fault, found in faults.items():
        if found:
            raise cannot(target, fault)


def cannot(target: str, fault: str) -> ModelError:
    """The error that says so."""
    return ModelError(f"{target} can't express {fault}; choose another target, or train a model without it")
