"""Ramps that darken evenly, roles that stay apart for colour-blind readers, letters that are read on each."""

import itertools
import re
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from vitrail.trace.roles import CROSS_ROLES, ROLES
from vitrail.viewer.figures import colours
from vitrail.viewer.figures.atlas import SHORT
from vitrail.viewer.figures.colours import (
    ROLE_COLOURS,
    ink_on,
    oklch,
    role_colour,
    sequential,
    signed,
    signed_norm,
    ticks_to,
    weight_norm,
)

SEEN = {
    "everyone": np.eye(3),
    "protanopes": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopes": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopes": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
"""Linear light as colour-blind readers see it (Machado et al. 2009, severity 1.0)."""


def linear(colour: str | tuple[float, ...]) -> np.ndarray:
    srgb = np.array(to_rgb(colour))
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def oklab(light: np.ndarray) -> np.ndarray:
    cones = np.array([[0.4122214708, 0.5363325363, 0.0514459929], [0.2119034982, 0.6806995451, 0.1073969566],
                      [0.0883024619, 0.2817188376, 0.6299787005]]) @ np.clip(light, 0, 1)  # fmt: skip
    return np.array([[0.2104542553, 0.7936177850, -0.0040720468], [1.9779984951, -2.4285922050, 0.4505937099],
                     [0.0259040371, 0.7827717662, -0.8086757660]]) @ np.cbrt(cones)  # fmt: skip


def contrast(first: str, second: str) -> float:
    low, high = sorted(float(np.dot([0.2126, 0.7152, 0.0722], linear(one))) for one in (first, second))
    return (high + 0.05) / (low + 0.05)


def test_oklch_is_ottossons() -> None:
    np.testing.assert_allclose(oklch(1, 0, 0), 1, atol=1e-4)
    np.testing.assert_allclose(oklch(0, 0, 123), 0, atol=1e-4)
    np.testing.assert_allclose(oklch(0.62796, 0.25768, 29.234), (1, 0, 0), atol=2e-3)
    np.testing.assert_allclose(oklch(0.45201, 0.31321, 264.052), (0, 0, 1), atol=2e-3)


def test_the_ramp_darkens_in_equal_steps() -> None:
    lightness = np.array([oklab(linear(one[:3]))[0] for one in sequential()(np.arange(256))])
    np.testing.assert_allclose(np.diff(lightness), (0.4 - 0.985) / 255, atol=5e-4)


def test_ramps_are_those_of_the_app() -> None:
    script = Path(colours.__file__).parents[1] / "static" / "colour.js"
    found = re.search(
        r"light: \{ from: \[(.+?)\], to: \[(.+?)\], hue: (\d+), below: (\d+), above: (\d+) \}", script.read_text()
    )
    assert found is not None
    ends = [tuple(map(float, found[place].split(", "))) for place in (1, 2)]
    hue, below, above = (float(found[place]) for place in (3, 4, 5))
    for end, place in zip(ends, (0, 255), strict=True):
        np.testing.assert_allclose(sequential()(place)[:3], oklch(*end, hue), atol=1e-6)
    np.testing.assert_allclose(signed()(0)[:3], oklch(*ends[1], below), atol=1e-6)
    np.testing.assert_allclose(signed()(511)[:3], oklch(*ends[1], above), atol=1e-6)


def test_values_go_by_their_square_root() -> None:
    np.testing.assert_allclose(weight_norm(0.4)(np.array([0, 0.1, 0.4])), [0, 0.5, 1])
    np.testing.assert_allclose(signed_norm(0.4)(np.array([-0.4, -0.1, 0, 0.1, 0.4])), [0, 0.25, 0.5, 0.75, 1])
    assert weight_norm(0.0).vmax > 0


def test_roles_have_the_colours_of_the_app() -> None:
    script = (Path(colours.__file__).parents[1] / "static" / "roles.js").read_text()
    found = dict(re.findall(r"^  \"?([a-z ]+)\"?: \[\[([\d., ]+)\],", script, re.MULTILINE))
    assert set(found) >= set(colours.ROLES) - {"local"}
    for role, numbers in found.items():
        assert colours.ROLES[role] == tuple(map(float, numbers.split(", "))), role


@pytest.mark.parametrize("reader", SEEN)
def test_roles_stay_apart_for(reader: str) -> None:
    """In one figure stand roles of self- and of cross-attention; what is alike in both has one colour."""
    seen = {colour: oklab(SEEN[reader] @ linear(colour)) for colour in {role_colour(role) for role in ROLE_COLOURS}}
    apart = {pair: float(np.linalg.norm(seen[pair[0]] - seen[pair[1]])) for pair in itertools.combinations(seen, 2)}
    assert min(apart.values()) > 0.085, min(apart, key=apart.__getitem__)


def test_every_role_has_a_colour_and_a_short_name() -> None:
    roles = {*ROLES, *CROSS_ROLES, "other sentence", "broad", "local"}
    assert roles == set(SHORT) == set(ROLE_COLOURS) - {"unclear"}
    assert len(set(SHORT.values())) == len(SHORT)


def test_letters_are_read_on_every_colour() -> None:
    for role, score in itertools.product(ROLE_COLOURS, (0.2, 0.5, 0.8, 1.0)):
        colour = role_colour(role, score)
        assert contrast(colour, ink_on(colour)) > 4.5, (role, score)


def test_a_lower_score_is_paler_and_unclear_is_grey() -> None:
    shares = [linear(role_colour("induction", score))[1] for score in (0.2, 0.6, 1.0, 1.7)]
    assert shares[0] > shares[1] > shares[2] == shares[3]
    assert role_colour("unclear", 0.3) == role_colour("nobody knows", 0.9) == colours.UNKNOWN
    assert role_colour("local", float("nan")) == ROLE_COLOURS["local"]
    assert linear(role_colour("broad"))[0] > linear(ROLE_COLOURS["broad"])[0], "all heads of an untrained model are"


@pytest.mark.parametrize("largest", [3e-5, 0.0054, 0.1, 0.97, 1.0, 43.0])
def test_a_legend_has_numbers_from_0_to_the_largest(largest: float) -> None:
    ticks = ticks_to(largest, 0.15)
    assert ticks[0] == 0
    assert ticks[-1] == largest
    assert len(ticks) >= 4
    assert (np.diff(np.sqrt(np.array(ticks) / largest)) >= 0.15 - 1e-9).all()
