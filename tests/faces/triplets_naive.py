"""Triplets one by one, as the words of the paper say: what the closed forms are compared with."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass
class Naive:
    loss: Tensor
    """Sum over the chosen triplets of [D(a,p) - D(a,n) + margin]+, with a gradient."""
    chosen: list[tuple[int, int, int]]
    active: int
    pairs: int
    skipped: int
    triplets: int
    violating: int


def distances(embeddings: Tensor) -> Tensor:
    return (embeddings[:, None] - embeddings).square().sum(-1)


def choose(mining: str, near: list[tuple[float, int]], pair: float, margin: float) -> list[int]:
    """Which of an anchor's negatives, given as (D, row) from the nearest on, a pair at distance ``pair`` takes."""
    semi_hard = [row for distance, row in near if pair < distance < pair + margin]
    return {
        "all": [row for _, row in near],
        "semi-hard": semi_hard,
        "hardest-semi-hard": semi_hard[:1],
        "hardest-semi-hard-unbounded": [row for distance, row in near if pair < distance][:1],
        "hard": [row for distance, row in near if distance < pair],
        "hardest": [row for _, row in near][:1],
    }[mining]


def naive(embeddings: Tensor, labels: Tensor, mining: str, margin: float, fixed: int = 0) -> Naive:
    """The triple loop. Triplets wholly from the last ``fixed`` rows don't count: nothing is learned from them."""
    table = distances(embeddings)
    flat, names, free = table.detach().tolist(), labels.tolist(), len(labels) - fixed
    rows = range(len(names))
    done = Naive(torch.zeros((), dtype=embeddings.dtype), [], 0, 0, 0, 0, 0)
    for a in rows:
        for p in rows:
            if p == a or names[p] != names[a]:
                continue
            others = [n for n in rows if names[n] != names[a] and min(a, p, n) < free]
            near = sorted((flat[a][n], n) for n in others)
            taken = choose(mining, near, flat[a][p], margin)
            done.pairs += 1
            done.skipped += not taken
            done.triplets += len(near)
            done.violating += sum(distance < flat[a][p] + margin for distance, _ in near)
            for n in taken:
                violation = (table[a, p] - table[a, n] + margin).relu()  # no gradient where the loss is just 0
                done.active += int(violation > 0)
                done.loss = done.loss + violation
                done.chosen.append((a, p, n))
    return done
