"""What every question on attention is answered from, and how its figures are written."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vitrail.homework.attention_reading import UNTRAINED, Reader
from vitrail.homework.findings import study_blocks
from vitrail.homework.pages import Block
from vitrail.homework.shelf import Shelf
from vitrail.trace import Trace, label_heads

FEW = 5_000_000
"""Parameters of a run below which it is called tiny."""
STUDIES: Mapping[str, tuple[str, ...]] = {
    "a": ("induction",),
    "b": ("causal-bidirectional", "same-word", "sentence-order"),
    "c": ("head-roles",),
    "d": ("trained-untrained", "entropy-gap", "feeling-gradients"),
}
"""Studies that measure what a question asks for."""
NAMELESS = ("unclear", "broad")
"""What ``label_heads`` calls a head that looks nowhere in particular."""


@dataclass(frozen=True)
class Context:
    """What is known when the questions are answered.

    Attributes:
        traces: by name.
        shelf: where pictures and views go.
        gpt: the GPT.
        bert: the BERT.
        results: folder of studies' results.
        perplexity: of a GPT that is a run of ours; None of another.
    """

    traces: dict[str, Trace]
    shelf: Shelf
    gpt: Reader
    bert: Reader
    results: Path
    perplexity: float | None

    @property
    def tiny(self) -> bool:
        """Whether the GPT is a run of ours that is too small to know English."""
        return self.gpt.run is not None and self.gpt.parameters < FEW

    def studies(self, key: str) -> Iterator[Block]:
        """What studies found on a question, or their commands."""
        for name in STUDIES[key]:
            yield from study_blocks(self.results, name, f"{key}-study-{name}", self.shelf)

    def shape(self, name: str) -> tuple[int, int]:
        """Layers and heads of a trace's model."""
        layers = self.traces[name].stream().layers
        return len(layers), layers[0].heads

    def twin(self, name: str, how: str = "") -> Trace:
        """The same text, read by the untrained twin."""
        return self.traces[f"{name}{UNTRAINED}{how}"]


def named_heads(trace: Trace) -> int:
    """How many heads have a role of their own."""
    return int((~label_heads(trace)["role"].isin(NAMELESS)).sum())


def percent(value: float) -> str:
    """A share."""
    return "-" if math.isnan(value) else f"{100 * value:.0f}%"


def decimals(value: float, digits: int = 2) -> str:
    """A number."""
    return "-" if math.isnan(value) else f"{value:.{digits}f}"


def beside(value: float, uniform: float) -> str:
    """A share, and in brackets what uniform attention has."""
    return f"{percent(value)} ({percent(uniform)})"


def listed(words: Sequence[str]) -> str:
    """Words in a row: "a, b and c"."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def quoted(*texts: str) -> str:
    """A text, or two that were read together."""
    return " + ".join(f"“{text}”" for text in texts)
