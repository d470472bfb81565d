"""``vitrail train lm``, and what other commands make of its run."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from vitrail.cli import main
from vitrail.recipes import evaluate_language
from vitrail.text import language_presets

SMALL = ["--vocabulary", "290", "--length", "13", "--batch-size", "200", "--epochs", "1", "--precision", "float32"]


@pytest.fixture(autouse=True)
def texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plain file in the current folder, and a model of one narrow block."""
    presets = {
        name: lambda vocabulary, base=base: replace(base(vocabulary), dim=22, layers=1, heads=2, hidden=17)
        for name, base in language_presets.PRESETS.items()
    }
    monkeypatch.setattr(language_presets, "PRESETS", presets)
    monkeypatch.setattr(evaluate_language, "PLACES", 20)
    monkeypatch.chdir(tmp_path)
    Path("book.txt").write_text("".join(f"line {number} of a short book\n" for number in range(300)))


@pytest.mark.parametrize("objective", ["causal", "masked"])
def test_train_evaluate_and_export(objective: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "lm", "--data", "book.txt", "--objective", objective, *SMALL]) == 0
    said = capsys.readouterr().out.splitlines()
    run = f"runs/lm-{objective}-book"
    assert {line.split("  ")[0] for line in said} >= {"perplexity", "model", "5-gram", "single tokens"}
    assert any("than 5-gram (95% interval of what it gains: " in line for line in said)
    assert said[-2].split()[1:] == [run, f"{run}/samples.md", f"{run}/curves.png"]
    assert said[-1] == f"next:     vitrail export {run} --to huggingface"
    assert any("with 15% of the tokens hidden at once" in line for line in said) == (objective == "masked")
    assert main(["evaluate", run]) == 0
    again = capsys.readouterr().out.splitlines()
    assert [line for line in again if line.startswith("model")] == [line for line in said if line.startswith("model")]
    assert json.loads(Path(run, "evaluation.json").read_text())["kind"] == "lm"
    assert main(["export", run, "--to", "huggingface"]) == 0
    assert Path(run, "exported/huggingface/tokenizer.json").is_file()


def test_mistakes_are_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    for words, said in (
        (["--data", "nothing.txt"], "no file, folder or embedded set called nothing.txt"),
        (["--data", "book.txt", "--preset", "gtp2"], "no preset called 'gtp2'"),
        (["--data", "book.txt", "--objective", "masked", "--preset", "gpt2"], "gpt2 is a causal model"),
        (["--data", "book.txt", "--vocabulary", "200"], "a vocabulary of 200 tokens is too small"),
    ):
        assert main(["train", "lm", *words]) == 2
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 1
        assert said in lines[0]
