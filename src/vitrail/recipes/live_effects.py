"""How far a model's output moves when a head is taken away, as a number and as a sentence for people."""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from vitrail.capture.comparing import tensors_of
from vitrail.capture.gradients import logits_of
from vitrail.errors import ModelError


def effect_in_words(
    before: Any, after: Any, head: str, kind: str, texts: Iterable[Sequence[str]] = ()
) -> tuple[float, str]:
    """Compare two outputs of a model on the same input.

    Where it gives logits, by the Kullback-Leibler divergence of the new distribution from the old one, in nats; else
    by how far its vectors turn, 1 - cosine. Both are means over positions.

    Args:
        before: what the model gave.
        after: what it gave without the head.
        head: as people name it, "3.5".
        kind: "zero", or "mean": what was put in the place of what the head gives.
        texts: tokens of each axis; those of the output's length name the position that moves most.

    Returns:
        The mean, and the sentence.
    """
    without = f"Without head {head}" if kind == "zero" else f"With only the mean of head {head}"
    try:
        old, new = (logits_of(output)[0].detach().float().log_softmax(-1) for output in (before, after))
    except ModelError:
        old, new = (_vectors(output) for output in (before, after))
        moved = 1 - torch.nn.functional.cosine_similarity(old, new, dim=-1)
        mean, most = _mean_and_most(moved, texts, ".2%")
        return mean, f"{without} the output's vectors turn by {mean:.2%} (1 - cosine, mean over positions){most}."
    if old.ndim == 1:
        first = int(old.argmax())
        share, left = float(old[first].exp()), float(new[first].exp())
        moved = (old.exp() * (old - new)).sum(-1)
        return float(moved), f"{without} the likeliest class, {first}, goes from {share:.3f} to {left:.3f}."
    moved = (old.exp() * (old - new)).sum(-1)
    mean, most = _mean_and_most(moved, texts, ".3g")
    changed = int((old.argmax(-1) != new.argmax(-1)).sum())
    return mean, (
        f"{without} what is predicted moves by {mean:.3g} nats (Kullback-Leibler, mean over positions){most}, and "
        f"{changed} of {len(moved)} first choices change."
    )


def _mean_and_most(moved: Tensor, texts: Iterable[Sequence[str]], shown: str) -> tuple[float, str]:
    """The mean over positions, and where most of it is, in words."""
    moved = moved.flatten().clamp_min(0)
    at = int(moved.argmax())
    names = next((axis for axis in texts if len(axis) == len(moved)), None)
    where = f"position {at}" if names is None else f"“{names[at].strip()}”"
    return float(moved.mean()), f", most at {where}: {float(moved[at]):{shown}}" if len(moved) > 1 else ""


def _vectors(output: Any) -> Tensor:
    """The output's vectors, one a position: the last hidden state, or the first tensor of numbers there is."""
    found = next((one for one in tensors_of(output) if one.is_floating_point() and one.ndim), None)
    if found is None:
        raise ModelError(f"{type(output).__name__} holds no numbers to compare; ask a model that gives some.")
    flat = found.detach().float()
    flat = flat[0] if flat.ndim > 2 else flat
    return flat.flatten(0, -2) if flat.ndim > 2 else flat
