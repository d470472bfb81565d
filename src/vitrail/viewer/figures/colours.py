"""Colours of figures: one hue by lightness for what is positive, blue and orange for what has a sign, one a role.

The ramps are those of the app (``viewer/static/colour.js``): straight lines in OKLCH (Ottosson 2020), where equal steps
look equal. Colours of roles stay apart for all common kinds of colour blindness, and whoever draws one writes the role
beside it as well. Values go by their square root, so that a tenth of the largest is still seen; legends say so.
"""

import math
from collections.abc import Mapping
from functools import cache

import numpy as np
from jaxtyping import Float
from matplotlib.colors import Colormap, FuncNorm, ListedColormap, Normalize, PowerNorm, to_hex, to_rgb

Triple = tuple[float, float, float]

INK, QUIET, FAINT, PAPER, ACCENT = "#1c1d22", "#5d606c", "#d9dae1", "#ffffff", "#d1440c"
"""Text, text of less weight, lines, what is under all, and what was selected."""

UNKNOWN = "#e6e6ea"
"""Where no colour says anything: an unclear head, a patch that is no key."""

ROLES: Mapping[str, Triple] = {
    "previous token": (0.319, 0.156, 277),
    "next token": (0.404, 0.059, 212),
    "own token": (0.457, 0.18, 305),
    "first token": (0.665, 0.136, 91),
    "separator": (0.535, 0.041, 113),
    "punctuation": (0.409, 0.089, 45),
    "duplicate token": (0.301, 0.125, 352),
    "induction": (0.58, 0.169, 337),
    "other sentence": (0.647, 0.13, 163),
    "broad": (0.56, 0.189, 261),
    "local": (0.7, 0.17, 290),
}
"""Lightness, chroma and hue of each role, as in the light theme of the app (``viewer/static/roles.js``)."""

ALIKE: Mapping[str, str] = {"same token": "duplicate token", "copying": "induction", "aligned": "previous token"}
"""Roles of cross-attention that have the colour of what is like them in self-attention."""

STREAM_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#882255", "#e69f00", "#56b4e9")


def oklch(lightness: float, chroma: float, hue: float) -> Triple:
    """OKLCH to sRGB, each from 0 to 1.

    Args:
        lightness: from 0 to 1.
        chroma: 0 for grey.
        hue: in degrees.
    """
    a, b = chroma * math.cos(math.radians(hue)), chroma * math.sin(math.radians(hue))
    long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
    middle = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3
    linear = (
        4.0767416621 * long - 3.3077115913 * middle + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * middle - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * middle + 1.707614701 * short,
    )
    red, green, blue = (_gamma(min(1.0, max(0.0, one))) for one in linear)
    return red, green, blue


def _gamma(linear: float) -> float:
    return 12.92 * linear if linear <= 0.0031308 else 1.055 * linear ** (1 / 2.4) - 0.055


ROLE_COLOURS: Mapping[str, str] = {
    **{role: to_hex(oklch(*colour)) for role, colour in ROLES.items()},
    **{role: to_hex(oklch(*ROLES[like])) for role, like in ALIKE.items()},
    "unclear": UNKNOWN,
}
"""Every role's colour."""


@cache
def sequential() -> Colormap:
    """From nearly white to dark blue; what is no number is grey."""
    found: Colormap = ListedColormap(_line(262), name="vitrail").with_extremes(bad=UNKNOWN)
    return found


@cache
def signed() -> Colormap:
    """From blue (below 0) over nearly white to orange (above)."""
    found: Colormap = ListedColormap([*_line(255)[::-1], *_line(50)], name="vitrail signed")
    return found.with_extremes(bad=UNKNOWN)


def _line(hue: float) -> list[Triple]:
    return [oklch(0.985 + at * (0.4 - 0.985), 0.004 + at * (0.15 - 0.004), hue) for at in np.linspace(0, 1, 256)]


def weight_norm(largest: float) -> Normalize:
    """From 0 to the largest, by the square root."""
    return PowerNorm(0.5, 0.0, max(largest, 1e-6))


def signed_norm(largest: float) -> Normalize:
    """From minus to plus the largest, by the square root of what is without its sign."""
    largest = max(largest, 1e-6)
    return FuncNorm((_root, _square), vmin=-largest, vmax=largest)


def _root(values: Float[np.ndarray, " *n"]) -> Float[np.ndarray, " *n"]:
    return np.asarray(np.sign(values) * np.sqrt(np.abs(values)))


def _square(values: Float[np.ndarray, " *n"]) -> Float[np.ndarray, " *n"]:
    return np.asarray(np.sign(values) * np.square(values))


def ticks_to(largest: float, apart: float = 0.12) -> list[float]:
    """Numbers for a legend from 0 to the largest, which it ends with.

    Args:
        largest: above 0.
        apart: how far from each other at least, as a share of the legend.
    """
    found = [0.0]
    for power in range(math.floor(math.log10(largest)) - 3, 4):
        for step in (1, 2, 5):
            at, before = (math.sqrt(one / largest) for one in (step * 10.0**power, found[-1]))
            if at - before >= apart and 1 - at >= apart:
                found.append(step * 10.0**power)
    return [*found, largest]


BROAD = 0.45
"""How much of its colour a broad head has: all heads of an untrained model are, and shall not outshine a role."""


def role_colour(role: str, score: float = 1.0) -> str:
    """A role's colour, paler where its score is lower; grey for an unclear or an unknown one."""
    if role not in ROLE_COLOURS or role == "unclear":
        return UNKNOWN
    share = (min(1.0, score) if math.isfinite(score) else 1.0) * (BROAD if role == "broad" else 1.0)
    own, paper = np.array(to_rgb(ROLE_COLOURS[role])), np.array(to_rgb(PAPER))
    return to_hex(tuple(share * own + (1 - share) * paper))


def ink_on(colour: str) -> str:
    """Black or white, whichever is read better on a colour: a contrast of 4.5 at least (as WCAG 2 counts)."""
    linear = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in to_rgb(colour)]
    return "#000000" if np.dot([0.2126, 0.7152, 0.0722], linear) > 0.179 else "#ffffff"
