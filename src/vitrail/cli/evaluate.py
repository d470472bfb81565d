"""``vitrail evaluate RUN``: a run's own measures, in words."""

from collections.abc import Mapping, Sequence
from typing import Any

from vitrail.cli.ending import Ending
from vitrail.cli.options import parse
from vitrail.cli.proposals import after_pretraining, after_training
from vitrail.cli.screen import Screen
from vitrail.recipes.evaluate import EvaluateRecipe, run


def read(arguments: Sequence[str]) -> EvaluateRecipe:
    """The recipe that the flags describe."""
    return parse(EvaluateRecipe, "evaluate", arguments)


def command(arguments: Sequence[str], screen: Screen) -> Ending:
    """Measure a run and show its figures."""
    recipe = read(arguments)
    evaluation = run(recipe, screen.report)
    show(evaluation.figures, screen)
    folder = evaluation.folder
    propose = after_pretraining if evaluation.kind == "mae" else after_training
    return Ending((*evaluation.pictures, folder / "evaluation.json"), propose(folder))


def show(figures: Mapping[str, Any], screen: Screen) -> None:
    """The figures of ``evaluation.json`` for a reader."""
    if figures["kind"] == "vit":
        low, high = figures["interval"]
        screen.say(
            f"accuracy {figures['accuracy']:.1%} (95% interval {low:.1%} to {high:.1%}) "
            f"on {figures['images']:,} test images"
        )
        return
    errors = figures["masked_patch_error"]
    rows = [[name.replace("_", " "), f"{error:.4f}"] for name, error in errors.items()]
    screen.table(["hidden pixels from", "squared error"], rows)
    screen.say(f"({figures['unit']})")
    if figures["given"]:
        screen.say(f"(given to all: {figures['given']})")
    share = figures["better_than_both"]
    screen.say(
        f"the model's error is {abs(share):.0%} {'below' if share >= 0 else 'above'} the better of the two fills"
    )
