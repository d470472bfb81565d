"""The one place that turns a summarizer's run folder, or a folder of Hugging Face's, into something that summarizes."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from vitrail.errors import CheckpointError, ConfigError
from vitrail.recipes.runs import put_weights
from vitrail.recipes.text_folders import Device, Kind, settings_of, tokens_of_run
from vitrail.text import Decoding, Transformer, TransformerConfig
from vitrail.text.convert import from_huggingface
from vitrail.text.decoding import Hear
from vitrail.text.engines import Engine
from vitrail.text.summarizing import BATCH, summarize
from vitrail.text.tokens import Tokens, load_tokens
from vitrail.train import load_weights
from vitrail.train.precision import pick_device

KIND = Kind("summarizer", "a summarizer", "vitrail train summarizer")


@dataclass(frozen=True)
class TextRun:
    """A trained summarizer and what it needs to be used.

    Attributes:
        folder: where it lies.
        model: in evaluation mode, on the CPU.
        tokens: its tokenizer.
        longest_document: tokens that a document is cut to.
        longest_summary: tokens of a summary at most.
        data: what it was trained on, as the user typed it; None if it wasn't trained here.
        options: the recipe's options, as plain values.
    """

    folder: Path
    model: Transformer
    tokens: Tokens
    longest_document: int
    longest_summary: int
    data: str | None
    options: Mapping[str, Any]
    kind: ClassVar[str] = KIND.name

    def to(self, device: Device) -> "TextRun":
        """This run with its model on a device; "auto": a GPU if there is one."""
        self.model.to(pick_device(device))
        return self

    def summarize(
        self,
        documents: Iterable[str],
        options: Decoding | None = None,
        *,
        batch: int = BATCH,
        seed: int = 0,
        engine: Engine | None = None,
        hear: Hear | None = None,
        cut: Callable[[int], None] | None = None,
    ) -> Iterator[str]:
        """The summary of each document, in their order; any number of them.

        Args:
            documents: texts.
            options: how to write (default: a beam search with 4 beams, up to the length trained for).
            batch: documents at a time.
            seed: of the draws, where the options ask for them.
            engine: what writes (default: our own decoding).
            hear: told of each token as it is written; sources are numbered within their batch.
            cut: told how many documents, of those read at a time, were longer than the model reads.

        Raises:
            ConfigError: more tokens than the model has positions.
        """
        options = options or Decoding(max_tokens=self.longest_summary)
        config = self.model.config
        if config.positions == "learned" and options.max_tokens > config.max_length:
            raise ConfigError(
                f"{self.folder} has {config.max_length:,} positions, and summaries of up to {options.max_tokens:,} "
                "tokens were asked for: ask for fewer."
            )
        return summarize(
            engine or self.model,
            self.tokens,
            documents,
            options,
            self.longest_document,
            batch=batch,
            seed=seed,
            hear=hear,
            cut=cut,
        )


def open_text_run(source: str | Path) -> TextRun:
    """Open a summarizer's run folder, or a folder (or Hub name) of a BART or T5.

    Raises:
        ConfigError: nothing is there, or a run that is no summarizer.
        ModelError: weights or a tokenizer are missing, or belong to another model.
        CheckpointError: its configuration is damaged.
    """
    settings = settings_of(source, KIND)
    if settings is None:
        return _from_huggingface(source)
    folder = Path(source)
    try:
        config = TransformerConfig(**settings["model"])
        recipe, data, fingerprint = settings["recipe"], settings["texts"]["data"], settings["tokenizer"]
        longest = recipe["longest_document"], recipe["longest_summary"]
    except (KeyError, TypeError) as error:
        raise CheckpointError(
            f"{folder / 'config.json'} lacks or garbles {error}: restore the file, or train the run anew."
        ) from error
    tokens = tokens_of_run(folder, fingerprint, pad=config.pad, start=config.start, end=config.end)
    model = Transformer(config)
    put_weights(model, load_weights(folder), folder)
    return TextRun(folder, model.eval(), tokens, *longest, data, recipe)


def _from_huggingface(source: str | Path) -> TextRun:
    from vitrail.train.hub import find_folder

    folder = find_folder(source)
    model = from_huggingface(folder)
    config = model.config
    tokens = load_tokens(folder, pad=config.pad, start=config.start, end=config.end)
    longest = config.max_length if config.positions == "learned" else 512
    return TextRun(folder, model.eval(), tokens, longest, min(128, longest), None, {})
