"""Rollout by hand, and flow against networkx."""

import networkx as nx
import numpy as np
import pytest

from vitrail.errors import TraceError
from vitrail.trace import flow, rollout


def random_layers(depth: int, heads: int, n: int, *, causal: bool) -> list[np.ndarray]:
    draw = np.random.default_rng(depth)
    layers = []
    for _ in range(depth):
        weights = draw.random((heads, n, n)) ** 4
        weights = np.tril(weights) if causal else weights
        layers.append((weights / weights.sum(-1, keepdims=True)).astype(np.float32))
    return layers


def test_rollout_by_hand() -> None:
    """Two positions, two layers: the second attends to the first alone."""
    first = np.array([[[1, 0], [1, 0]]], np.float32)
    second = np.array([[[1, 0], [0.5, 0.5]], [[1, 0], [0.1, 0.9]]], np.float32)
    found = rollout([first, second])
    np.testing.assert_allclose(found[0], [[1, 0], [0.5, 0.5]])
    np.testing.assert_allclose(found[1], [[1, 0], [0.15 + 0.85 * 0.5, 0.85 * 0.5]], rtol=1e-6)


def test_rollout_is_the_sum_over_all_paths() -> None:
    layers = random_layers(3, 2, 5, causal=False)
    joined = [0.5 * layer.mean(0) + 0.5 * np.eye(5) for layer in layers]
    expected = np.zeros((5, 5))
    for i in range(5):
        for a in range(5):
            for b in range(5):
                for j in range(5):
                    expected[i, j] += joined[2][i, a] * joined[1][a, b] * joined[0][b, j]
    np.testing.assert_allclose(rollout(layers)[-1], expected, rtol=1e-6)
    np.testing.assert_allclose(rollout(layers).sum(-1), 1)


@pytest.mark.parametrize("causal", [False, True])
def test_flow_is_the_maximum_flow_of_networkx(causal: bool) -> None:
    n, depth = 7, 3
    layers = random_layers(depth, 2, n, causal=causal)
    graph = nx.DiGraph()
    for place, layer in enumerate(layers):
        joined = 0.5 * layer.mean(0, dtype=np.float64) + 0.5 * np.eye(n)
        for i in range(n):
            for j in range(n):
                graph.add_edge((place + 1, i), (place, j), capacity=joined[i, j])
    for query in (0, 3, 6):
        expected = [nx.maximum_flow_value(graph, (depth, query), (0, key)) for key in range(n)]
        np.testing.assert_allclose(flow(layers, query), expected, atol=1e-6)


def test_cross_attention_has_no_residual_connection() -> None:
    with pytest.raises(TraceError, match=r"shape \[2, 3, 5\] have no residual connection.*self-attention"):
        rollout([np.ones((2, 3, 5))])
