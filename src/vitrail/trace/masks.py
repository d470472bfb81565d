"""Who may look at whom: a rule and its few numbers instead of a matrix of q times k flags.

Most masks are one of five shapes, which cost nothing to store; what is none of them is stored as bits. ``Mask.of``
finds the rule of a mask that a model used, and takes a rule only where it is the same mask bit by bit.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from jaxtyping import Bool, Int, UInt8

from vitrail.errors import TraceError

Rule = Literal["all", "causal", "window", "prefix", "blocks", "bits"]
RULES: tuple[str, ...] = get_args(Rule)


@dataclass(frozen=True, eq=False)
class Mask:
    """Which keys each query may attend to.

    Query i stands at the key position i + offset; ``offset`` is keys - queries unless given, so that the last query
    stands at the last key. With p = i + offset, query i may see key j

    ======  =================================================
    all     always
    causal  where j <= p
    window  where p - before <= j <= p + after
    prefix  where j < length or j <= p
    blocks  where query_blocks[i] == key_blocks[j]
    bits    where the bit is set
    ======  =================================================
    """

    rule: Rule = "all"
    offset: int | None = None
    before: int | None = None
    """Of a window: how many keys before its own place a query sees; None: all of them."""
    after: int | None = None
    """Of a window: how many keys after its own place a query sees; None: all of them."""
    length: int | None = None
    """Of a prefix: how many keys at the beginning everybody sees."""
    query_blocks: Int[np.ndarray, " q"] | None = None
    key_blocks: Int[np.ndarray, " k"] | None = None
    bits: UInt8[np.ndarray, "*h q bytes"] | None = None
    """Eight keys a byte, the first in the highest bit (``numpy.packbits``); with ``h`` where heads differ."""

    @property
    def per_head(self) -> bool:
        """Whether heads differ."""
        return self.bits is not None and self.bits.ndim == 3

    def expand(self, queries: int, keys: int, rows: slice | None = None) -> Bool[np.ndarray, "*h q k"]:
        """The mask as flags, True where a query may look: ``[q k]``, or ``[h q k]`` where heads differ.

        Args:
            queries: how many queries there are in all.
            keys: how many keys there are.
            rows: which queries; all unless given.
        """
        chosen = slice(0, queries) if rows is None else slice(*rows.indices(queries))
        if self.rule == "bits" and self.bits is not None:
            return np.unpackbits(self.bits[..., chosen, :], axis=-1, count=keys).astype(bool)
        if self.rule == "blocks" and self.query_blocks is not None and self.key_blocks is not None:
            same: np.ndarray = self.query_blocks[chosen, None] == self.key_blocks[None, :]
            return same
        j = np.arange(keys)[None, :]
        place = np.arange(chosen.start, chosen.stop)[:, None] + (keys - queries if self.offset is None else self.offset)
        if self.rule == "causal":
            return j <= place
        if self.rule == "prefix":
            return (j < (self.length or 0)) | (j <= place)
        allowed = np.ones((len(place), keys), dtype=bool)
        if self.rule == "window":
            if self.before is not None:
                allowed &= j >= place - self.before
            if self.after is not None:
                allowed &= j <= place + self.after
        return allowed

    @classmethod
    def of(cls, allowed: Bool[np.ndarray, "*h q k"]) -> "Mask":
        """The shortest way to write a mask down: a rule where one gives the same flags bit by bit, else bits."""
        if allowed.ndim == 3 and (allowed == allowed[:1]).all():
            allowed = allowed[0]
        if allowed.ndim == 2:
            for mask in cls._proposals(allowed):
                if np.array_equal(mask.expand(*allowed.shape), allowed):
                    return mask
        return cls("bits", bits=np.packbits(allowed, axis=-1))

    @classmethod
    def _proposals(cls, allowed: Bool[np.ndarray, "q k"]) -> "list[Mask]":
        """Rules that may be this mask, the plainest first."""
        queries, keys = allowed.shape
        proposals = [cls("all"), cls("causal"), cls("causal", offset=0)]
        if not allowed.size:
            return proposals
        place = np.arange(queries) + keys - queries
        seeing = allowed.any(1)
        if seeing.any():
            first, last = allowed.argmax(1), keys - 1 - allowed[:, ::-1].argmax(1)
            before = max(0, int((place - first)[seeing].max())) if first[seeing].max() > 0 else None
            after = max(0, int((last - place)[seeing].max())) if last[seeing].min() < keys - 1 else None
            proposals += [cls("window", before=before, after=after), cls("prefix", length=int(allowed[0].sum()))]
        # Queries with the same keys are one block; keys that nobody sees and queries that see nobody are in none.
        blocks = np.unique(np.packbits(allowed, axis=1), axis=0, return_inverse=True)[1].reshape(-1).astype(np.int32)
        seen = allowed.any(0)
        key_blocks = np.where(seen, blocks[allowed.argmax(0)], -1).astype(np.int32)
        query_blocks = np.where(seeing, blocks, -2).astype(np.int32)
        return [*proposals, cls("blocks", query_blocks=query_blocks, key_blocks=key_blocks)]

    def check(self, heads: int, queries: int, keys: int, where: str) -> None:
        """Refuse parameters that don't fit the layer ``where``.

        Raises:
            TraceError: the rule is unknown, a parameter is missing, or it is of another size than the layer.
        """
        if self.rule not in RULES:
            raise TraceError(f"{where} has the mask {self.rule!r}: a mask is one of {', '.join(RULES)}.")
        if self.rule == "blocks":
            for name, found, count in (("query", self.query_blocks, queries), ("key", self.key_blocks, keys)):
                if found is None or found.shape != (count,):
                    shape = None if found is None else list(found.shape)
                    raise TraceError(f"{where} has a mask with {name} blocks of shape {shape}: [{count}] is needed.")
        if self.rule == "bits":
            plain = (queries, -(-keys // 8))
            if self.bits is None or self.bits.shape not in (plain, (heads, *plain)) or self.bits.dtype != np.uint8:
                shape = None if self.bits is None else list(self.bits.shape)
                raise TraceError(
                    f"{where} has a mask with bits of shape {shape}: {list(plain)} bytes, or these for each of "
                    f"{heads} heads, are needed."
                )
        for name in ("before", "after", "length"):
            value = getattr(self, name)
            if value is not None and value < 0:
                raise TraceError(f"{where} has a mask with {name} = {value}: a count of keys is at least 0.")
        if self.rule == "prefix" and self.length is None:
            raise TraceError(f"{where} has a prefix mask without a length: give how many keys everybody sees.")
