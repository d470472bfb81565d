"""A summarizer from texts to summaries: trained, resumed, evaluated, opened again; and what stops it."""

import json
import random
from pathlib import Path

import pytest
import torch

from vitrail.errors import ConfigError, DataError, ModelError
from vitrail.recipes import summarizer, text_runs
from vitrail.recipes.evaluate import EvaluateRecipe
from vitrail.recipes.evaluate import run as evaluate
from vitrail.recipes.summarizer import SummarizerRecipe
from vitrail.text import Decoding, presets
from vitrail.text.convert import to_huggingface
from vitrail.text.transformer import TransformerConfig

WORDS = ("house", "river", "cloud", "stone", "bread", "glass", "tower", "apple", "night", "table", "horse")


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A preset that trains in a second."""

    def tiny(vocabulary: int) -> TransformerConfig:
        return TransformerConfig(vocabulary, dim=44, encoder_layers=1, decoder_layers=1, heads=2, hidden=68)

    monkeypatch.setattr(presets, "PRESETS", {**presets.PRESETS, "tiny": tiny})


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    """Documents that say once what they are about."""
    chance = random.Random(3)
    rows = []
    for number in range(331):
        word = chance.choice(WORDS)
        other = " ".join(chance.choice(WORDS) for _ in range(chance.randint(2, 9)))
        split = ("test", "validation", *["train"] * 6)[number % 8]
        rows.append({"document": f"It says: {other}. The {word} matters.", "summary": f"About {word}.", "split": split})
    path = tmp_path / "texts.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def recipe(texts: Path, folder: str = "run", **changes: object) -> SummarizerRecipe:
    options: dict[str, object] = {
        "data": str(texts), "run": texts.parent / folder, "preset": "tiny", "vocabulary": 300, "epochs": 5,
        "batch_size": 600, "longest_document": 61, "longest_summary": 13, "lr": 5e-3, "label_smoothing": 0.1,
        "precision": "float32",
    }  # fmt: skip
    return SummarizerRecipe(**{**options, **changes})  # type: ignore[arg-type]


def test_from_texts_to_summaries_and_their_figures(texts: Path) -> None:
    said: list[str] = []
    done = summarizer.run(recipe(texts), lambda event: said.append(str(event)))
    assert done.finished
    assert any("pairs in 300 tokens" in line for line in said)
    assert any("of their tokens padding" in line for line in said)
    assert done.metrics["evaluation/nats_per_token"] < 1.2
    opened = text_runs.open_text_run(done.folder)
    documents = ["It says: glass. The river matters.", "", "It says: bread, stone. The horse matters."]
    written = list(opened.summarize(documents))
    assert written[1] == ""
    assert all(text.startswith("About") for text in (written[0], written[2]))
    assert list(opened.summarize(documents, Decoding(beams=1, max_tokens=13), batch=1))[1] == ""
    assert "**The author's:** About" in (done.folder / "samples.md").read_text()

    found = evaluate(EvaluateRecipe(done.folder))
    kept = json.loads((done.folder / "evaluation.json").read_text())
    assert kept == json.loads(json.dumps(found.figures))
    assert kept["documents"] == 42
    rouge = kept["rouge"]
    assert rouge["summaries"]["rouge1"]["mean"] > rouge["first sentence"]["rouge1"]["mean"] + 20
    assert kept["perplexity"] == pytest.approx(2.718281828 ** kept["nats_per_token"])
    assert len((done.folder / "summaries.jsonl").read_text().splitlines()) == 42
    examples = (done.folder / "examples.md").read_text()
    assert examples.count("**Written:**") == 10
    assert all(f"## {name}: ROUGE-L" in examples for name in ("Best", "Middle", "Worst"))

    beside = evaluate(EvaluateRecipe(done.folder, beside=done.folder)).figures["beside"]
    assert (beside["rouge1"]["low"], beside["rouge1"]["high"]) == (0, 0)
    fewer = evaluate(EvaluateRecipe(done.folder, documents=5, beams=1))
    assert fewer.figures["documents"] == 5
    with pytest.raises(ConfigError, match="summaries of other documents"):
        evaluate(EvaluateRecipe(done.folder, beside=done.folder))


def test_goes_on_to_the_bit(texts: Path) -> None:
    whole = summarizer.run(recipe(texts, "whole", epochs=2))

    class Enough(Exception):
        pass

    def stop(event: object) -> None:
        if type(event).__name__ == "Saved":
            raise Enough

    with pytest.raises(Enough):
        summarizer.run(recipe(texts, "cut", epochs=2, save_every=7), stop)
    again = summarizer.run(recipe(texts, "cut", epochs=2, save_every=7))
    assert again.finished
    ours, theirs = (text_runs.open_text_run(of.folder) for of in (whole, again))
    for name, weights in ours.model.state_dict().items():
        assert torch.equal(weights, theirs.model.state_dict()[name]), name
    with pytest.raises(ConfigError, match="label-smoothing"):
        summarizer.run(recipe(texts, "cut", epochs=2, label_smoothing=0.0))


def test_goes_on_from_another_run_and_to_hugging_face(texts: Path) -> None:
    first = summarizer.run(recipe(texts, "first", epochs=2))
    opened = text_runs.open_text_run(first.folder)
    tuned = summarizer.run(recipe(texts, "tuned", epochs=1, init=str(first.folder)))
    assert tuned.metrics["evaluation/nats_per_token"] < first.metrics["evaluation/nats_per_token"]
    theirs = texts.parent / "bart"
    to_huggingface(opened.model, theirs)
    opened.tokens.save(theirs)
    read = text_runs.open_text_run(theirs)
    documents = ["It says: glass. The river matters."]
    options = Decoding(beams=3, max_tokens=13)
    assert list(read.summarize(documents, options)) == list(opened.summarize(documents, options))
    with pytest.raises(ConfigError, match="its texts aren't known"):
        evaluate(EvaluateRecipe(theirs))


def test_what_stops_it(texts: Path) -> None:
    with pytest.raises(ConfigError, match="no preset called 'huge'"):
        summarizer.run(recipe(texts, preset="huge"))
    with pytest.raises(ConfigError, match="leave no room for a word"):
        summarizer.run(recipe(texts, longest_summary=1))
    with pytest.raises(DataError, match="can't hold the longest pair"):
        summarizer.run(recipe(texts, batch_size=11))
    assert not (texts.parent / "run").exists()
    done = summarizer.run(recipe(texts, epochs=1))
    with pytest.raises(ModelError, match="61 positions"):
        summarizer.run(recipe(texts, "other", init=str(done.folder), longest_document=67))
    other = summarizer.run(recipe(texts, "other", epochs=1, vocabulary=290))
    (done.folder / "tokenizer.json").write_text((other.folder / "tokenizer.json").read_text())
    with pytest.raises(ModelError, match="another tokenizer"):
        text_runs.open_text_run(done.folder)
    (other.folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="has not saved anything yet"):
        text_runs.open_text_run(other.folder)
    with pytest.raises(ModelError, match="no folder here"):
        text_runs.open_text_run("no such thing")


def test_a_run_of_another_kind_is_left_as_it_is(texts: Path) -> None:
    other = texts.parent / "run"
    other.mkdir()
    (other / "config.json").write_text(json.dumps({"kind": "mae", "format": 1}))
    with pytest.raises(ConfigError, match="a run of kind 'mae', not a summarizer"):
        summarizer.run(recipe(texts))
    assert [path.name for path in other.iterdir()] == ["config.json"]
