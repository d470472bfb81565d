"""What is added to the scores by position: as few numbers as it takes.

Relative biases (T5: Raffel et al. 2020, section 2.1) are the same along each diagonal, so q + k - 1 numbers a head are
all there is to know; ALiBi (Press et al. 2022) is one slope a head; some write ALiBi so that it depends on the key
alone. What is none of these is stored whole.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from jaxtyping import Bool, Float

from vitrail.errors import TraceError

Kind = Literal["toeplitz", "slopes", "keys", "dense"]
KINDS: tuple[str, ...] = get_args(Kind)


@dataclass(frozen=True, eq=False)
class Bias:
    """What is added to scale · q kᵀ; the first axis of ``values`` is 1 where all heads share it.

    ========  =============  ====================================================
    kind      values         added to the score of query i and key j
    ========  =============  ====================================================
    toeplitz  [h q+k-1]      values[h, j - i + q - 1]
    slopes    [h]            -values[h] · abs(i + k - q - j)
    keys      [h k]          values[h, j]
    dense     [h q k]        values[h, i, j]
    ========  =============  ====================================================
    """

    kind: Kind
    values: Float[np.ndarray, "h ..."]

    def expand(
        self, queries: int, keys: int, rows: slice | None = None, head: int | None = None
    ) -> Float[np.ndarray, "*h q k"]:
        """The bias of all heads ``[h q k]`` (or ``[1 q k]`` where they share it), or of one head ``[q k]``.

        Args:
            queries: how many queries there are in all.
            keys: how many keys there are.
            rows: which queries; all unless given.
            head: which head; all unless given.
        """
        chosen = slice(0, queries) if rows is None else slice(*rows.indices(queries))
        values: np.ndarray = self.values if head is None else self.values[min(head, len(self.values) - 1)]
        if self.kind == "dense":
            return values[..., chosen, :]
        i, j = np.arange(chosen.start, chosen.stop)[:, None], np.arange(keys)[None, :]
        if self.kind == "toeplitz":
            return values[..., j - i + queries - 1]
        if self.kind == "keys":
            return np.broadcast_to(values[..., None, :], (*values.shape[:-1], len(i), keys))
        sloped: np.ndarray = -values[..., None, None] * np.abs(i + keys - queries - j)
        return sloped

    @classmethod
    def of(cls, dense: Float[np.ndarray, "h q k"], allowed: Bool[np.ndarray, "*h q k"] | None = None) -> "Bias | None":
        """The shortest way to write a bias down; None where nothing is added.

        Args:
            dense: what is added, finite wherever a query may look.
            allowed: where queries may look: what is added elsewhere has no effect and need not fit.
        """
        seen = np.ones(dense.shape, bool) if allowed is None else np.broadcast_to(allowed, dense.shape)
        dense = np.where(seen, dense, 0)
        if not dense.any():
            return None
        if (dense == dense[:1]).all() and (seen == seen[:1]).all():
            dense, seen = dense[:1], seen[:1]
        heads, queries, keys = dense.shape
        diagonal = np.arange(keys, dtype=np.int32)[None, :] - np.arange(queries, dtype=np.int32)[:, None] + queries - 1
        toeplitz = np.zeros((heads, queries + keys - 1), dense.dtype)
        for head in range(heads):
            toeplitz[head, diagonal[seen[head]]] = dense[head, seen[head]]
        first = seen.argmax(1)
        by_key = np.take_along_axis(dense, first[:, None, :], axis=1)[:, 0]
        for proposal in (cls("toeplitz", toeplitz), cls("keys", by_key)):
            if np.array_equal(np.where(seen, proposal.expand(queries, keys), 0), dense):
                return proposal
        return cls("dense", dense)

    def check(self, heads: int, queries: int, keys: int, where: str) -> None:
        """Refuse values that don't fit the layer ``where``.

        Raises:
            TraceError: the kind is unknown, or the values are of another shape than the layer.
        """
        shapes = {"toeplitz": (queries + keys - 1,), "slopes": (), "keys": (keys,), "dense": (queries, keys)}
        if self.kind not in shapes:
            raise TraceError(f"{where} has the bias {self.kind!r}: a bias is one of {', '.join(KINDS)}.")
        if self.values.ndim == 0 or self.values.shape not in [(n, *shapes[self.kind]) for n in (1, heads)]:
            raise TraceError(
                f"{where} has a bias of shape {list(self.values.shape)}: as {self.kind!r} it is "
                f"{[heads, *shapes[self.kind]]}, or the same with 1 head for all."
            )
