"""``vitrail demo``: the main job on embedded data, offline."""

from collections.abc import Sequence

from vitrail.cli.ending import Ending
from vitrail.cli.options import parse
from vitrail.cli.probe import show_side_by_side
from vitrail.cli.screen import Screen, duration
from vitrail.recipes.demo import DemoRecipe, run


def read(arguments: Sequence[str]) -> DemoRecipe:
    """The recipe that the flags describe."""
    return parse(DemoRecipe, "demo", arguments)


def command(arguments: Sequence[str], screen: Screen) -> Ending:
    """Pretrain, picture, probe; then one small table of each."""
    summary = run(read(arguments), screen.report)
    if not summary.finished:
        return Ending((summary.folder,), "vitrail demo", finished=False)
    screen.say("")
    rows = [[name.replace("_", " "), f"{error:.3f}"] for name, error in summary.errors.items()]
    screen.table(["hidden pixels of test digits from", "squared error"], rows)
    screen.say("")
    show_side_by_side(summary.scores, screen)
    screen.say(
        f"(accuracy on {summary.scores[0].images} test digits, after {summary.labels_per_class} labels a class; "
        f"means of {len(summary.scores[0].accuracies)} seeds with 95% intervals)"
    )
    screen.say("")
    screen.say(f"all of it took {duration(summary.seconds)}; the picture is worth a look")
    return Ending((summary.picture, summary.folder), "vitrail train mae --data FOLDER_OF_IMAGES")
