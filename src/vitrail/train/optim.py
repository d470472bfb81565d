"""AdamW, Muon beside AdamW, parameter groups, schedules and the moving average of weights.

Decoupled weight decay on matrices only, layer-wise learning rates as in BEiT (arXiv 2106.08254) and MAE's fine-tuning
(arXiv 2111.06377, appendix A.2), Muon as in Jordan 2024 with the update scaled to AdamW's size (Moonshot, arXiv
2502.16982), all by PyTorch's own optimizers. Where we differ: the optimizers' state is kept by parameter *name*, so
that a checkpoint doesn't depend on groups, processes or sharding, and the learning rate is a pure function of the step,
so that there is no scheduler to save.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from vitrail.errors import CheckpointError, ConfigError
from vitrail.train.config import TrainConfig
from vitrail.train.sharding import assign, whole


def schedule(config: TrainConfig, step: int) -> float:
    """Fraction of the highest learning rate in ``step`` (from 0): linear warm-up, then the chosen fall.

    The first step of a warm-up of w steps has 1/w, not 0, so that no step is lost; the last step of the run has
    ``final_lr_fraction`` (unless constant).
    """
    if step < config.warmup_steps:
        return (step + 1) / config.warmup_steps
    if config.schedule == "constant":
        return 1.0
    done = (step - config.warmup_steps) / max(config.steps - 1 - config.warmup_steps, 1)
    fall = 0.5 * (1 + math.cos(math.pi * done)) if config.schedule == "cosine" else 1 - done
    return config.final_lr_fraction + (1 - config.final_lr_fraction) * fall


def trained_parameters(module: nn.Module) -> dict[str, nn.Parameter]:
    """Those that take a gradient, by name; a shared one once."""
    return {name: parameter for name, parameter in module.named_parameters() if parameter.requires_grad}


def layer_scale(module: nn.Module, name: str, decay: float) -> float:
    """Factor on the learning rate of a parameter: 1 in the last layer, times ``decay`` for each layer below it.

    Raises:
        ConfigError: ``decay`` is not 1 and the module doesn't say which layer its parameters are in.
    """
    if decay == 1.0:
        return 1.0
    depth, count = getattr(module, "parameter_depth", None), getattr(module, "depth_count", None)
    if depth is None or count is None:
        raise ConfigError(
            f"layer-decay is {decay}, but {type(module).__name__} has no parameter_depth and depth_count to say which "
            f"layer a parameter is in: use --layer-decay 1."
        )
    return float(decay ** (count - 1 - depth(name)))


def is_hidden_matrix(name: str, parameter: Tensor, module: nn.Module) -> bool:
    """Whether Muon should train it: the weight of a linear map inside a block, that is, inside an ``nn.ModuleList``.

    Embeddings, the input and output maps and tables of vectors belong to AdamW (Jordan 2024).
    """
    if parameter.ndim != 2:
        return False
    owner, _, leaf = name.rpartition(".")
    if leaf != "weight" or not isinstance(module.get_submodule(owner), nn.Linear):
        return False
    parts = owner.split(".")
    return any(isinstance(module.get_submodule(".".join(parts[:end])), nn.ModuleList) for end in range(1, len(parts)))


class Optimizers:
    """One or two of PyTorch's optimizers as one, with the schedule built in.

    Raises:
        ConfigError: nothing to train; Muon without a matrix inside a block; layer decay without layers.
    """

    def __init__(self, module: nn.Module, config: TrainConfig) -> None:
        self.config = config
        self.parameters = trained_parameters(module)
        if not self.parameters:
            raise ConfigError(f"{type(module).__name__} has no parameter that takes a gradient: unfreeze one.")
        exceptions: Callable[[], set[str]] = getattr(module, "no_weight_decay", set)
        excepted = exceptions()
        adamw: dict[tuple[float, float], list[nn.Parameter]] = {}
        muon: dict[tuple[float, float], list[nn.Parameter]] = {}
        for name, parameter in self.parameters.items():
            decay = 0.0 if parameter.ndim < 2 or name in excepted else config.weight_decay
            by_muon = config.optimizer == "muon" and is_hidden_matrix(name, parameter, module)
            key = (decay, layer_scale(module, name, config.layer_decay))
            (muon if by_muon else adamw).setdefault(key, []).append(parameter)
        if config.optimizer == "muon" and not muon:
            raise ConfigError(
                f"optimizer is muon, but {type(module).__name__} has no trained matrix inside an nn.ModuleList of "
                f"blocks: use --optimizer adamw."
            )
        self._members: list[torch.optim.Optimizer] = []
        if adamw:
            # fused: one pass over memory for the whole update, on CPU too.
            self._members.append(
                torch.optim.AdamW(_groups(adamw, config.lr), lr=config.lr, betas=config.betas, fused=True)
            )
        if muon:
            highest = config.muon_lr if config.muon_lr is not None else config.lr
            self._members.append(torch.optim.Muon(_groups(muon, highest), lr=highest, adjust_lr_fn="match_rms_adamw"))
        self._highest = [[group["lr"] for group in member.param_groups] for member in self._members]

    def step(self, step: int) -> float:
        """Update all parameters with the learning rate of ``step`` (from 0).

        Returns:
            The learning rate of AdamW in the last layer, as it is logged.
        """
        fraction = schedule(self.config, step)
        for member, highest in zip(self._members, self._highest, strict=True):
            for group, lr in zip(member.param_groups, highest, strict=True):
                group["lr"] = lr * fraction
            member.step()
        return self.config.lr * fraction

    def zero_grad(self) -> None:
        """Forget all gradients, and their memory."""
        for parameter in self.parameters.values():
            parameter.grad = None

    def state_dict(self) -> dict[str, dict[str, Any]]:
        """Each parameter's moments by the parameter's name, whole tensors on the CPU. Collective when sharded."""
        found: dict[str, dict[str, Any]] = {}
        for name, parameter in self.parameters.items():
            for member in self._members:
                if parameter in member.state:
                    found[name] = {key: whole(value) for key, value in member.state[parameter].items()}
        return found

    def load_state_dict(self, state: Mapping[str, Mapping[str, Any]]) -> None:
        """Continue from what ``state_dict`` gave.

        Raises:
            CheckpointError: it is of other parameters.
        """
        if state and state.keys() != self.parameters.keys():
            differing = sorted(state.keys() ^ self.parameters.keys())[0]
            raise CheckpointError(
                f"the checkpoint and the model don't train the same parameters ({differing} is in one only): "
                f"name another folder for a new run."
            )
        for member in self._members:
            for group in member.param_groups:
                for parameter in group["params"]:
                    name = next(name for name, other in self.parameters.items() if other is parameter)
                    if name in state:
                        member.state[parameter] = _moments(state[name], parameter)


def _groups(parts: Mapping[tuple[float, float], list[nn.Parameter]], lr: float) -> list[dict[str, Any]]:
    return [
        {"params": parameters, "weight_decay": decay, "lr": lr * scale} for (decay, scale), parameters in parts.items()
    ]


def _moments(saved: Mapping[str, Any], parameter: nn.Parameter) -> dict[str, Any]:
    """A parameter's state on its device, and spread as the parameter is."""
    restored: dict[str, Any] = {}
    for key, value in saved.items():
        if isinstance(value, Tensor) and value.shape == parameter.shape and value.ndim > 0:
            restored[key] = torch.zeros_like(parameter, dtype=value.dtype)
            assign(restored[key], value)
        else:
            restored[key] = value.to(parameter.device) if isinstance(value, Tensor) else value
    return restored
