"""docs/trace-format.md: its reader reads, and it leaves no field out."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from vitrail.trace import SCORES, Trace, finish
from vitrail.trace.biases import KINDS
from vitrail.trace.layers import NORMALISERS, SOFTCAP_ORDERS
from vitrail.trace.masks import RULES
from vitrail.trace.positions import AXIS_KINDS
from vitrail.trace.predictions import PREDICTED
from vitrail.trace.writing import Tensors, describe_trace


@pytest.fixture
def page(root: Path) -> str:
    return (root / "docs" / "trace-format.md").read_text(encoding="utf-8")


def test_the_reader_on_the_page_reads_what_we_write(
    full: Callable[[], Trace], page: str, tmp_path: Path, root: Path
) -> None:
    trace = full()
    path = finish(trace).save(tmp_path / "party.safetensors")
    reader: dict[str, Callable] = {}
    exec(re.search(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)[1], reader)
    described, tensors = reader["load"](str(path))
    assert [stream["name"] for stream in described["streams"]] == list(trace.streams)
    seen = 0
    for stream in described["streams"]:
        for place, layer in enumerate(stream["layers"]):
            plain = layer["mask"]["rule"] in ("all", "causal") and not {"bias", "softcap", "sinks"} & set(layer)
            if plain or "weights" in layer:
                for head in (0, 3, 5):
                    ours = trace.weights(place, head, stream["name"])
                    np.testing.assert_allclose(reader["weights"](layer, tensors, head), ours, atol=1e-6)
                    seen += 1
    assert seen == 3 * 4


def test_every_field_and_every_word_is_on_the_page(full: Callable[[], Trace], page: str) -> None:
    def fields(tree: object) -> set[str]:
        if isinstance(tree, dict):
            return set(tree).union(*(fields(one) for one in tree.values()))
        return set().union(*(fields(one) for one in tree)) if isinstance(tree, list) else set()

    described = describe_trace(finish(full()), Tensors())
    free = {"photograph", "torch", "note"}  # names that a trace gives
    words = fields(described) - free | {*AXIS_KINDS, *RULES, *KINDS, *NORMALISERS, *SOFTCAP_ORDERS, *PREDICTED}
    assert {word for word in words if f"`{word}`" not in page} == set()


def test_every_score_says_what_it_is() -> None:
    assert all(score.__doc__ for name, score in SCORES.items() if " to " not in name)
