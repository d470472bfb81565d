"""Mixing each image of a batch with another: mixup (Zhang et al. 2017, arXiv:1710.09412) and cutmix (Yun et al. 2019,
arXiv:1905.04899).

Where we differ from both papers' code: weights and boxes are drawn for each row, not once for a batch, and the partner
is a row of the *global* batch, so that the result doesn't depend on how the batch is split.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from vitrail.data.augment import Augmentation
from vitrail.nn.randomness import RowRandom


@dataclass(frozen=True)
class Mixing:
    """How b images are mixed.

    Attributes:
        partner: int64 ``[b]``, the other image's row in the global batch.
        weight: float32 ``[b]``, the share of the own image, in its pixels and in its label.
        pasted: bool ``[b]``, True: a box is pasted in (cutmix), False: all pixels are blended (mixup).
        box: int64 ``[b 4]``, top, bottom, left, right of the pasted box, ends excluded; empty where blended.
    """

    partner: Int64[Tensor, " b"]
    weight: Float[Tensor, " b"]
    pasted: Bool[Tensor, " b"]
    box: Int64[Tensor, "b 4"]

    def take(self, rows: Tensor, device: torch.device) -> "Mixing":
        """The mixing of some of these images, on a device (the partners stay on the CPU, where they are looked up)."""
        return Mixing(
            self.partner[rows], self.weight[rows].to(device), self.pasted[rows].to(device), self.box[rows].to(device)
        )


def draw_mixing(random: RowRandom, config: Augmentation, size: tuple[int, int]) -> Mixing:
    """How the rows of ``random`` are mixed, for images of this height and width; ``config`` must mix."""
    partner = random.permutation("mix partner")
    if config.mixup and config.cutmix:
        pasted = random.integers("mix kind", 2).bool()
    else:
        pasted = torch.full(partner.shape, config.cutmix > 0)
    u = random.uniform("mix weight")
    weight = torch.where(pasted, _beta(u, config.cutmix or 1.0), _beta(u, config.mixup or 1.0))
    height, width = size
    side = (1 - weight).sqrt()  # the box has a share of 1 - weight of the area, and the image's proportions
    place = random.uniform("mix place", 2)
    edges = []
    for axis, length in enumerate((height, width)):
        centre = (place[:, axis] * length).floor()
        half = (side * length).round() / 2
        edges += [(centre - half).ceil().clamp(0, length), (centre + half).ceil().clamp(0, length)]
    box = torch.stack(edges, 1).to(torch.int64) * pasted[:, None]
    area = (box[:, 1] - box[:, 0]) * (box[:, 3] - box[:, 2])
    # A box cut off by the edge gives its label less weight than was drawn.
    return Mixing(partner, torch.where(pasted, 1 - area / (height * width), weight), pasted, box)


def mix(
    images: Float[Tensor, "b c H W"], partners: Float[Tensor, "b c H W"], mixing: Mixing
) -> Float[Tensor, "b c H W"]:
    """Each image mixed with its partner, both already augmented."""
    height, width = images.shape[2:]
    row = torch.arange(height, device=images.device)[:, None]
    column = torch.arange(width, device=images.device)
    top, bottom, left, right = mixing.box.view(-1, 4, 1, 1).unbind(1)
    inside = (row >= top) & (row < bottom) & (column >= left) & (column < right)
    outside = torch.where(mixing.pasted, 1.0, mixing.weight).view(-1, 1, 1)
    own = torch.where(inside, 0.0, outside)[:, None]
    return images * own + partners * (1 - own)


def _beta(u: Float[Tensor, " b"], alpha: float) -> Float[Tensor, " b"]:
    """Beta(alpha, alpha) by inversion: one uniform number a row, where the usual samplers take a varying count."""
    from scipy.special import betaincinv

    return torch.from_numpy(betaincinv(alpha, alpha, u.double().numpy())).float()
