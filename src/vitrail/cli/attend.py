"""``vitrail attend MODEL TEXT [TEXT_B]``: what every head attends to, as a trace."""

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

from vitrail.cli.ending import Ending
from vitrail.cli.options import parse
from vitrail.cli.screen import Screen
from vitrail.recipes.attend import AttendRecipe, run

MASKS = ("[MASK]", "<mask>")

if TYPE_CHECKING:
    from vitrail.trace import Trace


def read(arguments: Sequence[str]) -> AttendRecipe:
    """The recipe that the flags describe; ``--figures`` alone, or before a text in quotes, is ``--figures png``."""
    words: list[str] = []
    for word, after in zip(arguments, [*arguments[1:], ""], strict=True):
        words.append(word)
        if word == "--figures" and (not after or after.startswith("-") or " " in after):
            words.append("png")
    return parse(AttendRecipe, "attend", words)


def command(arguments: Sequence[str], screen: Screen) -> Ending:
    """Capture a trace, and show what its heads do if asked to."""
    recipe = read(arguments)
    path, trace = run(recipe, screen.report)
    if recipe.scores:
        _show_roles(trace, screen)
    if recipe.predictions:
        _show_predictions(trace, screen)
    results = (path,) if recipe.figures is None else (recipe.drawn(), path)
    return Ending(results, shlex.join(["vitrail", "view", str(path)]))


def _show_predictions(trace: "Trace", screen: Screen) -> None:
    """What is likeliest after each layer, and in the end: of the input, at a mask, or at the last position."""
    for part in trace.parts:
        if part.predictions is None:
            continue
        known: list[int | None] = [] if part.predictions.lens is None else [*range(len(part.layers))]
        texts = trace.tokens(part.name).texts or ()
        place = next((place for place, text in enumerate(texts) if text.strip() in MASKS), -1)
        where = f"at {texts[place]!r}" if texts else "in the end"
        if len(part.predictions.choices) == 1:
            place, where = 0, "of the input"
        rows = []
        for layer in [*known, None]:
            likeliest = part.predictions.likeliest(place, layer)
            name = part.predictions.of if layer is None else f"after layer {layer}"
            rows.append([name, *(f"{text!r} {chance:.0%}" for text, chance in likeliest)])
        heading = [where, *(str(place + 1) for place in range(len(rows[-1]) - 1))]
        screen.table(heading, rows, left=len(heading))


def _show_roles(trace: "Trace", screen: Screen) -> None:
    """A row a head: its strongest role, the score, what uniform attention would have, and the evidence."""
    from vitrail.trace import label_heads

    rows = [
        [f"{row.stream} {row.layer}.{row.head}", row.role, row.evidence, f"{row.score:.2f}", f"{row.uniform:.2f}"]
        for row in label_heads(trace).itertuples()
    ]
    screen.table(["head", "role", "evidence", "score", "if uniform"], rows, left=3)
