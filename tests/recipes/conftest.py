"""Two small runs on digits that the recipes' tests share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from vitrail.recipes import mae, vit
from vitrail.recipes.events import Event
from vitrail.recipes.mae import MAERecipe
from vitrail.recipes.training import RunSummary
from vitrail.recipes.vit import ViTRecipe

SHAPE = {"dim": 32, "heads": 2, "depth": 2, "mlp_dim": 48}
"""Small enough for a second of training."""


@pytest.fixture(scope="session", autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Session fixtures decode images too, before each test's own setting."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VITRAIL_CACHE", str(tmp_path_factory.getbasetemp() / "vitrail-cache"))
        yield


@pytest.fixture(scope="session")
def mae_recipe(tmp_path_factory: pytest.TempPathFactory) -> MAERecipe:
    """Two epochs of a small masked autoencoder, with a validation set."""
    folder = tmp_path_factory.mktemp("mae") / "run"
    return MAERecipe(run=folder, epochs=2, lr=4e-3, validation=0.1, decoder_dim=16, decoder_depth=1, **SHAPE)


@pytest.fixture(scope="session")
def trained_mae(mae_recipe: MAERecipe) -> tuple[RunSummary, list[Event]]:
    """Its run, and what was reported."""
    events: list[Event] = []
    return mae.run(mae_recipe, events.append), events


@pytest.fixture(scope="session")
def vit_recipe(tmp_path_factory: pytest.TempPathFactory) -> ViTRecipe:
    """Four epochs of a small ViT, with a validation set, mixing and smoothing."""
    folder = tmp_path_factory.mktemp("vit") / "run"
    mixing = {"mixup": 0.2, "cutmix": 0.5, "label_smoothing": 0.1}
    return ViTRecipe(run=folder, epochs=4, lr=1e-2, batch_size=64, validation=0.1, **mixing, **SHAPE)


@pytest.fixture(scope="session")
def trained_vit(vit_recipe: ViTRecipe) -> tuple[RunSummary, list[Event]]:
    """Its run, and what was reported."""
    events: list[Event] = []
    return vit.run(vit_recipe, events.append), events


@pytest.fixture
def mae_run(trained_mae: tuple[RunSummary, list[Event]]) -> Path:
    """The folder of the masked autoencoder."""
    return trained_mae[0].folder


@pytest.fixture
def vit_run(trained_vit: tuple[RunSummary, list[Event]]) -> Path:
    """The folder of the ViT."""
    return trained_vit[0].folder
