"""The exercise on attention from its command to its page: what stands there, where its links lead, what can't run."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from homework_models import write_bert
from transformers import BertForMaskedLM, BertModel

from vitrail.cli import main
from vitrail.homework import attention_reading, small_gpt
from vitrail.homework.attention import AttentionHomework
from vitrail.homework.attention_context import Context
from vitrail.homework.attention_links import about_training
from vitrail.homework.attention_reading import BERT_TEXTS, BOTH, GPT_TEXTS, open_bert, open_gpt, read_all
from vitrail.homework.pages import Yours
from vitrail.homework.shelf import Shelf
from vitrail.recipes.events import ignore
from vitrail.trace import load_trace

HOSTILE = "<script>window.hostile=1</script>"
NAME = '<img src=x onerror=window.hostile=1> & "quotes"'
STATE = {"trace", "other", "layer", "head", "heads", "drawing", "quantity", "query", "key", "pin"}
"""What of the viewer's store (``viewer/static/store.js``) an address of ours may hold."""


class Seen(HTMLParser):
    """Elements, links and texts of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.pictures: list[dict[str, str | None]] = []
        self.sections: list[str] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = dict(attrs)
        self.tags.append(tag)
        assert not [name for name in known if name.startswith("on")]
        if tag == "a":
            self.links.append(known["href"] or "")
        if tag == "img":
            self.pictures.append(known)
        if tag == "section" and known.get("id"):
            self.sections.append(known["id"] or "")

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The exercise done, with a BERT of two layers and the GPT that is trained for it, of two steps here."""
    place = tmp_path_factory.mktemp("attention")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setitem(BERT_TEXTS, "bert-thanksgiving", ("I wanted to have a party", f"I like {HOSTILE} dinner"))  # type: ignore[misc]
        write_bert(place / NAME, BertModel)
        small_texts(place, patch)
        assert main(["homework", "attention", "--bert", NAME]) == 0
    return place / "runs" / "homework-attention"


def small_texts(place: Path, patch: pytest.MonkeyPatch) -> None:
    """Instead of all docstrings."""
    (place / "texts").mkdir()
    for part in ("train", "test"):
        (place / "texts" / f"{part}.txt").write_text(f"{BOTH} {' '.join(GPT_TEXTS.values())}\n" * 80)
    patch.setattr(small_gpt, "DATA", str(place / "texts"))
    patch.setattr(small_gpt, "STEPS", 2)


def test_the_page_answers_each_question_in_its_order(folder: Path) -> None:
    seen = Seen((folder / "attention.html").read_text())
    assert seen.sections == ["a", "b", "c", "d", "e"]
    text = " ".join(seen.texts)
    for words in ("tiny GPT", "perplexity", BOTH, "Jaime Salazar", "“play”", "dL/dA", "vitrail homework attention"):
        assert words in text, words
    assert text.count("Yours to write") == 5
    assert len(seen.pictures) >= 15
    assert all((picture["src"] or "").startswith("data:image/png;base64,") for picture in seen.pictures)
    assert all(picture["alt"] for picture in seen.pictures)
    assert "nan" not in re.findall(r"\w+", text)
    assert not list(folder.rglob("*.part"))


def test_nothing_on_the_page_runs(folder: Path) -> None:
    text = (folder / "attention.html").read_text()
    seen = Seen(text)
    assert not {"script", "iframe", "object", "link"} & set(seen.tags)
    assert "default-src 'none'" in text
    assert HOSTILE in " ".join(seen.texts)
    assert NAME in " ".join(seen.texts)
    assert seen.tags.count("img") == len(seen.pictures)
    fenced = re.compile(r"^```bash\n.*?^```$", re.MULTILINE | re.DOTALL)  # commands, as they are typed
    markdown = fenced.sub("", (folder / "attention.md").read_text())
    assert "<script" not in markdown
    assert "<img" not in markdown


def test_every_view_is_there(folder: Path) -> None:
    views = [link for link in Seen((folder / "attention.html").read_text()).links if link.startswith("views/")]
    assert len(views) > 20
    for view in views:
        file, _, address = view.partition("#")
        config = re.search(r'id="vitrail">(.*?)</script>', (folder / file).read_text())
        assert config is not None
        offered = {source["id"]: source["name"] for source in json.loads(config[1])["sources"]}
        looked = {name: values[0] for name, values in parse_qs(address, strict_parsing=True).items()}
        assert set(looked) <= STATE
        trace = load_trace(folder / "traces" / f"{offered[looked['trace']]}.safetensors")
        if "head" in looked:
            assert looked["heads"] == looked["head"]
            assert int(looked["head"]) < trace.layer(int(looked["layer"])).heads
        if "other" in looked:
            assert looked["other"] in offered
        if "pin" in looked:
            assert looked["pin"] == f"{looked['query']}.{looked['key']}"
            texts = trace.tokens().texts or ()
            assert [texts[int(place)] for place in looked["pin"].split(".")] == ["happy", "sad"]


def test_traces_are_of_the_exercise(folder: Path) -> None:
    names = {path.stem for path in (folder / "traces").iterdir()}
    assert {
        *GPT_TEXTS,
        *BERT_TEXTS,
        "gpt-both",
        "bert-both",
        "bert-happy-untrained",
        "bert-happy-untrained-pytorch",
    } <= names
    happy = load_trace(folder / "traces" / "bert-happy.safetensors")
    assert happy.provenance.texts == BERT_TEXTS["bert-happy"]
    assert happy.provenance.target == "cosine of the two sentences' mean last states"
    assert happy.gradients(1, 3).any()
    assert (
        load_trace(folder / "traces" / "bert-party-untrained.safetensors").provenance.weights == "untrained (library)"
    )


def test_markdown_says_the_same(folder: Path) -> None:
    text = (folder / "attention.md").read_text()
    assert re.findall(r"^## \((\w)\)", text, re.MULTILINE) == ["a", "b", "c", "d", "e"]
    pictures = re.findall(r"^!\[.*\]\((pictures/[^)]+)\)$", text, re.MULTILINE)
    assert len(pictures) == len(Seen((folder / "attention.html").read_text()).pictures)
    assert all((folder / picture).is_file() for picture in pictures)
    assert text.count("> **Yours to write.**") == 5


def test_a_run_that_is_there_is_taken(folder: Path, tmp_path: Path) -> None:
    assert small_gpt.find_run(folder) == folder / "gpt"
    gpt = open_gpt(AttentionHomework(runs=folder, output=tmp_path), ignore)
    assert gpt is not None
    assert gpt.name == "homework-attention/gpt"
    config = json.loads((folder / "gpt" / "config.json").read_text())
    unfinished = tmp_path / "runs" / "unfinished"
    unfinished.mkdir(parents=True)
    for file in ("model.safetensors", "metrics.jsonl"):
        (unfinished / file).write_bytes((folder / "gpt" / file).read_bytes())
    config["train"]["steps"] = 3
    (unfinished / "config.json").write_text(json.dumps(config))
    assert small_gpt.find_run(tmp_path / "runs") is None


def test_a_bert_that_fills_in_is_asked_for_the_word(tmp_path: Path) -> None:
    """Its gradients are of the hidden word, and the pair is the mask's."""
    write_bert(tmp_path / "bert", BertForMaskedLM)
    bert = open_bert(str(tmp_path / "bert"))
    plain = bert.read(*BERT_TEXTS["bert-happy"])
    assert bert.says_tokens
    assert plain.provenance.target is None
    hidden = {f"bert-hidden{suffix}": reader for suffix, reader in twins(bert).items()}
    traces = {
        name: reader.read("I am [MASK]", "I am not sad", gradient="masked:happy") for name, reader in hidden.items()
    }
    traces |= {f"bert-happy{suffix}": reader.read(*BERT_TEXTS["bert-happy"]) for suffix, reader in twins(bert).items()}
    question = about_training(Context(traces, Shelf(tmp_path / "out", traces), bert, bert, tmp_path, None))
    assert isinstance(question.blocks[-1], Yours)
    said = str(question)
    assert "log-probability of 'happy' at position 3" in said
    assert "[MASK] → sad" in said


def twins(bert: attention_reading.Reader) -> dict[str, attention_reading.Reader]:
    return {"": bert, "-untrained": bert.twin("library", 0), "-untrained-pytorch": bert.twin("pytorch", 0)}


def test_models_of_another_kind_are_refused(folder: Path, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_bert(here / "bert", BertModel)
    gpt = str(folder / "gpt")
    assert main(["homework", "attention", "--bert", gpt, "--gpt", gpt]) == 2
    assert "reads one text at a time" in capsys.readouterr().err
    assert main(["homework", "attention", "--bert", "bert", "--gpt", "bert"]) == 2
    assert "bert sees later words, and a GPT doesn't: name another by --gpt" in capsys.readouterr().err
    assert main(["homework", "attention", "--bert", "nowhere", "--gpt", gpt]) == 2
    assert "nowhere is no folder and no name on the hub" in capsys.readouterr().err
    assert not list(here.rglob("attention.html"))


def test_read_all_reads_the_masked_one_too(tmp_path: Path, folder: Path) -> None:
    write_bert(tmp_path / "bert", BertForMaskedLM)
    gpt = open_gpt(AttentionHomework(gpt=str(folder / "gpt")), ignore)
    assert gpt is not None
    traces = read_all(gpt, open_bert(str(tmp_path / "bert")), 0, ignore)
    assert {"bert-hidden", "bert-hidden-untrained", "bert-hidden-untrained-pytorch"} <= set(traces)
    assert traces["gpt-salazar"].stream().predictions is not None
