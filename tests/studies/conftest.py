"""A few people and a small network that the studies' tests share; the maker of people can be imported."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from vitrail.recipes import faces
from vitrail.recipes.faces import FacesRecipe

sys.path.append(str(Path(__file__).parent))


@pytest.fixture(scope="session", autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Session fixtures decode images too, before each test's own setting."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VITRAIL_CACHE", str(tmp_path_factory.getbasetemp() / "vitrail-cache"))
        yield


@pytest.fixture(scope="session")
def people(tmp_path_factory: pytest.TempPathFactory) -> str:
    """16 people to train on, 17 images each, and 11 others with 9."""
    from studies_people import write_people

    folder = tmp_path_factory.mktemp("studies") / "people"
    write_people(folder / "train", range(16), 17)
    write_people(folder / "test", range(16, 27), 9)
    return str(folder)


@pytest.fixture(scope="session")
def trained(people: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on them, whose options the studies take."""
    recipe = FacesRecipe(
        data=people,
        run=tmp_path_factory.mktemp("run") / "run",
        network="vit",
        patch_size=4,
        dim=16,
        heads=2,
        depth=1,
        mlp_dim=32,
        embedding_dim=128,
        batch_size=20,
        per_person=5,
        epochs=2,
        lr=5e-3,
        precision="float32",
        validation=0.2,
        flip=True,
        random_resized_crop=(0.9, 1.0),
    )
    return faces.train(recipe).folder


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
