"""The figure of ``decoding-cost``: multiply-adds and time over the length of a text, and what beams cost."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from vitrail.recipes.intervals import mean_interval
from vitrail.studies.drawing import COLOURS, INK, PAPER
from vitrail.studies.terms import Finding

if TYPE_CHECKING:
    from matplotlib.axes import Axes as Panel
    from matplotlib.figure import SubFigure

WAYS: Mapping[str, str] = {"cached": COLOURS[0], "source kept": COLOURS[1], "nothing kept": COLOURS[4]}
NAMES = {
    "cached": "cached",
    "source kept": "only the source's keys and values kept",
    "nothing kept": "nothing kept",
}


def draw(part: "SubFigure", finding: Finding) -> None:
    """Three panels, in which a way has one colour."""
    facts = finding.facts
    cost, times, beams = part.subplots(1, 3)
    single = {
        way: sorted((one for one in facts["texts"] if one["way"] == way and one["beams"] == 1), key=_tokens)
        for way in WAYS
    }
    _cost(cost, single)
    _times(times, single, facts)
    _beams(beams, facts)


def _cost(panel: "Panel", single: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    for way, texts in single.items():
        x, y = [one["tokens"] for one in texts], [one["multiply_adds"] / 1e9 for one in texts]
        panel.plot(x, y, "o-", color=WAYS[way], markersize=4, linewidth=1.5, label=NAMES[way])
    panel.set_ylabel("billion multiply-adds", fontsize=8.5)
    panel.legend(fontsize=7.5, frameon=False, loc="upper left")
    _over_length(panel, [one["tokens"] for one in single["cached"]])
    panel.set_ylim(None, 8 * panel.get_ylim()[1])  # room for the legend
    _plain(panel, "What must be multiplied")


def _times(panel: "Panel", single: Mapping[str, Sequence[Mapping[str, Any]]], facts: Mapping[str, Any]) -> None:
    """Each round a thin line; the medians; and how the last of them grow."""
    for way, texts in single.items():
        x = [one["tokens"] for one in texts]
        rounds = np.array([one["seconds"] for one in texts])
        panel.plot(x, rounds, color=WAYS[way], linewidth=0.6, alpha=0.35)
        middle = np.median(rounds, axis=1)
        panel.plot(x, middle, "o-", color=WAYS[way], markersize=4, linewidth=1.5)
        power = np.mean(facts["exponents"][way]["time"])
        panel.annotate(f"$n^{{{power:.2f}}}$", (x[-1], middle[-1]), (6, -3), textcoords="offset points", fontsize=8,
                       color=WAYS[way])  # fmt: skip
    panel.set_ylabel("seconds of processor time", fontsize=8.5)
    _over_length(panel, [one["tokens"] for one in single["cached"]])
    low, high = panel.get_xlim()
    panel.set_xlim(low, 1.7 * high)
    _plain(panel, f"One core; growth from {facts['fitted'][0]} tokens on")


def _beams(panel: "Panel", facts: Mapping[str, Any]) -> None:
    at = facts["beams_at"]
    for shift, (way, colour) in zip((1, 1.03), WAYS.items(), strict=False):
        texts = sorted((one for one in facts["texts"] if one["way"] == way and one["tokens"] == at), key=_count)
        x, base = [one["beams"] for one in texts], texts[0]
        panel.plot(x, [one["multiply_adds"] / base["multiply_adds"] for one in texts], color=colour, linewidth=1,
                   linestyle="--")  # fmt: skip
        means, down, up = [], [], []
        for one in texts:
            shares = [time / first for time, first in zip(one["seconds"], base["seconds"], strict=True)]
            mean, interval = mean_interval(shares)
            low, high = interval or (mean, mean)
            means.append(mean)
            down.append(mean - low)
            up.append(high - mean)
        panel.errorbar(
            shift * np.array(x), means, [down, up], fmt="o-", color=colour, markersize=4, linewidth=1.5, capsize=2.5
        )
    panel.plot([], [], color=INK, marker="o", markersize=4, label="time")
    panel.plot([], [], color=INK, linewidth=1, linestyle="--", label="multiply-adds")
    panel.legend(fontsize=7.5, frameon=False, loc="upper left")
    panel.set_xlabel("beams", fontsize=8.5)
    panel.set_xticks([one["beams"] for one in texts])
    panel.set_ylabel("times what one beam costs", fontsize=8.5)
    panel.set_ylim(0, None)
    _plain(panel, f"Several beams, {at} tokens")


def _over_length(panel: "Panel", lengths: Sequence[int]) -> None:
    from matplotlib.ticker import NullLocator

    panel.set_xscale("log", base=2)
    panel.set_yscale("log")
    panel.yaxis.set_major_formatter("{x:g}")
    panel.yaxis.set_minor_locator(NullLocator())
    panel.set_xticks(lengths, [str(tokens) for tokens in lengths])
    panel.set_xticks([], minor=True)
    panel.set_xlabel("tokens of the text", fontsize=8.5)


def _plain(panel: "Panel", title: str) -> None:
    panel.set_title(title, fontsize=9, color=INK, loc="left")
    panel.grid(alpha=0.25, linewidth=0.6, color=PAPER)
    panel.spines[["top", "right"]].set_visible(False)
    panel.tick_params(labelsize=8)


def _tokens(one: Mapping[str, Any]) -> int:
    return int(one["tokens"])


def _count(one: Mapping[str, Any]) -> int:
    return int(one["beams"])
