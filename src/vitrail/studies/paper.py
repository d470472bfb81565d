"""The paper's own rows (Schroff et al. 2015), as fractions: VAL at a FAR of 0.001 on its hold-out set of faces.

Its networks were trained on 100 to 200 million photographs of eight million people; these rows are for the shape of a
curve, not for its height.
"""

from vitrail.studies.terms import Curve

LABEL = "FaceNet (the paper)"


def _curve(rows: dict[float, float], errors: tuple[float, ...] = ()) -> Curve:
    """Rows are x -> VAL in percent; errors are standard errors in points."""
    y = tuple(round(value / 100, 4) for value in rows.values())
    half = tuple(1.96 * error / 100 for error in errors)
    low = tuple(round(value - width, 4) for value, width in zip(y, half, strict=False))
    high = tuple(round(value + width, 4) for value, width in zip(y, half, strict=False))
    return Curve(LABEL, tuple(rows), y, low, high)


DIMENSION = _curve({64: 86.8, 128: 87.9, 256: 87.7, 512: 85.6}, (1.7, 1.9, 1.9, 2.0))
"""Table 5, with intervals."""
DATA = _curve({2.6e6: 76.3, 26e6: 85.1, 52e6: 85.1, 260e6: 86.2})
"""Table 6: after 700 hours of training each, on photographs of 96x96 pixels."""
JPEG = _curve({10: 67.3, 20: 81.4, 30: 83.9, 50: 85.5, 70: 86.1, 90: 86.5})
"""Table 4, left."""
PIXELS = _curve({1600: 37.8, 6400: 79.5, 14400: 84.5, 25600: 85.7, 65536: 86.4})
"""Table 4, right: photographs of so many pixels, shown to a network for 220x220."""
