"""Tokenizers trained here: nothing is lost on the way there and back, and a folder holds all there is to know."""

import json
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from vitrail.errors import ConfigError, ModelError
from vitrail.text.tokens import Tokens, load_tokens, train_tokenizer

TEXTS = [
    f"The {colour} fox number {number} jumps over {number + 3} lazy dogs."
    for number in range(90)
    for colour in ("red", "brown")
]


@pytest.fixture(scope="module", params=["bpe", "unigram"])
def tokens(request: pytest.FixtureRequest) -> Tokens:
    return train_tokenizer(TEXTS, 307, request.param)


def test_there_and_back(tokens: Tokens) -> None:
    encoded = tokens.encode(TEXTS)
    assert [tokens.decode(ids) for ids in encoded] == TEXTS
    assert all(id_ >= 3 for ids in encoded for id_ in ids), "no special tokens are added"
    assert sum(map(len, encoded)) < sum(map(len, TEXTS)) * 0.95
    assert tokens.decode([tokens.start, *encoded[0], tokens.end, tokens.pad]) == TEXTS[0]
    assert len(tokens) <= 307
    assert "".join(tokens.texts(encoded[0])).replace("Ġ", " ").replace("▁", " ").strip() == TEXTS[0]
    assert tokens.encode([]) == []
    assert tokens.encode([""])[0] in ([], tokens.encode([" "])[0])


def test_bytes_know_every_text() -> None:
    tokens = train_tokenizer(TEXTS, 300)
    strange = "Ünïcode: 蝶 🦋 \x07 ﬁ"
    assert tokens.decode(tokens.encode([strange])[0]) == "Ünïcode: 蝶 🦋 \x07 fi", "but for compatible forms of letters"


def test_a_folder_holds_it(tokens: Tokens, tmp_path: Path) -> None:
    tokens.save(tmp_path)
    again = load_tokens(tmp_path, pad=tokens.pad, start=tokens.start, end=tokens.end)
    assert again.fingerprint == tokens.fingerprint
    assert again.encode(TEXTS) == tokens.encode(TEXTS)
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(tokens.settings()))
    theirs = AutoTokenizer.from_pretrained(tmp_path)
    assert theirs(TEXTS[0], add_special_tokens=False).input_ids == tokens.encode(TEXTS[:1])[0]
    assert (theirs.pad_token_id, theirs.eos_token_id) == (tokens.pad, tokens.end)


def test_other_texts_make_another_tokenizer(tokens: Tokens) -> None:
    assert train_tokenizer([text.upper() for text in TEXTS], 307).fingerprint != tokens.fingerprint


def test_what_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="258 tokens is too small"):
        train_tokenizer(TEXTS, 258)
    with pytest.raises(ModelError, match=r"has no tokenizer\.json"):
        load_tokens(tmp_path, pad=0, start=1, end=1)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(ModelError, match="damaged or no tokenizer"):
        load_tokens(tmp_path, pad=0, start=1, end=1)
