"""What one can put into hidden patches without learning anything: the bars that a masked autoencoder has to clear."""

from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from vitrail.data import ImageSet, in_order
from vitrail.nn.randomness import RowRandom
from vitrail.recipes.inference import BATCH, inferring
from vitrail.vision import MaskedAutoencoder, patchify, unpatchify

Images = NDArray[np.float32]
"""``[b c H W]``."""


def compare(
    model: MaskedAutoencoder,
    images: ImageSet,
    training: ImageSet,
    seed: int,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    precision: Literal["auto", "float32", "bf16"] = "auto",
) -> dict[str, float]:
    """Mean squared error of hidden pixels, in the normalised space: of the model, and of both fills.

    Under norm-pix the model's picture bears the true mean and contrast of each hidden patch; so do then the fills.

    Args:
        images: to hide patches of, with the statistics that the model was trained with.
        training: the images whose mean image fills hidden pixels.
        seed: draws the masks; the same as in ``evaluate.masked_error`` for the same number of images.
    """
    mean = mean_of(training)
    sums = {"model": 0.0, "mean_image": 0.0, "bilinear": 0.0}
    pixels = 0.0
    with inferring(model, device, precision) as place:
        for batch in in_order(images, BATCH, device=place, labels=False):
            noise = RowRandom(seed, 0, batch.rows, batch.total).uniform("mask", model.config.patches)
            output = model(batch.images, noise.to(place))
            truth = batch.images.cpu()
            hidden = model.pixel_mask(output.mask).cpu().bool()
            visible = truth.masked_fill(hidden, torch.nan).numpy()
            fills = {
                "mean_image": torch.from_numpy(mean_image(visible, hidden.numpy(), mean)),
                "bilinear": torch.from_numpy(bilinear(visible, hidden.numpy())),
            }
            if model.config.norm_pix:
                fills = {name: with_true_statistics(fill, truth, model) for name, fill in fills.items()}
            fills["model"] = model.reconstruct(batch.images, output).float().cpu()
            for name, fill in fills.items():
                sums[name] += ((fill - truth).square() * hidden).sum(dtype=torch.float64).item()
            pixels += hidden.sum().item() * truth.shape[1]
    return {name: total / pixels for name, total in sums.items()}


def mean_of(images: ImageSet) -> Images:
    """The mean image ``[c H W]``, in the normalised space."""
    total = np.zeros(images.pixels.shape[1:])
    for start in range(0, len(images), BATCH):
        total += images.pixels[start : start + BATCH].sum(0, dtype=np.int64)
    mean, std = (np.array(values)[:, None, None] for values in (images.mean, images.std))
    return np.asarray((total / len(images) / 255 - mean) / std, dtype=np.float32)


def mean_image(images: Images, hidden: NDArray[np.bool_], mean: Images) -> Images:
    """Hidden pixels from the mean image ``[c H W]``; hidden is ``[b 1 H W]``."""
    return np.where(hidden, mean, images)


def bilinear(images: Images, hidden: NDArray[np.bool_]) -> Images:
    """Hidden pixels from the visible ones around them, image by image; hidden is ``[b 1 H W]``.

    Linear interpolation on the Delaunay triangles of the visible pixels; outside all triangles (beyond the outermost
    visible patches) the nearest visible pixel's value.
    """
    from scipy.interpolate import LinearNDInterpolator, NearestNDInterpolator
    from scipy.spatial import Delaunay, QhullError

    filled = images.copy()
    for image, result, mask in zip(images, filled, hidden[:, 0], strict=True):
        known, wanted = np.argwhere(~mask), np.argwhere(mask)
        values = image[:, ~mask].T
        try:
            guess = LinearNDInterpolator(Delaunay(known), values)(wanted)
        except QhullError:  # all visible pixels lie on one line: there are no triangles
            guess = np.full((len(wanted), len(image)), np.nan)
        outside = np.isnan(guess[:, 0])
        if outside.any():
            guess[outside] = NearestNDInterpolator(known, values)(wanted[outside])
        result[:, mask] = guess.T
    return filled


def with_true_statistics(
    fill: Float[Tensor, "b c H W"], truth: Float[Tensor, "b c H W"], model: MaskedAutoencoder
) -> Float[Tensor, "b c H W"]:
    """A fill whose every patch has the true patch's mean and contrast; a flat patch stays flat."""
    size, grid = model.patch_size, model.config.encoder.grid
    own, true = patchify(fill, size), patchify(truth, size)
    spread = own.std(-1, keepdim=True)
    pattern = torch.where(spread > 1e-4, (own - own.mean(-1, keepdim=True)) / spread.clamp_min(1e-4), 0.0)
    return unpatchify(pattern * true.std(-1, keepdim=True) + true.mean(-1, keepdim=True), size, grid)
