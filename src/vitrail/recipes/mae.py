"""Pretrain a masked autoencoder on images; labels are never read.

The objective is the squared error on hidden patches (He et al. 2021, section 3). One step is read in three files: this
one, ``vision/mae.py`` and ``train/loop.py``.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from vitrail.recipes.events import Report, ignore
from vitrail.recipes.options import AugmentationOptions, ShapeOptions, TraceOptions, TrainingOptions

if TYPE_CHECKING:
    from torch import nn

    from vitrail.data import ImageBatch, ImageSet
    from vitrail.nn.randomness import RowRandom
    from vitrail.recipes.training import Job, RunSummary, TrainingImages
    from vitrail.train.objective import LossSums
    from vitrail.vision import MaskedAutoencoder

PICTURED = 8
"""Images in the pictures drawn while training."""


@dataclass(frozen=True)
class MAERecipe(ShapeOptions, AugmentationOptions, TraceOptions, TrainingOptions):  # --help begins with the last base
    """Pretrain a masked autoencoder on images; labels are not needed."""

    preset: str | None = None
    """Shape: digits, fast, course, tiny, small, base or large
    (default: digits for images under 16 pixels, fast under 128, else small)."""
    epochs: int = 20
    """Passes over the training images."""
    mask_ratio: float | None = None
    """Share of patches hidden (default: the preset's, 0.75)."""
    masking: Literal["random", "block", "grid"] | None = None
    """Which patches are hidden: each by chance, one block, or all but a lattice (default: random)."""
    norm_pix: bool | None = None
    """Predict each patch normalised by its own mean and contrast (default: the preset's)."""
    decoder: Literal["self", "cross"] | None = None
    """Self-attention over all places, or cross-attention from hidden to visible ones (default: the preset's)."""
    decoder_dim: int | None = None
    """Width of the decoder (default: the preset's)."""
    decoder_depth: int | None = None
    """Blocks of the decoder (default: the preset's)."""


class Reconstruct:
    """What a masked autoencoder is trained for: squared error on hidden patches, masks drawn for each row."""

    def __init__(self, module: "nn.Module", patches: int) -> None:
        self.module = module
        self.patches = patches

    def loss(self, batch: "ImageBatch", random: "RowRandom") -> "LossSums":
        """Sums over the hidden patches."""
        import torch

        noise = random.uniform("mask", self.patches).to(batch.images.device)
        output = self.module(batch.images, noise)
        return output.loss_sum, torch.tensor(output.count, device=noise.device), {}


def run(recipe: MAERecipe, report: Report = ignore) -> "RunSummary":
    """Pretrain, or go on with the run in the recipe's folder; compare with untrained fills at the end.

    Raises:
        VitrailError: an option, the data or the folder can't be used; the text says what to do.
    """
    import torch

    from vitrail.nn.randomness import derive_seed
    from vitrail.recipes.evaluate import EvaluateRecipe
    from vitrail.recipes.evaluate import run as evaluate
    from vitrail.recipes.training import RunSummary, carry_out, count_parameters, open_images

    images = open_images(recipe, report)
    torch.manual_seed(derive_seed(recipe.seed, "start"))
    model = build(recipe, images.train)
    job = plan(recipe, model, images)
    finished, seconds, metrics = carry_out(job, recipe, report)
    parameters = count_parameters(model)
    if not finished:
        return RunSummary(job.folder, "mae", parameters, False, seconds, metrics, {}, ())
    tested = evaluate(EvaluateRecipe(job.folder, device=recipe.device, precision=recipe.precision), report)
    return RunSummary(job.folder, "mae", parameters, True, seconds, metrics, tested.figures, tested.files)


def build(recipe: MAERecipe, images: "ImageSet") -> "MaskedAutoencoder":
    """The model before its first step."""
    from vitrail.recipes.presets import mae_config
    from vitrail.vision import MaskedAutoencoder

    config = mae_config(recipe.preset, images.image_size, images.channels, recipe)
    names = ("mask_ratio", "masking", "norm_pix", "decoder", "decoder_dim", "decoder_depth")
    changes = {name: value for name in names if (value := getattr(recipe, name)) is not None}
    if recipe.decoder_dim is not None:
        changes["decoder_mlp_dim"] = 4 * recipe.decoder_dim
    return MaskedAutoencoder(replace(config, **changes))


def plan(recipe: MAERecipe, model: "MaskedAutoencoder", images: "TrainingImages") -> "Job":
    """What is trained on what, and how it is looked at: the error on held-out images, and fixed pictures."""
    from vitrail.recipes.traces import traces_of_images
    from vitrail.recipes.training import Job

    shown = images.train if images.validation is None else images.validation
    validation = images.validation

    def look(module: "nn.Module") -> dict[str, float]:
        from vitrail.recipes.evaluate import masked_error

        assert validation is not None
        return {"loss": masked_error(module, validation, recipe.seed, recipe.device, recipe.precision)}

    def draw(module: "nn.Module", path: Path) -> None:
        from vitrail.recipes.reconstruct import draw_examples

        draw_examples(module, shown, PICTURED, path, recipe.seed, recipe.device)

    return Job(
        "mae",
        model.config,
        Reconstruct(model, model.config.patches),
        images.train,
        recipe.augmentation(),
        recipe.folder("mae"),
        evaluate=None if validation is None else look,
        picture=draw,
        traces=traces_of_images(recipe, "mae", model.config, images, recipe.folder("mae"), recipe.seed),
        labels=False,
    )
