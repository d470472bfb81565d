"""Test images through JPEG, or shrunk and enlarged: what Pillow does, to each image, and nothing else."""

import io
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from studies_people import SIDE, write_people

from vitrail.data import load_images, stored_format
from vitrail.recipes.events import ignore
from vitrail.recipes.face_measures import people_of
from vitrail.recipes.runs import open_run
from vitrail.studies.face_pixels import sides
from vitrail.studies.spoiling import as_it_is, compressed, is_jpeg, measure, shrunk, spoiled, stored_images
from vitrail.studies.terms import StudyRecipe


def test_untouched_images_are_the_runs_own(trained: Path) -> None:
    run, recipe = open_run(trained), StudyRecipe("face-pixels", run=trained)
    images = stored_images(run, recipe, ignore)
    untouched = spoiled(images, as_it_is, SIDE)
    assert np.array_equal(untouched.pixels, people_of(run, None, ignore).pixels)
    assert set(measure(run, images, as_it_is, recipe)) == {0.01, 0.001}


@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_are_what_pillow_makes_of_them(channels: int, people: str) -> None:
    images = load_images(people, "test", identities=True, channels=channels).subset(range(5))  # type: ignore[arg-type]
    rough = spoiled(images, partial(compressed, quality=10), SIDE)
    small = spoiled(images, partial(shrunk, side=5), SIDE)
    for row in range(5):
        picture = Image.fromarray(images.pixels[row].transpose(1, 2, 0).squeeze())
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=10)
        again = np.asarray(Image.open(io.BytesIO(file.getvalue()))).reshape(SIDE, SIDE, channels)
        assert np.array_equal(rough.pixels[row], again.transpose(2, 0, 1))
        less = picture.resize((5, 5), Image.Resampling.BICUBIC).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
        assert np.array_equal(small.pixels[row], np.asarray(less).reshape(SIDE, SIDE, channels).transpose(2, 0, 1))
    assert not np.array_equal(rough.pixels, images.pixels)


def test_what_is_stored_as_jpeg_is_compressed_twice(tmp_path: Path, people: str) -> None:
    write_people(tmp_path / "people", range(3), 2, "jpg")
    assert stored_format(str(tmp_path / "people")) == "JPEG"
    assert is_jpeg(StudyRecipe("face-jpeg", data=str(tmp_path / "people")))
    assert stored_format(people) == "PNG"
    assert stored_format("glyphs") == ""


def test_no_row_has_more_pixels_than_are_stored() -> None:
    assert sides(112) == [20, 40, 60, 80]
    assert sides(250) == [20, 40, 60, 80, 120, 160]
    assert sides(32) == [8, 12, 16, 24]
    assert all(side < full for full in (32, 41, 81, 112, 300) for side in sides(full))
