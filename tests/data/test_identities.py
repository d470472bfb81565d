"""Sets of identities: parts that share nobody, from folders, files and embedded sets."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from data_pictures import colour, encode, image_set, write_classes

from vitrail.data import (
    ImageSet,
    hold_out_identities,
    keep_shares,
    load_images,
    require_identities,
    require_labels,
    stored_shape,
)
from vitrail.errors import ConfigError, DataError

PEOPLE = {"Ann": 3, "Bea": 2, "Cid": 5, "Dov": 1, "Eva": 4, "Fay": 2, "Gil": 3}


def write_table(path: Path, **columns: list[object]) -> str:
    rows = len(next(iter(columns.values())))
    images = [{"bytes": encode(colour(seed)), "path": f"{seed}.png"} for seed in range(rows)]
    pq.write_table(pa.table({"image": images, **columns}), path)
    return str(path)


def people_of(data: str, split: str) -> dict[str, set[bytes]]:
    """Each identity of a part and its images."""
    images = load_images(data, split, identities=True)  # type: ignore[arg-type]
    assert images.labels is not None
    assert images.identities
    found: dict[str, set[bytes]] = {name: set() for name in images.classes}
    for pixels, label in zip(images.pixels, images.labels, strict=True):
        found[images.classes[label]].add(pixels.tobytes())
    return found


def test_a_folder_of_people_is_split_by_person(tmp_path: Path, cache: Path) -> None:
    write_classes(tmp_path / "people", PEOPLE)
    train, test = (people_of(str(tmp_path / "people"), split) for split in ("train", "test"))
    assert len(test) == 2, "a fifth of seven, rounded up"
    assert {name: len(images) for name, images in (train | test).items()} == PEOPLE
    assert not train.keys() & test.keys()
    write_classes(tmp_path / "people" / "more", {"x": 1}, seed=90)
    (tmp_path / "people" / "more" / "x" / "0.png").rename(tmp_path / "people" / "Ann" / "9.png")
    (tmp_path / "people" / "more" / "x").rmdir()
    (tmp_path / "people" / "more").rmdir()
    assert people_of(str(tmp_path / "people"), "test").keys() == test.keys(), "another image moves nobody"
    images = load_images(str(tmp_path / "people"), "test")
    assert not images.identities, "asked for classes, the same folder is split by images"
    assert len(images.classes) == 7


def test_split_folders_of_people(tmp_path: Path, cache: Path) -> None:
    write_classes(tmp_path / "p" / "train", {"Ann": 3, "Bea": 2})
    write_classes(tmp_path / "p" / "test", {"Cid": 2, "Dov": 2}, seed=50)
    assert people_of(str(tmp_path / "p"), "train").keys() == {"Ann", "Bea"}
    assert people_of(str(tmp_path / "p"), "test").keys() == {"Cid", "Dov"}
    write_classes(tmp_path / "p" / "test", {"Ann": 2}, seed=70)
    with pytest.raises(DataError, match=r"Ann is in both the train and the test part .* \(1 such identities\)"):
        people_of(str(tmp_path / "p"), "test")


@pytest.mark.parametrize("named", [".", "faces.parquet"], ids=["folder", "file"])
def test_a_column_says_the_split(tmp_path: Path, cache: Path, named: str) -> None:
    (tmp_path / "set").mkdir()
    write_table(
        tmp_path / "set" / "faces.parquet",
        label=[0, 1, 1, 2, 0, 3],
        name=["Ann", "Bea", "Bea", "Cid", "Ann", "Dov"],
        view1_split=["train", "test", "test", "train", "train", "test"],
    )
    data = str(tmp_path / "set" / named)
    train, test = load_images(data), load_images(data, "test")
    assert train.identities, "no label is in both splits"
    assert (train.classes, test.classes) == (("Ann", "Cid"), ("Bea", "Dov"))
    assert train.labels is not None
    assert train.labels.tolist() == [0, 1, 0]
    assert np.array_equal(train.pixels, [colour(seed).transpose(2, 0, 1) for seed in (0, 3, 4)])
    assert np.array_equal(test.pixels, [colour(seed).transpose(2, 0, 1) for seed in (1, 2, 5)])


@pytest.mark.parametrize(
    ("name", "classes"),
    [
        (["a.png", "b.png", "c.png", "d.png", "e.png", "f.png"], ("0", "2")),  # names of files, not of people
        (["Ann", "Bea", "Bea", "Ann", "Ann", "Dov"], ("0", "2")),  # two people of one name
    ],
)
def test_names_that_divide_otherwise_are_no_identities(
    tmp_path: Path, cache: Path, name: list[object], classes: tuple[str, ...]
) -> None:
    split: list[object] = ["train", "test", "test", "train", "train", "test"]
    data = write_table(tmp_path / "x.parquet", label=[0, 1, 1, 2, 0, 3], name=name, split=split)
    assert load_images(data).classes == classes


def test_a_split_of_classes_is_no_set_of_identities(tmp_path: Path, cache: Path) -> None:
    data = write_table(tmp_path / "x.parquet", label=[1, 1, 0, 0], split=["train", "validation", "train", "other"])
    train, test = load_images(data), load_images(data, "test")
    assert not train.identities
    assert (len(train), len(test)) == (2, 1)
    assert train.classes == test.classes == ("0", "1")
    unlabelled = write_table(tmp_path / "y.parquet", split=["train", "test"])
    assert [len(load_images(unlabelled, split)) for split in ("train", "test")] == [1, 1]
    nobody = write_table(tmp_path / "z.parquet", label=[0, 1], split=["a", "b"])
    assert len(load_images(nobody, identities=True)) == 1, "a column with other words splits nothing"


def test_identities_without_labels(tmp_path: Path, cache: Path) -> None:
    write_classes(tmp_path, {"loose": 10})
    with pytest.raises(DataError, match=r"has no labels, and identities are told by them: make one folder"):
        load_images(str(tmp_path / "loose"), identities=True)


def test_one_identity_alone(tmp_path: Path, cache: Path) -> None:
    write_classes(tmp_path / "people", {"Ann": 5})
    with pytest.raises(DataError, match="has images of one identity, and some are needed to train on"):
        load_images(str(tmp_path / "people"), identities=True)


def test_classifiers_refuse_identities(tmp_path: Path, cache: Path) -> None:
    write_classes(tmp_path / "people", PEOPLE)
    with pytest.raises(DataError, match=r"other classes to test on than to train on.*'vitrail train faces'"):
        require_labels(load_images(str(tmp_path / "people"), identities=True))


def test_hold_out_whole_identities() -> None:
    images = image_set(101)
    train, held = hold_out_identities(images, 0.5, seed=5)
    assert train.labels is not None
    assert held.labels is not None
    assert len(set(held.labels.tolist())) == 2
    assert set(train.labels.tolist()) | set(held.labels.tolist()) == {0, 1, 2, 3}
    assert len(train) + len(held) == 101
    assert hold_out_identities(images, 0.5, seed=5)[1].fingerprint == held.fingerprint
    drawn = {tuple(np.unique(hold_out_identities(images, 0.5, seed)[1].labels)) for seed in range(20)}  # type: ignore[arg-type]
    assert len(drawn) > 2
    with pytest.raises(ConfigError, match=r"Holding out 1\.0 of 4 identities leaves one side empty"):
        hold_out_identities(images, 1.0, seed=5)
    with pytest.raises(DataError, match="identities, and there must be two at least"):
        hold_out_identities(images, 0.2, seed=5)


def test_what_has_no_pairs_is_refused() -> None:
    images = image_set(11)
    assert images.labels is not None
    assert require_identities(images) is images.labels
    alone = images.subset(np.flatnonzero(images.labels == images.labels[0]))
    with pytest.raises(DataError, match="of 1 identities, and there must be two"):
        require_identities(alone)
    each_once = images.subset([int(np.flatnonzero(images.labels == label)[0]) for label in np.unique(images.labels)])
    with pytest.raises(DataError, match="one of them with two images"):
        require_identities(each_once)


def test_the_stored_shape(tmp_path: Path, cache: Path) -> None:
    write_classes(tmp_path / "people", PEOPLE)
    assert stored_shape(str(tmp_path / "people")) == (3, 7, 5)
    assert stored_shape("glyphs") == (1, 32, 32)
    assert not cache.exists(), "nothing was decoded for it"
    for path in (tmp_path / "people").rglob("*.png"):
        path.write_bytes(b"no")
    with pytest.raises(DataError, match="no readable image"):
        stored_shape(str(tmp_path / "people"))


def of_seven_people() -> ImageSet:
    return replace(image_set(37), labels=np.arange(37) % 7, classes=tuple("abcdefg"))


def test_shares_of_people_and_of_their_images() -> None:
    images = of_seven_people()
    assert images.labels is not None
    assert keep_shares(images, 1.0, 1.0, seed=3) is images
    before: set[bytes] = set()
    for share, people in ((0.25, 2), (0.5, 4), (5 / 7, 5), (1.0, 7)):
        part = keep_shares(images, share, 1.0, seed=3)
        assert part.labels is not None
        kept = np.unique(part.labels)
        assert len(kept) == people
        assert len(part) == np.isin(images.labels, kept).sum(), "all images of those who stay"
        pixels = {picture.tobytes() for picture in part.pixels}
        assert before <= pixels
        before = pixels
    counts = np.bincount(images.labels)
    half = keep_shares(images, 1.0, 0.5, seed=3)
    assert half.labels is not None
    assert np.bincount(half.labels).tolist() == [-(-count // 2) for count in counts.tolist()]
    both = keep_shares(images, 0.5, 0.5, seed=3)
    kept = {picture.tobytes() for picture in both.pixels}
    assert kept == {picture.tobytes() for picture in half.pixels} & {
        picture.tobytes() for picture in keep_shares(images, 0.5, 1.0, seed=3).pixels
    }
    others = keep_shares(images, 0.5, 1.0, seed=4)
    assert not np.array_equal(others.labels, keep_shares(images, 0.5, 1.0, seed=3).labels)


def test_shares_that_leave_nothing_to_compare() -> None:
    images = of_seven_people()
    for people, each in ((0.0, 1.0), (1.5, 1.0), (1.0, -1.0)):
        with pytest.raises(ConfigError, match="can't be meant: give one above 0, 1 at most"):
            keep_shares(images, people, each, seed=0)
    with pytest.raises(DataError, match="there must be two at least"):
        keep_shares(images, 0.1, 1.0, seed=0)
    with pytest.raises(DataError, match="one of them with two images"):
        keep_shares(images, 1.0, 0.1, seed=0)
