"""Which command is worth running after another: it must work for the run at hand."""

import shlex
from pathlib import Path


def after_pretraining(folder: Path) -> str:
    """What did it learn?"""
    return f"vitrail probe {_quoted(folder)}"


def after_probing(folder: Path) -> str:
    """A masked autoencoder's encoder is worth training on; a classifier is worth its own measures."""
    from vitrail.train import read_config

    config = read_config(folder)
    if config["kind"] != "mae":
        return f"vitrail evaluate {_quoted(folder)}"
    data = shlex.quote(config["images"]["data"])
    return f"vitrail train vit --data {data} --init {_quoted(folder)} --layer-decay 0.75"


def after_faces(folder: Path) -> str:
    """A face network is there to recognise people."""
    return f"vitrail faces enroll {_quoted(folder)} NAME PHOTOGRAPH"


def after_training(folder: Path) -> str:
    """A classifier's weights can be handed on; no other library has our convolutional stem."""
    from vitrail.train import read_config

    if read_config(folder)["model"]["stem"] == "conv":
        return f"vitrail probe {_quoted(folder)}"
    return f"vitrail export {_quoted(folder)} --to timm"


def after_summarizer(folder: Path) -> str:
    """A summarizer is there to summarize."""
    return f"vitrail summarize {_quoted(folder)} FILE.txt"


def after_language(folder: Path) -> str:
    """A language model is there to be built on."""
    return f"vitrail export {_quoted(folder)} --to huggingface"


def _quoted(folder: Path) -> str:
    return shlex.quote(str(folder))
