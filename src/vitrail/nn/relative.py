"""T5's relative positions (Raffel et al. 2020, section 2.1): a number a head for how far a key is from its query.

Distances share buckets: each of the near ones has its own, far ones get fewer the farther they are (logarithmically),
and everything beyond ``max_distance`` is one. An encoder tells before from after and spends half of its buckets on
each; a decoder sees nothing that comes after.
"""

from math import log

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn


def distance_buckets(
    distance: Int64[Tensor, "q k"], buckets: int, max_distance: int, *, both_ways: bool
) -> Int64[Tensor, "q k"]:
    """Which bucket a distance falls into.

    Args:
        distance: key's position minus query's.
        buckets: how many there are.
        max_distance: from here on, all share the last bucket of their direction.
        both_ways: keep before and after apart (an encoder); otherwise all that comes after counts as 0.
    """
    first = torch.zeros_like(distance)
    if both_ways:
        buckets //= 2
        first = buckets * (distance > 0)
        distance = distance.abs()
    else:
        distance = (-distance).clamp(min=0)
    exact = buckets // 2
    # In float32, as in the reference: a quotient that falls on a whole number must fall to the same side.
    beyond = torch.log(distance.clamp(min=1).float() / exact) / log(max_distance / exact) * (buckets - exact)
    far = (exact + beyond.to(torch.int64)).clamp(max=buckets - 1)
    return first + torch.where(distance < exact, distance, far)


class RelativeBias(nn.Module):
    """Adds to the logits of a stack's self-attentions, all layers alike.

    Args:
        heads: of each layer.
        buckets: distances told apart.
        max_distance: tokens; all beyond is one bucket.
        both_ways: for an encoder.
    """

    def __init__(self, heads: int, buckets: int = 32, max_distance: int = 128, *, both_ways: bool) -> None:
        super().__init__()
        self.max_distance, self.both_ways = max_distance, both_ways
        self.table = nn.Embedding(buckets, heads)

    def forward(self, queries: Int64[Tensor, " q"], keys: Int64[Tensor, " k"]) -> Float[Tensor, "1 h q k"]:
        """What is added, for queries and keys at these positions."""
        distance = keys[None, :] - queries[:, None]
        found = distance_buckets(distance, self.table.num_embeddings, self.max_distance, both_ways=self.both_ways)
        added: Tensor = self.table(found).permute(2, 0, 1)[None]
        return added
