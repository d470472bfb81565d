"""A sample of the sweep over all architectures (``bench/reach.py``): text, vision, audio, and what reads several."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

SAMPLE = (
    "albert bart bert bloom clip deberta-v2 deepseek_v3 detr distilbert falcon gemma2 gpt2 gpt_oss llama llava mistral "
    "mixtral qwen2_vl roberta swin t5 vit vit_mae wav2vec2 whisper"
)


@pytest.fixture(scope="module")
def measure(root: Path) -> Iterator[Any]:
    sys.path.insert(0, str(root / "bench"))
    try:
        from reach_one import measure
        from transformers import logging

        before = logging.get_verbosity()
        logging.set_verbosity_error()
        yield measure
        logging.set_verbosity(before)
    finally:
        sys.path.remove(str(root / "bench"))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", SAMPLE.split())
def test_captured_to_the_last_layer(measure: Any, kind: str) -> None:
    row = measure(kind)
    assert row["status"] == "captured", row
    assert row["weights differ"] <= 1e-6
    assert row["compared"] == row["layers"] >= 2
    assert row["recomputed differ"] <= 1e-6
    assert row["outputs differ"] <= 1e-6
    assert 0 in (row["outputs differ"], row["eager outputs differ"])
    assert row["left"] == []


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["exaone4_5", "yolos"])
def test_outputs_that_float32_leaves_further_apart(measure: Any, kind: str) -> None:
    """Two of the seven: the eager path to the bit, and as near to float64 as the model is by itself."""
    row = measure(kind)
    assert row["status"] == "captured", row
    assert row["eager outputs differ"] == 0
    assert row["outputs differ"] < 1e-5
    if row["outputs differ"] > 1e-6:  # another processor may add up in another order
        assert row["from float64"]["recorded"] <= 2 * row["from float64"]["as it is"]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("kind", "reason"), [("longformer", "keeps its weights in bands"), ("resnet", "computed no")])
def test_what_has_no_weights_is_refused(measure: Any, kind: str, reason: str) -> None:
    row = measure(kind)
    assert row["status"] in ("refused", "no attention")
    assert reason in row["why"]
    assert row["left"] == []
