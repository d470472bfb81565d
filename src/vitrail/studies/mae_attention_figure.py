"""The figure of ``mae-attention``: every head's distance, entropy and share beside its twins'; below, a few images."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from vitrail.studies.drawing import COLOURS, INK, PAPER
from vitrail.studies.terms import Finding
from vitrail.vision.pictures import BLANK

if TYPE_CHECKING:
    from matplotlib.axes import Axes as Panel
    from matplotlib.figure import Figure, SubFigure

WIDTH, HEADS, PICTURE = 10.5, 3.5, 1.75
"""In inches: of the figure; heights of the panels of heads, and of a row of pictures."""
ASKS = "#e07b00"
"""Outline of the patch that asks."""


def draw(question: str, found: Mapping[str, Finding]) -> "Figure":
    """A part for each set of data or run, with pictures where there are some."""
    from matplotlib.figure import Figure

    heights = [
        height
        for finding in found.values()
        for height in (HEADS, 0.65 + PICTURE * len(_pictures(finding)) if _pictures(finding) else 0.0)
        if height
    ]
    figure = Figure(figsize=(WIDTH, sum(heights) + 0.3), dpi=110, layout="constrained")
    parts = iter(figure.subfigures(len(heights), squeeze=False, height_ratios=heights).flat)
    for name, finding in found.items():
        facts = finding.facts
        part = next(parts)
        _heads(part, facts)
        part.suptitle(
            f"{name}: {facts['mask_ratio']:.0%} hidden, {facts['images']} test images, decoder of "
            f"{facts['decoder']}-attention",
            fontsize=9.5,
            color=INK,
        )
        if _pictures(finding):
            _show(next(parts), facts)
    figure.suptitle(question, fontsize=11, color=INK)
    return figure


def _pictures(finding: Finding) -> Sequence[Mapping[str, Any]]:
    return (finding.facts["shown"] or {"pictures": ()})["pictures"]  # type: ignore[no-any-return]


def _heads(part: "SubFigure", facts: Mapping[str, Any]) -> None:
    panels = part.subplots(1, 3, width_ratios=(3, 3, 2))
    for panel, (name, title, unit) in zip(
        panels,
        (
            ("distance", "How far each head looks", "patches"),
            ("entropy", "How widely", "entropy, nats"),
            ("visible", "Hidden patches to visible ones", "share of attention"),
        ),
        strict=True,
    ):
        layers = [layer for layer in facts["layers"] if name in layer]
        for place, layer in enumerate(layers):
            of = layer[name]
            for number, twin in enumerate(of["untrained"]):
                spread = np.linspace(-0.05, 0.05, len(twin)) + 0.07 * (number - (len(of["untrained"]) - 1) / 2)
                panel.scatter(place + 0.2 + spread, twin, s=9, color=PAPER, alpha=0.55, linewidths=0)
            heads = of["heads"]["value"]
            panel.scatter(
                place - 0.18 + np.linspace(-0.09, 0.09, len(heads)), heads, s=24, color=COLOURS[0], linewidths=0
            )
            panel.plot([place - 0.4, place + 0.4], [of["alike"]] * 2, color=COLOURS[1], linewidth=1.4)
        panel.set_xlim(-0.6, len(layers) - 0.4)
        panel.set_xticks(range(len(layers)))
        panel.set_xticklabels([layer["name"].replace(" ", "\n") for layer in layers])
        panel.set_ylabel(unit, fontsize=8.5)
        panel.set_ylim(0, (1.04 if name == "visible" else 1.12 * panel.get_ylim()[1]))
        panel.set_title(title, fontsize=9, color=INK, loc="left")
        panel.tick_params(labelsize=8)
        panel.grid(alpha=0.25, linewidth=0.6, axis="y")
        panel.spines[["top", "right"]].set_visible(False)
    for colour, label in ((COLOURS[0], "trained"), (PAPER, "untrained twins")):
        panels[0].scatter([], [], s=20, color=colour, linewidths=0, label=label)
    panels[0].plot([], [], color=COLOURS[1], linewidth=1.4, label="everywhere alike")
    part.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=8, frameon=False)


def _show(part: "SubFigure", facts: Mapping[str, Any]) -> None:
    shown, grid = facts["shown"], tuple(facts["grid"])
    heads = (
        "original",
        "masked",
        "filled in",
        f"{shown['encoder']}:\na visible patch asks",
        f"{shown['decoder']}:\na hidden patch asks",
        f"{shown['decoder']}, untrained:\nthe same",
    )
    panels = part.subplots(len(shown["pictures"]), len(heads), squeeze=False)
    for row, picture in zip(panels, shown["pictures"], strict=True):
        original, filled = (_image(picture[name]) for name in ("original", "filled"))
        size = original.shape[0] // grid[0], original.shape[1] // grid[1]
        visible = np.zeros(grid[0] * grid[1], bool)
        visible[picture["visible"]] = True
        mask = np.kron(visible.reshape(grid), np.ones(size)) > 0
        grey = np.repeat(original[..., None], 3, axis=2).astype(np.uint8)
        for panel, image in zip(
            row, (grey, np.where(mask[..., None], grey, np.array(BLANK, np.uint8)), filled), strict=False
        ):
            panel.imshow(image, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        for panel, name, asks in zip(row[3:], ("encoder", "decoder", "untrained"), (0, 1, 1), strict=True):
            # The untrained decoder's on the scale of the trained one's.
            scale = picture["encoder" if name == "encoder" else "decoder"]
            _attention(panel, picture[name], visible, grid, picture["asks"][asks], max(map(int, scale.split())))
        for panel in row:
            panel.set_xticks([])
            panel.set_yticks([])
            for spine in panel.spines.values():
                spine.set_color("#cccccc")
    for panel, head in zip(panels[0], heads, strict=True):
        panel.set_title(head, fontsize=8, color=INK, pad=4)
    part.supxlabel(
        "the framed patch asks; darker: more of its attention (by the root, mean over heads); dots: visible patches",
        fontsize=8,
        color=PAPER,
    )


def _attention(panel: "Panel", weights: str, visible: np.ndarray, grid: tuple[int, ...], asks: int, top: int) -> None:
    """A map of patches, darker for more (by the root); visible ones have a dot, who can't be seen is blank."""
    from matplotlib.colors import PowerNorm
    from matplotlib.patches import Rectangle

    values = np.array([int(one) for one in weights.split()], float)
    shares = np.where(values < 0, np.nan, values).reshape(grid)
    panel.set_facecolor("#eef1f5")
    panel.imshow(shares, cmap="Blues", norm=PowerNorm(0.5, 0, top), interpolation="nearest")
    rows, columns = np.divmod(np.flatnonzero(visible), grid[1])
    panel.scatter(columns, rows, s=3.5, color=INK, linewidths=0)
    row, column = divmod(asks, grid[1])
    panel.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, edgecolor=ASKS, linewidth=1.8))


def _image(rows: Sequence[str]) -> Float[np.ndarray, "H W"]:
    return np.array([[float(level) for level in row.split()] for row in rows])
