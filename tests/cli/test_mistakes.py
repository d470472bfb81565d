"""Every foreseeable mistake: one sentence that says what to do, exit code 2, and nothing left behind."""

import json
import os
import shutil
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vitrail.cli import main


def picture(path: Path, size: tuple[int, int] = (12, 12), colours: int = 3) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(zlib.crc32(str(path.relative_to(path.parents[1])).encode()))
    Image.fromarray(rng.integers(0, 256, (*size, colours), dtype=np.uint8).squeeze()).save(path)


def folder(path: Path, classes: int = 2, each: int = 7, **shape: object) -> None:
    for label in range(classes):
        for number in range(each):
            picture(path / f"class{label}" / f"{number}.png", **shape)  # type: ignore[arg-type]


def table(path: Path, columns: dict[str, list[object]]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)


def encoded(number: int) -> dict[str, object]:
    import io

    stream = io.BytesIO()
    Image.fromarray(np.full((8, 8, 3), number, dtype=np.uint8)).save(stream, "PNG")
    return {"bytes": stream.getvalue(), "path": f"{number}.png"}


@pytest.fixture(scope="module")
def mess(runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder full of things that can't be used, beside copies of the small runs."""
    top = tmp_path_factory.mktemp("mess")
    shutil.copytree(runs / "runs", top / "runs")
    (top / "empty").mkdir()
    folder(top / "good")
    folder(top / "one-class", classes=1)
    folder(top / "odd", size=(13, 13))
    folder(top / "sizes")
    for path in (top / "sizes" / "class0").iterdir():
        picture(path, size=(24, 12))
    folder(top / "corrupt")
    (top / "corrupt" / "class1" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnot really")
    folder(top / "zero")
    (top / "zero" / "class0" / "nothing.png").touch()
    folder(top / "cut", size=(48, 48))
    for path in (top / "cut" / "class0").iterdir():  # all, for some of them are test images
        path.write_bytes(path.read_bytes()[:3000])
    (top / "note.txt").write_text("no image")
    (top / "a-file").write_text("not a folder")
    (top / "strangers.txt").write_text("1\np12 1 2\np12 1 Nobody 1\n")
    (top / "people").symlink_to(runs / "people")
    shutil.copytree(runs / "people" / "train", top / "leaky" / "train")
    shutil.copytree(runs / "people" / "train" / "p0", top / "leaky" / "test" / "p0")
    shutil.copytree(runs / "people" / "train" / "p1", top / "leaky" / "test" / "p20")
    for number in range(5):
        picture(top / "unlabelled" / f"{number}.png")
    images = [encoded(number) for number in range(11)]
    table(top / "null.parquet", {"image": images, "label": [0, 1, None] * 3 + [0, 1]})
    table(top / "words.parquet", {"image": images, "label": [0.5] * 11})
    table(top / "negative.parquet", {"image": images, "label": [0, 1, -3] * 3 + [0, 1]})
    table(top / "no-image.parquet", {"text": ["a", "b"], "label": [0, 1]})
    (top / "not.parquet").write_bytes(b"PAR0 nonsense")
    for name in ("no-weights", "garbled", "other-weights", "strange"):
        shutil.copytree(top / "runs" / "vit", top / "runs" / name)
    (top / "runs" / "no-weights" / "model.safetensors").unlink()
    (top / "runs" / "garbled" / "config.json").write_text("{")
    shutil.copy(top / "runs" / "mae" / "model.safetensors", top / "runs" / "other-weights" / "model.safetensors")
    config = json.loads((top / "runs" / "vit" / "config.json").read_text())
    (top / "runs" / "strange" / "config.json").write_text(json.dumps({**config, "kind": "gan"}))
    return top


CASES = [
    # commands and options
    ("trian vit", "did you mean 'vitrail train'?"),
    ("train gan", "no command 'vitrail train gan'"),
    ("train vit --epoch 3", "did you mean --epochs?"),
    ("train vit --lr fast", "'fast'"),
    ("train vit --optimizer sgd", "'adamw', 'muon'"),
    ("train vit digits", "unexpected word 'digits'"),
    ("probe", "RUN"),
    ("probe runs/mae --kind quadratic", "'linear', 'attentive', 'knn', 'finetune'"),
    ("export runs/mae --to keras", "'huggingface', 'timm', 'mae'"),
    # values that can't be meant
    ("train vit --preset tinny", "did you mean tiny?"),
    ("train vit --epochs 0", "--epochs 1 or more"),
    ("train vit --batch-size 0", "batch"),
    ("train vit --batch-size 5000", "5,000"),
    ("train vit --lr -1", "positive"),
    ("train vit --lr nan", "positive"),
    ("train vit --dim 15 --heads 2", "heads"),
    ("train vit --patch-size 3", "3"),
    ("train vit --label-smoothing 1.5", "label smoothing"),
    ("train vit --labels-per-class 9999", "9999"),
    ("train vit --validation 1.5", "1.5"),
    ("train vit --warmup-epochs -1", "warm-up"),
    ("train mae --mask-ratio 1.0", "mask"),
    ("train mae --mask-ratio -0.5", "mask"),
    ("train mae --decoder-dim 7", "decoder"),
    ("train vit --seed -1", "seed"),
    ("probe runs/mae --seeds 0", "--seeds 1 or more"),
    ("train faces --network nn5", "'nn1', 'nn2', 'nn3', 'nn4', 'nns1', 'nns2', 'vit'"),
    ("train faces --mining hardist", "'hardest'"),
    ("train faces --data people --margin 0", "margin"),
    ("train faces --data people --batch-size 20 --per-person 11", "two identities"),
    ("train faces --data people --batch-size 20 --per-person 5 --mixup 1", "no option --mixup"),
    ("train faces --data people --batch-size 20 --micro-batches 21", "--micro-batches"),
    ("train faces --data people --network nn4 --dim 16", "--network vit"),
    ("train faces --data people --network nn1 --image-size 96", "220x220"),
    ("train faces --data people --network nn4 --channels 1", "--channels"),
    ("train faces --data people --batch-size 20 --per-person 5 --network vit --embedding-dim 0", "embedding"),
    ("train faces --data people --batch-size 100 --per-person 5", "100"),
    ("probe runs/mae --labels-per-class 100000", "ask for"),
    # data
    ("train mae --data nowhere/at-all", "nowhere/at-all"),
    ("train mae --data digitz", "digits"),
    ("train mae --data empty", "empty"),
    ("train vit --data one-class", "one"),
    ("train mae --data note.txt", "note.txt"),
    ("train mae --data corrupt", "broken.png"),
    ("train mae --data zero", "nothing.png"),
    ("train mae --data cut", ".png"),
    ("train mae --data sizes", "--image-size"),
    ("train mae --data odd", "13x13"),
    ("train vit --data null.parquet", "label"),
    ("train vit --data words.parquet", "label"),
    ("train vit --data negative.parquet", "-3"),
    ("train mae --data no-image.parquet", "image"),
    ("train mae --data not.parquet", "not.parquet"),
    ("train faces --data unlabelled", "one folder of images a person"),
    ("train faces --data one-class", "images of one identity"),
    ("train faces --data leaky", "p0 is in both"),
    ("train vit --data glyphs", "vitrail train faces"),
    # runs
    ("evaluate runs/nothing", "runs/nothing"),
    ("evaluate empty", "config.json"),
    ("evaluate a-file", "folder"),
    ("evaluate runs/no-weights", "model.safetensors"),
    ("evaluate runs/garbled", "config.json"),
    ("evaluate runs/other-weights", "weights"),
    ("evaluate runs/strange", "'gan'"),
    ("evaluate runs/vit --data good", "good"),
    ("train vit --run runs/mae", "runs/mae"),
    ("train vit --run runs/vit", "another folder"),
    ("train vit --init runs/nothing", "runs/nothing"),
    ("train vit --init runs/mae --preset tiny", "--init"),
    ("reconstruct runs/vit good/class0/0.png", "masked autoencoder"),
    ("reconstruct runs/mae", "image"),
    ("reconstruct runs/mae missing.png", "missing.png"),
    ("reconstruct runs/mae note.txt", "note.txt"),
    ("export runs/mae --to huggingface", "CLS"),
    ("export runs/vit --to mae", "timm"),
    ("export runs/faces", "a face network"),
    ("probe runs/faces --data digits", "a face network"),
    ("reconstruct runs/faces good/class0/0.png", "a face network"),
    ("train vit --init runs/faces", "a face network"),
    ("train faces --init runs/vit --network nn4", "--init"),
    ("train faces --init runs/mae --preset tiny", "--init"),
    ("evaluate runs/vit --mirror", "--mirror"),
    ("evaluate runs/faces --pairs missing.txt", "missing.txt"),
    ("evaluate runs/faces --pairs note.txt", "a list of pairs"),
    ("evaluate runs/faces --pairs strangers.txt", "image 1 of Nobody"),
    # places to write
    ("train mae --run a-file", "a-file"),
    ("train mae --run a-file/run", "a-file"),
    ("train mae --run /proc/nothing", "/proc/nothing"),  # where not even root may write
    ("reconstruct runs/mae good/class0/0.png --output a-file/x.png", "a-file"),
]


def tree(top: Path) -> dict[str, int]:
    """Every file below a folder and its size."""
    return {str(path.relative_to(top)): path.stat().st_size for path in sorted(top.rglob("*")) if path.is_file()}


@pytest.mark.parametrize(("words", "part"), CASES, ids=[words for words, _ in CASES])
def test_a_mistake_is_told_in_one_sentence(
    words: str, part: str, mess: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(mess)
    before = tree(mess)
    small = ["--epochs", "1", "--dim", "16", "--heads", "2"] if words.startswith("train mae") else []
    typed = words.split()
    code = main([*typed, *(word for word in _unless_given(small, typed))])
    said = capsys.readouterr()
    assert code == 2, said.out + said.err
    assert said.err.startswith("vitrail: ")
    assert said.err.count("\n") == 1, "one line"
    assert "Traceback" not in said.err
    assert "fault in Vitrail" not in said.err
    assert part in said.err
    assert len(said.err) < 400
    assert tree(mess) == before, "something was left behind"


def _unless_given(options: list[str], typed: list[str]) -> list[str]:
    pairs = zip(options[::2], options[1::2], strict=True)
    return [word for flag, value in pairs if flag not in typed for word in (flag, value)]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    tmp_path.chmod(0o500)
    try:
        assert main(["train", "mae", "--epochs", "1"]) == 2
    finally:
        tmp_path.chmod(0o700)
    assert "runs" in capsys.readouterr().err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk(here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Every write beside a file goes to /dev/full, as on a disk without room."""
    import errno

    from vitrail import files

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files.os, "fsync", full)
    before = tree(here)
    assert main(["evaluate", "runs/vit"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "no" in said.lower()
    after = tree(here)
    assert {name: after.get(name) for name in before} == before
    assert not [name for name in after if name not in before]
