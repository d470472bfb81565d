"""Which patches a masked autoencoder hides (MAE, section 3 and figure 6).

Every kind of mask is a *score* per patch: the patches with the lowest scores stay visible. Uniform noise as the score
is MAE's random mask; other kinds reshape the same noise, so one argument, the noise, holds all the randomness.
In every mask 1 = hidden, 0 = visible.
"""

from typing import Literal, NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from vitrail.errors import ConfigError

Masking = Literal["random", "block", "grid"]


def visible_count(patches: int, ratio: float) -> int:
    """How many of ``patches`` stay visible: int(N · (1 - ratio)), as in facebookresearch/mae, and at least one.

    Other codes keep N - int(N · ratio), which is one more where N · ratio is not whole.
    """
    if not 0 < ratio < 1:
        raise ConfigError(f"a mask ratio of {ratio} hides nothing or everything; choose one between 0 and 1, as 0.75")
    # 1 - ratio is not exact in binary: without rounding, 0.9 of 10 patches would leave int(0.9999...) = 0.
    keep = int(round(patches * (1 - ratio), 6))
    if keep < 1:
        raise ConfigError(f"a mask ratio of {ratio} leaves none of {patches} patches visible; choose a smaller one")
    return keep


def mask_scores(kind: Masking, noise: Float[Tensor, "b N"], grid: tuple[int, int]) -> Float[Tensor, "b N"]:
    """Turn uniform noise into scores whose highest places are hidden.

    Args:
        kind: "random" hides patches independently, "block" hides a square around a random centre (clipped at the
            border), "grid" keeps a regular lattice with a random offset, every second patch both ways.
        grid: rows and columns of patches.
    """
    if kind == "random":
        return noise
    rows, columns = grid
    y, x = torch.meshgrid(
        torch.arange(rows, device=noise.device), torch.arange(columns, device=noise.device), indexing="ij"
    )
    y, x = y.flatten(), x.flatten()
    if kind == "grid":
        phase = noise[:, :1] * 4
        kept = (y % 2 == phase.long() // 2) & (x % 2 == phase.long() % 2)
        return torch.where(kept, noise - 1, noise)
    # The patch with the least noise is the centre: uniform, and drawn from the argument like all else.
    centre = noise.argmin(dim=1, keepdim=True)
    distance = torch.maximum((y - y[centre]).abs(), (x - x[centre]).abs())
    return -distance.to(noise.dtype) + noise


class Split(NamedTuple):
    """Patches split by their scores into visible and hidden.

    ``visible``, ``hidden``: places of the patches, in order of their scores.
    ``mask``: 1 = hidden, 0 = visible, in the patches' own order.
    ``ids_restore``: for each patch its place in the sequence visible-then-hidden.
    """

    visible: Int64[Tensor, "b keep"]
    hidden: Int64[Tensor, "b rest"]
    mask: Float[Tensor, "b N"]
    ids_restore: Int64[Tensor, "b N"]


def split(scores: Float[Tensor, "b N"], keep: int) -> Split:
    """The ``keep`` patches with the lowest scores become visible (MAE, section 3, "Simple implementation")."""
    batch, patches = scores.shape
    if not 0 < keep <= patches:
        raise ConfigError(f"can't keep {keep} of {patches} tokens; keep at least 1 and at most all of them")
    ids_shuffle = scores.argsort(dim=1, stable=True)
    # The inverse of a permutation, by writing each place where it went: no second sort.
    places = torch.arange(patches, device=scores.device).expand(batch, -1)
    ids_restore = torch.empty_like(ids_shuffle).scatter_(1, ids_shuffle, places)
    mask = (ids_restore >= keep).to(scores.dtype)
    return Split(ids_shuffle[:, :keep], ids_shuffle[:, keep:], mask, ids_restore)


def random_masking(
    tokens: Float[Tensor, "b N d"], keep: int, noise: Float[Tensor, "b N"]
) -> tuple[Float[Tensor, "b keep d"], Float[Tensor, "b N"], Int64[Tensor, "b N"]]:
    """Keep the ``keep`` tokens with the lowest noise, as ``facebookresearch/mae``'s function of this name.

    Returns:
        kept: the visible tokens, in order of their noise.
        mask: 1 = hidden, 0 = visible, in the tokens' own order.
        ids_restore: for each token its place in the shuffled sequence (visible first), so that
            ``shuffled.gather(1, ids_restore)`` puts a sequence back in order.
    """
    visible, _, mask, ids_restore = split(noise, keep)
    return take(tokens, visible), mask, ids_restore


def take(tokens: Float[Tensor, "b n d"], ids: Int64[Tensor, "b m"]) -> Float[Tensor, "b m d"]:
    """The tokens at ``ids``, example by example."""
    return tokens.gather(1, ids[..., None].expand(-1, -1, tokens.shape[-1]))
