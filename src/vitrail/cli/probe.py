"""``vitrail probe RUN``: what an encoder has learned, as a table."""

from collections.abc import Sequence

from vitrail.cli.ending import Ending
from vitrail.cli.options import parse
from vitrail.cli.proposals import after_probing
from vitrail.cli.screen import Screen
from vitrail.recipes.probe import run
from vitrail.recipes.terms import ProbeRecipe, Score


def read(arguments: Sequence[str]) -> ProbeRecipe:
    """The recipe that the flags describe."""
    return parse(ProbeRecipe, "probe", arguments)


def command(arguments: Sequence[str], screen: Screen) -> Ending:
    """Probe a run and show the accuracies."""
    summary = run(read(arguments), screen.report)
    show_scores(summary.scores, screen)
    results = summary.files or (summary.folder / "probes",)
    return Ending(results, after_probing(summary.folder), summary.finished)


def show_scores(scores: Sequence[Score], screen: Screen) -> None:
    """One row a probe and subject: mean test accuracy, and where other seeds or other test images would put it."""
    if not scores:
        return
    rows = [
        [score.probe, score.subject, f"{score.mean:.1%}", _range(score.interval), _range(score.images_interval)]
        for score in scores
    ]
    screen.table(["probe", "of", "accuracy", "over seeds", "over test images"], rows, left=2)
    seeds = len(scores[0].accuracies)
    screen.say(f"(means of {seeds} seed{'s' * (seeds > 1)} on {scores[0].images:,} test images, with 95% intervals)")


def show_side_by_side(scores: Sequence[Score], screen: Screen) -> None:
    """One row a probe, one column a subject: mean test accuracy and half the width of its interval over seeds."""
    cells = {(score.probe, score.subject): _plus_minus(score) for score in scores}
    probes, subjects = (list(dict.fromkeys(key[place] for key in cells)) for place in (0, 1))
    screen.table(["probe", *subjects], [[probe, *(cells.get((probe, s), "") for s in subjects)] for probe in probes])


def _plus_minus(score: Score) -> str:
    if score.interval is None:
        return f"{score.mean:.1%}"
    return f"{100 * score.mean:.1f} ± {50 * (score.interval[1] - score.interval[0]):.1f}%"


def _range(interval: tuple[float, float] | None) -> str:
    if interval is None:
        return "-"
    low, high = interval
    return f"{max(low, 0):.1%} to {min(high, 1):.1%}"
