"""Hand a run's weights to another library, in the form that library loads."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from vitrail.errors import ConfigError, ModelError
from vitrail.recipes.events import Note, Report, ignore

if TYPE_CHECKING:
    from vitrail.recipes.language_runs import LanguageRun
    from vitrail.recipes.text_runs import TextRun


@dataclass(frozen=True)
class ExportRecipe:
    """Hand a run's weights to another library."""

    run: Path
    """Folder of the run."""
    to: Literal["huggingface", "timm", "mae", "ctranslate2"] = "huggingface"
    """huggingface: a folder for from_pretrained; of images also timm: a VisionTransformer's weights; mae:
    facebookresearch/mae's; of summarizers also ctranslate2: a folder for its Translator."""
    quantization: Literal["float32", "float16", "int8"] = "int8"
    """Of --to ctranslate2: how its weights are kept."""
    output: Path | None = None
    """The folder (huggingface) or file to write (default: exported/ in the run's folder)."""


def run(recipe: ExportRecipe, report: Report = ignore) -> Path:
    """Write a run's weights for another library; returns the folder or file.

    Raises:
        VitrailError: no run, a model that the other library can't express, or a place that can't be written.
    """
    from vitrail.recipes.opening import load
    from vitrail.recipes.results import write_bytes
    from vitrail.recipes.runs import Run
    from vitrail.vision import MaskedAutoencoder, convert

    opened = load(recipe.run)
    if not isinstance(opened, Run):
        return _export_text(opened, recipe)
    model = opened.model if isinstance(opened.model, MaskedAutoencoder) else opened.encoder
    folder = opened.folder / "exported"
    match recipe.to:
        case "huggingface":
            output = recipe.output or folder / "huggingface"
            labels = opened.classes if opened.kind == "vit" else ()
            convert.to_huggingface(model, output, labels=labels, mean=opened.mean, std=opened.std)
            return output
        case "timm":
            if isinstance(model, MaskedAutoencoder):
                report(Note("timm has no decoder: the encoder is written"))
            from safetensors.torch import save

            weights = {name: tensor.contiguous() for name, tensor in convert.to_timm(opened.encoder).items()}
            return write_bytes(recipe.output or folder / "timm.safetensors", save(weights))
        case "mae":
            if not isinstance(model, MaskedAutoencoder):
                raise ModelError(
                    f"{recipe.run} is a classifier, and facebookresearch/mae knows masked autoencoders only: use --to "
                    "timm, whose names its fine-tuned classifiers have."
                )
            import io

            import torch

            buffer = io.BytesIO()
            # Its scripts read what stands under "model".
            torch.save({"model": convert.to_mae(model)}, buffer)
            return write_bytes(recipe.output or folder / "mae.pth", buffer.getvalue())
    raise ConfigError(f"there is no export of {recipe.run} to {recipe.to}: choose huggingface, timm or mae.")


def _export_text(opened: "TextRun | LanguageRun", recipe: ExportRecipe) -> Path:
    from vitrail.text import Transformer, convert, language_huggingface
    from vitrail.text.tokens import FILE as TOKENIZER

    if recipe.to == "ctranslate2":
        from vitrail.recipes.text_engines import export_to_ctranslate2
        from vitrail.recipes.text_runs import TextRun

        if not isinstance(opened, TextRun):
            raise ModelError(f"{recipe.run} is no summarizer, and ctranslate2 is for those here: use --to huggingface.")
        return export_to_ctranslate2(opened, recipe.quantization, recipe.output)
    if recipe.to != "huggingface":
        raise ModelError(
            f"{recipe.run} is a model of texts, and {recipe.to} knows models of images only: use --to huggingface."
        )
    output = recipe.output or opened.folder / "exported" / "huggingface"
    tokens = opened.tokens
    documents = {TOKENIZER: json.loads(tokens.to_json()), "tokenizer_config.json": tokens.settings()}
    if isinstance(opened.model, Transformer):
        convert.to_huggingface(opened.model, output, documents)
    else:
        language_huggingface.to_huggingface(opened.model, output, documents)
    return output
