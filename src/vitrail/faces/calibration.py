"""What a network's distances mean: for each false accept rate the threshold that was measured, in ``calibration.json``.

A distance of 0.9 says nothing by itself: one network's strangers are that near, another's are not. So thresholds are
measured, on people that the network was not trained on, and kept with the network's fingerprint: a gallery of another
network's embeddings must not use them.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from jaxtyping import Float, Shaped
from torch import Tensor

from vitrail.errors import DataError
from vitrail.faces.clustering import choose_threshold
from vitrail.faces.pairs import compare_all
from vitrail.files import written_beside

NAME = "calibration.json"
RATES = (0.01, 0.001, 0.0001)
FORMAT, VERSION = "vitrail face calibration", 1
REMEDY = "measure again with `vitrail evaluate`"


@dataclass(frozen=True)
class OperatingPoint:
    """One rate of errors, and the threshold that keeps it."""

    far: float
    """Share of different-person pairs that are accepted, at most."""
    threshold: float
    """Pairs are accepted up to this squared distance."""
    interval: tuple[float, float]
    """Thresholds that 95% of draws of other people would have given."""
    val: float
    """Share of same-person pairs that are accepted."""
    val_error: float
    """Its standard error, over people."""


@dataclass(frozen=True)
class Calibration:
    """What was measured, on what, for which network. Distances are squared Euclidean ones."""

    fingerprint: str
    """Of the network whose embeddings these were."""
    data: str
    """What the faces were, in words."""
    people: int
    """How many."""
    faces: int
    """Of all of them."""
    same_pairs: int
    """Pairs of one person: all there are."""
    different_pairs: int
    """Pairs of two people: all there are. A rate below one in so many can't be told."""
    points: tuple[OperatingPoint, ...]
    """The highest rate first."""
    cluster_threshold: float
    """The mean squared distance up to which clusters of these faces are best joined."""

    def to_json(self) -> str:
        """As text; numbers keep every bit."""
        record = {"format": FORMAT, "version": VERSION, **asdict(self)}
        return json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    def at(self, far: float) -> OperatingPoint:
        """The point of a rate.

        Raises:
            DataError: it wasn't measured, or couldn't be.
        """
        for point in self.points:
            if math.isclose(point.far, far, rel_tol=1e-9):
                return point
        rates = ", ".join(f"{point.far:g}" for point in self.points)
        raise DataError(
            f"no threshold was measured for a false accept rate of {far:g}: {self.data} has {self.different_pairs:,} "
            f"pairs of different people and gave those for {rates}; choose one of these, or calibrate on more people."
        )


def calibrate(
    embeddings: Float[Tensor, "faces d"],
    labels: Shaped[Tensor, " faces"],
    *,
    data: str,
    fingerprint: str,
    rates: Sequence[float] = RATES,
) -> Calibration:
    """Measure thresholds on all pairs of a set of faces, of people that the network was not trained on.

    Rates that so many pairs can't tell (less than one pair accepted) are left out; ``Calibration.at`` says so when they
    are asked for.

    Raises:
        ConfigError: as many labels as there aren't embeddings, or a rate that isn't between 0 and 1.
        DataError: an embedding that isn't finite, no pair of one of the two kinds, or too few for any rate.
    """
    pairs = compare_all(embeddings, labels)
    told = sorted((rate for rate in rates if rate * pairs.different_pairs >= 1), reverse=True)
    if not told:
        raise DataError(
            f"{data} has {pairs.different_pairs} pairs of different people, too few for a false accept rate of "
            f"{max(rates):g}; calibrate on more people."
        )
    points = []
    for rate in told:
        found = pairs.at_far(rate)
        interval = (found.threshold.low, found.threshold.high)
        points.append(OperatingPoint(rate, found.threshold.value, interval, *found.val))
    return Calibration(
        fingerprint=fingerprint,
        data=data,
        people=len(pairs.faces),
        faces=len(labels),
        same_pairs=len(pairs.same.distances),
        different_pairs=pairs.different_pairs,
        points=tuple(points),
        cluster_threshold=choose_threshold(embeddings, labels).threshold,
    )


def write_calibration(path: Path, calibration: Calibration) -> None:
    """Write it beside and rename it: the file is whole or it is the one before.

    Raises:
        OutputError: it can't be written.
    """
    with written_beside(path) as file:
        file.write(calibration.to_json().encode())


def read_calibration(path: Path) -> Calibration:
    """Read what ``write_calibration`` wrote.

    Raises:
        DataError: the file isn't there, isn't one of these, or lacks something.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise DataError(f"{path} can't be read ({error.strerror}); {REMEDY}.") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is damaged (it is no text); {REMEDY}.") from error
    return parse_calibration(text, str(path))


def parse_calibration(text: str, where: str) -> Calibration:
    """Read what ``Calibration.to_json`` gave; fields that it doesn't know are passed over.

    Args:
        text: JSON.
        where: names it in an error.

    Raises:
        DataError: it isn't one of these, or lacks something.
    """
    try:
        record = json.loads(text)
    except ValueError as error:
        raise DataError(f"{where} is damaged ({error}); {REMEDY}.") from error
    reader = _Reader(where)
    if reader.field(record, "format", str) != FORMAT or reader.field(record, "version", int) != VERSION:
        raise DataError(f"{where} is no {FORMAT} of version {VERSION}; {REMEDY}.")
    return Calibration(
        fingerprint=reader.field(record, "fingerprint", str),
        data=reader.field(record, "data", str),
        people=reader.field(record, "people", int),
        faces=reader.field(record, "faces", int),
        same_pairs=reader.field(record, "same_pairs", int),
        different_pairs=reader.field(record, "different_pairs", int),
        points=tuple(reader.point(point) for point in reader.field(record, "points", list)),
        cluster_threshold=reader.number(record, "cluster_threshold"),
    )


class _Reader:
    """Takes fields out of a file, and says which one is wrong."""

    def __init__(self, where: str) -> None:
        self.where = where

    def field(self, record: object, name: str, kind: type | tuple[type, ...]) -> Any:
        """A field of this kind."""
        if not isinstance(record, Mapping):
            raise DataError(f"{self.where} is damaged: there is {record!r} where fields should be; {REMEDY}.")
        value = record.get(name)
        if not isinstance(value, kind) or isinstance(value, bool):
            found = f"is {value!r}" if name in record else "is missing"
            raise DataError(f"{self.where} is damaged: {name!r} {found}; {REMEDY}.")
        return value

    def number(self, record: object, name: str) -> float:
        """A field that is a finite number."""
        value = self.field(record, name, (int, float))
        if not math.isfinite(value):
            raise DataError(f"{self.where} is damaged: {name!r} is {value}, which is no number; {REMEDY}.")
        return float(value)

    def point(self, record: object) -> OperatingPoint:
        """A rate and its threshold."""
        ends = self.field(record, "interval", list)
        if len(ends) != 2:
            raise DataError(f"{self.where} is damaged: 'interval' has {len(ends)} ends; {REMEDY}.")
        low, high = (self.number({"interval": end}, "interval") for end in ends)
        far, threshold, val, error = (self.number(record, name) for name in ("far", "threshold", "val", "val_error"))
        return OperatingPoint(far, threshold, (low, high), val, error)
