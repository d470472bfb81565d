"""A summarizer's engines: CTranslate2's copy lies in the run's folder, and is made anew for other weights."""

from pathlib import Path

import pytest
import torch

from vitrail.recipes.text_engines import ctranslate2_folder, export_to_ctranslate2, open_engine
from vitrail.recipes.text_runs import TextRun
from vitrail.text import Decoding, Transformer, TransformerConfig
from vitrail.text.engines import TorchEngine
from vitrail.text.summarizing import summarize
from vitrail.text.tokens import train_tokenizer

pytest.importorskip("ctranslate2", reason="needs CTranslate2: pip install 'vitrail[fast]'", exc_type=ImportError)

DOCUMENTS = ["The river is wide.", "", "A stone; a house; a cloud.", "Bread and glass, and glass and bread."]


@pytest.fixture
def opened(tmp_path: Path) -> TextRun:
    """A summarizer that has learned nothing."""
    tokens = train_tokenizer(DOCUMENTS, 263)
    torch.manual_seed(3)
    config = TransformerConfig(len(tokens), dim=22, encoder_layers=1, decoder_layers=1, heads=2, hidden=23)
    model = Transformer(config).eval()
    for parameter in model.parameters():
        parameter.data.normal_(std=0.4)
    return TextRun(tmp_path, model, tokens, 31, 13, None, {})


def test_both_engines_write_the_same_summaries(opened: TextRun) -> None:
    options = Decoding(beams=3, max_tokens=13, early_stopping=True)
    ours, theirs = open_engine(opened, "torch"), open_engine(opened, "ctranslate2", "float32")
    assert isinstance(ours, TorchEngine)
    found = [list(summarize(engine, opened.tokens, DOCUMENTS, options, 31)) for engine in (ours, theirs)]
    assert found[0] == found[1]
    assert found[0][1] == ""
    assert found[0][0] != found[0][2]


def test_the_copy_is_made_anew_for_other_weights(opened: TextRun) -> None:
    said: list[str] = []
    for _ in range(2):
        open_engine(opened, "ctranslate2", "int8", report=lambda event: said.append(str(event)))
    folder = opened.folder / "exported" / "ctranslate2-int8"
    assert ctranslate2_folder(opened, "int8") == folder
    assert [str(folder) in text for text in said] == [True]
    before = (folder / "model.bin").read_bytes()
    with torch.no_grad():
        opened.model.embedding.weight[5] += 1
    open_engine(opened, "ctranslate2", "int8", report=lambda event: said.append(str(event)))
    assert len(said) == 2
    assert (folder / "model.bin").read_bytes() != before
    assert export_to_ctranslate2(opened, "int8") == folder
    assert export_to_ctranslate2(opened, "float32", opened.folder / "elsewhere") == opened.folder / "elsewhere"
    assert (opened.folder / "elsewhere" / "tokenizer.json").is_file()
