"""The notebooks of the exercises: run from top to bottom, small, with their pictures; and they still run."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from vitrail.homework import mae, summarization
from vitrail.homework.pack_parts import of_notebook
from vitrail.homework.pack_terms import Need, PackHomework

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
LARGEST = 1_000_000
PLACES = re.compile(r"/(?:work|root|home|tmp|Users)/")
"""Folders of somebody's machine."""


def cells(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in found if cell["cell_type"] == "code"]


def outputs(path: Path) -> list[dict[str, Any]]:
    return [output for cell in cells(path) for output in cell["outputs"]]


def said(path: Path) -> str:
    return "".join("".join(output.get("text", "")) for output in outputs(path))


def code(path: Path) -> str:
    return "\n".join("".join(cell["source"]) for cell in cells(path))


def test_there_is_one_for_each_exercise() -> None:
    assert [path.stem for path in NOTEBOOKS] == ["attention", "facenet", "mae", "summarization"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_was_run_from_top_to_bottom_and_is_small(path: Path) -> None:
    assert path.stat().st_size < LARGEST
    assert [cell["execution_count"] for cell in cells(path)] == list(range(1, len(cells(path)) + 1))
    piece = of_notebook(Need("notebook", path.stem, ""), PackHomework(notebooks=ROOT / "notebooks"))
    assert (piece.state, piece.file) == ("there", path.name)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_has_pictures_and_nothing_of_the_machine_that_ran_it(path: Path) -> None:
    pictures = [output for output in outputs(path) if "image/png" in output.get("data", {})]
    assert len(pictures) >= 2
    assert not PLACES.search(said(path))
    assert [output for output in outputs(path) if output.get("name") == "stderr"] == []


@pytest.mark.parametrize(("name", "module"), [("mae", mae), ("summarization", summarization)])
def test_the_functions_come_by_one_line(name: str, module: Any) -> None:
    """The only line of ours that the check cells need; what they call is what the course calls."""
    program = code(ROOT / "notebooks" / f"{name}.ipynb")
    assert f"\nfrom vitrail.homework.{name} import *\n" in program
    for function in module.__all__:
        if function not in ("index_sequence",):
            assert re.search(rf"\b{function}\(", program), function


def test_every_check_cell_passed() -> None:
    checked = said(ROOT / "notebooks" / "mae.ipynb")
    assert checked.count("The relative error for ") == 11
    assert "should be smaller" not in checked
    assert "9 of 9 checks pass" in checked
    checked = said(ROOT / "notebooks" / "summarization.ipynb")
    assert checked.count(": ok, relative error ") == 4
    assert "WRONG" not in checked
    assert "5 of 5 checks pass" in checked


def test_the_summarizer_was_trained_as_the_course_does() -> None:
    path = ROOT / "notebooks" / "summarization.ipynb"
    for argument in ("num_train_epochs=2,", 'save_strategy="epoch",', 'eval_strategy="epoch",', "weight_decay=0.01,"):
        assert argument in code(path)
    epochs = re.findall(r"epoch (\d): validation loss ([\d.]+), accuracy ([\d.]+)%", said(path))
    assert [epoch for epoch, _, _ in epochs] == ["1", "2"]
    assert float(epochs[1][1]) < float(epochs[0][1])
    assert "TensorBoard" not in said(path), "its picture is there, not the reason why there is none"


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_it_still_runs(path: Path, tmp_path: Path) -> None:
    nbformat = pytest.importorskip("nbformat", reason="needs nbformat")
    nbclient = pytest.importorskip("nbclient", reason="needs nbclient")
    for folder in ("docs", "results", "tests"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    place = tmp_path / "notebooks"
    place.mkdir()
    shutil.copy(path, place)
    notebook = nbformat.read(place / path.name, as_version=4)
    nbclient.NotebookClient(notebook, timeout=1500, resources={"metadata": {"path": str(place)}}).execute()
    nbformat.write(notebook, place / path.name)
    if path.stem in ("mae", "summarization"):
        assert "WRONG" not in said(place / path.name)
        assert "should be smaller" not in said(place / path.name)
