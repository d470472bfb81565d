"""The demo's part that is looked at: a page that is open while it trains, and what each trained model attends to.

The page begins with the traces that come with Vitrail; those of the masked autoencoder as it learns, and of all models
that were trained, each beside its untrained twin, are put in as they are done, and stay in the demo's folder for
``vitrail view``.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from vitrail.errors import VitrailError
from vitrail.recipes.events import Event, Note, Report
from vitrail.recipes.example_images import character, digit
from vitrail.recipes.results import write_bytes
from vitrail.recipes.view import answering
from vitrail.viewer.example import examples
from vitrail.viewer.library import Library
from vitrail.viewer.serving import open_port

if TYPE_CHECKING:
    from vitrail.recipes.demo import DemoRecipe
    from vitrail.trace import Trace

Show = Callable[[str, Path], None]
"""Takes a trace's name and file to where it is looked at."""
TRACES = "traces"
"""Folder of the demo's traces."""
FITTING = 200
"""Characters of a docstring that fits on a screen."""


@contextmanager
def watching(report: Report) -> Iterator[tuple[str | None, Show]]:
    """A page that is served until the block ends: its address (None where no port can be had), and how to add to it."""
    library = Library()
    library.growing = True

    def show(name: str, path: Path) -> None:
        library.add(path, name)

    for name, path in examples().items():
        show(name, path)
    try:
        listening = open_port("127.0.0.1", 0)
    except VitrailError as error:  # the demo can do without
        report(Note(str(error)))
        yield None, show
        return
    with answering(library, listening, "127.0.0.1") as url:
        yield url, show


def showing(report: Report, show: Show) -> Report:
    """A report that also puts in each trace of what the masked autoencoder has learned so far."""
    from vitrail.train.events import Traced

    def heard(event: Event) -> None:
        if isinstance(event, Traced):
            show(f"masked autoencoder, step {event.step:,}", event.path)
        report(event)

    return heard


def show_vision(recipe: "DemoRecipe", report: Report, show: Show) -> None:
    """What the masked autoencoder attends to in a handwritten digit."""
    from vitrail.recipes.attend import attend

    image = write_bytes(recipe.run / TRACES / "digit.png", digit())
    _show(recipe, "digit", "masked autoencoder: a digit", partial(attend, recipe.run, image=image), report, show)


def show_faces(recipe: "DemoRecipe", report: Report, show: Show) -> None:
    """What the face network attends to in a character that it was not trained on."""
    from vitrail.recipes.attend import attend

    image = write_bytes(recipe.run / TRACES / "character.png", character())
    capture = partial(attend, recipe.run / "faces", image=image)
    _show(recipe, "character", "face network: a character", capture, report, show)


def show_texts(recipe: "DemoRecipe", report: Report, show: Show) -> None:
    """What the summarizer attends to in a docstring that it was not trained on, one that fits on a screen."""
    from vitrail.recipes.attend import attend

    folder = recipe.run / "summarizer"
    rows = [json.loads(line) for line in (folder / "summaries.jsonl").read_text().splitlines()]
    text = min((row["document"] for row in rows), key=lambda text: abs(len(text) - FITTING))
    _show(recipe, "docstring", "summarizer: a docstring", partial(attend, folder, text), report, show)


def _show(
    recipe: "DemoRecipe", file: str, name: str, capture: "Callable[..., Trace]", report: Report, show: Show
) -> None:
    """Capture a run and its untrained twin, and show both; what can't be is said and left out."""
    twins: tuple[Literal["pytorch"] | None, ...] = (None, "pytorch")
    for untrained in twins:
        suffix = "" if untrained is None else "-untrained"
        try:
            path = recipe.run / TRACES / f"{file}{suffix}.safetensors"
            path.parent.mkdir(parents=True, exist_ok=True)
            show(name + suffix.replace("-", ", "), capture(untrained=untrained).save(path))
        except VitrailError as error:
            report(Note(f"{name} can't be shown: {error}"))
