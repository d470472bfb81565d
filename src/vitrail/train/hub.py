"""Folders of models as Hugging Face's libraries read and write them: config.json, weights, and what else a model needs.

A ``.bin`` file is a pickle from outside and is read as tensors only.
"""

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from vitrail.errors import ModelError, OutputError


def find_folder(source: str | Path) -> Path:
    """The folder itself, or the Hub's copy of a model by that name.

    Raises:
        ModelError: there is neither.
    """
    if Path(source).is_dir():
        return Path(source)
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        folder = Path(snapshot_download(str(source), allow_patterns=["*.json", "*.safetensors"]))
        if not list(folder.glob("*.safetensors")):
            snapshot_download(str(source), allow_patterns=["*.bin"])
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise ModelError(
            f"{source} is no folder here, and no model of that name could be had from the Hugging Face Hub; "
            "check the spelling and the connection"
        ) from error
    return folder


def read_config(folder: Path) -> tuple[str, Any]:
    """The kind of model and its configuration, defaults filled in by transformers.

    Raises:
        ModelError: there is none that it knows.
    """
    from transformers import AutoConfig

    try:
        settings = AutoConfig.from_pretrained(folder)
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(
            f"{folder} holds no config.json that transformers can read; give a folder that save_pretrained wrote"
        ) from error
    kinds = settings.architectures or ["model of no stated architecture"]
    return kinds[0], settings


def read_weights(folder: Path) -> dict[str, Tensor]:
    """All tensors of a folder: one file or shards, safetensors where there are any.

    Raises:
        ModelError: there are none, or a file is damaged.
    """
    files = sorted(folder.glob("model*.safetensors")) or sorted(folder.glob("pytorch_model*.bin"))
    if not files:
        raise ModelError(
            f"{folder} holds neither model.safetensors nor pytorch_model.bin; give a folder that save_pretrained wrote"
        )
    weights: dict[str, Tensor] = {}
    for file in files:
        try:
            weights |= load_file(file) if file.suffix == ".safetensors" else torch.load(file, weights_only=True)
        except (SafetensorError, UnpicklingError, RuntimeError, EOFError, TypeError) as error:
            raise ModelError(f"{file} is damaged or holds something else than weights; fetch it again") from error
    return weights


def read_model(source: str | Path | nn.Module, kinds: Sequence[str]) -> tuple[str, Any, dict[str, Tensor], str]:
    """What a model of transformers' is: its kind, its configuration, its weights, and what to call it in a message.

    Args:
        source: a folder with config.json and weights, a name on the Hub, or the model itself.
        kinds: those that are wanted.

    Raises:
        ModelError: another kind of model, or nothing to read.
    """
    if isinstance(source, nn.Module):
        kind, settings, weights = type(source).__name__, getattr(source, "config", None), dict(source.state_dict())
        where = f"this {kind}"
    else:
        folder = find_folder(source)
        kind, settings = read_config(folder)
        weights, where = read_weights(folder), str(source)
    if kind not in kinds:
        named = " or ".join(filter(None, (", ".join(kinds[:-1]), kinds[-1])))
        raise ModelError(f"{where} is a {kind}, not a {named}; choose a model of one of these kinds")
    return kind, settings, weights, where


def write_folder(folder: Path, weights: dict[str, Tensor], documents: Mapping[str, object]) -> None:
    """Write model.safetensors and JSON files; those of the same names are replaced once all are written.

    Raises:
        OutputError: the folder can't be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".export-", dir=folder) as whole:
            beside = Path(whole)
            save_file(weights, beside / "model.safetensors", metadata={"format": "pt"})
            for name, document in documents.items():
                (beside / name).write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
            for file in beside.iterdir():
                os.replace(file, folder / file.name)
    except (OSError, SafetensorError) as error:
        raise OutputError(
            f"{folder} can't be written ({error}); free some room there or choose another folder"
        ) from error
