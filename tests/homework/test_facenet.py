"""The exercise on FaceNet: its page, its counts beside loops, what studies found."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from vitrail.cli import main
from vitrail.faces.mining import squared_distances
from vitrail.homework.facenet import FaceNetHomework
from vitrail.homework.facenet_triplets import MARGIN, draw_batch
from vitrail.recipes.events import ignore
from vitrail.studies import STUDIES

ROOT = Path(__file__).parents[2]


@pytest.fixture
def people(tmp_path: Path) -> str:
    """Seven people with five images each to test on."""
    rng = np.random.default_rng(0)
    for part in ("train", "test"):
        for person in range(7):
            folder = tmp_path / "people" / part / f"{part}-{person}"
            folder.mkdir(parents=True)
            base = rng.integers(0, 255, (11, 11, 3))
            for number in range(5):
                pixels = np.clip(base + rng.integers(-60, 60, base.shape), 0, 255)
                Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{number}.png")
    return str(tmp_path / "people")


def test_a_batch_is_counted_as_loops_count_it(people: str) -> None:
    batch = draw_batch(FaceNetHomework(data=people), ignore)
    assert (batch.people, batch.images, len(batch.labels)) == (7, 35, 35)
    assert batch.triplets == batch.all_triplets == 7 * 6 * 25 * 4
    assert batch.embeddings.norm(dim=1) == pytest.approx(torch.ones(35))
    distances = squared_distances(batch.embeddings, batch.embeddings).tolist()
    labels = batch.labels.tolist()
    counts = dict.fromkeys(("all", "semi-hard", "hard"), 0)
    for a, p in ((a, p) for a in range(35) for p in range(35) if a != p and labels[a] == labels[p]):
        for n in range(35):
            if labels[n] == labels[a]:
                continue
            counts["all"] += 1
            counts["semi-hard"] += distances[a][p] < distances[a][n] < distances[a][p] + MARGIN
            counts["hard"] += distances[a][n] < distances[a][p]
    assert {way: int(batch.mined[way][1].chosen) for way in counts} == counts  # type: ignore[index]
    positive, negative = batch.example()
    assert positive in [pytest.approx(distance) for distance in distances[0]]
    same = [p for p in range(35) if p != 0 and labels[p] == labels[0]]
    assert positive == pytest.approx(max(distances[0][p] for p in same))
    assert negative == pytest.approx(min(distances[0][n] for n in range(35) if labels[n] != labels[0]))


def test_the_page_has_every_question(people: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["homework", "facenet", "--data", people, "--output", "answers", "--results", str(ROOT / "results")]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert said.splitlines()[-1] == "next:     vitrail homework attention"
    page, markdown = (Path("answers", f"facenet.{kind}").read_text() for kind in ("html", "md"))
    assert re.findall(r'<section id="(\w)">', page) == list("abcdefghi")
    assert re.findall(r"^## \((\w)\)", markdown, re.MULTILINE) == list("abcdefghi")
    assert page.count("Yours to write") == 9
    assert "<script" not in page
    for told in ("140,006,592", "7,448,256", "123,552,000", "25,557,032", "4,200", "12,390,400", "7×7×1024"):
        assert told in page, told
    for name in ("harmonic", "face-dimension", "face-data", "face-jpeg", "face-pixels"):
        assert Path("answers/pictures").glob(f"*-study-{name}.png"), name
        assert f"vitrail study {name}" in page
    pictures = re.findall(r"^!\[.*\]\((pictures/[^)]+)\)$", markdown, re.MULTILINE)
    assert len(pictures) == page.count("data:image/png;base64,") >= 5
    assert all(Path("answers", picture).is_file() for picture in pictures)
    assert not list(Path("answers").rglob("*.part"))


def test_without_studies_their_commands_are_told(people: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["homework", "facenet", "--data", people]) == 0
    said = capsys.readouterr().out
    assert "from results: no study yet" in said
    page = Path("runs/homework-facenet/facenet.html").read_text()
    for name in ("harmonic", "face-dimension", "face-data"):
        assert name in STUDIES
        assert f"<code>vitrail study {name}</code>" in page
        assert f"vitrail study {name}" in said
    assert "data:image" not in page


def test_the_opinions_are_the_students(people: str, here: Path) -> None:
    assert main(["homework", "facenet", "--data", people]) == 0
    page = Path("runs/homework-facenet/facenet.html").read_text()
    last = page[page.index('<section id="i">') : page.index('<section class="foot">')]
    assert re.sub(r"<[^>]*>", "\n", last).split("\n")[-1].strip() == ""
    assert last.count("<p") == 2  # the question, and what is left
    assert "nothing is proposed here" in last


def test_mistakes_are_told(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["homework", "facenet", "--data", "nowhere"]) == 2
    assert "nowhere" in capsys.readouterr().err
    assert main(["homework", "facenet", "--run", "nowhere"]) == 2
    assert "nowhere" in capsys.readouterr().err
    Path("taken").write_text("")
    assert main(["homework", "facenet", "--output", "taken"]) == 2
    assert "taken is a file, but a folder is needed there" in capsys.readouterr().err
    assert not list(here.rglob("facenet.html"))
