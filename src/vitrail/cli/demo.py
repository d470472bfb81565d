"""``vitrail demo``: the main job on embedded data, offline."""

import shlex
from collections.abc import Sequence
from textwrap import shorten

from vitrail.cli.ending import Ending
from vitrail.cli.evaluate import show
from vitrail.cli.options import parse
from vitrail.cli.probe import show_side_by_side
from vitrail.cli.screen import Screen, duration
from vitrail.cli.view import wait
from vitrail.recipes.demo import DemoRecipe, run
from vitrail.recipes.demo_faces import FacesPart
from vitrail.recipes.demo_texts import TextsPart
from vitrail.recipes.demo_view import watching
from vitrail.recipes.demo_vision import VisionPart
from vitrail.viewer.browsers import open_browser

WIDTH = 100
"""Letters of a line of text that are shown."""


def read(arguments: Sequence[str]) -> DemoRecipe:
    """The recipe that the flags describe."""
    return parse(DemoRecipe, "demo", arguments)


def command(arguments: Sequence[str], screen: Screen) -> Ending:
    """Train, look, measure; then small tables of each part."""
    recipe = read(arguments)
    with watching(screen.report) as (url, show):
        if url is not None:
            screen.say(f"what heads attend to, already while this trains: {url}")
        opened = url is not None and not recipe.no_open and open_browser(url)
        summary = run(recipe, screen.report, show)
        if summary.vision is None or summary.faces is None or summary.texts is None:
            return Ending((summary.folder,), "vitrail demo", finished=False)
        _show_vision(summary.vision, screen)
        _show_faces(summary.faces, screen)
        _show_texts(summary.texts, screen)
        screen.say("")
        screen.say(f"all of it took {duration(summary.seconds)}; the pictures are worth a look")
        if opened:
            screen.say(f"what was trained is shown at {url}  (Ctrl-C stops)")
            wait()
    results = (summary.vision.picture, summary.faces.sheet, summary.texts.folder / "examples.md", summary.folder)
    return Ending(results, f"vitrail view {shlex.quote(str(summary.folder))}")


def _show_vision(part: VisionPart, screen: Screen) -> None:
    screen.say("")
    rows = [[name.replace("_", " "), f"{error:.3f}"] for name, error in part.errors.items()]
    screen.table(["hidden pixels of test digits from", "squared error"], rows)
    screen.say("")
    show_side_by_side(part.scores, screen)
    screen.say(
        f"(accuracy on {part.scores[0].images} test digits, after {part.labels_per_class} labels a class; "
        f"means of {len(part.scores[0].accuracies)} seeds with 95% intervals)"
    )


def _show_faces(part: FacesPart, screen: Screen) -> None:
    screen.say("")
    show(part.figures, screen)
    screen.say(
        f"{part.clusters} clusters were found among pictures of {part.characters} unseen characters "
        f"(B-cubed F {part.agreement:.2f}); the picture shows some of them, the largest first"
    )


def _show_texts(part: TextsPart, screen: Screen) -> None:
    screen.say("")
    show(part.figures, screen)
    for example in part.examples:
        screen.say("")
        screen.say(shorten(example.document, 2 * WIDTH, placeholder=" …"))
        screen.say(f"    we wrote:    {shorten(example.written, WIDTH)}")
        screen.say(f"    its author:  {shorten(example.author, WIDTH)}")
