"""The one place that turns a summarizer's run folder, or a folder of Hugging Face's, into something that summarizes."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from vitrail.data.documents import Documents
from vitrail.errors import CheckpointError, ConfigError, ModelError
from vitrail.recipes.runs import FORMAT, put_weights
from vitrail.text import Decoding, Transformer, TransformerConfig
from vitrail.text.convert import from_huggingface
from vitrail.text.decoding import Hear
from vitrail.text.summarizing import BATCH, summarize
from vitrail.text.tokens import FILE, Tokens, load_tokens
from vitrail.train import load_weights, read_config
from vitrail.train.precision import pick_device

Device = Literal["auto", "cpu", "cuda"]

KIND = "summarizer"
"""The kind of run, in ``config.json``."""


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
    kind: ClassVar[str] = KIND

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
        hear: Hear | None = None,
        cut: Callable[[int], None] | None = None,
    ) -> Iterator[str]:
        """The summary of each document, in their order; any number of them.

        Args:
            documents: texts.
            options: how to write (default: a beam search with 4 beams, up to the length trained for).
            batch: documents at a time.
            seed: of the draws, where the options ask for them.
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
            self.model,
            self.tokens,
            documents,
            options,
            self.longest_document,
            batch=batch,
            seed=seed,
            hear=hear,
            cut=cut,
        )


def describe_text(
    config: TransformerConfig, tokens: Tokens, texts: Documents, options: Mapping[str, Any]
) -> dict[str, Any]:
    """What the recipe writes to ``config.json`` so that ``open_text_run`` can read it."""
    return {
        "format": FORMAT,
        "kind": KIND,
        "model": dataclasses.asdict(config),
        "tokenizer": tokens.fingerprint,
        "texts": {"data": texts.name, "fingerprint": texts.fingerprint},
        "recipe": {name: str(value) if isinstance(value, Path) else value for name, value in options.items()},
    }


def open_text_run(source: str | Path) -> TextRun:
    """Open a summarizer's run folder, or a folder (or Hub name) of a BART or T5.

    Raises:
        ConfigError: nothing is there, or a run that is no summarizer.
        ModelError: weights or a tokenizer are missing, or belong to another model.
        CheckpointError: its configuration is damaged.
    """
    folder = Path(source)
    settings = read_config(folder) if (folder / "config.json").is_file() else {}
    if not folder.is_dir() or "kind" not in settings:
        return _from_huggingface(source)
    if settings["kind"] != KIND or settings.get("format") != FORMAT:
        raise ConfigError(
            f"{folder} is a run of kind {settings['kind']!r}, and a summarizer was expected: name the folder of a "
            "'vitrail train summarizer' run."
        )
    if not (folder / "model.safetensors").is_file():
        raise ModelError(
            f"{folder} has no model.safetensors, so its training has not saved anything yet: let it go on with "
            f"'vitrail train summarizer --run {folder}' first."
        )
    try:
        config = TransformerConfig(**settings["model"])
        recipe, data, known = settings["recipe"], settings["texts"]["data"], settings["tokenizer"]
        longest = recipe["longest_document"], recipe["longest_summary"]
    except (KeyError, TypeError) as error:
        raise CheckpointError(
            f"{folder / 'config.json'} lacks or garbles {error}: restore the file, or train the run anew."
        ) from error
    tokens = load_tokens(folder, pad=config.pad, start=config.start, end=config.end)
    if tokens.fingerprint != known:
        raise ModelError(
            f"{folder / FILE} is another tokenizer than this run was trained with: copy the run's own back, for with "
            "another its tokens mean other words."
        )
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
