"""From calls to the layers of a trace, as they come: sorted into streams, their weights let go at once."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from vitrail.capture.call import Call
from vitrail.capture.layers import joined, layer_of, tolerance_of, weights_array
from vitrail.capture.projections import output_matrix, projected_norms
from vitrail.capture.residual import Residuals, block_of
from vitrail.capture.rotation import Projected, before_rotation
from vitrail.capture.wishes import Axes, Side, Wishes
from vitrail.trace import Axis, Layer, Stream, finish_layer


class Keeping:
    """Turns calls into layers as they come, and sorts them into streams."""

    def __init__(
        self, module: nn.Module, axes: Axes, streams: Callable[[Call], str], wishes: Wishes, projected: Projected
    ) -> None:
        self.module, self.make_axis, self.stream_of, self.wishes = module, axes, streams, wishes
        self.projected = projected
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
        before = before_rotation(call, self.projected) if whole is call else None
        if before is not None:
            q, k = (x[0].to("cpu", torch.float32).numpy() for x in before)
            layer = replace(layer, q_before=q, k_before=k)
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
        """The streams, with the hidden states that belong to their layers where these were asked for."""
        return tuple(self._part(name, layers, stream) for name, layers in self.streams.items())

    def _part(self, name: str, layers: list[Layer], stream: Residuals) -> Stream:
        queries, keys = layers[0].queries, layers[0].keys
        blocks = blocks_of(self.module, layers)
        stream = stream if self.wishes.hidden else Residuals()
        kept = [
            replace(
                layer,
                queries=None if layer.queries == queries else layer.queries,
                keys=None if layer.keys == keys else layer.keys,
                hidden=_fitting(stream.after(block, layer.name), layer),
            )
            for layer, block in zip(layers, blocks, strict=True)
        ]
        embedded = _fitting(stream.entered.get(blocks[0] or ""), layers[0])
        return Stream(name, queries or "", keys or "", tuple(kept), embedded)


def blocks_of(module: nn.Module, layers: Sequence[Layer]) -> list[str | None]:
    """The path of the block that each layer stands in."""
    return [block_of(module, layer.name.partition("@")[0]) for layer in layers]


_SIDES: tuple[Side, Side] = ("queries", "keys")


def _fitting(hidden: np.ndarray | None, layer: Layer) -> np.ndarray | None:
    """Hidden states where there is one for each query (windows have them in another order)."""
    return hidden if hidden is not None and len(hidden) == layer.size[0] else None
