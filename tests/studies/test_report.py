"""The page of all questions: everything in it, nothing beside it, and whatever a study wrote is text."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest
from studies_made import FINDING, answer, put_studies

from vitrail.errors import OutputError
from vitrail.recipes.events import Report
from vitrail.studies.report import write_page
from vitrail.studies.report_markdown import markdown
from vitrail.studies.report_parts import THAT, Words, gather, lasted, sentence
from vitrail.studies.running import run
from vitrail.studies.terms import Finding, StudyRecipe

ROOT = Path(__file__).parents[2]
VOID = {"meta", "img", "br"}
NASTY = "<script>alert('x & \"y\"')</script>"


class Page(HTMLParser):
    """What a page's markup says, checked while it is read: every element is closed in its turn."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.found: list[tuple[str, dict[str, str]]] = []
        self.words = ""
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words += f"{data} "

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.found if name == tag]


@pytest.fixture
def page(here: Path, monkeypatch: pytest.MonkeyPatch) -> Page:
    """Of three studies, one of which was run on two things, and one wasn't run."""
    put_studies(monkeypatch, made=answer, second=answer, third=answer)
    run(StudyRecipe("made"))
    run(StudyRecipe("made", data="other"))
    run(StudyRecipe("second", seeds=2))
    return Page(write_page(StudyRecipe("report")).read_text(encoding="utf-8"))


def test_it_needs_nothing_else(page: Page) -> None:
    assert {tag for tag, _ in page.found}.isdisjoint({"script", "link", "iframe", "object", "form"})
    assert [image["src"][:22] for image in page.all("img")] == ["data:image/png;base64,"] * 2
    assert all(link["href"].startswith("#") for link in page.all("a"))
    assert not [name for _, attributes in page.found for name in attributes if name.startswith("on")]
    style = (ROOT / "src/vitrail/studies/report.css").read_text()
    assert "url(" not in style
    assert "@import" not in style
    assert all(part in style for part in ("prefers-color-scheme: dark", "@media print", "break-before: page"))
    policy = next(meta["content"] for meta in page.all("meta") if "http-equiv" in meta)
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def test_whoever_cannot_see_it_can_read_it(page: Page) -> None:
    assert page.all("html") == [{"lang": "en-GB"}]
    names = [attributes["id"] for _, attributes in page.found if "id" in attributes]
    assert len(names) == len(set(names))
    targets = [link["href"][1:] for link in page.all("a")]
    targets += [attributes["aria-labelledby"] for _, attributes in page.found if "aria-labelledby" in attributes]
    assert set(targets) <= set(names)
    assert {"made", "second", "third", "summary"} <= set(targets)
    for image in page.all("img"):
        assert (
            "Is made so? Measured on made up, other. Curves: ours." in image["alt"] or "Is second so?" in image["alt"]
        )
        assert "Wider is better." in image["alt"]
        assert min(int(image["width"]), int(image["height"])) > 300
    assert len(page.all("caption")) == len(page.all("table")) == 1 + 3
    assert {head["scope"] for head in page.all("th")} == {"col", "row", "rowgroup"}
    levels = [int(tag[1]) for tag, _ in page.found if re.fullmatch(r"h\d", tag)]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_questions_stand_in_their_order_with_all_that_was_found(page: Page) -> None:
    words = " ".join(page.words.split())
    places = [
        words.rindex(text) for text in ("1 Beginnings", "1.1 Is made so?", "1.2 Is second", "2 Ends", "2.1 Is third")
    ]
    assert places == sorted(places)
    assert words.count("128 71.5 ± 1.2 narrow") == 3
    assert "2 of 3 questions" in words
    assert "On made up This shows that wider is better. It can't show how wide is enough." in words
    assert words.count("This shows that wider is better.") == 3
    assert words.count("Wider is better.") == 2, "in the summary"
    assert words.count("256 beside 128: +1.5 points (+0.2 to +2.8).") == 3
    assert "vitrail study made --data other" in words
    assert "vitrail study second --seeds 2" in words
    assert "Not run yet: vitrail study third" in words
    assert "vitrail view some-model 'a text'" in words
    assert words.count("the paper: 128: 80.0%, 512: 90.0%.") == 2, "once a question"


def test_a_table_that_has_the_papers_numbers_is_enough(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def beside(recipe: StudyRecipe, report: Report) -> Finding:
        return replace(FINDING, heads=("width", "accuracy, %", "the paper's"))

    put_studies(monkeypatch, made=beside)
    run(StudyRecipe("made"))
    assert "80.0%" not in Page(write_page(StudyRecipe("report")).read_text()).words


def test_whatever_a_study_writes_is_text(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nasty(recipe: StudyRecipe, report: Report) -> Finding:
        curve = replace(FINDING.curves[0], label=NASTY)
        return Finding((NASTY, "n"), ((NASTY, NASTY),), (NASTY, f"this shows {NASTY}"), (curve,), {})

    put_studies(monkeypatch, made=nasty)
    monkeypatch.setattr("vitrail.studies.report_page.PAPERS", {"Beginnings": NASTY})
    run(StudyRecipe("made", data=NASTY))
    path = Path("results/made/results.json")
    results = json.loads(path.read_text())
    results["note"], results["found"][NASTY]["view"], results["paper"][0]["label"] = NASTY, NASTY, NASTY
    results["found"][NASTY]["versions"] = {NASTY: NASTY}
    path.write_text(json.dumps(results))
    Path("results/made/a <b> & c.safetensors").write_bytes(b"")
    text = write_page(StudyRecipe("report", results=Path("results")), {"made": NASTY}).read_text()
    assert "<script" not in text
    page = Page(text)
    assert page.words.count(NASTY) >= 12
    assert [link["href"] for link in page.all("a") if "safetensors" in link["href"]] == [
        "made/a%20%3Cb%3E%20%26%20c.safetensors"
    ]
    assert "vitrail view 'results/made/a <b> & c.safetensors'" in page.words


def test_results_of_before_have_a_page(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_studies(monkeypatch, made=answer, second=answer)
    run(StudyRecipe("made"))
    path = Path("results/made/results.json")
    results = json.loads(path.read_text())
    for name in ("command", "seconds", "anew", "code", "versions", "view", "date"):
        del results["found"]["made up"][name]
    del results["note"]
    path.write_text(json.dumps(results))
    Path("results/made/figure.png").unlink()
    words = " ".join(Page(write_page(StudyRecipe("report")).read_text()).words.split())
    assert "Date not recorded Time not recorded Versions not recorded" in words
    assert "vitrail study made makes it with the usual options" in words
    (path.parent / "results.json").write_text("[]")
    assert "results/made/results.json can't be read" in Page(write_page(StudyRecipe("report")).read_text()).words


def test_a_page_that_cannot_be_written(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_studies(monkeypatch, made=answer)
    Path("results").write_text("a file")
    with pytest.raises(OutputError, match="results"):
        write_page(StudyRecipe("report"))


def test_words_become_sentences() -> None:
    found = Words.of(["half of it: +1", "this shows nothing: too short", "It can't show why", "this can't last."])
    assert found.shown == ("This shows nothing: too short.",)
    assert found.limits == ("It can't show why.", "This can't last.")
    assert found.others == ("Half of it: +1.",)
    assert [sentence(words) for words in ("v1-v2 is", "'the' is", "two-layer nets", "BERT is?", "64 are")] == [
        "v1-v2 is.",
        "'the' is.",
        "Two-layer nets.",
        "BERT is?",
        "64 are.",
    ]
    assert THAT.sub("", "This shows that a is so, and that b is.") == "This shows that a is so, and that b is."
    assert THAT.sub("", "This shows that a is so.") == "a is so."
    assert [lasted(seconds) for seconds in (0.4, 99.4, 100, 3600)] == ["0 s", "99 s", "2 min", "60 min"]


def test_the_page_of_the_docs(page: Page) -> None:
    text = markdown(gather(Path("results"), {}), "../results")
    assert text.count("### ") == 2
    assert text.index("## Beginnings") < text.index("### Is made so?") < text.index("### Is second so?")
    assert "On other: This shows that wider is better. It can't show how wide is enough.\n" in text
    assert "![Is second so?](../results/second/figure.png)\n" in text
    assert re.search(r"^vitrail study made --data other    # \d{4}-\d\d-\d\d, \d s$", text, re.MULTILINE)
    assert "Ends" not in text, "nothing was found there"
    assert max(map(len, text.splitlines())) <= 140
