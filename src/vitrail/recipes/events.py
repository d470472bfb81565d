"""What a recipe tells while it works: the training loop's events, and sentences of its own."""

from collections.abc import Callable
from dataclasses import dataclass

from vitrail.train.events import Event as TrainEvent


@dataclass(frozen=True)
class Note:
    """What the recipe is about to do or has found, in one line for the reader."""

    text: str


Event = TrainEvent | Note
"""Everything that ``report`` may be handed."""

Report = Callable[[Event], None]


def ignore(event: Event) -> None:
    """Report to nobody."""
