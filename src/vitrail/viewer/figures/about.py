"""What a figure says about its traces: the model and its weights, the input, and the roles of its heads."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from vitrail.errors import TraceError
from vitrail.trace import Trace, head_scores, label_heads

if TYPE_CHECKING:
    import pandas as pd

Told: TypeAlias = "Trace | Sequence[Trace] | pd.DataFrame"
"""One trace, several of one model, or a table made of them."""


def model_of(trace: Trace) -> str:
    """The model's name; of a folder, its last two parts; and how its weights were drawn, if they weren't trained."""
    name = trace.provenance.model
    path = Path(name)
    if path.is_absolute():
        name = "/".join(path.parts[-2:])
    return name if trace.provenance.weights == "trained" else f"{name}, {trace.provenance.weights}"


def input_of(trace: Trace) -> str:
    """What the model read."""
    texts = [f"“{text}”" for text in trace.provenance.texts]
    return " + ".join(texts) if texts else ("an image" if trace.images else "")


def about(told: Told) -> str:
    """Model and input in a line; empty for a table, which doesn't know."""
    if isinstance(told, Trace):
        return " · ".join(part for part in (model_of(told), input_of(told)) if part)
    if isinstance(told, Sequence) and told:
        return f"{model_of(told[0])} · {len(told):,} inputs"
    return ""


def roles_of(told: Told) -> "pd.DataFrame":
    """The table of ``label_heads``.

    Raises:
        TraceError: a table of something else, or nothing at all.
    """
    table = label_heads(told) if isinstance(told, Trace | Sequence) else told
    return _with(table, ("stream", "layer", "head", "role", "score"), "label_heads")


def scores_of(told: Told) -> "pd.DataFrame":
    """The table of ``head_scores``.

    Raises:
        TraceError: a table of something else, or nothing at all.
    """
    table = head_scores(told) if isinstance(told, Trace | Sequence) else told
    return _with(table, ("stream", "layer", "head"), "head_scores")


def _with(table: "pd.DataFrame", columns: Sequence[str], maker: str) -> "pd.DataFrame":
    missing = [name for name in columns if name not in table.columns]
    if missing or not len(table):
        found = ", ".join(map(str, table.columns[:8])) or "nothing"
        raise TraceError(
            f"a table with {', '.join(columns)} is needed, and this one of {len(table)} heads has {found}: "
            f"give what vitrail.trace.{maker} makes."
        )
    return table
