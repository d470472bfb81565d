"""Which engine writes a summarizer's texts, and where CTranslate2's copy of its weights lies."""

from pathlib import Path
from typing import Literal

from vitrail.recipes.events import Note, Report, ignore
from vitrail.recipes.text_runs import TextRun
from vitrail.text.ctranslate2 import Quantization, keep_ctranslate2
from vitrail.text.engines import Engine, Precision, TorchEngine

EngineName = Literal["torch", "ctranslate2"]


def ctranslate2_folder(opened: TextRun, quantization: Quantization) -> Path:
    """Where a run's weights are kept for CTranslate2, one folder a quantization."""
    return opened.folder / "exported" / f"ctranslate2-{quantization}"


def export_to_ctranslate2(opened: TextRun, quantization: Quantization, output: Path | None = None) -> Path:
    """The folder with a run's weights for CTranslate2, written unless it is there already.

    Raises:
        ConfigError: CTranslate2 isn't installed.
        ModelError: the tokenizer is another model's.
        OutputError: the folder can't be written.
    """
    folder = output or ctranslate2_folder(opened, quantization)
    keep_ctranslate2(opened.model, opened.tokens, folder, quantization)
    return folder


def open_engine(
    opened: TextRun,
    name: EngineName,
    quantization: Quantization = "int8",
    precision: Precision = "float32",
    report: Report = ignore,
) -> Engine:
    """What writes a run's texts; CTranslate2 does so on the CPU, from a folder that is made anew for other weights.

    Raises:
        VitrailError: as ``export_to_ctranslate2``.
    """
    if name == "torch":
        return TorchEngine(opened.model, precision)
    from vitrail.text.ctranslate2_engine import CTranslate2Engine

    folder = ctranslate2_folder(opened, quantization)
    if keep_ctranslate2(opened.model, opened.tokens, folder, quantization):
        report(Note(f"wrote {folder} for CTranslate2"))
    return CTranslate2Engine(folder)
