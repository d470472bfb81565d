"""A language model's run folder, or a folder of a GPT-2 or BERT, as something that writes or fills in."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from vitrail.errors import CheckpointError
from vitrail.recipes.runs import put_weights
from vitrail.recipes.text_folders import Kind, settings_of, tokens_of_run
from vitrail.text import Decoding
from vitrail.text.language import LanguageConfig, LanguageModel
from vitrail.text.language_huggingface import from_huggingface
from vitrail.text.language_writing import fill_in, go_on
from vitrail.text.tokens import Tokens, load_tokens
from vitrail.train import load_weights
from vitrail.train.hub import find_folder

KIND = Kind("lm", "a language model", "vitrail train lm")


@dataclass(frozen=True)
class LanguageRun:
    """A trained language model and what it needs to be used.

    Attributes:
        folder: where it lies.
        model: in evaluation mode, on the CPU.
        tokens: its tokenizer.
        length: tokens of a passage in training.
        data: what it was trained on, as the user typed it; None if it wasn't trained here.
        options: the recipe's options, as plain values.
    """

    folder: Path
    model: LanguageModel
    tokens: Tokens
    length: int
    data: str | None
    options: dict[str, Any]
    kind: ClassVar[str] = KIND.name

    def write(self, beginnings: Sequence[str], options: Decoding | None = None, *, seed: int = 0) -> list[str]:
        """What a causal model writes after each beginning.

        Args:
            beginnings: texts; an empty one is the beginning of a new text.
            options: how to write (default: by chance among the likeliest 90%, half of a passage at most).
            seed: of the draws.

        Raises:
            ConfigError: the model isn't causal, or has no room for so many tokens.
        """
        options = options or writing_options(self.length)
        return go_on(self.model, self.tokens, beginnings, options, seed=seed)

    def fill_in(self, text: str, count: int = 5) -> list[list[tuple[str, float]]]:
        """What a masked model expects at each ``<mask>`` of a text: its likeliest tokens and their probabilities.

        Raises:
            ConfigError: the model is causal, or the text too long for it.
        """
        return fill_in(self.model, self.tokens, text, count)


def writing_options(length: int) -> Decoding:
    """By chance among the likeliest tokens that have 90% together, half of a passage at most."""
    return Decoding(beams=1, max_tokens=max(1, length // 2), sample=True, top_p=0.9)


def open_language_run(source: str | Path) -> LanguageRun:
    """Open a language model's run folder, or a folder (or Hub name) of a GPT-2 or BERT.

    Raises:
        ConfigError: a run of another kind.
        ModelError: nothing is there, or weights or a tokenizer are missing, or belong to another model.
        CheckpointError: its configuration is damaged.
    """
    settings = settings_of(source, KIND)
    if settings is None:
        return _from_huggingface(source)
    folder = Path(source)
    try:
        config = LanguageConfig(**settings["model"])
        recipe, data, fingerprint = settings["recipe"], settings["texts"]["data"], settings["tokenizer"]
        length = recipe["length"]
    except (KeyError, TypeError) as error:
        raise CheckpointError(
            f"{folder / 'config.json'} lacks or garbles {error}: restore the file, or train the run anew."
        ) from error
    tokens = tokens_of_run(folder, fingerprint, pad=config.pad, start=config.end, end=config.end)
    model = LanguageModel(config)
    put_weights(model, load_weights(folder), folder)
    return LanguageRun(folder, model.eval(), tokens, length, data, recipe)


def _from_huggingface(source: str | Path) -> LanguageRun:
    folder = find_folder(source)
    model = from_huggingface(folder)
    config = model.config
    tokens = load_tokens(folder, pad=config.pad, start=config.end, end=config.end)
    first, last = tokens.called("[CLS]"), tokens.called("[SEP]")
    if first is not None and last is not None:  # a BERT's config.json doesn't tell which these are
        tokens.start, tokens.end = first, last
    return LanguageRun(folder, model.eval(), tokens, config.max_length, None, {})
