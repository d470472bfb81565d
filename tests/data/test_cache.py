"""The cache is there whole or not at all: damage, killed and competing builders, and what decides an entry."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from data_pictures import colour, encode, write_classes

from vitrail.data import ImageSet, load_images
from vitrail.data import building as building_module


def entries(cache: Path) -> list[Path]:
    return sorted(path.parent for path in cache.glob("images/*/header.json"))


def same(one: ImageSet, other: ImageSet) -> bool:
    return np.array_equal(one.pixels, other.pixels) and one.fingerprint == other.fingerprint and one.mean == other.mean


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the images that were decoded."""
    names: list[str] = []
    original = building_module.open_image

    def watched(payload: bytes | Path, name: str, remedy: str) -> object:
        names.append(name)
        return original(payload, name, remedy)

    monkeypatch.setattr(building_module, "open_image", watched)
    return names


def test_decoded_once(classes_folder: Path, decoded: list[str]) -> None:
    first = load_images(str(classes_folder))
    assert len(decoded) == len(first) == 19
    assert same(load_images(str(classes_folder)), first)
    assert len(decoded) == 19
    assert isinstance(first.pixels, np.memmap)
    assert not first.pixels.flags.writeable


def test_statistics_are_those_of_the_training_pixels(classes_folder: Path) -> None:
    train, test = load_images(str(classes_folder)), load_images(str(classes_folder), "test")
    np.testing.assert_allclose(train.mean, (train.pixels / 255).mean((0, 2, 3)), rtol=1e-12)
    np.testing.assert_allclose(train.std, (train.pixels / 255).std((0, 2, 3)), rtol=1e-9)
    assert (test.mean, test.std) == (train.mean, train.std)


def test_a_channel_without_spread_can_be_divided_by(tmp_path: Path, cache: Path) -> None:
    write_classes(tmp_path / "flat", {"a": 2, "b": 2})
    for path in (tmp_path / "flat").rglob("*.png"):
        path.write_bytes(encode(np.zeros((7, 5, 3), np.uint8)))
    assert load_images(str(tmp_path / "flat")).std == (1 / 255,) * 3


def test_content_decides_not_the_place(classes_folder: Path, tmp_path: Path, decoded: list[str]) -> None:
    first = load_images(str(classes_folder))
    classes_folder.rename(tmp_path / "moved")
    assert same(load_images(str(tmp_path / "moved")), first)
    assert len(decoded) == 19


def test_a_changed_image_is_noticed_also_at_once(classes_folder: Path) -> None:
    first = load_images(str(classes_folder))
    victim = classes_folder / "cat" / "3.png"
    times = victim.stat()
    content = encode(colour(1000))
    victim.write_bytes(content.ljust(times.st_size, b"\0")[: max(times.st_size, len(content))])
    os.utime(victim, ns=(times.st_atime_ns, times.st_mtime_ns))
    parts = [load_images(str(classes_folder), split) for split in ("train", "test")]
    assert any((part.pixels == colour(1000).transpose(2, 0, 1)).all((1, 2, 3)).any() for part in parts)
    assert len(first) == len(parts[0])


def test_unchanged_files_are_not_read_again(classes_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in classes_folder.rglob("*.png"):
        os.utime(path, (1e9, 1e9))
    first = load_images(str(classes_folder))

    def refuse(path: Path) -> bytes:
        raise AssertionError(f"{path} was read again")

    monkeypatch.setattr("vitrail.data.sources.file_digest", refuse)
    assert same(load_images(str(classes_folder)), first)
    os.utime(classes_folder / "cat" / "0.png", (1e9 + 1, 1e9))
    os.utime(classes_folder / "cat" / "0.png", (1e9, 1e9 + 1))
    with pytest.raises(AssertionError, match=r"0\.png was read again"):
        load_images(str(classes_folder))


def test_renaming_a_class_makes_another_entry(tmp_path: Path, cache: Path) -> None:
    write_classes(tmp_path / "one", {"cat": 5})
    assert load_images(str(tmp_path / "one")).classes == ("cat",)
    (tmp_path / "one" / "cat").rename(tmp_path / "one" / "dog")
    assert load_images(str(tmp_path / "one")).classes == ("dog",)


@pytest.mark.parametrize(
    "damage", ["cut pixels", "longer pixels", "no pixels", "cut header", "other header", "cut labels", "wild labels"]
)
def test_damage_is_seen_and_mended(classes_folder: Path, cache: Path, damage: str) -> None:
    first = load_images(str(classes_folder))
    kept = np.array(first.pixels)
    (entry,) = entries(cache)
    pixels, header, labels = (entry / name for name in ("pixels.u8", "header.json", "labels.i64"))
    if damage == "cut pixels":
        os.truncate(pixels, pixels.stat().st_size - 1)
    elif damage == "longer pixels":
        pixels.write_bytes(pixels.read_bytes() + b"\0")
    elif damage == "no pixels":
        pixels.unlink()
    elif damage == "cut header":
        header.write_bytes(header.read_bytes()[:-9])
    elif damage == "other header":
        outer = json.loads(header.read_text())
        outer["header"] = outer["header"].replace('"cat"', '"cow"')
        header.write_text(json.dumps(outer))
    elif damage == "cut labels":
        os.truncate(labels, 8)
    elif damage == "wild labels":
        labels.write_bytes(np.full(len(first), 2, "<i8").tobytes())
    said: list[str] = []
    again = load_images(str(classes_folder), report=said.append)
    assert np.array_equal(again.pixels, kept)
    assert again.fingerprint == first.fingerprint
    assert "damaged and is built again" in said[0]
    assert len(entries(cache)) == 1


def build(folder: str, gate: "multiprocessing.synchronize.Barrier", results: "multiprocessing.Queue[str]") -> None:
    gate.wait()
    results.put(load_images(folder).fingerprint)


def test_two_processes_build_one_entry(classes_folder: Path, cache: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    gate, results = spawn.Barrier(2), spawn.Queue()
    workers = [spawn.Process(target=build, args=(str(classes_folder), gate, results)) for _ in range(2)]
    for worker in workers:
        worker.start()
    fingerprints = {results.get(timeout=60) for _ in workers}
    for worker in workers:
        worker.join()
    assert fingerprints == {load_images(str(classes_folder)).fingerprint}
    assert len(entries(cache)) == 1
    assert not list(cache.glob("images/*building*"))


KILLED = """
import os, signal, sys
from vitrail.data import load_images
from vitrail.data.entry import EntryWriter
finish = EntryWriter.finish
def killed(self, *arguments):
    if sys.argv[2] == "after":
        finish(self, *arguments)
    os.kill(os.getpid(), signal.SIGKILL)
EntryWriter.finish = killed
load_images(sys.argv[1])
"""


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_killed_builder_leaves_no_entry_and_is_cleaned_up(classes_folder: Path, cache: Path, moment: str) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(classes_folder), moment], check=False)
    assert done.returncode == -signal.SIGKILL
    assert list(cache.glob("images/*.building-*"))
    assert not [path for path in entries(cache) if "building" not in path.name]
    # Another source's builder cleans up after it too.
    (classes_folder / "cat" / "new.png").write_bytes(encode(colour(77)))
    load_images(str(classes_folder))
    assert not list(cache.glob("images/*.building-*"))


def test_warm_start_does_not_import_the_readers(classes_folder: Path, cache: Path) -> None:
    load_images(str(classes_folder))
    load_images("digits")
    program = (
        "import sys; from vitrail.data import load_images\n"
        f"load_images({str(classes_folder)!r}); load_images('digits')\n"
        "assert not {'datasets', 'sklearn', 'pyarrow', 'scipy'} & set(sys.modules), 'imported for nothing'"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_progress_is_reported(classes_folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(building_module, "_REPORT_SECONDS", 0.0)
    said: list[str] = []
    load_images(str(classes_folder), report=said.append)
    assert said[-1] == f"Decoding {classes_folder}: 19 images"
