"""Every form of --data gives the images, labels and classes that were written, whatever the form."""

import hashlib
from pathlib import Path

import datasets
import numpy as np
import pytest
from data_pictures import colour, encode, write_classes, write_parquet

from vitrail.data import ImageSet, load_images


def by_content(images: ImageSet) -> dict[bytes, str]:
    """Each image's bytes → the name of its class."""
    assert images.labels is not None
    return {pixels.tobytes(): images.classes[label] for pixels, label in zip(images.pixels, images.labels, strict=True)}


def chw(seed: int) -> bytes:
    return colour(seed).transpose(2, 0, 1).tobytes()


def test_class_folders(classes_folder: Path) -> None:
    train, test = load_images(str(classes_folder)), load_images(str(classes_folder), "test")
    assert train.classes == test.classes == ("cat", "dog")
    assert (train.channels, train.image_size) == (3, (7, 5))
    expected = {chw(seed): "cat" if seed <= 13 else "dog" for seed in range(1, 25)}
    assert by_content(train) | by_content(test) == expected
    assert len(train) + len(test) == 24
    # 20% of each class: ceil(4.8) = 5 images, of which 13/24 are cats.
    assert sorted(by_content(test).values()) == ["cat"] * 3 + ["dog"] * 2


def test_the_split_by_content_ignores_names_and_order(classes_folder: Path) -> None:
    before = by_content(load_images(str(classes_folder), "test"))
    for number, path in enumerate(sorted(classes_folder.rglob("*.png"))):
        path.rename(path.with_name(f"{hashlib.md5(str(number).encode()).hexdigest()}.png"))
    assert by_content(load_images(str(classes_folder), "test")) == before


@pytest.mark.parametrize(("train", "test"), [("train", "test"), ("Training", "val"), ("train", "validation")])
def test_split_folders(tmp_path: Path, cache: Path, train: str, test: str) -> None:
    write_classes(tmp_path / "pets" / train, {"cat": 3, "dog": 2})
    write_classes(tmp_path / "pets" / test, {"dog": 2}, seed=50)
    images = load_images(str(tmp_path / "pets"), "test")
    assert images.classes == ("cat", "dog")
    assert by_content(images) == {chw(51): "dog", chw(52): "dog"}
    assert len(load_images(str(tmp_path / "pets"))) == 5


def test_a_class_of_trains_is_no_split(tmp_path: Path, cache: Path) -> None:
    write_classes(tmp_path / "vehicles", {"car": 5, "plane": 5, "train": 5})
    assert load_images(str(tmp_path / "vehicles")).classes == ("car", "plane", "train")


def test_numbered_classes_are_in_the_order_of_numbers(tmp_path: Path, cache: Path) -> None:
    write_classes(tmp_path / "numbers", {str(number): 2 for number in (10, 9, 2)})
    assert load_images(str(tmp_path / "numbers")).classes == ("2", "9", "10")


def test_loose_images_have_no_labels(tmp_path: Path, cache: Path) -> None:
    write_classes(tmp_path, {"loose": 10})
    images = load_images(str(tmp_path / "loose"))
    assert (images.labels, images.classes, len(images)) == (None, (), 8)


def test_files_that_are_no_images_are_left_alone(classes_folder: Path) -> None:
    count = len(load_images(str(classes_folder)))
    (classes_folder / "README.txt").write_text("pets")
    (classes_folder / "cat" / ".DS_Store").write_bytes(b"\0")
    (classes_folder / "cat" / "._3.png").write_bytes(b"\0")
    (classes_folder / ".git").mkdir()
    assert len(load_images(str(classes_folder))) == count


def test_images_in_folders_below_a_class(tmp_path: Path, cache: Path) -> None:
    write_classes(tmp_path / "pets", {"cat/indoors": 3, "cat/outdoors": 2, "dog": 5})
    images = load_images(str(tmp_path / "pets"))
    assert (images.classes, len(images)) == (("cat", "dog"), 8)


@pytest.mark.parametrize("raw", [False, True])
def test_parquet_folder(tmp_path: Path, cache: Path, raw: bool) -> None:
    def cell(seed: int) -> object:
        content = encode(colour(seed))
        return content if raw else {"bytes": content, "path": f"{seed}.png"}

    write_parquet(tmp_path / "p" / "train-00001-of-2.parquet", [cell(3)], [2])
    write_parquet(tmp_path / "p" / "train-00000-of-2.parquet", [cell(1), cell(2)], [2, 0])
    write_parquet(tmp_path / "p" / "pets_test.parquet", [cell(4)], [0])
    train, test = load_images(str(tmp_path / "p")), load_images(str(tmp_path / "p"), "test")
    assert [pixels.tobytes() for pixels in train.pixels] == [chw(1), chw(2), chw(3)]
    assert train.classes == ("0", "2")
    assert train.labels is not None
    assert train.labels.tolist() == [1, 0, 1]
    assert by_content(test) == {chw(4): "0"}


def test_parquet_label_kinds(tmp_path: Path, cache: Path) -> None:
    images = [encode(colour(seed)) for seed in range(10)]
    for labels, classes in (
        (["dog", "cat"] * 5, ("cat", "dog")),
        ([1.0, 3.0] * 5, ("1", "3")),
        (None, ()),
    ):
        path = write_parquet(tmp_path / f"{classes}.parquet", images, labels)
        loaded = load_images(str(path))
        assert loaded.classes == classes
        assert len(loaded) == 8


def test_declared_class_names_keep_their_order(tmp_path: Path, cache: Path) -> None:
    features = datasets.Features(image=datasets.Image(), label=datasets.ClassLabel(names=["zebra", "ant", "bee"]))
    rows = {"image": [{"bytes": encode(colour(seed)), "path": None} for seed in range(5)], "label": [0, 1, 1, 0, 0]}
    (tmp_path / "p").mkdir()
    datasets.Dataset.from_dict(rows, features=features).to_parquet(tmp_path / "p" / "train.parquet")
    images = load_images(str(tmp_path / "p"))
    assert images.classes == ("zebra", "ant", "bee")
    assert len(images) == 4


def test_hub_name(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    features = datasets.Features(img=datasets.Image(), fine=datasets.ClassLabel(names=["ant", "bee"]))

    def split(seeds: range) -> datasets.Dataset:
        rows = {
            "img": [{"bytes": encode(colour(seed)), "path": None} for seed in seeds],
            "fine": [s % 2 for s in seeds],
        }
        return datasets.Dataset.from_dict(rows, features=features)

    hub = datasets.DatasetDict(train=split(range(7)), validation=split(range(7, 10)))
    monkeypatch.setattr(datasets, "load_dataset", lambda name: {"someone/insects": hub}[name])
    assert by_content(load_images("someone/insects")) == {chw(seed): ["ant", "bee"][seed % 2] for seed in range(7)}
    assert len(load_images("someone/insects", "test")) == 3


def test_digits(cache: Path) -> None:
    from sklearn.datasets import load_digits

    train, test = load_images("digits"), load_images("digits", "test")
    assert (train.pixels.shape, test.pixels.shape) == ((1437, 1, 8, 8), (360, 1, 8, 8))
    assert train.classes == tuple("0123456789")
    assert (train.pixels.min(), train.pixels.max()) == (0, 255)
    assert train.labels is not None
    assert test.labels is not None
    whole = load_digits()
    shares = np.bincount(test.labels) / np.bincount(whole.target)
    assert shares.min() > 0.19
    assert shares.max() < 0.21
    pixels = np.concatenate([train.pixels, test.pixels])[:, 0]
    assert sorted(np.rint(pixels / 255 * 16).astype(int).reshape(1797, -1).tolist()) == sorted(
        whole.images.astype(int).reshape(1797, -1).tolist()
    )
    assert load_images("digits", image_size=16).image_size == (16, 16)


@pytest.mark.data
@pytest.mark.slow
def test_cifar10(real_data: Path, cache: Path) -> None:
    test = load_images(str(real_data / "cifar10"), "test", report=print)
    train = load_images(str(real_data / "cifar10"))
    assert (train.pixels.shape, test.pixels.shape) == ((50_000, 3, 32, 32), (10_000, 3, 32, 32))
    assert train.labels is not None
    assert np.bincount(train.labels).tolist() == [5000] * 10
    assert train.classes[:2] == ("airplane", "automobile")
    # The well-known figures of CIFAR-10, a little off for its JPEG.
    np.testing.assert_allclose(train.mean, (0.4914, 0.4822, 0.4465), atol=1e-3)
    np.testing.assert_allclose(train.std, (0.247, 0.2435, 0.2616), atol=3e-3)
    assert test.mean == train.mean
