"""Tables: of face studies, whose settings stand on one scale, the paper's rows beside ours; and means over seeds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vitrail.recipes.intervals import mean_interval
from vitrail.studies.measuring import FARS, Interval, Vals
from vitrail.studies.terms import Curve

MAIN = FARS[-1]
"""The rate that is drawn, and that words are about."""


@dataclass(frozen=True)
class Setting:
    """One row.

    Attributes:
        name: what was done, in words.
        x: where it stands on the figure.
        vals: by FAR.
        facts: what else is known, for ``results.json``.
    """

    name: str
    x: float
    vals: Mapping[float, Vals]
    facts: Mapping[str, Any]


def heads(first: str, paper: bool = True) -> tuple[str, ...]:
    """The table's heads."""
    return (first, *(f"VAL at FAR {far:g}" for far in FARS), *(["the paper's, FAR 0.001"] * paper))


def rows(settings: Sequence[Setting], paper: Curve, unit: str = "") -> tuple[tuple[str, ...], ...]:
    """A row a setting, in percent with standard errors; then the paper's rows where we have none."""
    known = {x: f"{100 * y:.1f}" for x, y in zip(paper.x, paper.y, strict=True)}
    found = [
        (setting.name, *(setting.vals[far].interval().cell() for far in FARS), known.pop(setting.x, "-"))
        for setting in settings
    ]
    return (*found, *((f"the paper: {x:,.0f}{unit}", *("-" for _ in FARS), value) for x, value in known.items()))


def curve(label: str, settings: Sequence[Setting]) -> Curve:
    """VAL at the main rate over x, with intervals."""
    ordered = sorted(settings, key=lambda setting: setting.x)
    found = [setting.vals[MAIN].interval() for setting in ordered]
    return Curve(
        label,
        tuple(setting.x for setting in ordered),
        tuple(at.value for at in found),
        tuple(at.low for at in found),
        tuple(at.high for at in found),
    )


def what_costs(costs: Mapping[str, Interval], where: str) -> str:
    """What follows from differences to the images as they are: where something is lost, and where none can be told.

    Args:
        costs: by setting.
        where: with braces for the settings' names, as in "at quality {}".
    """
    lost = [name for name, cost in costs.items() if cost.told and cost.value < 0]
    kept = [name for name in costs if name not in lost]
    lost_at, kept_at = (where.format(", ".join(names)) for names in (lost, kept))
    if not lost:
        return f"this shows no loss that can be told, {kept_at}"
    return f"this shows a loss {lost_at}" + f", and none that can be told {kept_at}" * bool(kept)


def facts(settings: Sequence[Setting]) -> list[dict[str, Any]]:
    """All figures of each setting."""
    return [
        {
            "setting": setting.name,
            "x": setting.x,
            **setting.facts,
            "val_at_far": {
                f"{far:g}": {**found.interval().figures(), "seeds": found.values.tolist()}
                for far, found in setting.vals.items()
            },
        }
        for setting in settings
    ]


def over_seeds(values: Sequence[float], digits: int = 2) -> str:
    """A mean over seeds with Student's 95% interval, of several; of figures that can't be below 0."""
    mean, interval = mean_interval(values)
    if interval is None:
        return f"{mean:.{digits}f}"
    return f"{mean:.{digits}f} ({max(0.0, interval[0]):.{digits}f} to {interval[1]:.{digits}f})"
