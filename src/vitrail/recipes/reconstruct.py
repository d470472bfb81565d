"""What a masked autoencoder makes of pictures: original | masked | reconstruction | original filled in."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from vitrail.errors import ConfigError
from vitrail.recipes.events import Note, Report, ignore

if TYPE_CHECKING:
    from torch import nn

    from vitrail.data import ImageSet
    from vitrail.recipes.runs import Reconstruction
    from vitrail.vision import MaskedAutoencoder

NAMED = 14
"""Letters of a name that fit beside a row."""


@dataclass(frozen=True)
class ReconstructRecipe:
    """Show what a masked autoencoder makes of pictures."""

    run: Path
    """Folder of a masked autoencoder's run."""
    images: tuple[Path, ...]
    """Image files of any size; they are fitted to the model (shorter side resized, centre cut out)."""
    output: Path | None = None
    """The picture to write (default: reconstructed.png in the run's folder)."""
    seed: int = 0
    """Draws which patches are hidden."""


def run(recipe: ReconstructRecipe, report: Report = ignore) -> Path:
    """Reconstruct image files and write one picture; returns its path.

    Raises:
        VitrailError: the run is no masked autoencoder's, an image can't be read, the picture can't be written.
    """
    import numpy as np
    import torch

    from vitrail.data.decode import open_image, to_array
    from vitrail.recipes.results import write_bytes
    from vitrail.recipes.runs import open_run

    if not recipe.images:
        raise ConfigError("there is no image to reconstruct: name at least one file after the run.")
    opened = open_run(recipe.run)
    model = opened.autoencoder()
    height, width = opened.image_size
    if height != width:
        raise ConfigError(
            f"{recipe.run} reads images of {height}x{width} pixels, and files are fitted to squares only: "
            "call vitrail.load(run).reconstruct on arrays of that size."
        )
    arrays = [to_array(open_image(path, str(path)), opened.channels, height) for path in recipe.images]
    result = opened.reconstruct(torch.from_numpy(np.stack(arrays)), recipe.seed)
    if result.given:
        report(Note("outlined patches bear the original's mean and contrast: this model predicts their pattern only"))
    names = [path.name if len(path.name) <= NAMED else path.name[: NAMED - 1] + "…" for path in recipe.images]
    return write_bytes(recipe.output or opened.folder / "reconstructed.png", _png(model, result, names))


def draw_examples(
    model: "nn.Module",
    images: "ImageSet",
    count: int,
    path: Path,
    seed: int,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    title: str = "",
) -> None:
    """Write a picture of ``count`` images spread evenly over a set (one of each class first), always the same."""
    import numpy as np
    import torch

    from vitrail.data import in_order
    from vitrail.recipes.inference import inferring
    from vitrail.recipes.results import write_bytes
    from vitrail.recipes.runs import reconstruct
    from vitrail.vision import MaskedAutoencoder

    assert isinstance(model, MaskedAutoencoder)
    chosen = images.subset(_examples(images, count))
    with inferring(model, device, "float32") as place:
        (batch,) = in_order(chosen, count, device=place, labels=False)
        pixels = np.ascontiguousarray(chosen.pixels)
        result = reconstruct(model, batch.images, torch.from_numpy(pixels), chosen.mean, chosen.std, seed)
    names = None if chosen.labels is None else [chosen.classes[label][:NAMED] for label in chosen.labels]
    write_bytes(path, _png(model, result, names, title))


def _examples(images: "ImageSet", count: int) -> list[int]:
    """Rows to show: the first image of each class in turn, then the second, …; without labels, evenly spread."""
    import numpy as np

    count = min(count, len(images))
    if images.labels is None:
        return [len(images) * place // count for place in range(count)]
    turn = np.empty(len(images), dtype=np.int64)
    for label in np.unique(images.labels):
        rows = np.flatnonzero(images.labels == label)
        turn[rows] = np.arange(len(rows))
    return [int(row) for row in np.lexsort((images.labels, turn))[:count]]


def _png(model: "MaskedAutoencoder", result: "Reconstruction", names: "list[str] | None", title: str = "") -> bytes:
    from vitrail.vision.pictures import reconstruction_png

    return reconstruction_png(
        result.original,
        result.predicted,
        result.hidden,
        given=result.given,
        names=names,
        title=title,
        patch_size=model.patch_size,
        pairs=2 if len(result.original) >= 4 and len(result.original) % 2 == 0 else 1,
    )
