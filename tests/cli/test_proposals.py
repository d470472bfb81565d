"""The command proposed at the end works for the run at hand."""

from pathlib import Path

import pytest

from vitrail.cli.proposals import after_pretraining, after_probing, after_training
from vitrail.train import write_config


def classifier(folder: Path, stem: str) -> Path:
    folder.mkdir()
    write_config(folder, {"kind": "vit", "model": {"stem": stem}, "images": {"data": "digits"}})
    return folder


def test_what_no_library_can_express_is_not_proposed_for_export(tmp_path: Path) -> None:
    assert after_training(classifier(tmp_path / "conv", "conv")) == f"vitrail probe {tmp_path}/conv"
    assert after_training(classifier(tmp_path / "patch", "patch")) == f"vitrail export {tmp_path}/patch --to timm"


def test_a_probed_autoencoder_is_worth_training_on(tmp_path: Path) -> None:
    write_config(tmp_path, {"kind": "mae", "model": {}, "images": {"data": "my photos"}})
    assert after_probing(tmp_path) == f"vitrail train vit --data 'my photos' --init {tmp_path} --layer-decay 0.75"
    assert after_probing(classifier(tmp_path / "vit", "conv")) == f"vitrail evaluate {tmp_path}/vit"


@pytest.mark.parametrize(("name", "typed"), [("runs/a", "runs/a"), ("my run", "'my run'")])
def test_names_are_quoted_as_the_shell_needs(name: str, typed: str) -> None:
    assert after_pretraining(Path(name)) == f"vitrail probe {typed}"
