"""What the demo puts into the page that is open while it trains."""

from pathlib import Path

from vitrail.recipes.demo_view import showing
from vitrail.recipes.events import Note
from vitrail.train.events import Traced


def test_each_trace_of_a_training_is_shown_as_it_comes() -> None:
    told: list[object] = []
    shown: list[tuple[str, Path]] = []
    report = showing(told.append, lambda name, path: shown.append((name, path)))
    events = [Note("it begins"), Traced(1200, Path("step-001200.safetensors"))]
    for event in events:
        report(event)
    assert told == events
    assert shown == [("masked autoencoder, step 1,200", Path("step-001200.safetensors"))]
