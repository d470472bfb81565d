"""One example through a model, and what its attention did as a trace.

``trace_run`` is what everything else here ends in: it is handed the module, a function that runs it, and one that says
what positions are. A layer's weights are let go as soon as it has been taken in, so that one layer's are in memory at a
time; only gradients need all.
"""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn

from vitrail.capture.call import Call
from vitrail.capture.comparing import output_difference, sampled
from vitrail.capture.layers import joined, layer_of, tolerance_of, weights_array
from vitrail.capture.projections import output_matrix, projected_norms
from vitrail.capture.recorder import record_attention
from vitrail.capture.residual import Residuals, block_of, residuals
from vitrail.capture.streams import stream_of
from vitrail.errors import ModelError
from vitrail.trace import Axis, Layer, Provenance, Stream, Trace, finish_layer, named
from vitrail.trace.finishing import TOLERANCE

Side = Literal["queries", "keys"]

APART, APART_IN_HALF = 1e-3, 0.1
"""A difference of outputs, relative to the largest number, that rounding doesn't explain."""


@runtime_checkable
class Axes(Protocol):
    """What positions are: tokens of which text, patches of which image."""

    def __call__(self, stream: str, side: Side, length: int) -> Axis:
        """The axis of a stream's queries or keys, of which there are ``length``."""
        ...


@dataclass(frozen=True)
class Wishes:
    """What a trace shall hold beside queries, keys and weights."""

    values: bool = True
    """Values, and how much each weighs after the output projection."""
    hidden: bool = False
    """The residual stream after each block, and before the first."""
    half: bool = False
    """Numbers in float16, half as long, with the error that this makes."""
    tolerance: float = TOLERANCE
    """Weights that recompute to within this aren't shipped."""
    check: bool = True
    """Run the model once more as it is and compare: capturing may take the explicit path in place of a fused one."""
    partial: bool = False
    """Leave out what can't be captured, and name it in the notes, instead of refusing the model."""


def plain_axes(stream: str, side: Side, length: int) -> Axis:
    """Positions of which nothing is known but their number."""
    return Axis(f"{stream} {side} {length}", "latents", length)


def trace_run(
    module: nn.Module,
    run: Callable[[], Any],
    axes: Axes = plain_axes,
    *,
    provenance: Provenance | None = None,
    images: Mapping[str, np.ndarray] | None = None,
    streams: Callable[[Call], str] = stream_of,
    target: Callable[[Any], Tensor] | None = None,
    wishes: Wishes | None = None,
) -> Trace:
    """Run a module on one example and keep what its attention did.

    Args:
        module: what is listened to.
        run: calls it, with one example without padding.
        axes: what the positions of each stream are.
        provenance: where the trace comes from; the module's class, precision and the versions unless given.
        images: what patches were cut from, uint8 [H W 3].
        streams: which stream a call belongs to.
        target: from what ``run`` gives to the number that gradients are of.
        wishes: what else to keep.

    Raises:
        ModelError: no attention was heard, or some of it can't be captured.
    """
    from vitrail.capture.gradients import output_gradients

    wishes = wishes or Wishes()
    keeping = _Keeping(module, axes, streams, wishes)
    plain, drawn = None, torch.get_rng_state()
    if wishes.check:
        with torch.no_grad():
            plain = sampled(run())
        torch.set_rng_state(drawn)  # what is drawn while recording is the same
    with ExitStack() as stack:
        stream = stack.enter_context(residuals(module)) if wishes.hidden else Residuals()
        if target is None:
            stack.enter_context(torch.no_grad())
            with record_attention(module, each=keeping.take) as record:
                output = run()
        else:
            stack.enter_context(torch.enable_grad())
            with record_attention(module, graph=True) as record:
                output = run()
            for call, g in zip(record.calls, output_gradients(target(output), record), strict=True):
                keeping.take(call.detached(), g)
    refused = {**record.refused, **keeping.refused}
    if refused and not wishes.partial:
        raise ModelError(_refusal(module, refused))
    about = provenance or describe(module)
    if refused:
        about = replace(about, notes={**about.notes, "refused": "; ".join(f"{k}: {v}" for k, v in refused.items())})
    if plain is not None:
        apart = output_difference(plain, sampled(output))
        if apart > (APART if about.precision == "float32" else APART_IN_HALF) and not wishes.partial:
            raise ModelError(
                f"{type(module).__name__} gave another output (by {apart:.1g}) while it was recorded, because its "
                "plain attention isn't what its fused one is; load it with attn_implementation='eager', or pass "
                "partial=True"
            )
        about = replace(about, notes={**about.notes, "output difference": f"{apart:.1e}"})
    return Trace(named(keeping.axes.values()), keeping.parts(stream), about, dict(images or {}))


class _Keeping:
    """Turns calls into layers as they come, and sorts them into streams."""

    def __init__(self, module: nn.Module, axes: Axes, streams: Callable[[Call], str], wishes: Wishes) -> None:
        self.module, self.make_axis, self.stream_of, self.wishes = module, axes, streams, wishes
        self.axes: dict[str, Axis] = {}
        self.streams: dict[str, list[Layer]] = {}
        self.refused: dict[str, str] = {}

    def take(self, call: Call, g: Tensor | None = None) -> None:
        if not call.complete:
            self.refused[call.name] = "its weights alone could be recorded, without queries and keys"
            return
        name = self.stream_of(call)
        whole = joined(call)
        layer = layer_of(whole, values=self.wishes.values)
        queries, keys = (self._axis(name, side, length) for side, length in zip(_SIDES, layer.size, strict=True))
        if g is not None:
            g = g.transpose(0, 1).flatten(1, 2)[None] if whole is not call else g
            layer = replace(layer, g=g[0].detach().to("cpu", torch.float32).numpy())
        layer = replace(layer, queries=queries.name, keys=keys.name, vo=self._norms(whole))
        weights, tolerance = weights_array(whole), tolerance_of(call, self.wishes.tolerance)
        layer = finish_layer(layer, queries, keys, weights, half=self.wishes.half, tolerance=tolerance)
        self.streams.setdefault(name, []).append(layer)

    def _axis(self, stream: str, side: Side, length: int) -> Axis:
        axis = self.make_axis(stream, side, length)
        return self.axes.setdefault(axis.name, axis)

    def _norms(self, call: Call) -> np.ndarray | None:
        if not self.wishes.values or call.v is None:
            return None
        heads = call.weights.shape[1]
        matrix = output_matrix(self.module, call.layer, heads * call.v.shape[-1])
        return None if matrix is None else projected_norms(call.v[0], matrix, heads)

    def parts(self, stream: Residuals) -> tuple[Stream, ...]:
        """The streams, with the hidden states that belong to their layers."""
        return tuple(self._part(name, layers, stream) for name, layers in self.streams.items())

    def _part(self, name: str, layers: list[Layer], stream: Residuals) -> Stream:
        queries, keys = layers[0].queries, layers[0].keys
        blocks = [block_of(self.module, layer.name.partition("@")[0]) for layer in layers]
        kept = [
            replace(
                layer,
                queries=None if layer.queries == queries else layer.queries,
                keys=None if layer.keys == keys else layer.keys,
                hidden=_fitting(stream.left.get(block or ""), layer),
            )
            for layer, block in zip(layers, blocks, strict=True)
        ]
        embedded = _fitting(stream.entered.get(blocks[0] or ""), layers[0])
        return Stream(name, queries or "", keys or "", tuple(kept), embedded)


_SIDES: tuple[Side, Side] = ("queries", "keys")


def _fitting(hidden: np.ndarray | None, layer: Layer) -> np.ndarray | None:
    """Hidden states where there is one for each query (windows have them in another order)."""
    return hidden if hidden is not None and len(hidden) == layer.size[0] else None


def _refusal(module: nn.Module, refused: Mapping[str, str]) -> str:
    where, why = next(iter(refused.items()))
    more = f" (and {len(refused) - 1} more)" if len(refused) > 1 else ""
    return (
        f"not all attention of {type(module).__name__} can be captured: {where or 'the model itself'}{more}: {why}; "
        "pass partial=True to leave it out and have it named in the trace"
    )


def describe(module: nn.Module, **known: Any) -> Provenance:
    """Where a trace of this module comes from; what is known better is given by name."""
    precision = next((str(x.dtype).removeprefix("torch.") for x in module.parameters()), "float32")
    versions = {}
    for package in ("vitrail", "torch", "transformers"):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    config = getattr(module, "config", None)
    fields: dict[str, Any] = {
        "model": getattr(config, "_name_or_path", "") or type(module).__name__,
        "revision": getattr(config, "_commit_hash", None),
        "precision": precision,
        "versions": versions,
    }
    return Provenance(**{**fields, **known})
