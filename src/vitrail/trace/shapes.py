"""One sentence for every array of the wrong shape."""

import numpy as np

from vitrail.errors import TraceError


def require_shape(array: np.ndarray | None, shape: tuple[int | None, ...], what: str) -> None:
    """Refuse an array of another shape; None stands for any length, and no array at all is none to refuse.

    Raises:
        TraceError: the array has another shape.
    """
    if array is None:
        return
    if array.ndim != len(shape) or any(n not in (None, m) for m, n in zip(array.shape, shape, strict=True)):
        wanted = ", ".join("any" if n is None else str(n) for n in shape)
        raise TraceError(f"{what} of shape {list(array.shape)}: [{wanted}] is needed.")
