"""A language model's figures for a reader."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vitrail.cli.screen import Screen


def show_language(figures: Mapping[str, Any], screen: Screen) -> None:
    """Perplexity beside n-gram models, of each source and of all; nats a character; by how much the model is better."""
    every, sources = figures["all"], figures["sources"]
    shown = {} if len(sources) == 1 else sources
    rows = []
    for by, found in every["by"].items():
        cells = [_with_interval(source["by"][by]["perplexity"], ".1f") for source in shown.values()]
        cells.append(_with_interval(found["perplexity"], ".1f"))
        rows.append([by, *cells, _with_interval(found["nats_per_character"], ".3f")])
    screen.table(["perplexity", *(Path(name).name for name in shown), "all", "nats a character"], rows)
    screen.say(f"(with 95% intervals; {_asked(figures)} of {every['texts']:,} texts that training never saw)")
    for other, less in every.get("model_less", {}).items():
        low, high = sorted((-less["low"], -less["high"]))
        better = f"{abs(less['mean']):.3f} nats a token {'better' if less['mean'] < 0 else 'worse'}"
        screen.say(f"the model is {better} than {other} (95% interval of what it gains: {low:+.3f} to {high:+.3f})")
    if "hidden" in figures:
        hidden = figures["hidden"]
        screen.say(
            f"with 15% of the tokens hidden at once, as in training: perplexity {hidden['perplexity']:.1f}, "
            f"{hidden['accuracy']:.1%} guessed right"
        )


def _asked(figures: Mapping[str, Any]) -> str:
    every = figures["all"]
    if figures["objective"] == "causal":
        return f"all {every['tokens']:,} tokens, each after those before it,"
    return f"{every['asked']:,} of {every['tokens']:,} tokens, each between those on both sides of it,"


def _with_interval(found: Mapping[str, float], form: str) -> str:
    return f"{found['mean']:{form}} ({found['low']:{form}} to {found['high']:{form}})"
