"""``vitrail homework pack``: the zip holds what the table says, the student's fields hold what the student wrote."""

import json
import os
import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
import torch
from PIL import Image

from vitrail.cli import main
from vitrail.errors import DataError
from vitrail.homework import pack
from vitrail.homework.mae_cases import COURSE
from vitrail.homework.pack_terms import PackHomework
from vitrail.homework.submission import submission_log
from vitrail.homework.written_fields import SIGN
from vitrail.homework.written_questions import EXERCISES

ZIP = Path("hw9_submission.zip")
ANSWERS = Path("written/answers.md")
OWN = [question.key for exercise in EXERCISES for question in exercise.questions if question.yours]
STUDIES = sorted(
    {need.name for one in EXERCISES for question in one.questions for need in question.needs if need.kind == "study"}
)
PAGES = {"facenet": "abcdefgh", "attention": "abcde"}


def notebook(path: Path, *, ran: bool = True, outputs: list[Any] | None = None) -> None:
    cell = {
        "cell_type": "code",
        "source": ["patchify(images)"],
        "execution_count": 1 if ran else None,
        "outputs": outputs or [],
    }
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"cells": [cell, {"cell_type": "code", "source": [], "execution_count": None}]}))


def picture(path: Path, shade: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (30, 20), (shade, shade, shade)).save(path)


def autograder(*names: str, **accuracies: float) -> None:
    torch.save({"output": {**{name: torch.zeros(2) for name in names}, **accuracies}}, "autograder.pt")


def study(name: str, *, quick: bool = False) -> None:
    folder = Path("results") / name
    picture(folder / "figure.png", 200)
    one = {
        "quick": quick,
        "date": "2026-11-24",
        "heads": ["layer|head", "share"],
        "rows": [["1.2", "<b>0.93</b>"]],
        "words": [f"it is *this* that {name} gives"],
        "curves": [],
        "facts": {},
    }
    about = {"study": name, "question": f"What does {name} do?", "paper": [], "found": {"glyphs": one}}
    (folder / "results.json").write_text(json.dumps(about))


def page(exercise: str, letters: str) -> None:
    folder = Path("runs") / f"homework-{exercise}"
    picture(folder / "pictures" / "a map.png", 90)
    parts = [
        f"## ({letter}) About {letter}\n\n*What about {letter}?*\n\nMeasured {letter}: **0.5**.\n\n### A part\n\n"
        "![All heads](pictures/a%20map.png)\n\n*All heads* · [the same](views/a.html#t0) · [live](http://127.0.0.1:1/)\n\n"
        "Look closer: · [a view](views/a.html#t1)\n\n> **Yours to write.** What do you think?\n"
        for letter in letters
    ]
    (folder / f"{exercise}.md").write_text("# Page\n\nLead.\n\n" + "\n".join(parts) + "\n## How this was made\n\nSo.\n")


def training(epochs: int = 2) -> None:
    folder = Path("runs/homework-summarization")
    folder.mkdir(parents=True)
    lines = [
        {"step": 4 * step, "train/loss": 9.0 - step, "evaluation/loss": 9.5 - step, "evaluation/accuracy": 0.1 * step}
        for step in range(1, 4)
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "config.json").write_text(json.dumps({"recipe": {"epochs": epochs}}))


@pytest.fixture
def whole(here: Path) -> Path:
    """A folder in which everything was made; but the training has no event files, so that no browser is asked for."""
    autograder(*(case.name for case in COURSE), vit_acc=0.71, mae_linear_acc=0.45, mae_finetune_acc=0.8125)
    origin = {"vit_acc": {"value": 0.71, "best_epoch": 0.72, "how": "runs/vit: 10 epochs of cifar10"}}
    Path("autograder_accuracies.json").write_text(json.dumps(origin))
    for exercise, letters in PAGES.items():
        page(exercise, letters)
    for name in STUDIES:
        study(name)
    for exercise in ("facenet", "mae", "summarization", "attention"):
        notebook(Path("notebooks") / f"{exercise}.ipynb")
    training()
    return here


def packed() -> Mapping[str, bytes]:
    with ZipFile(ZIP) as file:
        assert file.testzip() is None
        return {name: file.read(name) for name in file.namelist()}


def rows_of(said: str) -> list[list[str]]:
    """The table as it was printed, cut where its columns are."""
    lines = said.splitlines()
    rule = next(place for place, line in enumerate(lines) if line.startswith("-----"))
    starts = [match.start() for match in re.finditer(r"-+", lines[rule])]
    ends = [*(start - 2 for start in starts[1:]), None]
    last = next(place for place, line in enumerate(lines) if " missing, " in line and " yours to write, " in line)
    return [[line[a:b].strip() for a, b in zip(starts, ends, strict=True)] for line in lines[rule + 1 : last]]


def write_in(key: str, words: str) -> None:
    text = ANSWERS.read_text()
    begin = text.index(f"<!-- yours: {key} -->\n") + len(f"<!-- yours: {key} -->\n")
    ANSWERS.write_text(text[:begin] + words + text[text.index("\n<!-- end of yours -->", begin) :])


def field(key: str) -> str:
    found = re.search(rf"<!-- yours: {key} -->\n(.*?)\n<!-- end of yours -->", ANSWERS.read_text(), re.DOTALL)
    assert found is not None
    return found[1]


def test_where_nothing_was_made_all_is_missing_and_said(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["homework", "pack"]) == 0
    said = capsys.readouterr().out
    rows = rows_of(said)
    states = [row[4] for row in rows]
    assert states.count("there") == 1
    assert states.count("yours to write") == len(OWN)
    for row in rows:
        assert (row[4] == "MISSING") == (row[3] == "-")
        assert row[4] == "there" or row[5]
    commands = {row[5] for row in rows if row[4] == "MISSING"}
    assert {
        "vitrail homework facenet",
        "vitrail homework attention",
        *(f"vitrail study {name}" for name in STUDIES),
    } <= commands
    assert set(packed()) == {
        "submission_log.json",
        "submission_logs.json",
        "written/answers.html",
        "written/answers.md",
    }
    log, ours = json.loads(packed()["submission_log.json"]), submission_log(0.0)
    assert {**log, "time": ""} == {**json.loads(json.dumps(ours)), "time": ""}
    assert (
        packed()["submission_logs.json"] == packed()["submission_log.json"] == Path("submission_log.json").read_bytes()
    )
    assert "10 of 10 slices are those that Vitrail's functions give" in ANSWERS.read_text()


def test_strict_is_red_where_something_is_missing(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["homework", "pack", "--strict"]) == 2
    assert "hw9_submission.zip was written, but it isn't whole (" in capsys.readouterr().err
    assert ZIP.exists()


def test_the_zip_holds_what_the_table_says(whole: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["homework", "pack"]) == 0
    rows = rows_of(capsys.readouterr().out)
    told = {name for row in rows for name in row[3].split(", ")}
    content = packed()
    assert told <= set(content)
    # The one thing that can't be there without a browser: TensorBoard's own picture.
    assert [row[1] for row in rows if row[4] == "MISSING"] == ["training and validation loss, TensorBoard"]
    assert set(content) - told == {
        "autograder_accuracies.json",
        "submission_logs.json",
        "written/answers.md",
        *(f"written/pictures/{exercise}/a map.png" for exercise in PAGES),
        *(f"written/pictures/{name}.json" for name in STUDIES),
    }
    asked = [question.asks for exercise in EXERCISES for question in exercise.questions]
    assert [row[1] for row in rows if row[1]] == asked
    assert content["autograder.pt"] == Path("autograder.pt").read_bytes()
    assert content["mae.ipynb"] == Path("notebooks/mae.ipynb").read_bytes()


def test_the_answers_tell_what_was_found(whole: Path) -> None:
    pack.run(PackHomework())
    text, shown = ANSWERS.read_text(), ANSWERS.with_suffix(".html").read_text()
    assert "final validation accuracy 30.00%, after 2 epochs (12 steps)" in text
    assert "| vit\\_acc | a ViT, from scratch | 71.0% | 72.0% | runs/vit: 10 epochs of cifar10 |" in text
    assert "holds results of 9 of the 9 functions" in text
    assert "mae.ipynb was run from top to bottom" in text
    assert "this is no picture of TensorBoard, for there are no event files" in text
    assert "![All heads](pictures/attention/a%20map.png)" in text
    for left_out in ("What do you think?", "views/", "Look closer", "127.0.0.1", "What about c?"):
        assert left_out not in text
    # Pictures are inside the page; nothing of what was found is markup.
    pictures = len(STUDIES) + sum(map(len, PAGES.values())) + 1
    assert shown.count('<img src="data:image/png;base64,') == pictures
    assert shown.count("<img ") == pictures
    assert "&lt;b&gt;0.93" in shown
    assert "is *this* that" in shown
    assert not re.search(r"<script|https?://", shown)


def test_a_study_that_a_page_tells_of_is_told_once(whole: Path) -> None:
    path = Path("runs/homework-attention/attention.md")
    path.write_text(
        path.read_text().replace("Measured c:", "vitrail study head-roles: on glyphs, 2026-11-24. Measured")
    )
    found = pack.run(PackHomework())
    assert "that head-roles gives" not in ANSWERS.read_text()
    assert "that induction gives" in ANSWERS.read_text()
    assert [row.piece.state for row in found.rows if row.piece.what == "study head-roles"] == ["there"]
    assert "written/pictures/head-roles.png" not in packed()


def test_nothing_is_written_in_the_students_fields(whole: Path) -> None:
    pack.run(PackHomework())
    assert len(OWN) == 17
    assert {"process-sources", "process-group", "process-hours", "facenet-h", "facenet-i"} <= set(OWN)
    for key in OWN:
        assert re.fullmatch(rf"\*\*{SIGN} [^\n]+\.\*\*", field(key))
    shown = ANSWERS.with_suffix(".html").read_text()
    assert re.findall(r'<section class="yours (\w+)" id="([\w-]+)">', shown) == [("open", key) for key in OWN]


def test_what_the_student_wrote_is_kept_to_the_letter(whole: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["homework", "pack"]) == 0
    own = (
        "Grüße | **bold** <script>alert(1)</script>\n\n- `x`  \n\n![mine](my%20drawing.png) [x](javascript:alert(1))\n"
    )
    write_in("facenet-i", own)
    write_in("process-hours", f"about ten\n\n**{SIGN} a number of hours.**")
    picture(Path("written/my drawing.png"), 10)
    study("harmonic", quick=True)
    capsys.readouterr()
    assert main(["homework", "pack"]) == 0
    assert field("facenet-i") + "\n" == own + "\n"
    rows = rows_of(capsys.readouterr().out)
    # A draft beside the mark is kept, and still called open.
    assert field("process-hours").startswith("about ten\n")
    assert sum(row[4] == "yours to write" for row in rows) == len(OWN) - 1
    assert "this was a quick run" in ANSWERS.read_text().lower() or "a quick run" in ANSWERS.read_text()
    shown = packed()["written/answers.html"].decode()
    assert '<section class="yours filled" id="facenet-i">' in shown
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in shown
    assert 'href="javascript' not in shown
    assert 'alt="mine"' in shown
    assert 'src="my' not in shown
    assert packed()["written/my drawing.png"] == Path("written/my drawing.png").read_bytes()
    assert not list(Path("written").glob("answers-before*"))


def test_words_outside_the_fields_are_set_aside_in_a_copy(whole: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pack.run(PackHomework())
    for number in (1, 2):
        changed = ANSWERS.read_text().replace("## FaceNet\n", "## FaceNet\n\nI worked hard on this.\n")
        ANSWERS.write_text(changed)
        assert main(["homework", "pack"]) == 0
        assert f"written/answers-before-{number}.md has it all" in capsys.readouterr().out
        assert Path(f"written/answers-before-{number}.md").read_text() == changed
    assert "I worked hard" not in ANSWERS.read_text()
    assert not [name for name in packed() if "before" in name]


@pytest.mark.parametrize(
    ("gone", "told"),
    [
        ("<!-- yours: facenet-b -->", "16 comments that begin a field of yours and 17 that end one"),
        ("<!-- end of yours -->", "17 comments that begin a field of yours and 16 that end one"),
    ],
)
def test_a_lost_comment_is_told_and_nothing_written(gone: str, told: str, whole: Path) -> None:
    pack.run(PackHomework())
    write_in("facenet-a", "my words")
    ANSWERS.write_text(ANSWERS.read_text().replace(gone, "", 1))
    before, zipped = ANSWERS.read_bytes(), ZIP.read_bytes()
    with pytest.raises(DataError, match=told):
        pack.run(PackHomework())
    assert (ANSWERS.read_bytes(), ZIP.read_bytes()) == (before, zipped)


def test_the_same_files_give_the_same_zip(whole: Path) -> None:
    pack.run(PackHomework())
    write_in("process-group", "nobody")
    pack.run(PackHomework())
    first, names = ZIP.read_bytes(), list(packed())
    for path in whole.rglob("*"):
        os.utime(path, (1_000_000_000, 1_000_000_000))
    pack.run(PackHomework())
    assert ZIP.read_bytes() == first
    assert names == sorted(names)
    pack.run(PackHomework(output=Path("other/place.zip")))
    assert Path("other/place.zip").read_bytes() == first


HOSTILE = ["..\\..\\mae.ipynb", "mae\n\x1b[31m.ipynb", "-mae.ipynb", "mae‮<img src=x>.ipynb", "m" * 240 + "mae.ipynb"]


def test_names_that_would_do_harm_are_made_plain(whole: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in HOSTILE:
        notebook(Path("notebooks") / name)
    folder = Path("written") / "..."
    folder.mkdir(parents=True)
    for name in ("con.png", "a\\b.png", "ok.png"):
        picture(folder / name, 3)
    (Path("written") / ".secret").write_text("mine")
    Path("elsewhere.txt").write_text("private")
    (Path("written") / "link.txt").symlink_to(Path("elsewhere.txt").absolute())
    (Path("written") / "linked").symlink_to(whole / "runs")
    assert main(["homework", "pack"]) == 0
    said = capsys.readouterr().out
    assert "\x1b" not in said
    names = list(packed())
    assert len(names) == len(set(names))
    assert sum(name.endswith(".ipynb") for name in names) == 4 + len(HOSTILE)
    for name in names:
        for part in name.split("/"):
            assert re.fullmatch(r"[\w. ()-]{1,125}", part), name
            assert part.strip(" .") == part or part.startswith("_")
            assert part.partition(".")[0].lower() not in ("con", "nul", "")
    assert not any("secret" in name or "link" in name for name in names)
    assert b"private" not in ZIP.read_bytes()


def test_two_names_that_become_one_are_both_packed(whole: Path) -> None:
    for name in ("mae:1.ipynb", "mae?1.ipynb"):
        notebook(Path("notebooks") / name, outputs=[{"output_type": "stream", "text": name}])
    pack.run(PackHomework())
    names = [name for name in packed() if name.startswith("mae")]
    assert names == ["mae.ipynb", "mae_1 (2).ipynb", "mae_1.ipynb"]
    assert packed()["mae_1.ipynb"] != packed()["mae_1 (2).ipynb"]


class Hostile:
    def __reduce__(self) -> tuple[Any, tuple[Path, str]]:
        return (Path.write_text, (Path("was-run"), "yes"))


def test_a_hostile_autograder_is_not_run_and_not_packed(whole: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("autograder.pt").write_bytes(pickle.dumps({"output": Hostile()}))
    assert main(["homework", "pack"]) == 2
    assert "autograder.pt can't be read as results" in capsys.readouterr().err
    assert not Path("was-run").exists()
    assert not ZIP.exists()
    assert not Path("written/answers.md").exists()


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("results/harmonic/results.json", "results.json can't be read"),
        ("submission_log.json", "submission_log.json can't be read as JSON"),
        ("autograder_accuracies.json", "autograder_accuracies.json can't be read as JSON"),
        ("written/answers.md", "can't be read as text in UTF-8"),
        ("runs/homework-attention/attention.md", "attention.md can't be read"),
    ],
)
def test_damaged_files_are_told(path: str, told: str, whole: Path) -> None:
    Path(path).parent.mkdir(exist_ok=True)
    Path(path).write_bytes(b"\xff{")
    with pytest.raises(DataError, match=told):
        pack.run(PackHomework())
    assert not ZIP.exists()


def words_of(what: str, homework: PackHomework | None = None) -> tuple[str, str]:
    """The state of a piece, and what the answers say."""
    found = pack.run(homework or PackHomework())
    (piece,) = (row.piece for row in found.rows if row.piece.what == what)
    return piece.state, ANSWERS.read_text()


def test_what_an_autograder_lacks_is_missing(whole: Path) -> None:
    autograder("patchify", "unpatchify", vit_acc=0.5)
    state, text = words_of("autograder.pt")
    assert state == "missing"
    assert "2 of the 9 functions; there are none of ClassificationViT.forward, random" in text
    state, text = words_of("three accuracies")
    assert state == "missing"
    assert "| mae\\_linear\\_acc | a linear probe on the masked autoencoder | - | - | - |" in text


@pytest.mark.parametrize(("epochs", "state"), [(2, "there"), (12, "missing")])
def test_the_accuracy_is_that_after_two_epochs(epochs: int, state: str, here: Path) -> None:
    training(epochs)
    found, text = words_of("validation accuracy after 2 epochs")
    assert found == state
    assert f"final validation accuracy 30.00%, after {epochs} epochs (12 steps)" in text
    assert ("the exercise asks for it after 2 epochs" in text) == (epochs != 2)


def test_a_log_of_other_functions_is_kept_and_the_difference_said(here: Path) -> None:
    log = submission_log(0.0)
    log["transformer_layer.4.1.value"][2] += 0.01
    Path("submission_log.json").write_text(json.dumps(log))
    state, text = words_of("submission_log.json")
    assert state == "there"
    assert "9 of 10 slices are those that Vitrail's functions give; others stand under transformer\\_layer.4.1" in text
    assert json.loads(packed()["submission_log.json"]) == log
    del log["transformer_layer.4.1.shape"]
    Path("submission_log.json").write_text(json.dumps(log))
    state, text = words_of("submission_log.json")
    assert state == "missing"
    assert "lacks transformer\\_layer.4.1.shape" in text


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({"ran": False}, "mae.ipynb has 1 cells that were never run"),
        ({"outputs": [{"output_type": "error"}]}, "mae.ipynb stopped with an error"),
        (None, "mae.ipynb can't be read as a notebook (JSONDecodeError"),
    ],
)
def test_a_notebook_that_did_not_run_is_missing(content: dict[str, Any] | None, told: str, here: Path) -> None:
    path = Path("notebooks/mae.ipynb")
    notebook(path, **(content or {}))
    if content is None:
        path.write_text("no notebook")
    state, text = words_of("executed notebook, mae")
    assert state == "missing"
    assert told in text.replace("\\_", "_")
    assert "mae.ipynb" in packed()


def test_a_training_without_validation_says_so(here: Path) -> None:
    training()
    Path("runs/homework-summarization/metrics.jsonl").write_text('{"step": 1, "train/loss": 3}\n')
    state, text = words_of("TensorBoard's picture of the losses")
    assert state == "missing"
    assert "has no validation loss" in text


def test_every_study_that_is_named_is_one() -> None:
    from vitrail.studies import STUDIES as KNOWN

    assert set(STUDIES) <= set(KNOWN)
    keys = [question.key for exercise in EXERCISES for question in exercise.questions]
    assert len(keys) == len(set(keys))
