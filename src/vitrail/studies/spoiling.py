"""Test images in a worse state than a network was trained on: what face-jpeg and face-pixels have in common.

Images are taken as they are stored, made worse, and then brought to the network's size as its own images are. All
images of a comparison are in the same state, and the threshold is chosen anew for each.
"""

import io
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vitrail.data import ImageSet, load_images, stored_format, stored_shape
from vitrail.recipes.events import Note, Report
from vitrail.recipes.runs import Run
from vitrail.studies.measuring import FARS, Vals, compare, embed, fewer, vals
from vitrail.studies.networks import data_of
from vitrail.studies.terms import StudyRecipe

Spoil = Callable[[Image.Image], Image.Image]
"""A picture -> the same in a worse state, of any size."""


def stored_images(run: Run, recipe: StudyRecipe, report: Report) -> ImageSet:
    """The test part of the study's data in the size that it is stored in, with the network's channels."""
    data = data_of(recipe)
    height, width = stored_shape(data)[1:]
    images = load_images(
        data,
        "test",
        image_size=None if (height, width) == run.image_size else min(height, width),
        channels=run.channels,
        corrupt=run.options.get("corrupt", "refuse"),
        report=lambda line: report(Note(line)),
        identities=True,
    )
    return fewer(images, recipe)


def is_jpeg(recipe: StudyRecipe) -> bool:
    """Whether the images are stored as JPEG, so that compressing them is compressing twice."""
    return stored_format(data_of(recipe)) == "JPEG"


def spoiled(images: ImageSet, spoil: Spoil, size: int) -> ImageSet:
    """Each image in a worse state, brought to ``size`` pixels on a side."""

    def one(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        picture = spoil(Image.fromarray(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0)))
        if picture.size != (size, size):
            picture = picture.resize((size, size), Image.Resampling.BICUBIC)
        array = np.asarray(picture)
        return array[None] if array.ndim == 2 else array.transpose(2, 0, 1)

    return replace(images, pixels=np.stack([one(pixels) for pixels in images.pixels]))


def measure(run: Run, images: ImageSet, spoil: Spoil, recipe: StudyRecipe) -> dict[float, Vals]:
    """VAL at each FAR with all images in that state."""
    fed = run.feed(spoiled(images, spoil, min(run.image_size)))
    compared = [compare(embed(run, fed, recipe), fed)]
    return {far: vals(compared, far) for far in FARS}


def as_it_is(picture: Image.Image) -> Image.Image:
    """Nothing is done."""
    return picture


def compressed(picture: Image.Image, quality: int) -> Image.Image:
    """Through JPEG at a quality from 1 to 95, in Pillow's scale, which is that of libjpeg."""
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    buffer.seek(0)
    return Image.open(buffer).convert(picture.mode)


def shrunk(picture: Image.Image, side: int) -> Image.Image:
    """To so many pixels on a side."""
    return picture.resize((side, side), Image.Resampling.BICUBIC)
