"""All studies in a row: nothing twice, nobody taken down by another, and always a page."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from studies_made import FINDING, answer, put_studies, times

from vitrail.cli import main
from vitrail.errors import ConfigError, DataError, MissingDataError, MissingModelError
from vitrail.recipes.events import Event, Note, Report
from vitrail.studies import CHAPTERS, STUDIES, code
from vitrail.studies.code import code_fingerprint
from vitrail.studies.every import Done, run_all
from vitrail.studies.running import command_of, is_there, run
from vitrail.studies.terms import Finding, Stopped, StudyRecipe
from vitrail.train.events import Started

QUICK = Path("runs/studies/quick")


def refuse(recipe: StudyRecipe, report: Report) -> Finding:
    raise DataError("the pixels <are> gone: bring them back.")


def break_down(recipe: StudyRecipe, report: Report) -> Finding:
    raise ZeroDivisionError("division by zero\nand more")


def miss(recipe: StudyRecipe, report: Report) -> Finding:
    raise MissingModelError("no-such-bert isn't installed: install it.")


def states(studies: tuple[Done, ...]) -> dict[str, str]:
    return {one.name: one.state for one in studies}


def test_every_study_stands_in_one_chapter() -> None:
    assert [name for studies in CHAPTERS.values() for name in studies] == list(STUDIES)
    assert len(STUDIES) == sum(map(len, CHAPTERS.values()))


@pytest.mark.usefixtures("here")
class TestAll:
    def test_one_after_the_other_and_nothing_twice(self, monkeypatch: pytest.MonkeyPatch) -> None:
        put_studies(monkeypatch, made_first=answer, made_second=answer, last=answer)
        said: list[Event] = []
        everything = run_all(StudyRecipe("all", quick=True), said.append)
        assert everything.finished
        assert states(everything.studies) == dict.fromkeys(["made-first", "made-second", "last"], "done")
        told = [event.text for event in said if isinstance(event, Note)]
        assert told[0] == "[1/3] made-first: is made-first so? (somebody, table 1)"
        assert told[1] == "made-first: done in 0 s (2 left, about 0 s)"
        assert told[-1] == "last: done in 0 s"
        assert everything.page == QUICK / "report.html"
        written = times(QUICK)
        assert set(written) == {"made-first", "made-second", "last"}
        again = run_all(StudyRecipe("all", quick=True))
        assert set(states(again.studies).values()) == {"there"}
        assert times(QUICK) == written

    def test_what_isnt_the_same_is_done_again(self, monkeypatch: pytest.MonkeyPatch) -> None:
        put_studies(monkeypatch, made=answer, other=answer)
        recipe = StudyRecipe("all", quick=True)
        run_all(recipe)
        with_seeds = states(run_all(replace(recipe, seeds=2)).studies)
        assert with_seeds == {"made": "there", "other": "done"}, "made reads no --seeds"
        assert states(run_all(recipe).studies) == {"made": "there", "other": "done"}
        (QUICK / "made" / "figure.png").unlink()
        assert states(run_all(recipe).studies) == {"made": "done", "other": "there"}
        monkeypatch.setattr("vitrail.studies.running.code_fingerprint", lambda module: f"new {'other' in module}")
        assert set(states(run_all(recipe).studies).values()) == {"done"}
        monkeypatch.setattr("vitrail.studies.running.versions", lambda: {"torch": "99"})
        assert set(states(run_all(recipe).studies).values()) == {"done"}
        assert set(states(run_all(recipe).studies).values()) == {"there"}

    def test_one_that_fails_takes_no_other_down(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        put_studies(monkeypatch, first=refuse, second=break_down, third=answer)
        assert main(["study", "all", "--quick"]) == 2
        shown, wrong = capsys.readouterr()
        assert wrong == (
            "vitrail: 2 of 3 studies failed, first first (the pixels <are> gone: bring them back), and "
            f"{QUICK / 'report.html'} tells of all: mend that, and vitrail study all --quick does only what is left.\n"
        )
        assert "second failed: ZeroDivisionError: division by zero (1 left" in shown
        page = (QUICK / "report.html").read_text()
        assert page.index("the pixels &lt;are&gt; gone: bring them back.") < page.index("ZeroDivisionError")
        assert "the pixels <are>" not in page
        put_studies(monkeypatch, first=answer, second=answer, third=answer)
        before = times(QUICK)
        assert main(["study", "all", "--quick"]) == 0
        assert times(QUICK)["third"] == before["third"]
        assert "bring them back" not in (QUICK / "report.html").read_text()

    def test_what_isnt_here_is_told_and_no_failure(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def no_package(recipe: StudyRecipe, report: Report) -> Finding:
            raise ModuleNotFoundError("No module named 'cv2'", name="cv2")

        def no_data(recipe: StudyRecipe, report: Report) -> Finding:
            raise MissingDataError("There is nothing called cifar.")

        put_studies(monkeypatch, made=miss, package=no_package, pictures=no_data, well=answer)
        assert main(["study", "all", "--quick"]) == 0
        assert "made isn't there: no-such-bert isn't installed: install it." in capsys.readouterr().out
        page = (QUICK / "report.html").read_text()
        assert "no-such-bert isn&#x27;t installed" in page
        assert "the package cv2 isn&#x27;t installed: install it." in page
        assert main(["study", "all", "--quick", "--model", "other"]) == 2, "it was asked for by name"
        assert "1 of 4 studies failed, made first" in capsys.readouterr().err

    def test_interrupted_it_goes_on(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        def stop(recipe: StudyRecipe, report: Report) -> Finding:
            raise Stopped

        def press(recipe: StudyRecipe, report: Report) -> Finding:
            raise KeyboardInterrupt

        for interrupted in (stop, press):
            put_studies(monkeypatch, first=answer, second=interrupted, third=answer)
            assert main(["study", "all", "--quick"]) == 1
            said = capsys.readouterr().out
            place = QUICK / "report.html"
            assert f"stopped and saved in {place}; to go on from there:  vitrail study all --quick" in said
            assert "Not run yet: <code>vitrail study third --quick</code>" in place.read_text()
            assert set(times(QUICK)) == {"first"}
        put_studies(monkeypatch, first=answer, second=answer, third=answer)
        assert states(run_all(StudyRecipe("all", quick=True)).studies) == {
            "first": "there",
            "second": "done",
            "third": "done",
        }

    def test_results_that_are_damaged_are_told_in_their_place(self, monkeypatch: pytest.MonkeyPatch) -> None:
        put_studies(monkeypatch, first=answer, second=answer)
        recipe = StudyRecipe("all", results=Path("found"))
        run_all(recipe)
        Path("found/first/results.json").write_text('{"found": {"x": 3}}')
        everything = run_all(recipe)
        assert states(everything.studies) == {"first": "failed", "second": "there"}
        assert "found/first/results.json can&#x27;t be read" in everything.page.read_text()

    def test_only_the_page(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        put_studies(monkeypatch, first=answer, second=answer)
        run(StudyRecipe("first", quick=True))
        assert main(["study", "report", "--quick"]) == 0
        assert capsys.readouterr().out.splitlines()[-2:] == [
            f"results:  {QUICK / 'report.html'}",
            "next:     vitrail study all --quick",
        ]
        page = (QUICK / "report.html").read_text()
        assert "1 of 2 questions" in page
        assert "Not run yet: <code>vitrail study second --quick</code>" in page
        assert main(["study", "report", "--seeds", "3"]) == 2
        assert "report reads no --seeds" in capsys.readouterr().err


def test_how_it_was_made_is_written(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def half_done(recipe: StudyRecipe, report: Report) -> Finding:
        report(Started(3, 3, 1, "cpu", "float32", "", 1))
        return FINDING

    put_studies(monkeypatch, made=answer, found=half_done)
    run(StudyRecipe("made", data="a b"))
    one = json.loads(Path("results/made/results.json").read_text())["found"]["a b"]
    assert one["command"] == "vitrail study made --data 'a b'"
    assert 0 <= one["seconds"] < 5
    assert one["anew"]
    assert one["view"] == "vitrail view some-model 'a text'"
    assert set(one["versions"]) == {"vitrail", "torch", "transformers", "numpy"}
    run(StudyRecipe("found"))
    other = json.loads(Path("results/found/results.json").read_text())["found"]["made up"]
    assert not other["anew"]
    assert other["view"] is None


def test_results_from_before_are_read_and_done_again(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_studies(monkeypatch, made=answer)
    recipe = StudyRecipe("made")
    run(recipe)
    assert is_there(recipe)
    path = Path("results/made/results.json")
    old = json.loads(path.read_text())
    for name in ("command", "seconds", "anew", "code", "versions", "view", "date"):
        del old["found"]["made up"][name]
    path.write_text(json.dumps({**old, "found": {"others": old["found"]["made up"], **old["found"]}}))
    assert not is_there(recipe)
    run(recipe)
    assert is_there(recipe)
    assert "others" in json.loads(path.read_text())["found"]


@pytest.mark.parametrize(
    ("recipe", "typed"),
    [
        (StudyRecipe("harmonic"), "vitrail study harmonic"),
        (StudyRecipe("face-jpeg", run=Path("runs/lfw"), quick=True), "vitrail study face-jpeg --run runs/lfw --quick"),
        (StudyRecipe("same-word", model="a model", seeds=3), "vitrail study same-word --model 'a model' --seeds 3"),
    ],
)
def test_the_command_that_makes_it_again(recipe: StudyRecipe, typed: str) -> None:
    import shlex

    from vitrail.cli.study import read

    assert command_of(recipe) == typed
    assert read(shlex.split(typed)[2:]) == recipe


def test_a_fingerprint_follows_what_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {
        "studies/__init__.py": "from vitrail.nn import c",
        "studies/one.py": "def run():\n    from vitrail.nn import b\n",
        "nn/__init__.py": "from vitrail.nn.d import x",
        "nn/b.py": "import numpy\nimport vitrail.nn.c\nfrom vitrail.studies import STUDIES",
        "nn/c.py": "from vitrail import room",
        "nn/d.py": "x = 1",
        "room/__init__.py": "from vitrail.room.inner import y",
        "room/inner.py": "y = 2",
    }

    def fingerprints() -> str:
        code._needed.cache_clear()
        return code_fingerprint("vitrail.studies.one")

    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(code, "SOURCE", tmp_path)
    usual = fingerprints()
    assert fingerprints() == usual
    for name, text in files.items():
        (tmp_path / name).write_text(text + "\n# other")
        alone = name in ("studies/__init__.py", "nn/__init__.py", "nn/d.py")
        assert (fingerprints() == usual) == alone, name
        (tmp_path / name).write_text(text)
    assert fingerprints() == usual


def test_no_study_is_called_all() -> None:
    with pytest.raises(ConfigError, match=r"'all' is no study: name one of"):
        run(StudyRecipe("all"))


def test_code_that_changes_meanwhile_is_not_what_ran(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def edited(recipe: StudyRecipe, report: Report) -> Finding:
        monkeypatch.setattr("vitrail.studies.running.code_fingerprint", lambda module: "after")
        return FINDING

    put_studies(monkeypatch, made=edited)
    run(StudyRecipe("made"))
    assert not is_there(StudyRecipe("made"))
