"""The figure of ``triplets``: how many there are, and how few are left as a network learns."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from vitrail.studies.drawing import COLOURS, INK, PAPER
from vitrail.studies.terms import Finding

if TYPE_CHECKING:
    from matplotlib.axes import Axes as Panel
    from matplotlib.figure import SubFigure

KINDS: Mapping[str, tuple[str, str]] = {
    "triplets": ("all", INK),
    "active": ("with a loss", COLOURS[0]),
    "semi_hard": ("semi-hard", COLOURS[2]),
    "hard": ("hard", COLOURS[4]),
}
"""Name and colour of each count."""


def draw(part: "SubFigure", finding: Finding) -> None:
    """How many there are, what they are on the way, and what chance and mining find of them."""
    from matplotlib.ticker import LogLocator, NullLocator

    facts = finding.facts
    totals, counts, shares = part.subplots(1, 3)
    _totals(totals, facts)
    steps = facts["looks"][0]["step"]
    for kind, (name, colour) in KINDS.items():
        _line(counts, steps, [one[kind] for one in facts["looks"]], colour, name)
    counts.set_yscale("log")
    counts.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    counts.yaxis.set_major_formatter("{x:,.0f}")
    counts.yaxis.set_minor_locator(NullLocator())
    counts.set_ylabel("triplets", fontsize=8.5)
    counts.legend(fontsize=7.5, frameon=False, loc="lower left")
    _plain(counts, f"A batch of {facts['batch']} images, {facts['each']} of each")
    for kind, name, colour in (
        ("drawn", "drawn by chance: have a loss", COLOURS[1]),
        ("skipped", "pairs without a semi-hard negative", COLOURS[3]),
    ):
        values = [100 * np.divide(one[kind], one["pairs"]) for one in facts["looks"]]
        _line(shares, steps, values, colour, name)
    shares.axhline(100, color=COLOURS[2], linewidth=2, label="mined semi-hard: have a loss")
    shares.set_ylim(0, 104)
    shares.yaxis.set_major_formatter("{x:g}%")
    shares.legend(fontsize=7.5, frameon=False, loc="center right")
    _plain(shares, "What chance finds, and what mining")
    for panel in (counts, shares):
        panel.set_xlabel("step of training", fontsize=8.5)
        panel.set_xlim(0, steps[-1])


def _totals(panel: "Panel", facts: Mapping[str, Any]) -> None:
    """A bar each, on a logarithmic scale."""
    data = facts["data"]
    names = {"this batch": f"{data}: this batch", "all training images": f"{data}: all to train on"}
    ordered = sorted(((int(total), name) for name, total in facts["closed"].items()), reverse=True)
    for place, (total, name) in enumerate(ordered):
        own = name in names
        panel.barh(place, total, height=0.36, color=COLOURS[0] if own else PAPER)
        mantissa, _, exponent = f"{total:.1e}".partition("e+")
        written = f"{total:,}" if total < 1e12 else f"${mantissa}\\cdot 10^{{{exponent}}}$"
        panel.annotate(f"{names.get(name, name)}: {written}", (1.6, place + 0.2), fontsize=7.5, color=INK, va="bottom")
    panel.set_xscale("log")
    panel.set_xlim(1, 1e21)
    panel.set_xticks([1, 1e6, 1e12, 1e18])
    panel.set_yticks([])
    panel.set_ylim(-0.4, len(ordered) - 0.4)
    panel.set_xlabel("triplets", fontsize=8.5)
    _plain(panel, "How many there are")
    panel.spines["left"].set_visible(False)


def _line(panel: "Panel", steps: Sequence[float], values: Sequence[Any], colour: str, name: str) -> None:
    """A thin line a seed, and their mean."""
    if len(values) > 1:
        for one in values:
            panel.plot(steps, one, color=colour, linewidth=0.7, alpha=0.4)
    panel.plot(steps, np.mean(values, axis=0), color=colour, linewidth=1.8, label=name)


def _plain(panel: "Panel", title: str) -> None:
    panel.set_title(title, fontsize=9, color=INK, loc="left")
    panel.grid(alpha=0.25, linewidth=0.6)
    panel.spines[["top", "right"]].set_visible(False)
    panel.tick_params(labelsize=8)
