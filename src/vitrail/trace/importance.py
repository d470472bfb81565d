"""Weights with what they multiply: large weights on small values do little, and so do weights that no target hears."""

import numpy as np
from jaxtyping import Float


def norm_weighted(weights: Float[np.ndarray, "h q k"], vo: Float[np.ndarray, "h k"]) -> Float[np.ndarray, "h q k"]:
    """abs(A[i, j] · v_j W_O): how long the vector is that key j adds to query i (Kobayashi et al. 2020, section 3).

    Args:
        weights: attention weights.
        vo: norm of each value after the output projection (``Layer.vo``).
    """
    weighted: np.ndarray = weights * vo[:, None, :]
    return weighted


def gradient_x_attention(
    weights: Float[np.ndarray, "h q k"], gradients: Float[np.ndarray, "h q k"]
) -> Float[np.ndarray, "h q k"]:
    """A ⊙ dL/dA: to first order, what the target would lose without this weight; signed."""
    product: np.ndarray = weights * gradients
    return product


def head_importance(
    weights: Float[np.ndarray, "h q k"], gradients: Float[np.ndarray, "h q k"]
) -> Float[np.ndarray, " h"]:
    """abs(Σ A ⊙ dL/dA) of each head on one example; the mean over examples is Michel et al. 2019's (equation 2).

    ``head_scores`` has it as "importance", from the outputs of heads and g, without any matrix of gradients.
    """
    importance: np.ndarray = np.abs(np.einsum("hqk,hqk->h", weights, gradients, dtype=np.float64))
    return importance
