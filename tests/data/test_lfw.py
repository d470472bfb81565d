"""Lists of pairs become rows; on the real files, all of LFW's protocol."""

from pathlib import Path

import numpy as np
import pytest
from data_pictures import write_classes

from vitrail.data import ImageSet, index_pairs, load_images, read_pairs
from vitrail.errors import DataError

LIST = """2\t1
Ann\t1\t3
Ann\t2\tCid\t1
Cid\t1\t2
Bea\t2\tAnn\t1
"""


@pytest.fixture
def people(tmp_path: Path, cache: Path) -> tuple[ImageSet, ImageSet]:
    """A part with Ann (3) and Bea (2), and one with Cid (2) and Dov (1)."""
    write_classes(tmp_path / "p" / "train", {"Bea": 2, "Ann": 3})
    write_classes(tmp_path / "p" / "test", {"Cid": 2, "Dov": 1}, seed=50)
    return tuple(load_images(str(tmp_path / "p"), split, identities=True) for split in ("train", "test"))  # type: ignore


def written(folder: Path, text: str) -> Path:
    (folder / "pairs.txt").write_text(text)
    return folder / "pairs.txt"


def test_pairs_are_rows_of_the_sets_in_turn(tmp_path: Path, people: tuple[ImageSet, ImageSet]) -> None:
    pairs = read_pairs(written(tmp_path, LIST))
    assert len(pairs) == 4
    found = index_pairs(pairs, *people)
    # Ann's rows are 0 to 2, Bea's 3 and 4; Cid's 5 and 6.
    assert found.first.tolist() == [0, 1, 5, 4]
    assert found.second.tolist() == [2, 5, 6, 0]
    assert found.same.tolist() == [True, False, True, False]
    assert found.fold.tolist() == [0, 0, 1, 1]
    one = index_pairs(read_pairs(written(tmp_path, "1\nBea 1 2\nBea 1 Ann 3\n")), people[0])
    assert (one.first.tolist(), one.second.tolist(), one.fold.tolist()) == ([3, 3], [4, 2], [0, 0])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "begins with ''"),
        ("hello\nworld", "begins with 'hello'"),
        ("1 2 3\n", "begins with '1 2 3'"),
        ("2\nAnn 1 2\nAnn 1 Bea 1\n", "has 2 pairs, and its first line announces 4 (1 times 2"),
        ("1\nAnn 1 2\nAnn 1 Bea x\n", "Line 3 of"),
        ("1\nAnn 1 2\nAnn 1\n", "is 'Ann 1', and a pair is"),
    ],
)
def test_what_is_no_list_of_pairs(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(DataError) as caught:
        read_pairs(written(tmp_path, text))
    assert said in str(caught.value)


def test_a_missing_list(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nothing\.txt can't be read \(No such file"):
        read_pairs(tmp_path / "nothing.txt")


def test_a_missing_image_is_named(tmp_path: Path, people: tuple[ImageSet, ImageSet]) -> None:
    pairs = read_pairs(written(tmp_path, LIST))
    with pytest.raises(DataError, match=r"asks for image 1 of Cid, and the train part of .* has 0 of them"):
        index_pairs(pairs, people[0])
    beyond = read_pairs(written(tmp_path, LIST.replace("Cid\t1\t2", "Cid\t1\t3")))
    with pytest.raises(DataError, match=r"asks for image 3 of Cid, and the train .* and the test .* has 2 of them"):
        index_pairs(beyond, *people)
    zero = read_pairs(written(tmp_path, LIST.replace("Cid\t1\t2", "Cid\t0\t2")))
    with pytest.raises(DataError, match="image 0 of Cid"):
        index_pairs(zero, *people)


def test_images_left_out_would_shift_the_count(tmp_path: Path, people: tuple[ImageSet, ImageSet]) -> None:
    (tmp_path / "p" / "train" / "Ann" / "1.png").write_bytes(b"")
    train = load_images(str(tmp_path / "p"), identities=True, corrupt="skip")
    with pytest.raises(DataError, match=r"1 damaged images were left out: use it complete"):
        index_pairs(read_pairs(written(tmp_path, LIST)), train)


@pytest.mark.data
@pytest.mark.slow
def test_all_pairs_of_lfw(real_data: Path) -> None:
    import pyarrow.parquet as pq

    file = real_data / "faces" / "lfw_deepfunneled_112.parquet"
    sets = [load_images(str(file), split) for split in ("train", "test")]  # type: ignore[arg-type]
    assert [len(images) for images in sets] == [9525, 3708]
    assert [len(images.classes) for images in sets] == [4038, 1711]
    table = pq.read_table(file, columns=["name", "image_no", "view1_split"]).to_pydict()
    # What a row of the sets is in the file.
    order = np.concatenate([np.flatnonzero(np.array(table["view1_split"]) == split) for split in ("train", "test")])
    facts = [(table["name"][row], table["image_no"][row]) for row in order]
    folder = real_data / "faces" / "lfw_protocol"
    for name, count, folds, needed in (
        ("pairsDevTrain.txt", 2200, 1, sets[:1]),
        ("pairsDevTest.txt", 1000, 1, sets[1:]),
        ("pairs.txt", 6000, 10, sets),
    ):
        pairs = read_pairs(folder / name)
        assert len(pairs) == count
        found = index_pairs(pairs, *needed)
        start = 9525 if name == "pairsDevTest.txt" else 0
        for side, rows in ((pairs.first, found.first), (pairs.second, found.second)):
            assert [facts[start + row] for row in rows] == list(side)
        assert found.same.sum() == count // 2
        assert np.bincount(found.fold).tolist() == [count // folds] * folds
    with pytest.raises(DataError, match="the train part"):
        index_pairs(read_pairs(folder / "pairsDevTest.txt"), sets[0])
