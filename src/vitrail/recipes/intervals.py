"""95% intervals: of a mean over seeds, and of a share of test images."""

from collections.abc import Sequence
from math import sqrt

Interval = tuple[float, float]

Z95 = 1.959963984540054
"""97.5% quantile of the normal distribution."""


def mean_interval(values: Sequence[float]) -> tuple[float, Interval | None]:
    """Mean and Student's 95% interval for it; no interval from a single value."""
    from scipy.special import stdtrit

    count = len(values)
    mean = sum(values) / count
    if count < 2:
        return mean, None
    variance = sum((value - mean) ** 2 for value in values) / (count - 1)
    half = float(stdtrit(count - 1, 0.975)) * sqrt(variance / count)
    return mean, (mean - half, mean + half)


def wilson_interval(share: float, total: int) -> Interval:
    """Wilson's 95% score interval (1927) for a share seen in ``total`` independent cases."""
    centre = (share + Z95**2 / (2 * total)) / (1 + Z95**2 / total)
    half = Z95 / (1 + Z95**2 / total) * sqrt(share * (1 - share) / total + Z95**2 / (4 * total**2))
    return max(0.0, centre - half), min(1.0, centre + half)
