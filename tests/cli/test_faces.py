"""``vitrail faces``: photographs in, answers out, and every mistake told in one sentence."""

import contextlib
import importlib
import json
import shlex
import shutil
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from vitrail.cli import main
from vitrail.cli.entry import pick

sys.path.append(str(Path(__file__).parents[1] / "gallery"))

from gallery_faces import encoded, photograph, png_head, portrait


@pytest.fixture(scope="module")
def album(runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photographs, good and bad, beside copies of the face network's run, and ``club``: a gallery with Ada in it."""
    top = tmp_path_factory.mktemp("album")
    shutil.copytree(runs / "runs", top / "runs")
    for path in (runs / "people" / "test").rglob("*.png"):
        crop = top / "crops" / path.relative_to(runs / "people" / "test")
        crop.parent.mkdir(parents=True, exist_ok=True)
        Image.open(path).resize((24, 24)).save(crop)
    shutil.copytree(top / "runs" / "faces", top / "runs" / "uncalibrated")
    (top / "runs" / "uncalibrated" / "calibration.json").unlink()
    shutil.copytree(top / "runs" / "uncalibrated", top / "runs" / "other")
    from vitrail.train.weights import load_weights, save_weights

    weights = load_weights(top / "runs" / "other")
    save_weights(top / "runs/other/model.safetensors", {name: 1.01 * tensor for name, tensor in weights.items()})
    (top / "photos").mkdir()
    for number, skin in enumerate((215, 190, 160)):
        portrait(top / "photos" / f"{number}.png", skin, seed=number)
    photograph([(5, 20, 140), (220, 20, 170)]).save(top / "two.png")
    photograph([]).save(top / "nobody.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = photograph([(97, 53, 140)]).transpose(Image.Transpose.ROTATE_90)
    (top / "turned.jpg").write_bytes(encoded(turned, "JPEG", quality=95, exif=exif))
    (top / "cut.png").write_bytes((top / "photos" / "0.png").read_bytes()[:500])
    (top / "cut.jpg").write_bytes((top / "turned.jpg").read_bytes()[:-2000])
    Image.new("RGB", (1, 1)).save(top / "pixel.png")
    (top / "huge.png").write_bytes(png_head(10_000, 10_000))
    (top / "note.txt").write_text("no image")
    (top / "empty").mkdir()
    (top / "full").mkdir()
    (top / "full" / "x").touch()
    (top / "broken").mkdir()
    (top / "broken" / "gallery.sqlite3").write_bytes(b"no database at all" * 99)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(top)
        assert main(["faces", "enroll", "runs/faces", "Ada", "photos/0.png", "--gallery", "club"]) == 0
    return top


@pytest.fixture
def here(album: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The album as the working folder; galleries that a test makes in it are removed again."""
    monkeypatch.chdir(album)
    before = set(album.iterdir())
    yield album
    for path in set(album.iterdir()) - before:
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def run(command: str, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What a command says but for its last line, which must propose a command that exists."""
    capsys.readouterr()
    assert main(shlex.split(command)) == 0, capsys.readouterr().err
    lines = capsys.readouterr().out.splitlines()
    words = shlex.split(lines[-1].removeprefix("next:     "))
    assert words[0] == "vitrail"
    chosen = pick(words[1:])
    importlib.import_module(chosen.module).read(words[1 + len(chosen.words) :])
    return lines[:-1]


@pytest.mark.usefixtures("here")
class TestCommands:
    def test_enroll_identify_forget(self, capsys: pytest.CaptureFixture[str]) -> None:
        said = run("faces enroll runs/faces 'Zoë X' photos/1.png photos/2.png --gallery g", capsys)
        assert said[0] == "Zoë X: 2 faces added"
        assert said[1].endswith("vitrail faces forget 'Zoë X' --gallery g")
        assert said[-1] == "results:  g"
        said = run("faces enroll runs/faces 'ZOE\u0308 x' photos/1.png --gallery g", capsys)
        assert said[0] == "Zoë X: 0 faces added; 1 photograph known before"
        said = run("faces identify runs/faces photos/1.png photos --gallery g --far 0.01", capsys)
        assert said[0].split() == ["photograph", "who", "distance", "threshold"]
        assert [line.split()[0] for line in said[2:5]] == ["photos/1.png", "photos/0.png", "photos/2.png"]
        assert said[2].split("  ")[1] == "Zoë X"
        assert said[2].split()[-2] == "0.000"
        assert any("2 faces enrolled" in line and "a chance of about 2%" in line for line in said)
        assert any("1.00% of pairs of two people for one; measured on the test part of people" in line for line in said)
        assert "never a proof" in said[-1]
        assert run("faces people --gallery g", capsys)[2:] == ["Zoë X      2", "(1 person, 2 faces)"]
        assert run("faces forget 'zoë x' --gallery g", capsys)[0].startswith("nothing is left of zoë x in the gallery")
        assert run("faces people --gallery g", capsys) == ["(0 people, 0 faces)"]

    def test_without_a_calibration_enrolling_says_what_is_missing(self, capsys: pytest.CaptureFixture[str]) -> None:
        said = run("faces enroll runs/uncalibrated Ada turned.jpg", capsys)
        assert said[-2] == "nobody can be identified yet: runs/uncalibrated has no calibration.json"
        assert Path("gallery", "gallery.sqlite3").exists()

    def test_of_several_photographs_those_without_one_face_are_left_out(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        said = run("faces identify runs/faces nobody.png photos/0.png two.png --gallery club --far 0.01", capsys)
        assert [line.split(" in ")[0] for line in said[:2]] == [
            "left out: No face was found", "left out: 2 faces were found",
        ]  # fmt: skip
        assert [line.split("  ")[0] for line in said[4:5]] == ["photos/0.png"]
        assert main(["faces", "identify", "runs/faces", "nobody.png", "two.png", "--gallery", "club"]) == 2

    def test_crops_are_taken_whole(self, capsys: pytest.CaptureFixture[str]) -> None:
        """No detector is asked, no margin is added."""
        from vitrail.recipes.runs import open_run

        run("faces embed runs/faces crops --whole --output v.npz", capsys)
        with np.load("v.npz") as held:
            crops = [Image.open(source).resize((12, 12), Image.Resampling.BICUBIC) for source in held["sources"]]
            pixels = [np.asarray(crop).transpose(2, 0, 1) for crop in crops]
            expected = open_run(Path("runs/faces")).embed(torch.from_numpy(np.stack(pixels)))
            np.testing.assert_allclose(held["vectors"], expected, atol=1e-5)
            assert held["boxes"].tolist() == [[0, 0, 24, 24]] * 35

    def test_verify(self, capsys: pytest.CaptureFixture[str]) -> None:
        said = run("faces verify runs/faces photos/0.png photos/0.png --far 0.01", capsys)
        assert said[0].startswith("one person, as far as the network can tell: distance 0.000, and up to ")
        assert "never a proof" in said[-1]
        others = [
            run(f"faces verify runs/faces crops/p12/0.png crops/p{other}/0.png --whole --far 0.01", capsys)
            for other in range(13, 19)
        ]
        said = next(said for said in others if said[0].startswith("not recognised as one person: distance "))
        assert said[1].startswith("(that doesn't make them two: ")
        run("faces verify runs/faces photos/0.png two.png --largest --far 0.01", capsys)
        run(
            "faces verify runs/faces two.png two.png --first-box 20,40,110,110 --second-box 250,50,130,130 --far 0.01",
            capsys,
        )

    def test_embed(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert run("faces embed runs/faces photos turned.jpg --output v.npz", capsys)[0].startswith("embedded 4 faces")
        with np.load("v.npz") as held:
            assert held["vectors"].shape == (4, 128)
            np.testing.assert_allclose(np.linalg.norm(held["vectors"], axis=1), 1, rtol=1e-5)
            assert held["sources"].tolist() == ["photos/0.png", "photos/1.png", "photos/2.png", "turned.jpg"]
            assert held["boxes"].shape == (4, 4)
            assert len(held["photographs"][0]) == 64
        said = run("faces embed runs/faces two.png nobody.png --every --output v.npz", capsys)
        assert said[0].startswith("left out: No face was found in nobody.png")
        assert said[1].startswith("embedded 2 faces")

    def test_cluster(self, capsys: pytest.CaptureFixture[str]) -> None:
        said = run("faces cluster runs/faces photos two.png nobody.png --output out --threshold 4", capsys)
        assert said[1].startswith("5 faces of about 2 people; the largest clusters have ")
        assert said[1].endswith("; 1 photograph without a face")
        found = json.loads(Path("out/clusters.json").read_text())
        assert sorted(face["source"] for faces in found["clusters"] for face in faces)[-2:] == ["two.png"] * 2
        assert ["two.png" in {face["source"] for face in faces} for faces in found["clusters"]] == [True, True]
        sheets = [f"{number:04d}.png" for number, faces in enumerate(found["clusters"]) if len(faces) > 1]
        assert sorted(path.name for path in Path("out").iterdir()) == [*sheets, "clusters.json"]
        said = run("faces cluster runs/faces photos --output apart --threshold 0", capsys)
        assert "3 faces of about 3 people" in said
        said = run("faces cluster runs/faces crops --output sheets --whole", capsys)
        assert said[0].startswith("35 faces of about ")

    def test_networks(self, capsys: pytest.CaptureFixture[str]) -> None:
        said = run("faces networks", capsys)
        nn2 = next(line for line in said if line.startswith("NN2 "))
        assert "7,448,256" in nn2
        assert "never published" in next(line for line in said if line.startswith("NNS1"))
        assert any(line.startswith("ResNet-50") for line in said)

    def test_names_are_never_paths(self, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
        before = {path for path in here.parent.rglob("*") if "g" not in path.relative_to(here.parent).parts}
        for name in ("../../outside", "/etc/passwd", "a/b", "..", "-", "C:\\x"):
            run(f"faces enroll runs/faces {shlex.quote(name)} photos/1.png --gallery g", capsys)
        assert {path for path in here.parent.rglob("*") if "g" not in path.relative_to(here.parent).parts} == before
        assert "../../outside" in "\n".join(run("faces people --gallery g", capsys))


CASES = [
    ("enroll runs/faces Bo nobody.png", "No face was found in nobody.png"),
    ("enroll runs/faces Bo two.png", "2 faces were found in two.png"),
    ("identify runs/faces two.png --gallery club --far 0.01", "--largest"),
    ("enroll runs/faces Bo cut.png", "damaged"),
    ("enroll runs/faces Bo cut.jpg", "damaged"),
    ("enroll runs/faces Bo photos cut.png", "damaged"),
    ("identify runs/faces cut.jpg --gallery club --far 0.01", "damaged"),
    ("enroll runs/faces Bo pixel.png", "1x1 pixels"),
    ("identify runs/faces pixel.png --gallery club --far 0.01", "1x1 pixels"),
    ("enroll runs/faces Bo pixel.png --whole", "1x1 pixels"),
    ("enroll runs/faces Bo huge.png", "100 megapixels"),
    ("identify runs/faces huge.png --gallery club --far 0.01", "100 megapixels"),
    ("cluster runs/faces photos huge.png --output out --threshold 1", "100 megapixels"),
    ("identify runs/faces nobody.png --gallery club --far 0.01", "No face was found in nobody.png"),
    ("verify runs/faces photos/0.png nobody.png --far 0.01", "No face was found in nobody.png"),
    ("verify runs/faces two.png photos/0.png --far 0.01", "2 faces were found in two.png"),
    ("embed runs/faces two.png --output v.npz", "2 faces were found in two.png"),
    ("enroll runs/faces 'A\nB' photos/0.png", "U+000A"),
    (f"enroll runs/faces {'x' * 201} photos/0.png", "201 characters"),
    ("enroll runs/faces '  ' photos/0.png", "is empty"),
    ("enroll runs/faces Bo note.txt", "no image format"),
    ("enroll runs/faces Bo missing.png", "missing.png"),
    ("enroll runs/faces Bo empty", "holds no photographs"),
    ("enroll runs/faces Bo", "no photograph"),
    ("enroll runs/faces '' photos/0.png", "is empty"),
    ("enroll runs/faces Bo photos/0.png --box 1,2,3", "LEFT,TOP,WIDTH,HEIGHT"),
    ("enroll runs/faces Bo photos/0.png --box 0,0,999,999", "200x180"),
    ("enroll runs/faces Bo photos --box 9,9,99,99", "3 photographs"),
    ("enroll runs/faces Bo photos/0.png --box 9,9,99,99 --largest", "leave one out"),
    ("enroll runs/faces Bo photos/0.png --whole --largest", "leave one out"),
    ("enroll runs/faces Ada photos/0.png --box 9,9,99,99 --gallery club", "forget Ada"),
    ("enroll runs/vit Bo photos/0.png", "a Vision Transformer"),
    ("enroll runs/nothing Bo photos/0.png", "runs/nothing"),
    ("enroll runs/faces Bo photos/0.png --gallery full", "holds other files"),
    ("enroll runs/faces Bo photos/0.png --gallery note.txt", "is a file"),
    ("enroll runs/faces Bo photos/0.png --gallery broken", "is damaged"),
    ("enroll runs/faces Bo photos/0.png --gallery /proc/nothing", "/proc/nothing"),
    ("enroll runs/faces Bo photos/0.png --gallery mysql://x/y", "postgresql://"),
    ("enroll runs/other Bo photos/0.png --gallery club", "another model"),
    ("identify runs/other photos/0.png --gallery club", "another model"),
    ("identify runs/faces photos/0.png --gallery nowhere", "nobody is enrolled"),
    ("identify runs/faces photos/0.png --gallery club", "false accept rate of 0.001"),
    ("identify runs/faces --gallery club", "no photograph"),
    ("forget Adda --gallery club", "did you mean Ada?"),
    ("forget ADDA --gallery club", "did you mean Ada?"),
    ("forget ../Ada --gallery club", "did you mean Ada?"),
    ("forget club/gallery.sqlite3 --gallery club", "there is no club/gallery.sqlite3 in club"),
    ("forget Ada --gallery nowhere", "there is no gallery in nowhere"),
    ("people --gallery nowhere", "there is no gallery in nowhere"),
    ("verify runs/uncalibrated photos/0.png photos/1.png", "vitrail evaluate runs/uncalibrated"),
    ("verify runs/faces photos/0.png", "SECOND"),
    ("cluster runs/faces photos --output full", "holds files already"),
    ("cluster runs/faces photos --output out --threshold -1", "squared distance, 0 or more"),
    ("embed runs/faces two.png --every --largest", "leave one out"),
    ("enrol runs/faces Bo photos/0.png", "did you mean 'vitrail faces enroll'?"),
    ("identify runs/faces photos/0.png --galery club", "did you mean --gallery?"),
]


def contents(folder: Path) -> dict[Path, bytes]:
    """Folders, and files but locks and logs; of a gallery's database what it holds, as a look may count itself."""
    found = {}
    for path in folder.rglob("*"):
        if path.name == "gallery.sqlite3" and path.parent.name == "club":
            with contextlib.closing(sqlite3.connect(path)) as database:
                found[path] = "\n".join(database.iterdump()).encode()
        elif not path.name.endswith((".lock", "-shm", "-wal")):
            found[path] = b"a folder" if path.is_dir() else path.read_bytes()
    return found


@pytest.mark.parametrize(("words", "part"), CASES, ids=[words[:70] for words, _ in CASES])
def test_a_mistake_is_told_in_one_sentence(
    words: str, part: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(here)
    code = main(["faces", *shlex.split(words)])
    said = capsys.readouterr()
    assert code == 2, said.out + said.err
    assert said.err.startswith("vitrail: ")
    assert said.err.count("\n") == 1, "one line"
    assert "fault in Vitrail" not in said.err
    assert part in said.err
    assert contents(here) == before, "nothing is left behind, nothing is lost"
