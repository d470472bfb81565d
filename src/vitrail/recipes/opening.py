"""Open any run by its folder: the one place that knows which kind is opened by whom."""

from pathlib import Path

from vitrail.recipes.language_runs import KIND as LANGUAGE
from vitrail.recipes.language_runs import LanguageRun, open_language_run
from vitrail.recipes.runs import Run, open_run
from vitrail.recipes.text_runs import KIND as SUMMARIZER
from vitrail.recipes.text_runs import TextRun, open_text_run
from vitrail.train import read_config

LANGUAGE_MODELS = ("gpt2", "bert")
"""What transformers calls the models that are opened as language models."""


def load(source: str | Path) -> Run | TextRun | LanguageRun:
    """Open a run folder, or one that transformers' ``save_pretrained`` wrote of a BART, T5, GPT-2 or BERT.

    Raises:
        ConfigError: nothing is there, or nothing that is a run.
        ModelError: weights are missing, or belong to another model.
        CheckpointError: its configuration is damaged.
    """
    folder = Path(source)
    settings = read_config(folder) if (folder / "config.json").is_file() else {}
    kind = settings.get("kind", settings.get("model_type"))
    if kind == LANGUAGE.name or kind in LANGUAGE_MODELS:
        return open_language_run(folder)
    is_text = kind == SUMMARIZER.name or ("kind" not in settings and "model_type" in settings)
    return open_text_run(folder) if is_text else open_run(folder)
