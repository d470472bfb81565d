"""What is asked of a trace: what positions are, and what it shall hold beside queries, keys and weights."""

from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from vitrail.capture.interventions import Ablation
from vitrail.trace import Axis
from vitrail.trace.finishing import TOLERANCE

Side = Literal["queries", "keys"]


@runtime_checkable
class Axes(Protocol):
    """What positions are: tokens of which text, patches of which image."""

    def __call__(self, stream: str, side: Side, length: int) -> Axis:
        """The axis of a stream's queries or keys, of which there are ``length``."""
        ...


def plain_axes(stream: str, side: Side, length: int) -> Axis:
    """Positions of which nothing is known but their number."""
    return Axis(f"{stream} {side} {length}", "latents", length)


@dataclass(frozen=True)
class Wishes:
    """What a trace shall hold beside queries, keys and weights."""

    values: bool = True
    """Values, and how much each weighs after the output projection."""
    hidden: bool = False
    """The residual stream after each block, and before the first."""
    before_rotation: bool = False
    """Queries and keys also before rotary positions, where a model has maps of their own for both (Llama's kind)."""
    predictions: bool = False
    """The likeliest tokens or classes at each position, and what they would be after each layer (the logit lens)."""
    ablation: Ablation | None = None
    """How much the output changes when a head is taken away: one run of the model for each head."""
    half: bool = False
    """Numbers in float16, half as long, with the error that this makes."""
    tolerance: float = TOLERANCE
    """Weights that recompute to within this aren't shipped."""
    check: bool = True
    """Run the model once more as it is and compare: capturing may take the explicit path in place of a fused one."""
    partial: bool = False
    """Leave out what can't be captured, and name it in the notes, instead of refusing the model."""
