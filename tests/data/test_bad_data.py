"""What people give by mistake: each is refused in one sentence that names it and says what to do, with nothing left."""

import errno
import inspect
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from data_pictures import colour, encode, image_set, write_classes, write_parquet

from vitrail.data import Augmentation, ImageBatches, hold_out, in_order, load_images, require_labels
from vitrail.data.entry import EntryWriter
from vitrail.errors import ConfigError, DataError, OutputError, VitrailError


def refusal(act: Callable[[], object], kind: type[VitrailError] = DataError) -> str:
    """The text of the error that this raises: one sentence."""
    with pytest.raises(kind) as caught:
        act()
    text = str(caught.value)
    assert "\n" not in text
    assert text.endswith(".") or "?" in text
    return text


def unchecked(function: Callable[..., object]) -> Callable[..., object]:
    """The function without the type checks that only tests have."""
    return inspect.unwrap(function)


def leaves_nothing(cache: Path) -> bool:
    return not [
        path for path in cache.rglob("*") if path.name in ("header.json", "pixels.u8") or "building" in path.name
    ]


def test_missing_folder_with_a_near_name(classes_folder: Path) -> None:
    text = refusal(lambda: load_images(str(classes_folder.parent / "pest")))
    assert "no file, folder or embedded set called" in text
    assert f"did you mean {classes_folder}?" in text


def test_typing_error_in_an_embedded_name(cache: Path) -> None:
    assert "did you mean digits?" in refusal(lambda: load_images("digit"))


def test_no_name(cache: Path) -> None:
    assert "No data is named" in refusal(lambda: load_images(" "))


def test_unknown_hub_name_offline(cache: Path) -> None:
    text = refusal(lambda: load_images("nobody/nothing"))
    assert "nobody/nothing" in text
    assert "the Hub has no usable one" in text


def test_hub_out_of_reach(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setattr("vitrail.data.sources._hub_reachable", lambda: False)
    assert "can't be reached: check the connection" in refusal(lambda: load_images("nobody/nothing"))


def test_empty_folder(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "void").mkdir()
    assert "holds no images: expected one folder a class" in refusal(lambda: load_images(str(tmp_path / "void")))


def test_empty_class_folder(classes_folder: Path) -> None:
    (classes_folder / "fish").mkdir()
    assert f"{classes_folder / 'fish'} holds no images" in refusal(lambda: load_images(str(classes_folder)))


def test_images_beside_class_folders(classes_folder: Path) -> None:
    (classes_folder / "stray.png").write_bytes(encode(colour(99)))
    assert "1 images beside 2 class folders" in refusal(lambda: load_images(str(classes_folder)))


def test_parquet_beside_images(classes_folder: Path) -> None:
    write_parquet(classes_folder / "train.parquet", [encode(colour(0))])
    assert "parquet files beside image files" in refusal(lambda: load_images(str(classes_folder)))


def test_a_file_that_is_no_parquet(tmp_path: Path, cache: Path) -> None:
    (tmp_path / "pets.zip").write_bytes(b"PK")
    assert "is a .zip file: images are read from" in refusal(lambda: load_images(str(tmp_path / "pets.zip")))


@pytest.mark.parametrize("name", ["unreadable", "cut"])
def test_unreadable_parquet(tmp_path: Path, cache: Path, name: str) -> None:
    path = write_parquet(tmp_path / "x.parquet", [encode(colour(seed)) for seed in range(5)])
    path.write_bytes(path.read_bytes()[:-20] if name == "cut" else b"not parquet at all")
    assert f"{path} is not a readable parquet file" in refusal(lambda: load_images(str(path)))


def test_parquet_with_damaged_pages(tmp_path: Path, cache: Path) -> None:
    path = write_parquet(tmp_path / "x.parquet", [encode(colour(seed)) for seed in range(50)])
    content = bytearray(path.read_bytes())
    content[4:400] = bytes(396)
    path.write_bytes(content)
    assert f"{path} can't be read to its end" in refusal(lambda: load_images(str(path)))
    assert leaves_nothing(cache)


def test_parquet_without_images(tmp_path: Path, cache: Path) -> None:
    path = write_parquet(tmp_path / "x.parquet", ["a", "b"], [0, 1])
    assert "no image column: its columns are image, label" in refusal(lambda: load_images(str(path)))


def test_parquet_folder_without_training_files(tmp_path: Path, cache: Path) -> None:
    write_parquet(tmp_path / "p" / "test.parquet", [encode(colour(0))], [0])
    assert "none to train on" in refusal(lambda: load_images(str(tmp_path / "p")))


def test_parquet_files_that_disagree(tmp_path: Path, cache: Path) -> None:
    write_parquet(tmp_path / "p" / "train-0.parquet", [encode(colour(0))], [0])
    write_parquet(tmp_path / "p" / "train-1.parquet", [encode(colour(1))])
    assert "other image or label columns" in refusal(lambda: load_images(str(tmp_path / "p")))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty (0 bytes)"),
        (b"<html>not found</html>", "is in no image format"),
        (encode(colour(5, 64, 64))[:2000], "is damaged"),
        (encode(colour(5, 64, 64), "JPEG")[:900], "is damaged"),
    ],
)
def test_corrupt_image(classes_folder: Path, cache: Path, content: bytes, said: str) -> None:
    (classes_folder / "cat" / "4.png").write_bytes(content)
    text = refusal(lambda: load_images(str(classes_folder)))
    assert f"Image cat/4.png {said}" in text or f"Image cat/4.png ({len(content)} bytes) {said}" in text
    assert "--corrupt skip" in text
    assert leaves_nothing(cache)


def test_corrupt_images_left_out(classes_folder: Path) -> None:
    whole = len(load_images(str(classes_folder))) + len(load_images(str(classes_folder), "test"))
    (classes_folder / "cat" / "0.png").write_bytes(b"")
    (classes_folder / "dog" / "3.png").write_bytes(b"GIF89a")
    parts = [load_images(str(classes_folder), split, corrupt="skip") for split in ("train", "test")]
    assert sorted(parts[0].skipped + parts[1].skipped) == ["cat/0.png", "dog/3.png"]
    assert sum(map(len, parts)) == whole - 2


def test_nothing_but_corrupt_images(tmp_path: Path, cache: Path) -> None:
    path = write_parquet(tmp_path / "x.parquet", [b"", None, b"junk"], [0, 1, 1])
    assert "all of its 2 images are damaged" in refusal(lambda: load_images(str(path), corrupt="skip"))


def test_differing_sizes(classes_folder: Path) -> None:
    (classes_folder / "dog" / "2.png").write_bytes(encode(colour(5, 11, 13)))
    text = refusal(lambda: load_images(str(classes_folder)))
    assert "dog/2.png has 11x13 pixels" in text
    assert "7x5" in text
    assert "--image-size 5" in text
    assert load_images(str(classes_folder), image_size=5).image_size == (5, 5)


def test_test_images_of_another_size(tmp_path: Path, cache: Path) -> None:
    write_classes(tmp_path / "p" / "train", {"cat": 2, "dog": 2})
    (tmp_path / "p" / "test" / "cat").mkdir(parents=True)
    (tmp_path / "p" / "test" / "cat" / "0.png").write_bytes(encode(colour(5, 11, 13)))
    assert "11x13 pixels and the training images 7x5" in refusal(lambda: load_images(str(tmp_path / "p"), "test"))


def test_grey_among_colour(classes_folder: Path) -> None:
    (classes_folder / "dog" / "2.png").write_bytes(encode(colour(5)[..., 0]))
    text = refusal(lambda: load_images(str(classes_folder)))
    assert "dog/2.png is grey (1 channel)" in text
    assert "--channels 3" in text
    assert load_images(str(classes_folder), channels=3).channels == 3
    assert load_images(str(classes_folder), channels=1).channels == 1


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ([0, 1, None, 1], "row 2 of x.parquet in x.parquet has no label (null)"),
        ([0, 1, -1, 1], "The label -1 of row 2"),
        ([0.0, 1.0, 0.5, 1.0], "The label 0.5 of row 2 of x.parquet in x.parquet is a float"),
        ([[0], [1], [1], [1]], "is a list: labels are whole numbers or text"),
    ],
)
def test_bad_labels(tmp_path: Path, cache: Path, labels: list[object], said: str) -> None:
    # All four images are the same, so that all are in one split.
    path = write_parquet(tmp_path / "x.parquet", [encode(colour(0))] * 4, labels)
    folder = write_parquet(tmp_path / "p" / "train" / "x.parquet", [encode(colour(0))] * 4, labels).parents[1]
    write_parquet(tmp_path / "p" / "test.parquet", [encode(colour(0))] * 4, labels)
    assert path.exists()
    assert said in refusal(lambda: load_images(str(folder)))
    assert leaves_nothing(cache)


def test_label_beyond_the_declared_classes(tmp_path: Path, cache: Path) -> None:
    from vitrail.data.labels import encode_labels

    text = refusal(lambda: encode_labels([0, 3], ["row 0", "row 1"], "x", declared=("a", "b", "c")))
    assert "The label 3 of row 1 in x is out of range for its 3 declared classes (0 to 2)" in text


def test_test_label_that_training_lacks(tmp_path: Path, cache: Path) -> None:
    write_parquet(tmp_path / "p" / "train.parquet", [encode(colour(0)), encode(colour(1))], [0, 1])
    write_parquet(tmp_path / "p" / "test.parquet", [encode(colour(2))], [7])
    text = refusal(lambda: load_images(str(tmp_path / "p"), "test"))
    assert "The label 7 of row 0 of test.parquet" in text
    assert "none of the 2 classes to train on (0, 1)" in text


def test_one_class_or_no_labels(tmp_path: Path, cache: Path) -> None:
    write_classes(tmp_path / "one", {"cat": 5})
    assert "has 1 class (cat), and this needs at least 2" in refusal(
        lambda: require_labels(load_images(str(tmp_path / "one")))
    )
    text = refusal(lambda: require_labels(load_images(str(tmp_path / "one" / "cat"))))
    assert "has no labels, and this needs them" in text


def test_a_split_that_would_be_empty(tmp_path: Path, cache: Path) -> None:
    write_parquet(tmp_path / "x.parquet", [], [])
    write_parquet(tmp_path / "one.parquet", [encode(colour(0))], [0])
    assert "has no" in refusal(lambda: load_images(str(tmp_path / "x.parquet")))
    assert "Nothing can be read from one.parquet (train)" in refusal(lambda: load_images(str(tmp_path / "one.parquet")))


def test_full_disk(classes_folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: EntryWriter, chunk: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(EntryWriter, "append", full)
        text = refusal(lambda: load_images(str(classes_folder)), OutputError)
    assert f"The image cache {cache} can't be written (No space left on device)" in text
    assert "VITRAIL_CACHE" in text
    assert leaves_nothing(cache)
    assert len(load_images(str(classes_folder)))


def test_cache_that_is_a_file(classes_folder: Path, cache: Path) -> None:
    cache.write_text("in the way")
    text = refusal(lambda: load_images(str(classes_folder)), OutputError)
    assert f"The image cache {cache} can't be written" in text


@pytest.mark.parametrize(
    ("act", "kind", "said"),
    [
        (lambda: unchecked(load_images)("digits", "dev"), ConfigError, "no split called 'dev'"),
        (lambda: unchecked(load_images)("digits", channels=4), ConfigError, "not 4"),
        (lambda: load_images("digits", image_size=0), ConfigError, "image size of 0"),
        (lambda: hold_out(image_set(), 0.0, 0), ConfigError, "leaves one side empty"),
        (lambda: hold_out(image_set(), 1.5, 0), ConfigError, "leaves one side empty"),
        (lambda: image_set().subset([3, 41]), DataError, "has 41 images and no row 41"),
        (lambda: image_set().subset([]), DataError, "at least one image"),
        (lambda: ImageBatches(image_set(), 42, seed=0), DataError, "A batch of 42 is larger than made (41 images)"),
        (lambda: ImageBatches(image_set(), 3, seed=0, world_size=2, micro_batches=2), ConfigError, "at least 4"),
        (lambda: ImageBatches(image_set(), 3, seed=0, rank=2, world_size=2), ConfigError, "process 2 of 2"),
        (lambda: next(in_order(image_set(), 0)), ConfigError, "A batch of 0"),
        (lambda: Augmentation(cutout=-1), ConfigError, "cutout is -1"),
        (lambda: Augmentation(random_resized_crop=(0.0, 1.0)), ConfigError, "shares of the area"),
        (lambda: Augmentation(crop_padding=2, random_resized_crop=(0.2, 1.0)), ConfigError, "choose one"),
    ],
)
def test_options_that_cannot_be_meant(
    cache: Path, act: Callable[[], object], kind: type[VitrailError], said: str
) -> None:
    assert said in refusal(act, kind)


def test_labels_stay_inside_the_classes(cache: Path) -> None:
    images = load_images("digits")
    assert np.array_equal(require_labels(images, 10), images.labels)
