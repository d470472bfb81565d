"""A summarizer's figures for a reader."""

from collections.abc import Mapping
from typing import Any

from vitrail.cli.screen import Screen

ROUGES = {"rouge1": "ROUGE-1", "rouge2": "ROUGE-2", "rougeL": "ROUGE-L"}


def show_summaries(figures: Mapping[str, Any], screen: Screen) -> None:
    """ROUGE beside what needs no training, with intervals; how each writes; the loss a token."""
    rows = []
    for name, scores in figures["rouge"].items():
        manner = figures["manner"][name]
        cells = [_with_interval(scores[kind]) for kind in ROUGES]
        rows.append([name, *cells, f"{manner['words']:.1f}", f"{manner['novel'][2]:.0%}", f"{manner['repeated']:.1%}"])
    authors = figures["manner"]["authors"]
    rows.append(["authors", *["-"] * len(ROUGES), f"{authors['words']:.1f}", f"{authors['novel'][2]:.0%}", "-"])
    screen.table(["summaries by", *ROUGES.values(), "words", "novel bigrams", "repeated"], rows)
    screen.say(
        f"(F of ROUGE in percent with 95% intervals; on {figures['documents']:,} test documents of {figures['data']})"
    )
    screen.say(
        f"loss {figures['nats_per_token']:.3f} nats a token of the authors' summaries, perplexity "
        f"{figures['perplexity']:.1f}; {figures['nats_per_character']:.3f} nats a character"
    )
    if "beside" in figures:
        beside = figures["beside"]
        for kind, name in ROUGES.items():
            screen.say(f"{name} {_with_interval(beside[kind], signed=True)} beside {beside['run']}, summary by summary")


def _with_interval(found: Mapping[str, float], *, signed: bool = False) -> str:
    low, mean, high = (format(found[name], "+.1f" if signed else ".1f") for name in ("low", "mean", "high"))
    return f"{mean} ({low} to {high})"
