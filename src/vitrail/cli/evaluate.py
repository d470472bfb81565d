"""``vitrail evaluate RUN``: a run's own measures, in words."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from vitrail.cli.ending import Ending
from vitrail.cli.languages import show_language
from vitrail.cli.options import parse
from vitrail.cli.proposals import after_faces, after_language, after_pretraining, after_summarizer, after_training
from vitrail.cli.screen import Screen
from vitrail.cli.summaries import show_summaries
from vitrail.recipes.evaluate import EvaluateRecipe, run

NEXT: Mapping[str, Callable[[Path], str]] = {
    "mae": after_pretraining,
    "vit": after_training,
    "faces": after_faces,
    "summarizer": after_summarizer,
    "lm": after_language,
}
"""What is worth doing after a look at the figures of each kind of run."""


def read(arguments: Sequence[str]) -> EvaluateRecipe:
    """The recipe that the flags describe."""
    return parse(EvaluateRecipe, "evaluate", arguments)


def command(arguments: Sequence[str], screen: Screen) -> Ending:
    """Measure a run and show its figures."""
    recipe = read(arguments)
    evaluation = run(recipe, screen.report)
    show(evaluation.figures, screen)
    folder = evaluation.folder
    propose = NEXT[evaluation.kind]
    return Ending((*evaluation.files, folder / "evaluation.json"), propose(folder))


def show(figures: Mapping[str, Any], screen: Screen) -> None:
    """The figures of ``evaluation.json`` for a reader."""
    if figures["kind"] == "vit":
        low, high = figures["interval"]
        screen.say(
            f"accuracy {figures['accuracy']:.1%} (95% interval {low:.1%} to {high:.1%}) "
            f"on {figures['images']:,} test images"
        )
        return
    if figures["kind"] == "faces":
        _show_faces(figures, screen)
        return
    if figures["kind"] == "summarizer":
        show_summaries(figures, screen)
        return
    if figures["kind"] == "lm":
        show_language(figures, screen)
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


def _show_faces(figures: Mapping[str, Any], screen: Screen) -> None:
    """A row a network: VAL at each FAR, accuracy on listed pairs, AUC, equal error rate."""
    fars = list(figures["val_at_far"])
    listed = "listed_pairs" in figures
    heads = ["embeddings", *(f"VAL at FAR {far}" for far in fars), *["listed pairs right"] * listed, "AUC", "EER"]
    rows = []
    for name, found in {"trained": figures, **figures["beside"]}.items():
        vals = [found["val_at_far"].get(far) for far in fars]
        cells = ["-" if at is None else _with_error(at["val"], at["standard_error"]) for at in vals]
        if listed:
            cells.append(_with_error(found["listed_pairs"]["accuracy"], found["listed_pairs"]["standard_error"]))
        rows.append([name, *cells, f"{found['auc']:.4f}", f"{found['eer']:.1%}"])
    screen.table(heads, rows)
    screen.say(
        f"(± standard error; over all {figures['same_pairs']:,} pairs of one and {figures['different_pairs']:,} of two "
        f"of {figures['people']:,} people, {figures['images']:,} test images)"
    )

    if "harmonic" in figures:
        screen.say("")
        _show_generations(figures["harmonic"], screen)


def _show_generations(harmonic: Mapping[str, Any], screen: Screen) -> None:
    """A row a comparison of two networks' embeddings."""
    fars = list(harmonic["v2-v2"]["val_at_far"])
    rows = []
    for name in ("v1-v1", "v1-v2", "v2-v2"):
        vals = [harmonic[name]["val_at_far"].get(far) for far in fars]
        cells = ["-" if at is None else _with_error(at["val"], at["standard_error"]) for at in vals]
        rows.append([name, *cells, f"{harmonic[name]['auc']:.4f}", f"{harmonic[name]['eer']:.1%}"])
    screen.table(["compared", *(f"VAL at FAR {far}" for far in fars), "AUC", "EER"], rows)
    how = "which this one was trained to be harmonic with" if harmonic["trained_for_it"] else "as it is"
    screen.say(f"(v1: {harmonic['with']}, {how}; v2: this one)")
    for far, accepted in harmonic["v1-v2_at_thresholds_of_v2"].items():
        found = f"VAL {accepted['val']:.1%} and FAR {accepted['far']:.2g}"
        screen.say(f"at this one's own threshold for FAR {far}, v1-v2 has {found}")


def _with_error(value: float, error: float) -> str:
    return f"{100 * value:.1f} ± {100 * error:.1f}%"
