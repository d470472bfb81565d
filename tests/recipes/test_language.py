"""Language models from texts to perplexities: trained, resumed, evaluated, opened, handed on; and what stops them."""

import json
import random
from dataclasses import replace
from math import exp
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import AutoModelForCausalLM, AutoModelForMaskedLM, AutoTokenizer, BertConfig, BertForMaskedLM

from vitrail.errors import ConfigError, DataError, ModelError
from vitrail.recipes import evaluate, evaluate_language, export, language
from vitrail.recipes.evaluate import EvaluateRecipe
from vitrail.recipes.export import ExportRecipe
from vitrail.recipes.language import LanguageRecipe
from vitrail.recipes.language_runs import LanguageRun, open_language_run
from vitrail.recipes.opening import load
from vitrail.text import Decoding, language_presets
from vitrail.text.language import LanguageConfig

WORDS = ("house", "river", "cloud", "stone", "bread", "glass", "tower", "apple", "night", "table", "horse")


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Presets that train in seconds, and few tokens to ask for one at a time."""

    def tiny_gpt(vocabulary: int) -> LanguageConfig:
        return LanguageConfig(vocabulary, dim=44, layers=1, heads=2, hidden=68)

    def tiny_bert(vocabulary: int) -> LanguageConfig:
        return replace(language_presets.bert_base(vocabulary), dim=44, layers=2, heads=2, hidden=68)

    presets = {**language_presets.PRESETS, "gpt_small": tiny_gpt, "bert_small": tiny_bert}
    monkeypatch.setattr(language_presets, "PRESETS", presets)
    monkeypatch.setattr(evaluate_language, "PLACES", 60)


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    """A folder of plain texts and a file of pairs: each sentence names a word twice, far apart."""
    chance = random.Random(3)

    def sentence() -> str:
        word, other = chance.choice(WORDS), chance.choice(WORDS)
        return f"the {word} is on the hill by the {other} and it is a {word} ."

    folder = tmp_path / "plain"
    folder.mkdir()
    for part, count in (("train", 600), ("valid", 60), ("test", 80)):
        (folder / f"{part}.txt").write_text("".join(f"{sentence()}\n" for _ in range(count)))
    rows = [
        {
            "document": sentence(),
            "summary": f"About {number}",
            "split": ("test", "validation", *["train"] * 6)[number % 8],
        }
        for number in range(400)
    ]
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def recipe(texts: Path, folder: str = "run", **changes: object) -> LanguageRecipe:
    options: dict[str, object] = {
        "data": f"{texts / 'plain'},{texts / 'pairs.jsonl'}", "run": texts / folder, "vocabulary": 320, "epochs": 4,
        "batch_size": 500, "length": 37, "lr": 1e-2, "precision": "float32", "dropout": 0.0, "evaluate_every": 0,
    }  # fmt: skip
    return LanguageRecipe(**{**options, **changes})  # type: ignore[arg-type]


def test_one_that_writes(texts: Path) -> None:
    said: list[str] = []
    done = language.run(recipe(texts), lambda event: said.append(str(event)))
    assert done.finished
    assert done.kind == "lm"
    assert any("tokens of 301 texts, 320 kinds" in line for line in said)
    figures = json.loads((done.folder / "evaluation.json").read_text())
    assert figures == json.loads(json.dumps(done.evaluation))
    assert set(figures["sources"]) == {str(texts / "plain"), str(texts / "pairs.jsonl")}
    every = figures["all"]
    assert every["texts"] == 51
    assert every["asked"] == every["tokens"] == sum(of["tokens"] for of in figures["sources"].values())
    by = every["by"]
    assert by["model"]["nats_per_token"]["mean"] < by["single tokens"]["nats_per_token"]["mean"] - 1
    assert by["model"]["nats_per_token"]["mean"] < by["5-gram"]["nats_per_token"]["mean"], "a word comes again far away"
    assert by["5-gram"]["nats_per_token"]["mean"] < by["single tokens"]["nats_per_token"]["mean"] - 1
    nats = by["model"]["nats_per_token"]
    assert nats["low"] < nats["mean"] < nats["high"]
    assert by["model"]["perplexity"]["mean"] == pytest.approx(exp(nats["mean"]))
    per_character = nats["mean"] * every["tokens"] / every["characters"]
    assert by["model"]["nats_per_character"]["mean"] == pytest.approx(per_character)
    assert every["model_less"]["5-gram"]["mean"] == pytest.approx(nats["mean"] - by["5-gram"]["nats_per_token"]["mean"])
    assert "**Written:**" in (done.folder / "samples.md").read_text()
    assert done.metrics["evaluation/nats_per_token"] < 2

    opened = load(done.folder)
    assert isinstance(opened, LanguageRun)
    (written,) = opened.write(["the river is on the"], Decoding(beams=1, max_tokens=1))
    assert written == "hill"
    assert len(opened.write(["", "the"], seed=1)) == 2
    other = evaluate.run(EvaluateRecipe(done.folder, data=str(texts / "pairs.jsonl"), columns=("document", "summary")))
    assert set(other.figures["sources"]) == {str(texts / "pairs.jsonl")}
    with pytest.raises(ConfigError, match="--beams is for runs of kind summarizer only"):
        evaluate.run(EvaluateRecipe(done.folder, beams=2))
    with pytest.raises(ModelError, match="knows models of images only"):
        export.run(ExportRecipe(done.folder, to="timm"))
    folder = export.run(ExportRecipe(done.folder))
    theirs, words = AutoModelForCausalLM.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    given = words("the river is on the", return_tensors="pt", add_special_tokens=False).input_ids
    with torch.no_grad():
        torch.testing.assert_close(opened.model(given), theirs(input_ids=given).logits, atol=1e-5, rtol=1e-5)
    read = load(folder)
    assert isinstance(read, LanguageRun)
    assert read.write(["the river"], seed=2) == opened.write(
        ["the river"], Decoding(beams=1, max_tokens=18, sample=True, top_p=0.9), seed=2
    )
    with pytest.raises(ConfigError, match="its texts aren't known"):
        evaluate.run(EvaluateRecipe(folder))
    elsewhere = evaluate.run(EvaluateRecipe(folder, data=str(texts / "pairs.jsonl")))
    assert set(elsewhere.figures["all"]["by"]) == {"model"}


def test_one_that_fills_in(texts: Path) -> None:
    rows = [
        {
            "document": " ".join([word] * 40),
            "summary": word,
            "split": ("test", "validation", *["train"] * 9)[number % 11],
        }
        for number in range(22)
        for word in WORDS
    ]
    (texts / "again.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = language.run(recipe(texts, objective="masked", data=str(texts / "again.jsonl"), epochs=10, vocabulary=340))
    figures = done.evaluation
    assert figures["objective"] == "masked"
    assert figures["all"]["asked"] == 60 == sum(of["asked"] for of in figures["sources"].values())
    by = figures["all"]["by"]
    assert by["model"]["nats_per_token"]["mean"] < by["single tokens"]["nats_per_token"]["mean"] - 1
    assert by["5-gram"]["nats_per_token"]["mean"] < by["single tokens"]["nats_per_token"]["mean"] - 1
    assert by["5-gram"]["nats_per_token"]["mean"] < by["5-gram from the left"]["nats_per_token"]["mean"]
    assert set(by) == {"model", "5-gram", "single tokens", "5-gram from the left"}
    assert figures["hidden"]["perplexity"] == pytest.approx(exp(figures["hidden"]["nats_per_token"]))
    assert "[" in (done.folder / "samples.md").read_text()
    opened = open_language_run(done.folder)
    (((best, chance), *_),) = opened.fill_in(" ".join(["river"] * 6) + " <mask> " + " ".join(["river"] * 6))
    assert best == "river"
    assert chance > 0.2, "eleven words are there to choose from"
    with pytest.raises(ConfigError, match="can't write"):
        opened.write(["the"])
    folder = export.run(ExportRecipe(done.folder))
    theirs, words = AutoModelForMaskedLM.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    given = words("river river <mask>", return_tensors="pt", add_special_tokens=False).input_ids
    assert words.mask_token_id in given[0].tolist()
    with torch.no_grad():
        torch.testing.assert_close(opened.model(given), theirs(input_ids=given).logits, atol=1e-5, rtol=1e-5)
    assert open_language_run(folder).fill_in("river <mask>")[0][0][0] == opened.fill_in("river <mask>")[0][0][0]


@pytest.mark.parametrize("objective", ["causal", "masked"])
def test_goes_on_to_the_bit(texts: Path, objective: str) -> None:
    options = {"objective": objective, "epochs": 2, "dropout": 0.1, "attention_only": True}
    whole = language.run(recipe(texts, "whole", **options))

    class Enough(Exception):
        pass

    def stop(event: object) -> None:
        if type(event).__name__ == "Saved":
            raise Enough

    with pytest.raises(Enough):
        language.run(recipe(texts, "cut", save_every=7, **options), stop)
    again = language.run(recipe(texts, "cut", save_every=7, **options))
    assert again.finished
    ours, theirs = (open_language_run(of.folder) for of in (whole, again))
    assert not any("feed_forward" in name for name in ours.model.state_dict())
    for name, weights in ours.model.state_dict().items():
        assert torch.equal(weights, theirs.model.state_dict()[name]), name
    with pytest.raises(ConfigError, match=r"begun with lr 0\.01"):
        language.run(recipe(texts, "cut", lr=1e-3, **options))


def test_goes_on_from_another_run(texts: Path) -> None:
    first = language.run(recipe(texts, "first", epochs=2))
    tuned = language.run(recipe(texts, "tuned", epochs=1, init=str(first.folder)))
    assert tuned.metrics["evaluation/nats_per_token"] < first.metrics["evaluation/nats_per_token"]
    with pytest.raises(ModelError, match="is a causal model, and --objective is masked"):
        language.run(recipe(texts, "other", objective="masked", init=str(first.folder)))
    with pytest.raises(ModelError, match="has 37 positions, and passages of 41"):
        language.run(recipe(texts, "other", length=41, init=str(first.folder)))


def test_where_a_run_is_kept() -> None:
    assert LanguageRecipe().folder() == Path("runs/lm-causal-docstrings")
    assert LanguageRecipe(data="docstrings, a/b", objective="masked").folder() == Path("runs/lm-masked-docstrings-a-b")


def test_what_stops_it(texts: Path) -> None:
    with pytest.raises(ConfigError, match="no preset called 'huge'"):
        language.run(recipe(texts, preset="huge"))
    with pytest.raises(ConfigError, match="bert_small is a masked model, and --objective is causal"):
        language.run(recipe(texts, preset="bert_small"))
    with pytest.raises(ConfigError, match="can't hold a passage of 37"):
        language.run(recipe(texts, batch_size=30))
    with pytest.raises(DataError, match="passages of 30,000 need 60,000"):
        language.run(recipe(texts, length=30_000, batch_size=30_000))
    with pytest.raises(DataError, match="no file, folder or embedded set"):
        language.run(recipe(texts, data=f"{texts},nothing.txt"))
    assert not (texts / "run").exists()
    other = texts / "run"
    other.mkdir()
    (other / "config.json").write_text(json.dumps({"kind": "mae", "format": 1}))
    with pytest.raises(ConfigError, match="a run of kind 'mae', not a language model"):
        language.run(recipe(texts))
    with pytest.raises(ConfigError, match="a language model was expected"):
        open_language_run(other)
    assert [path.name for path in other.iterdir()] == ["config.json"]


def test_a_bert_from_elsewhere_begins_and_ends_texts_its_own_way(tmp_path: Path) -> None:
    words = {name: number for number, name in enumerate(("[PAD]", "[CLS]", "[SEP]", "[MASK]", "[UNK]", "the", "river"))}
    tokenizer = Tokenizer(WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = WhitespaceSplit()
    tokenizer.add_special_tokens([name for name in words if name.startswith("[")])
    torch.manual_seed(3)
    sizes = {"hidden_size": 22, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 17}
    theirs = BertForMaskedLM(BertConfig(vocab_size=7, max_position_embeddings=13, **sizes)).eval()
    theirs.save_pretrained(tmp_path)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    opened = load(tmp_path)
    assert isinstance(opened, LanguageRun)
    ((best, *_),) = opened.fill_in("the [MASK]", 1)
    with torch.no_grad():
        chances = theirs(torch.tensor([[1, 5, 3, 2]])).logits[0, 2].softmax(-1)
    assert best[1] == pytest.approx(float(chances.max()), rel=1e-4)
