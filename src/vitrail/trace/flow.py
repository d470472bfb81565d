"""What reaches which layer: attention rollout and attention flow (Abnar and Zuidema 2020).

Both join attention over layers, with the residual connection as half of each layer: Ã = ½ (mean over heads of A) + ½ I,
its rows scaled to sum to 1. Rollout multiplies (section 3.1); flow asks how much could reach a token of the input if
every weight were the width of a pipe (section 3.2), which no product over layers can tell.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Float64

from vitrail.errors import TraceError

_UNIT = 2**30
"""A capacity of 1, in the whole numbers that scipy's maximum flow takes; a flow is exact to n / 2^30."""


def with_residual(weights: Float[np.ndarray, "h q k"]) -> Float64[np.ndarray, "q k"]:
    """½ (mean over heads) + ½ I with rows that sum to 1: what a block passes on, as if values were alike.

    Raises:
        TraceError: queries and keys aren't as many, as in cross-attention.
    """
    if weights.shape[-1] != weights.shape[-2]:
        raise TraceError(
            f"weights of shape {list(weights.shape)} have no residual connection from keys to queries: "
            "take a stream of self-attention."
        )
    joined = 0.5 * weights.astype(np.float64).mean(axis=0) + 0.5 * np.eye(weights.shape[-1])
    scaled: np.ndarray = joined / joined.sum(axis=1, keepdims=True)
    return scaled


def rollout(layers: Sequence[Float[np.ndarray, "_ q k"]]) -> Float64[np.ndarray, "l q k"]:
    """What of each input position is in each position after each layer: R_l = Ã_l R_{l-1}, R_0 = Ã_0.

    Args:
        layers: weights ``[h q k]`` of each layer, from the first.

    Raises:
        TraceError: queries and keys aren't as many.
    """
    reached: list[np.ndarray] = []
    for weights in layers:
        joined = with_residual(weights)
        reached.append(joined @ reached[-1] if reached else joined)
    return np.stack(reached)


def flow(layers: Sequence[Float[np.ndarray, "_ q k"]], query: int) -> Float64[np.ndarray, " k"]:
    """The largest flow from a position after the last layer to each position of the input; 1 at most.

    Each is a maximum flow of its own, so they need not sum to 1. Nodes are positions in between the layers; the edge
    from position i above a layer to j below it carries at most Ã[i, j].

    Args:
        layers: weights ``[h q k]`` of each layer, from the first.
        query: the position after the last layer.

    Raises:
        TraceError: queries and keys aren't as many.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import maximum_flow

    n, depth = layers[0].shape[-1], len(layers)
    above, below, widths = [], [], []
    for place, weights in enumerate(layers):
        joined = np.rint(with_residual(weights) * _UNIT).astype(np.int32)
        i, j = np.nonzero(joined)
        above.append(i + (place + 1) * n)
        below.append(j + place * n)
        widths.append(joined[i, j])
    nodes = (depth + 1) * n
    edges = (np.concatenate(widths), (np.concatenate(above), np.concatenate(below)))
    graph = coo_array(edges, shape=(nodes, nodes)).tocsr()
    return np.array([maximum_flow(graph, depth * n + query, key).flow_value / _UNIT for key in range(n)])
