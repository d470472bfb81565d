"""What each head is for, where that can be said: its strongest role, with the evidence; else "unclear".

A role is a share of attention that goes to one kind of key. It is given where at least half of all attention goes there
and uniform attention would not give nearly as much: on short inputs nearly every head looks "previous". Where no share
is that large, a head may still be broad (nearly uniform) or, on images, local. Everything else is unclear, which most
heads of most models are.

In cross-attention nothing is before or after a query. There a head may look at the first token or the end, at the
query's own token in what is read, at what follows that one (what copying would write next), or be aligned: move on
through the keys as the queries do.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from vitrail.trace.model import Trace
from vitrail.trace.tables import HeadScores, gather_scores

if TYPE_CHECKING:
    import pandas as pd

SHARE = 0.5
"""The least share of attention that names a head."""
LIFT = 0.4
"""How much of what uniform attention leaves to win must be won: (share - uniform) / (1 - uniform)."""
QUERIES = 8
"""Fewer queries that a score was taken over name no head: one repeated word is no evidence of induction."""
BROAD = 0.9
"""Spread over this share of the keys that uniform attention is spread over."""
UNCLEAR = "unclear"

ROLES = {
    "previous token": ("previous", "on the position before"),
    "next token": ("next", "on the position after"),
    "own token": ("self", "on its own position"),
    "first token": ("first", "on the first position"),
    "separator": ("separator", "on tokens that the model added after the first"),
    "punctuation": ("punctuation", "on punctuation"),
    "duplicate token": ("duplicate", "on earlier occurrences of the same token"),
    "induction": ("induction", "on what followed earlier occurrences of the same token"),
}
"""Roles of self-attention, the score of each, and where that attention goes."""

CROSS_ROLES = {
    "first token": ROLES["first token"],
    "separator": ROLES["separator"],
    "punctuation": ROLES["punctuation"],
    "same token": ("duplicate", "on the query's own token in what is read"),
    "copying": ("induction", "on what follows the query's own token in what is read"),
    "aligned": ("aligned", "along a line that rises with the queries"),
}
"""Roles of cross-attention."""


class Role(NamedTuple):
    """What a head is for."""

    role: str
    score: float
    """The share of attention; of "broad" and "local", how much so, from 0 to 1; NaN where nothing is known."""
    uniform: float
    """What uniform attention would have."""
    evidence: str
    """The figures, in words."""
    nearest: str = ""
    """Of an unclear head, the role that it is nearest to, if any; "score" and "uniform" are of this one."""


def label_heads(traces: Trace | Sequence[Trace], seed: int = 0) -> "pd.DataFrame":
    """A table with each head's role: stream, layer, head, role, score, uniform, evidence, nearest.

    Roles are those of ``ROLES`` (in cross-attention, of ``CROSS_ROLES``), "other sentence" (from A to B and from B to
    A), "broad", "local" and "unclear". Over several traces, the low end of the score's interval must be above what
    uniform attention gives as well.

    Args:
        traces: one trace, or several of the same model.
        seed: of the interval's draws.

    Raises:
        TraceError: no traces, or traces with different streams, layers or heads.
    """
    import pandas as pd

    scores = gather_scores(traces, seed)
    rows = [(*head, *_role(scores, place)) for place, head in enumerate(scores.heads)]
    return pd.DataFrame(rows, columns=["stream", "layer", "head", *Role._fields])


def _role(scores: HeadScores, head: int) -> Role:
    """The role with the largest lift, if it is one."""
    shares = sorted(_shares(scores, head), key=lambda one: -_lift(one.score, one.uniform))
    for share in shares:
        if share.score >= SHARE and _lift(share.score, share.uniform) >= LIFT:
            return share
    for other in (_broad(scores, head), _local(scores, head)):
        if other is not None:
            return other
    if not _told(scores, head):
        return Role(UNCLEAR, math.nan, math.nan, "too little in the input to tell")
    if not shares:
        return Role(UNCLEAR, math.nan, math.nan, "no role gets more than uniform attention gives it")
    best = shares[0]
    return Role(UNCLEAR, best.score, best.uniform, f"the nearest is {best.role}: {best.evidence}", best.role)


def _shares(scores: HeadScores, head: int) -> list[Role]:
    """Every role that gets more than uniform attention gives it, of those that the input says something about."""
    found = []
    for role, (name, where) in _roles(scores, head).items():
        place = scores.names.index(name)
        if scores.counts[head, place] >= QUERIES and scores.low[head, place] > scores.uniform[head, place]:
            share, uniform = float(scores.means[head, place]), float(scores.uniform[head, place])
            found.append(Role(role, share, uniform, _evidence(share, uniform, where, int(scores.counts[head, place]))))
    across = [scores.names.index(name) for name in ("A to B", "B to A")]
    count = int(scores.counts[head, across].sum())
    share, uniform = float(scores.means[head, across].mean()), float(scores.uniform[head, across].mean())
    if count >= QUERIES and scores.low[head, across].mean() > uniform:
        found.append(Role("other sentence", share, uniform, _evidence(share, uniform, "on the other sentence", count)))
    return found


def _roles(scores: HeadScores, head: int) -> dict[str, tuple[str, str]]:
    """Roles that a head can have: only in self-attention is there an own position."""
    if scores.counts[head, scores.names.index("self")]:
        return ROLES
    return {role: told for role, told in CROSS_ROLES.items() if told[0] in scores.names}


def _told(scores: HeadScores, head: int) -> bool:
    """Whether the input says something about any role."""
    names = [name for name, _ in _roles(scores, head).values()]
    return any(scores.counts[head, scores.names.index(name)] >= QUERIES for name in names)


def _broad(scores: HeadScores, head: int) -> Role | None:
    place = scores.names.index("broadness")
    keys, most = float(scores.means[head, place]), float(scores.uniform[head, place])
    if not most > QUERIES or keys < BROAD * most:
        return None
    return Role("broad", keys / most, 1.0, f"spread as over {keys:.1f} keys, uniform attention as over {most:.1f}")


def _local(scores: HeadScores, head: int) -> Role | None:
    place = scores.names.index("pixels")
    near, far = float(scores.means[head, place]), float(scores.uniform[head, place])
    if not far > 0 or near > (1 - SHARE) * far:
        return None
    return Role("local", 1 - near / far, 0.0, f"{near:.1f} px away on average, uniform attention {far:.1f} px")


def _lift(share: float, uniform: float) -> float:
    return (share - uniform) / (1 - uniform) if uniform < 1 else 0.0


def _evidence(share: float, uniform: float, where: str, count: int) -> str:
    return f"{share:.0%} {where}, over {count:,} queries; uniform attention has {uniform:.0%}"
