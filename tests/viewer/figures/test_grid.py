"""All heads at once: each thumbnail is its head, each frame its role."""

from collections.abc import Callable

import numpy as np
import pytest
from matplotlib.colors import to_hex

from vitrail.errors import TraceError
from vitrail.trace import Trace, label_heads
from vitrail.viewer.figures import head_grid
from vitrail.viewer.figures.colours import FAINT, role_colour

Make = Callable[..., Trace]


def test_each_thumbnail_is_its_head(cross_trace: Make) -> None:
    trace = cross_trace()
    images = {image.get_gid(): image for image in head_grid(trace, "cross").axes[0].get_images()}
    assert set(images) == {f"{layer}.{head}" for layer in range(2) for head in range(3)}
    for gid, image in images.items():
        layer, head = map(int, gid.split("."))
        np.testing.assert_array_equal(image.get_array(), trace.weights(layer, head, "cross"))
    tops = [images[f"{layer}.1"].get_extent()[3] for layer in range(2)]
    lefts = [images[f"0.{head}"].get_extent()[0] for head in range(3)]
    assert tops == sorted(tops)
    assert lefts == sorted(lefts)


def test_long_inputs_are_drawn_from_the_digest(text_trace: Make) -> None:
    trace = text_trace([f"w{place % 19}" for place in range(97)], None)
    images = {image.get_gid(): image for image in head_grid(trace).axes[0].get_images()}
    thumbnails = trace.layer(1).digest.thumbnails
    np.testing.assert_allclose(images["1.2"].get_array(), (thumbnails[2] / 255.0) ** 2, rtol=1e-6)
    assert "attention to the keys of a cell" in head_grid(trace).axes[1].get_title(loc="left")


def test_frames_have_the_colour_of_the_role(text_trace: Make) -> None:
    trace = text_trace([f"w{place}" for place in range(17)], None)
    frames = [to_hex(patch.get_edgecolor()) for patch in head_grid(trace).axes[0].patches]
    assert frames == [FAINT if role == "unclear" else role_colour(role) for role in label_heads(trace)["role"]]


def test_a_stream_must_be_named_where_there_are_several(cross_trace: Make) -> None:
    with pytest.raises(TraceError, match="no stream was named"):
        head_grid(cross_trace())
