"""What queries and keys stand at: tokens with their texts, patches with their places in the image."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from jaxtyping import Bool, Int

from vitrail.errors import TraceError
from vitrail.trace.shapes import require_shape

AxisKind = Literal["tokens", "patches", "frames", "latents"]
AXIS_KINDS: tuple[str, ...] = get_args(AxisKind)


@dataclass(frozen=True, eq=False)
class Axis:
    """The positions that queries or keys stand at; what is unknown is None."""

    name: str
    kind: AxisKind
    length: int
    texts: tuple[str, ...] | None = None
    """What is written at each position, as people read it: ``" dog"``, not ``"Ġdog"``."""
    ids: Int[np.ndarray, " n"] | None = None
    """Numbers of the tokens in the model's vocabulary."""
    offsets: Int[np.ndarray, "n 2"] | None = None
    """Where each token begins and ends in its text (``Provenance.texts[segment]``), in characters; 0, 0 for none."""
    words: Int[np.ndarray, " n"] | None = None
    """Which word of the input a token is of, counted from 0 through all segments; -1 for special tokens."""
    special: Bool[np.ndarray, " n"] | None = None
    """True where the model adds a token of its own: [CLS], [SEP], a start or an end."""
    segments: Int[np.ndarray, " n"] | None = None
    """Which text a token is of: 0 for sentence A, 1 for sentence B; -1 for none."""
    grid: tuple[int, int] | None = None
    """Of an image: rows and columns of patches."""
    patch: tuple[int, int] | None = None
    """Height and width of one patch, in pixels."""
    places: Int[np.ndarray, " n"] | None = None
    """Which patch each position is, counted row by row in the grid; -1 for CLS and registers."""
    hidden: Bool[np.ndarray, " N"] | None = None
    """Of a masked autoencoder: True for the patches of the grid that the encoder didn't see."""
    image: str | None = None
    """Which of ``Trace.images`` the patches are of."""

    def check(self) -> None:
        """Refuse an axis that contradicts itself.

        Raises:
            TraceError: an unknown kind, or a description of another length than the axis.
        """
        where = f"the axis {self.name!r}"
        if self.kind not in AXIS_KINDS:
            raise TraceError(f"{where} is of {self.kind!r}: an axis is of {', '.join(AXIS_KINDS)}.")
        if self.length < 1:
            raise TraceError(f"{where} has {self.length} positions: a trace has at least one.")
        if self.texts is not None and len(self.texts) != self.length:
            raise TraceError(f"{where} has {self.length} positions and {len(self.texts)} texts: give one for each.")
        for name in ("ids", "words", "special", "segments", "places"):
            require_shape(getattr(self, name), (self.length,), f"{where} has {name}")
        require_shape(self.offsets, (self.length, 2), f"{where} has offsets")
        if self.grid is None:
            if self.places is not None or self.hidden is not None:
                raise TraceError(f"{where} has places of patches but no grid: give its rows and columns.")
            return
        patches = self.grid[0] * self.grid[1]
        require_shape(self.hidden, (patches,), f"{where} has flags of hidden patches")
        if self.places is not None and not ((self.places >= -1) & (self.places < patches)).all():
            raise TraceError(f"{where} has places outside of its grid of {patches} patches: each is from -1 to N - 1.")


def named(axes: Iterable[Axis]) -> dict[str, Axis]:
    """Axes under their names, as a trace holds them."""
    return {axis.name: axis for axis in axes}
