"""Attention over an image: numbers where their patches are, nothing where the model sees none."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from vitrail.errors import TraceError
from vitrail.trace import Trace
from vitrail.viewer.figures import image_attention

Make = Callable[..., Trace]
SEEN = [0, 2, 4, 7, 9, 12, 14]


def test_weights_stand_where_their_patches_are(image_trace: Make) -> None:
    trace = image_trace()
    figure = image_attention(trace, 1, 2)
    grid = figure.axes[2].get_images()[0].get_array()
    weights = trace.weights(1, 2)[0]
    assert grid.shape == (3, 5)
    for patch in range(15):
        if patch in SEEN:
            assert grid[patch // 5, patch % 5] == weights[1 + SEEN.index(patch)]
        else:
            assert np.ma.is_masked(grid[patch // 5, patch % 5])
    said = [one.get_text() for one in figure.texts]
    assert f"from [CLS]: {weights[1:].sum():.0%} to patches, {weights[0]:.0%} to [CLS]" in said


def test_attended_patches_keep_their_light(image_trace: Make) -> None:
    trace = image_trace()
    figure = image_attention(trace, 0, 0, (1, 2))
    weights = trace.weights(0, 0)[1 + SEEN.index(7)]
    lit = np.asarray(figure.axes[1].get_images()[0].get_array())
    whole = trace.images["image"] / 255
    assert lit.shape == (6, 20, 4)
    for row, column in np.ndindex(6, 20):
        patch = (row // 2) * 5 + column // 4
        assert lit[row, column, 3] == (patch in SEEN)
        if patch in SEEN:
            share = np.sqrt(weights[1 + SEEN.index(patch)] / weights[1:].max())
            np.testing.assert_allclose(lit[row, column, :3], whole[row, column] * (0.12 + 0.88 * share), rtol=1e-4)
    faded = np.asarray(figure.axes[0].get_images()[0].get_array())
    np.testing.assert_allclose(faded[..., :3], whole, rtol=1e-6)
    assert faded[0, 0, 3] == 1
    assert faded[0, 4, 3] < 0.5


def test_the_patch_that_looks_is_framed(image_trace: Make) -> None:
    trace = image_trace(cls=False)
    for query, place in (((2, 4), (4, 2)), (4, (4, 1)), (-1, (4, 2)), (None, (2, 1))):
        figure = image_attention(trace, 0, 0, query)
        assert {frame.get_xy() for panel in figure.axes[:3] for frame in panel.patches} == {place}
    assert not image_attention(image_trace(), 0, 0).axes[0].patches


def test_without_the_image_there_are_the_weights(image_trace: Make) -> None:
    figure = image_attention(image_trace(image=False), 0, 0)
    assert [panel.get_title(loc="left") for panel in figure.axes] == ["weights", "weight of a patch, square-root scale"]


def test_what_no_patch_covers_is_cut_off(image_trace: Make) -> None:
    trace = image_trace()
    wider = np.pad(trace.images["image"], ((0, 1), (0, 3), (0, 0)))
    figure = image_attention(replace(trace, images={"image": wider}), 0, 0)
    assert figure.axes[0].get_images()[0].get_array().shape == (6, 20, 4)


def test_what_cannot_be_meant_is_refused(image_trace: Make, text_trace: Make) -> None:
    trace = image_trace()
    with pytest.raises(
        TraceError, match="no query stands at row 0, column 1 of 3 x 5 patches: name one that the model saw"
    ):
        image_attention(trace, 0, 0, (0, 1))
    with pytest.raises(TraceError, match="no query stands at row 3, column 0"):
        image_attention(trace, 0, 0, (3, 0))
    with pytest.raises(TraceError, match="there is no query 8: there are 8, counted from 0"):
        image_attention(trace, 0, 0, 8)
    with pytest.raises(
        TraceError, match="the keys of 'encoder' are tokens without a grid: draw its attention_map instead"
    ):
        image_attention(text_trace(), 0, 0)
