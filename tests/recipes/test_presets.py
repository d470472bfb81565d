"""Our own presets: their exact sizes, and which one is taken for which images."""

import pytest

from vitrail.errors import ConfigError
from vitrail.recipes.options import ShapeOptions
from vitrail.recipes.presets import MAE, VIT, choose, mae_config, patch_for, vit_config
from vitrail.vision import MAE_PRESETS, PRESETS, MaskedAutoencoder, ViT


@pytest.mark.parametrize(
    ("name", "size", "channels", "vit", "mae"),
    [("digits", (8, 8), 1, 151_050, 204_996), ("fast", (32, 32), 3, 3_274_314, 3_409_840)],
)
def test_our_presets_have_the_sizes_of_the_table(
    name: str, size: tuple[int, int], channels: int, vit: int, mae: int
) -> None:
    classifier = ViT(vit_config(name, size, channels, 10, ShapeOptions()))
    autoencoder = MaskedAutoencoder(mae_config(name, size, channels, ShapeOptions()))
    assert sum(p.numel() for p in classifier.parameters()) == vit
    assert sum(p.numel() for p in autoencoder.parameters()) == mae


def test_every_preset_has_a_name_and_both_kinds() -> None:
    assert set(VIT) == set(MAE) == {"digits", "fast", *PRESETS} == {"digits", "fast", *MAE_PRESETS}


@pytest.mark.parametrize(("size", "name"), [((8, 8), "digits"), ((32, 48), "fast"), ((224, 128), "small")])
def test_images_choose_a_preset(size: tuple[int, int], name: str) -> None:
    assert choose(VIT, None, size)[0] == name


def test_an_unknown_preset_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"no preset called 'tinny', only digits, fast, .*: did you mean tiny\?"):
        choose(VIT, "tinny", (8, 8))


@pytest.mark.parametrize(
    ("size", "patch"), [((8, 8), 2), ((28, 28), 4), ((32, 32), 4), ((96, 64), 8), ((224, 224), 16), ((9, 15), 3)]
)
def test_a_patch_cuts_images_into_about_eight_by_eight(size: tuple[int, int], patch: int) -> None:
    assert patch_for(size) == patch


def test_images_that_nothing_divides_are_refused() -> None:
    with pytest.raises(ConfigError, match="13x11 pixels can't be cut into equal patches: resize them"):
        patch_for((13, 11))
