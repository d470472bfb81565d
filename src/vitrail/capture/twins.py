"""The untrained twin: the same model with random weights, drawn as its library draws them or as PyTorch does.

The two differ (BERT's library draws N(0, 0.02); PyTorch's linear maps are uniform and wider), and so does what their
attention looks like: compare a trained model with both.
"""

import copy
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from vitrail.errors import ConfigError, ModelError

Drawn = Literal["library", "pytorch"]


def untrained_twin(model: nn.Module, how: Drawn = "library", seed: int = 0) -> Any:
    """A copy with random weights; the model itself and the global random state stay as they are.

    Args:
        model: the trained one.
        how: "library": as the class draws a new model from this one's config; "pytorch": ``reset_parameters`` of every
            module that has one, and for what no such module owns, ones and zeros in norms, N(0, 0.02) elsewhere.
        seed: of what is drawn.

    Raises:
        ConfigError: another way than these two.
        ModelError: the class can't be built from its config alone.
    """
    if how not in get_args(Drawn):
        raise ConfigError(f"{how!r} is no way to draw weights; choose one of {', '.join(get_args(Drawn))}")
    first = next(model.parameters(), torch.zeros(()))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        twin = _from_library(model) if how == "library" else _reset(copy.deepcopy(model))
    return twin.to(first.device, first.dtype).train(model.training)


def _from_library(model: Any) -> nn.Module:
    kind = type(model)
    try:
        build = getattr(kind, "_from_config", kind)
        twin: nn.Module = build(copy.deepcopy(model.config))
    except (AttributeError, TypeError) as error:
        raise ModelError(
            f"{kind.__name__} can't be built anew from its config ({error}); ask for PyTorch's way with 'pytorch'"
        ) from error
    return twin


def _reset(model: nn.Module) -> nn.Module:
    owned: set[int] = set()
    for module in model.modules():
        reset = getattr(module, "reset_parameters", None) or getattr(module, "_reset_parameters", None)
        if callable(reset):
            reset()
            owned.update(id(x) for x in module.parameters(recurse=False))
    with torch.no_grad():
        for name, x in model.named_parameters():
            if id(x) not in owned:
                _draw(name, x)
    return model


def _draw(name: str, x: Tensor) -> None:
    if name.endswith("bias"):
        x.zero_()
    elif x.ndim == 1 and "norm" in name.lower().replace("ln_", "norm"):
        x.fill_(1)
    else:
        x.normal_(std=0.02)
