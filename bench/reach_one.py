"""One architecture: is every layer heard, are the weights its own eager attention's, is the model left as it was?"""

import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from reach_inputs import candidates, run
from reach_models import tiny_config, tiny_model
from torch import Tensor, nn

from vitrail.capture import record_attention
from vitrail.errors import ModelError

TOLERANCE = 1e-6
ROUNDED = 2
"""Where a fused kernel gives way to the plain formula, float32 sums come in another order: the output may then be so
many times as far from the same model in float64 as it is without us."""
PARTS = {"input_ids", "pixel_values", "input_values", "input_features", "pixel_values_videos", "decoder_input_ids"}
"""Inputs that belong to a part of a model each; a run without one of them leaves that part out."""


def measure(kind: str) -> dict[str, Any]:
    """The row of one type of model: ``status`` and figures, or why not."""
    try:
        config = tiny_config(kind)
        model = tiny_model(config)
    except Exception as error:  # whatever a model's code raises on sizes it wasn't made for
        return {"status": "not built", "why": _short(error)}
    row: dict[str, Any] = {"model": type(model).__name__, "file": type(model).__module__.split(".")[-1]}
    tried: list[str] = []
    fullest: set[str] = set()
    for given in candidates(model):
        fullest |= set(given) & PARTS
        try:
            given, plain = run(model, given)
            break
        except Exception as error:
            tried.append(_short(error))
    else:
        return {**row, "status": "not run", "why": tried[0] if tried else "no input"}
    row["inputs"] = sorted(given)
    if fullest - set(given):
        row |= {"without": sorted(fullest - set(given)), "why": tried[0]}
    settings = _state(model)
    try:
        with record_attention(model) as record:
            torch.manual_seed(2)
            with torch.no_grad():
                heard = model(**given)
    except ModelError as error:
        left = _left_behind(model, settings)
        none = "computed no attention" in str(error)
        return {**row, "status": "no attention" if none else "refused", "why": str(error), "left": left}
    except Exception as error:
        return {**row, "status": "failed", "why": _short(error), "left": _left_behind(model, settings)}
    row |= {"layers": len(record), "heard by": sorted({call.source for call in record})}
    row["outputs differ"] = _difference(plain, heard)
    row["left"] = _left_behind(model, settings)
    row["recomputed differ"] = max(
        (_gap(call.recomputed(), call.weights) for call in record if call.complete), default=None
    )
    try:
        row["weights differ"], row["compared"], own = _against_eager(config, model, given, record)
        row["eager outputs differ"] = _difference(own, heard)
        if row["outputs differ"] and TOLERANCE < row["outputs differ"] < 1e-4:
            row |= _beside_float64(config, model, given, plain, heard)
    except Exception as error:
        row["weights differ"], row["compared"], row["why"] = None, 0, f"its own eager attention: {_short(error)}"
    row["weights only"] = len(record.weights_only)
    row["missed"] = record.refused
    return {**row, "status": _status(row)}


def _status(row: dict[str, Any]) -> str:
    # Where a model keeps its weights to itself, that queries and keys give them is all there is to check.
    exact = "why" not in row if row["weights differ"] is None else row["weights differ"] <= TOLERANCE
    again = row["recomputed differ"] is not None and row["recomputed differ"] <= 1e-5
    if row["left"] or not exact or row["outputs differ"] is None:
        return "differs"
    apart = row["outputs differ"] > TOLERANCE
    if apart and row.get("eager outputs differ") != 0:
        return "differs"
    if row["missed"] or row.get("without"):
        return "partly"
    if apart:
        # The model's own choice was a fused kernel; its eager path, to which it is the same to the bit, is another.
        found = row.get("from float64")
        if found is None or found["recorded"] > ROUNDED * max(found["as it is"], TOLERANCE / 2):
            return "two paths"
    return "weights only" if row["weights only"] or not again else "captured"


def _against_eager(config: Any, model: nn.Module, given: dict[str, Any], record: Any) -> tuple[float | None, int, Any]:
    """Largest difference to what the model itself returns under its own eager attention, and layers compared.

    What it returned comes third. Weights are what an attention module returns beside its output; each is compared with
    the tensors of its shape that the module, or one that it is part of, gave.
    """
    reference = tiny_model(config, "eager")
    reference.load_state_dict(model.state_dict())
    given_by: dict[str, list[Tensor]] = {}
    handles = [
        part.register_forward_hook(
            lambda _, __, output, name=name: given_by.setdefault(name, []).extend(
                x.detach() for x in tensors(output) if x.ndim in (3, 4)
            )
        )
        for name, part in reference.named_modules()
        if name
    ]
    stack = ExitStack()
    stack.enter_context(_eager_weights(reference, given_by))
    torch.manual_seed(2)
    with torch.no_grad(), stack:
        try:
            asked = reference(**given, output_attentions=True)
        except TypeError:
            asked = None
    for handle in handles:
        handle.remove()
    torch.manual_seed(2)
    with torch.no_grad():
        output = reference(**given)
    largest, compared = 0.0, 0
    everywhere = [x for x in tensors(asked) if x.ndim in (3, 4)]
    for call in record:
        names = [call.layer.rsplit(".", i)[0] for i in range(3)]
        found = [x for name in dict.fromkeys(names) for x in given_by.get(name, [])] + everywhere
        gaps = [_weights_gap(x.reshape(call.weights.shape), call.weights) for x in found if _same(x, call.weights)]
        if gaps:
            largest, compared = max(largest, min(gaps)), compared + 1
    return largest if compared else None, compared, output


def _beside_float64(
    config: Any, model: nn.Module, given: dict[str, Any], plain: object, heard: object
) -> dict[str, Any]:
    """How far both outputs are from that of the same model, as it is, with all its numbers in float64."""
    exact = tiny_model(config)
    exact.load_state_dict(model.state_dict())
    exact.double()
    torch.manual_seed(2)
    try:
        with torch.no_grad():
            output = exact(**{name: _doubled(x) for name, x in given.items()})
    except (RuntimeError, TypeError) as error:
        return {"why no float64": _short(error)}
    return {"from float64": {"as it is": _difference(output, plain), "recorded": _difference(output, heard)}}


def _doubled(x: Any) -> Any:
    return x.double() if isinstance(x, Tensor) and x.is_floating_point() else x


@contextmanager
def _eager_weights(reference: nn.Module, given_by: dict[str, list[Tensor]]) -> Iterator[None]:
    """What the modelling files' own eager functions return, also where the module that asked drops it."""
    names = {id(part): name for name, part in reference.named_modules()}
    patched: list[tuple[Any, str, Any]] = []

    def noting(own: Any) -> Any:
        def eager(module: nn.Module, *args: Any, **options: Any) -> Any:
            found = own(module, *args, **options)
            given_by.setdefault(names.get(id(module), ""), []).append(found[1].detach())
            return found

        return eager

    for file in [file for name, file in sys.modules.items() if name.startswith("transformers.models.")]:
        for name in [name for name in vars(file) if name.endswith("eager_attention_forward")]:
            patched.append((file, name, getattr(file, name)))
            setattr(file, name, noting(getattr(file, name)))
    try:
        yield
    finally:
        for file, name, own in patched:
            setattr(file, name, own)


def _same(x: Tensor, weights: Tensor) -> bool:
    """Whether a tensor may be these weights: ProphetNet and SqueezeBERT return logits under that name."""
    shaped = x.shape[-2:] == weights.shape[-2:] and x.numel() == weights.numel()
    return shaped and bool((x >= 0).all()) and bool((x.sum(-1) < 1 + 1e-3).all())


def _weights_gap(x: Tensor, weights: Tensor) -> float:
    """Largest difference; where a model returns the mean over heads for each (WavLM), of that."""
    if x.shape[1] > 1 and bool((x == x[:, :1]).all()):
        weights = weights.mean(1, keepdim=True).expand_as(x)
    return _gap(x, weights)


def tensors(output: object) -> Iterator[Tensor]:
    """All tensors in what a model returned."""
    if isinstance(output, Tensor):
        yield output
    elif isinstance(output, Mapping):
        for part in output.values():
            yield from tensors(part)
    elif isinstance(output, tuple | list):
        for part in output:
            yield from tensors(part)


def _difference(before: object, after: object) -> float | None:
    """Largest difference of all numbers, relative to the tensor's largest where that is above 1."""
    pairs = list(zip(tensors(before), tensors(after), strict=False))
    if len(list(tensors(before))) != len(list(tensors(after))):
        return None
    gaps = [0.0]
    for x, y in pairs:
        if x.shape != y.shape:
            return None
        if x.is_floating_point() and x.numel():
            x, y = x.nan_to_num(), y.nan_to_num()
            gaps.append(float((x - y).abs().max()) / max(1.0, float(x.abs().max())))
    return max(gaps)


def _gap(x: Tensor | None, y: Tensor) -> float:
    return float("inf") if x is None else float((x.float() - y.float()).abs().max())


def _state(model: nn.Module) -> tuple[int, list[str]]:
    """How many hooks there are (transformers has some of its own), and which attention each part is set to."""
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_forward_hooks_always_called")
    hooks = sum(len(getattr(part, kind)) for part in model.modules() for kind in kinds)
    configs = [part.config for part in model.modules() if hasattr(getattr(part, "config", None), "model_type")]
    return hooks, [config._attn_implementation for config in configs]


def _left_behind(model: nn.Module, before: object) -> list[str]:
    """What a capture left: hooks, another attention, an entry in the interface."""
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    found = []
    if _state(model) != before:
        found.append("hooks or settings")
    if "eager" in ALL_ATTENTION_FUNCTIONS:
        found.append("interface")
    return found


def _short(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
