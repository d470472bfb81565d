"""A trace that version 1 wrote, and its weights by the naive loop: every reader, in any language, is held to these.

``golden/trace.safetensors`` has a layer of every kind that the format knows (the trace of ``conftest.py``, finished);
``golden/weights.safetensors`` has the weights [h q k] of each, under "STREAM.LAYER". They are written once a version.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

from vitrail.trace import SCORES, Places, Trace, finish, load_trace, score_heads

GOLDEN = Path(__file__).parent / "golden"


def test_what_version_1_wrote_is_read_to_1e_6() -> None:
    trace, expected = load_trace(GOLDEN / "trace.safetensors"), load_file(GOLDEN / "weights.safetensors")
    seen = 0
    for stream in trace.parts:
        for place in range(len(stream.layers)):
            weights = trace.weights(place, stream=stream.name)
            np.testing.assert_allclose(weights, expected[f"{stream.name}.{place}"], rtol=0, atol=1e-6)
            seen += 1
    assert seen == len(expected) == 11


def test_its_digests_are_what_is_computed_today() -> None:
    trace = load_trace(GOLDEN / "trace.safetensors")
    for stream in trace.parts:
        for place, layer in enumerate(stream.layers):
            today = score_heads(trace.weights(place, stream=stream.name), Places(*trace.layer_axes(layer, stream)))
            for name in SCORES:
                np.testing.assert_allclose(layer.digest.scores[name], today[name], rtol=1e-5, err_msg=name)


def test_it_has_every_kind_of_layer(full: Callable[[], Trace]) -> None:
    """A rule, a bias or an order that is added to the format is added to the golden trace as well."""

    def kinds(trace: Trace) -> set[tuple[object, ...]]:
        layers = [layer for stream in trace.parts for layer in stream.layers]
        return {
            (
                one.mask.rule,
                one.mask.per_head,
                one.bias and one.bias.kind,
                one.softcap and one.softcap_order,
                one.normaliser,
            )
            for one in layers
        }

    assert kinds(load_trace(GOLDEN / "trace.safetensors")) == kinds(finish(full()))
