"""Open any run by its folder: the one place that knows which kind is opened by whom."""

from pathlib import Path

from vitrail.recipes.runs import Run, open_run
from vitrail.recipes.text_runs import KIND, TextRun, open_text_run
from vitrail.train import read_config


def load(source: str | Path) -> Run | TextRun:
    """Open a run folder, or a folder of a BART or T5 that transformers' ``save_pretrained`` wrote.

    Raises:
        ConfigError: nothing is there, or nothing that is a run.
        ModelError: weights are missing, or belong to another model.
        CheckpointError: its configuration is damaged.
    """
    folder = Path(source)
    settings = read_config(folder) if (folder / "config.json").is_file() else {}
    is_text = settings.get("kind") == KIND or ("kind" not in settings and "model_type" in settings)
    return open_text_run(folder) if is_text else open_run(folder)
