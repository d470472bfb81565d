"""What the run folders of all models of text have in common: their configuration, their tokenizer, whose they are."""

import dataclasses
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from vitrail.errors import ConfigError, ModelError
from vitrail.files import writable_folder
from vitrail.recipes.runs import FORMAT
from vitrail.text import TransformerConfig
from vitrail.text.language import LanguageConfig
from vitrail.text.tokens import FILE, Tokens, load_tokens, train_tokenizer
from vitrail.train import read_config

Device = Literal["auto", "cpu", "cuda"]


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of run.

    Attributes:
        name: in ``config.json``.
        words: for a message.
        command: that trains one.
    """

    name: str
    words: str
    command: str


def describe_texts(
    kind: Kind,
    config: TransformerConfig | LanguageConfig,
    tokens: Tokens,
    texts: Mapping[str, str],
    options: Mapping[str, Any],
) -> dict[str, Any]:
    """What a recipe writes to ``config.json``.

    Args:
        kind: of run.
        config: the model's shape.
        tokens: its tokenizer.
        texts: "data", as the user typed it, and the texts' "fingerprint".
        options: the recipe's.
    """
    return {
        "format": FORMAT,
        "kind": kind.name,
        "model": dataclasses.asdict(config),
        "tokenizer": tokens.fingerprint,
        "texts": dict(texts),
        "recipe": {name: str(value) if isinstance(value, Path) else value for name, value in options.items()},
    }


def settings_of(source: str | Path, kind: Kind) -> dict[str, Any] | None:
    """The configuration of a run of this kind that has weights; None where the source is no run folder at all.

    Raises:
        ConfigError: a run of another kind.
        ModelError: a run that has saved nothing yet.
        CheckpointError: a configuration that can't be read.
    """
    folder = Path(source)
    settings = read_config(folder) if (folder / "config.json").is_file() else {}
    if "kind" not in settings:
        return None
    if settings["kind"] != kind.name or settings.get("format") != FORMAT:
        raise ConfigError(
            f"{folder} is a run of kind {settings['kind']!r}, and {kind.words} was expected: name the folder of a "
            f"'{kind.command}' run."
        )
    if not (folder / "model.safetensors").is_file():
        raise ModelError(
            f"{folder} has no model.safetensors, so its training has not saved anything yet: let it go on with "
            f"'{kind.command} --run {folder}' first."
        )
    return settings


def tokens_of_run(folder: Path, fingerprint: str, *, pad: int, start: int, end: int) -> Tokens:
    """The tokenizer that a run was trained with.

    Raises:
        ModelError: it is missing, damaged or another one.
    """
    tokens = load_tokens(folder, pad=pad, start=start, end=end)
    if tokens.fingerprint != fingerprint:
        raise ModelError(
            f"{folder / FILE} is another tokenizer than this run was trained with: copy the run's own back, for with "
            "another its tokens mean other words."
        )
    return tokens


def own_tokens(
    folder: Path, texts: Iterable[str], size: int, kind: Literal["bpe", "unigram"], *, mask: bool = False
) -> Tokens:
    """The tokenizer of a run that goes on, or one made for the texts of a new one; arguments as ``train_tokenizer``."""
    if (folder / FILE).is_file():
        return load_tokens(folder, pad=0, start=1, end=1)
    return train_tokenizer(texts, size, kind, mask=mask)


def keep_tokens(tokens: Tokens, folder: Path) -> None:
    """Put a tokenizer into a run's folder; under torchrun, where every process has the same one, the first does.

    Raises:
        OutputError: it can't be written.
    """
    if os.environ.get("RANK", "0") == "0":
        tokens.save(writable_folder(folder))


def require_own(folder: Path, kind: Kind) -> None:
    """Refuse a folder that holds another kind of run, before a tokenizer is put beside its weights.

    Raises:
        ConfigError: it does.
    """
    found = read_config(folder).get("kind") if (folder / "config.json").is_file() else kind.name
    if found != kind.name:
        raise ConfigError(f"{folder} holds a run of kind {found!r}, not {kind.words}: name another folder by --run.")
