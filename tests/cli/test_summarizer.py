"""A summarizer by its commands: trained, evaluated, exported, and at work on files and streams; every mistake told."""

import io
import json
import os
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from vitrail.cli import main

OPTIONS = ["--data", "texts.jsonl", "--preset", "tiny", "--vocabulary", "290", "--longest-document", "41"]
OPTIONS += [
    "--longest-summary",
    "11",
    "--batch-size",
    "400",
    "--epochs",
    "9",
    "--lr",
    "5e-3",
    "--test",
    "3",
    "--precision",
    "float32",
]
RUN = "runs/texts"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``texts.jsonl`` and a summarizer of them."""
    folder = tmp_path_factory.mktemp("texts")
    words = ("house", "river", "cloud", "stone", "bread")
    rows = [
        {"document": f"A {words[number % 5]}, said {number % 7} times.", "summary": f"About {words[number % 5]}."}
        for number in range(89)
    ]
    parts = [{**row, "split": ("test", "valid", *["train"] * 5)[number % 7]} for number, row in enumerate(rows)]
    (folder / "texts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in parts))
    before = Path.cwd()
    os.chdir(folder)
    try:
        assert main(["train", "summarizer", "--run", RUN, *OPTIONS]) == 0
    finally:
        os.chdir(before)
    return folder


@pytest.fixture
def here(trained: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(trained)
    return trained


def typed(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    """What stands on standard input."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))


@pytest.mark.usefixtures("here")
class TestCommands:
    def test_a_run_is_whole_and_training_again_finds_it_so(self, capsys: pytest.CaptureFixture[str]) -> None:
        files = {path.name for path in Path(RUN).iterdir()}
        assert {"config.json", "model.safetensors", "tokenizer.json"} <= files
        assert {"curves.png", "samples.md", "examples.md", "summaries.jsonl", "evaluation.json"} <= files
        assert main(["train", "summarizer", "--run", RUN, *OPTIONS]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert any(line.startswith("first sentence ") for line in lines)
        assert lines[-2] == f"results:  {RUN}  {RUN}/curves.png"
        assert lines[-1] == f"next:     vitrail summarize {RUN} FILE.txt"

    def test_evaluate(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["evaluate", RUN, "--beams", "2", "--beside", RUN, "--documents", "3"]) == 0
        said = capsys.readouterr().out
        assert "on 3 test documents of texts.jsonl" in said
        assert f"ROUGE-L +0.0 (+0.0 to +0.0) beside {RUN}" in said
        assert f"next:     vitrail summarize {RUN} FILE.txt" in said

    def test_export_and_use_what_was_exported(self, capsys: pytest.CaptureFixture[str]) -> None:
        from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

        assert main(["export", RUN]) == 0
        following = capsys.readouterr().out.splitlines()[-1].removeprefix("next:     ")
        folder = Path(RUN) / "exported" / "huggingface"
        model, tokenizer = AutoModelForSeq2SeqLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
        text = "A house, said 3 times."
        found = model.generate(**tokenizer(text, return_tensors="pt"), num_beams=2, max_new_tokens=10)
        assert main(["summarize", str(folder), "document.txt", "--beams", "2", "--max-tokens", "10"]) == 2
        Path("document.txt").write_text(text)
        capsys.readouterr()
        words = ["--beams", "2", "--max-tokens", "10", "--no-repeat-ngram", "0"]
        assert main(["summarize", str(folder), "document.txt", *words]) == 0
        ours = capsys.readouterr().out.splitlines()
        assert ours == [" ".join(tokenizer.decode(found[0], skip_special_tokens=True).split())]
        assert "AutoModel" in shlex.split(following)[2]

    def test_another_engine_and_its_export(self, capsys: pytest.CaptureFixture[str]) -> None:
        pytest.importorskip(
            "ctranslate2", reason="needs CTranslate2: pip install 'vitrail[fast]'", exc_type=ImportError
        )
        Path("document.txt").write_text("A house, said 3 times.")
        words = ["summarize", RUN, "document.txt", "--no-repeat-ngram", "0"]
        assert main(words) == 0
        expected = capsys.readouterr().out
        assert main([*words, "--engine", "ctranslate2", "--quantization", "float32"]) == 0
        said = capsys.readouterr()
        assert said.out == expected
        assert f"wrote {RUN}/exported/ctranslate2-float32 for CTranslate2" in said.err
        assert main([*words, "--engine", "ctranslate2", "--beams", "1", "--stream"]) == 0
        assert capsys.readouterr().out.startswith("About")
        assert main(["export", RUN, "--to", "ctranslate2", "--output", "fast"]) == 0
        assert {"model.bin", "config.json", "tokenizer.json"} <= {path.name for path in Path("fast").iterdir()}
        assert "results:  fast" in capsys.readouterr().out

    def test_summaries_alone_are_on_standard_output(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        typed(monkeypatch, b"A river, said 2 times.\n\nA cloud, said 3 times.\n")
        assert main(["summarize", RUN]) == 0
        said = capsys.readouterr()
        lines = said.out.split("\n")
        assert len(lines) == 4
        assert lines[0].startswith("About")
        assert lines[1] == ""
        assert "3 documents summarized" in said.err
        assert "1 had nothing in them" in said.err
        assert f"next:     vitrail evaluate {RUN}" in said.err

    def test_objects_in_objects_out(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        typed(monkeypatch, b'{"id": 7, "article": "A stone, said 1 times."}\n{"article": null, "id": 8}\n')
        assert main(["summarize", RUN, "--batch", "1"]) == 0
        rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert [row["id"] for row in rows] == [7, 8]
        assert rows[0]["summary"].startswith("About")
        assert rows[1]["summary"] == ""

    def test_files_are_named_and_a_file_is_written_whole(self, capsys: pytest.CaptureFixture[str]) -> None:
        Path("some").mkdir()
        for name in ("b.txt", "a.txt"):
            (Path("some") / name).write_text("A bread, said 4 times.\nAnd more.")
        assert main(["summarize", RUN, "some", "--beams", "1"]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert [line.partition(": ")[0] for line in lines] == ["some/a.txt", "some/b.txt"]
        assert main(["summarize", RUN, "some", "--output", "new/found.jsonl"]) == 0
        assert capsys.readouterr().out == ""
        rows = [json.loads(line) for line in Path("new/found.jsonl").read_text().splitlines()]
        assert [row["source"] for row in rows] == ["some/a.txt", "some/b.txt"]
        (Path("some") / "c.txt").write_bytes(b"\xff")
        assert main(["summarize", RUN, "some", "--output", "new/found.jsonl"]) == 2
        assert [json.loads(line) for line in Path("new/found.jsonl").read_text().splitlines()] == rows
        assert [path.name for path in Path("new").iterdir()] == ["found.jsonl"]

    def test_words_appear_as_they_are_written(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        typed(monkeypatch, b"A river, said 2 times.\nA cloud, said 3 times.\n")
        assert main(["summarize", RUN, "--beams", "1"]) == 0
        whole = capsys.readouterr().out
        typed(monkeypatch, b"A river, said 2 times.\nA cloud, said 3 times.\n")
        pieces: list[str] = []
        monkeypatch.setattr("vitrail.cli.summarize._put", pieces.append)
        assert main(["summarize", RUN, "--beams", "1", "--stream"]) == 0
        assert "".join(pieces) == whole
        assert len(pieces) > 4

    def test_a_stream_is_read_as_it_is_summarized(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        read, first = 0, 0

        class Lines(io.RawIOBase):
            def readline(self, size: int | None = -1, /) -> bytes:
                nonlocal read
                read += 1
                return b"" if read > 700 else b"A house.\n"

        def put(text: str) -> None:
            nonlocal first
            first = first or read

        stream = type("Standard", (), {"buffer": Lines(), "isatty": lambda self: False})()
        monkeypatch.setattr(sys, "stdin", stream)
        monkeypatch.setattr("vitrail.cli.summarize._put", put)
        assert main(["summarize", RUN, "--beams", "1", "--max-tokens", "2"]) == 0
        assert 0 < first <= 130, "no more than a window of documents is held"
        assert "700 documents summarized" in capsys.readouterr().err

    def test_very_long_and_very_odd_documents(self, capsys: pytest.CaptureFixture[str]) -> None:
        Path("long.txt").write_text("house " * 100_000)
        Path("odd.txt").write_text("\x00\x07\u202e \x1b[31m 🦋 </s> <pad>\n" * 3)
        assert main(["summarize", RUN, "long.txt", "odd.txt"]) == 0
        said = capsys.readouterr()
        assert len(said.out.splitlines()) == 2
        assert "2 were longer than 41 tokens and were cut" in said.err


def mistakes() -> Iterator[tuple[list[str], str]]:
    """Commands with what is said about them."""
    train, use = ["train", "summarizer", "--run", "runs/bad"], ["summarize", RUN, "document.txt"]
    yield [*train, "--data", "missing.jsonl"], "there is no file, folder or embedded set called missing.jsonl"
    yield [*train, "--data", "empty.jsonl"], "empty.jsonl can't be read as jsonl"
    yield [*train, "--data", "binary.csv"], "binary.csv"
    yield [*train, "--data", "columns.csv"], "columns.csv has the columns left, right"
    yield [*train, "--data", "columns.csv", "--columns", "left", "up"], "columns.csv has no column up"
    yield [*train, "--data", "latin.csv"], "isn't UTF-8"
    yield [*train, "--data", "texts.jsonl", "--vocabulary", "20"], "a vocabulary of 20 tokens is too small"
    yield [*train, "--data", "texts.jsonl", "--batch-size", "3"], "can't hold the longest pair"
    yield [*train, "--data", "texts.jsonl", "--longest-summary", "1"], "leave no room for a word"
    yield [*train, "--data", "texts.jsonl", "--preset", "huge"], "there is no preset called 'huge'"
    yield [*train, "--data", "texts.jsonl", "--init", "nowhere"], "nowhere is no folder here"
    yield [*train, "--data", "texts.jsonl", "--epochs", "0"], "0 epochs train nothing"
    yield ["train", "summarizer", "--run", RUN, *OPTIONS, "--dropout", "0.3"], "dropout"
    yield [*use, "--no-repeat-ngram", "-1"], "can't be negative"
    yield [*use, "--max-tokens", "4", "--min-tokens", "4"], "a text can't have 4 tokens at least and 4 at most"
    yield [*use, "--max-tokens", "0"], "can't be meant"
    yield [*use, "--beams", "0"], "0 beams"
    yield [*use, "--sample"], "sampling follows one text, not 4 beams"
    yield [*use, "--temperature", "0", "--beams", "1", "--sample"], "a temperature of 0"
    yield [*use, "--batch", "0"], "0 documents at a time"
    yield [*use, "--stream"], "--stream shows a text as it is written, and a beam search"
    yield [*use, "--max-tokens", "999"], "positions"
    yield ["summarize", RUN, "missing.txt"], "there is no file or folder missing.txt"
    yield ["summarize", "runs", "document.txt"], "holds no config.json"
    yield ["summarize", RUN, "document.txt", "--output", "texts.jsonl/x.txt"], "can't be written"
    yield ["evaluate", RUN, "--mirror"], "--mirror is for runs of kind faces only"
    yield ["evaluate", RUN, "--beside", "nowhere"], "can't be read: run 'vitrail evaluate nowhere' first"
    yield ["export", RUN, "--to", "timm"], "knows models of images only"
    yield ["probe", RUN], "kind 'summarizer'"


@pytest.mark.parametrize(("words", "sentence"), list(mistakes()), ids=lambda value: str(value)[:40])
def test_mistakes(words: list[str], sentence: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "document.txt").write_text("A house, said 3 times.")
    (here / "empty.jsonl").touch()
    (here / "binary.csv").write_bytes(bytes(range(256)))
    (here / "columns.csv").write_text("left,right\na,b\n")
    (here / "latin.csv").write_bytes("document,summary\nUn café,Café\n".encode("latin-1"))
    before = set(here.rglob("*"))
    assert main(words) == 2
    said = capsys.readouterr()
    assert sentence in said.err
    assert len(said.err.strip().splitlines()[-1]) > 20
    assert "Traceback" not in said.err
    assert set(here.rglob("*")) == before
