"""From documents to summaries, whoever writes them: what an engine is handed, and what becomes of what it gives."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from vitrail.errors import ConfigError
from vitrail.text import Decoding, Transformer, TransformerConfig, TransformerWriter, decode
from vitrail.text.ctranslate2 import to_ctranslate2
from vitrail.text.engines import TorchEngine
from vitrail.text.summarizing import BATCH, WINDOW, summarize
from vitrail.text.tokens import Tokens

WORDS = 41

MakeWords = Callable[[int], Tokens]


class Echo:
    """An engine that writes the first token of a source, and keeps what it was handed."""

    def __init__(self) -> None:
        self.batches: list[list[list[int]]] = []
        self.prepared: list[Any] = []

    def prepare(self, options: Decoding, *, seed: int = 0, hear: Any = None) -> Any:
        self.prepared.append((options, seed, hear))

        def write(sources: Sequence[Sequence[int]]) -> list[list[int]]:
            self.batches.append([list(source) for source in sources])
            return [[source[0], 1] for source in sources]

        return write


def test_an_engine_gets_documents_of_like_length_and_their_order_is_kept(words: MakeWords) -> None:
    documents = [" ".join([f"w{3 + place % 37}"] * (1 + place * 7 % 11)) for place in range(5 * WINDOW + 29)]
    documents[5], documents[17] = "", " \n "
    engine, options = Echo(), Decoding(beams=1, max_tokens=7)
    found = list(summarize(engine, words(WORDS), documents, options, 6, batch=5, seed=3))
    assert found == [text.split()[0] if text.strip() else "" for text in documents]
    assert engine.prepared == [(options, 3, None)]
    assert all(len(batch) <= 5 for batch in engine.batches)
    for batch in engine.batches:
        assert [len(source) for source in batch] == sorted((len(source) for source in batch), reverse=True)
        assert all(len(source) <= 6 and source[-1] == 1 and 1 not in source[:-1] for source in batch)


def test_half_precision_writes_nearly_the_same_and_leaves_the_model_as_it_is() -> None:
    torch.manual_seed(3)
    config = TransformerConfig(WORDS, dim=24, heads=2, hidden=37, encoder_layers=1, decoder_layers=1, max_length=23)
    model = Transformer(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(9)  # few ties
    sources = [[3 + (7 * row + place * place) % 37 for place in range(5 + row % 3)] + [1] for row in range(19)]
    options = Decoding(beams=1, max_tokens=11)
    whole = TorchEngine(model).prepare(options)(sources)
    half = TorchEngine(model, "bf16").prepare(options)(sources)
    assert sum(a == b for a, b in zip(whole, half, strict=True)) >= 12
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


def test_no_documents_at_all(words: MakeWords) -> None:
    assert list(summarize(Echo(), words(WORDS), [], Decoding(), 6)) == []
    assert list(summarize(Echo(), words(WORDS), [""] * (BATCH + 1), Decoding(), 6)) == [""] * (BATCH + 1)


def test_a_document_without_a_token_has_an_empty_summary(words: MakeWords) -> None:
    from tokenizers import normalizers

    tokens = words(WORDS)
    tokens._tokenizer.normalizer = normalizers.Replace("\u200b", "")
    engine = Echo()
    assert list(summarize(engine, tokens, ["\u200b", "w5"], Decoding(), 6)) == ["", "w5"]
    assert engine.batches == [[[5, 1]]]


def test_a_model_writes_by_our_own_decoding(words: MakeWords) -> None:
    torch.manual_seed(5)
    model = Transformer(TransformerConfig(WORDS, dim=22, heads=2, hidden=23, encoder_layers=1, decoder_layers=1)).eval()
    for parameter in model.parameters():
        parameter.data.normal_(std=0.4)
    tokens, options = words(WORDS), Decoding(beams=3, max_tokens=7)
    documents = ["w5 w7 w11", "w13", "w17 w19"]
    found = list(summarize(model, tokens, documents, options, 9))
    assert found == list(summarize(TorchEngine(model), tokens, documents, options, 9, batch=1))
    for document, summary in zip(documents, found, strict=True):
        source = torch.tensor([[*tokens.encode([document])[0], 1]])
        assert tokens.decode(decode(TransformerWriter(model, source), options)[0][0].tokens) == summary


def test_draws_are_a_seed_s_and_go_on_from_batch_to_batch() -> None:
    torch.manual_seed(5)
    model = Transformer(TransformerConfig(WORDS, dim=22, heads=2, hidden=23, encoder_layers=1, decoder_layers=1)).eval()
    options = Decoding(beams=1, max_tokens=7, sample=True)
    write = TorchEngine(model).prepare(options, seed=3)
    first, second = write([[5, 1]]), write([[5, 1]])
    again = TorchEngine(model).prepare(options, seed=3)
    assert first != second
    assert [again([[5, 1]]), again([[5, 1]])] == [first, second]


def test_without_the_library_one_sentence_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, words: MakeWords
) -> None:
    from vitrail.text.ctranslate2_engine import CTranslate2Engine

    monkeypatch.setitem(sys.modules, "ctranslate2", None)
    model = Transformer(TransformerConfig(WORDS, dim=22, heads=2, hidden=23, encoder_layers=1, decoder_layers=1))
    with pytest.raises(ConfigError, match=r"pip install 'vitrail\[fast\]'"):
        to_ctranslate2(model, words(WORDS), tmp_path / "new")
    with pytest.raises(ConfigError, match=r"pip install 'vitrail\[fast\]'"):
        CTranslate2Engine(tmp_path)
    assert not (tmp_path / "new").exists()
