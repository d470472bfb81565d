"""Train a language model: GPT-2's next token (Radford et al. 2019) or BERT's hidden ones (Devlin et al. 2019).

One step is read in four files: this one, ``text/passages.py`` (which tokens), ``text/language.py`` (the model) and
``text/language_objective.py`` (the loss per token asked for).
"""

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from vitrail.errors import ConfigError, DataError, ModelError
from vitrail.recipes.evaluate import EvaluateRecipe
from vitrail.recipes.events import Note, Report, ignore
from vitrail.recipes.options import LoopOptions, TokenizerOptions, TraceOptions, run_folder

if TYPE_CHECKING:
    from torch import nn

    from vitrail.data.texts import Texts
    from vitrail.recipes.language_runs import LanguageRun
    from vitrail.recipes.training import RunSummary
    from vitrail.text.language import LanguageConfig, LanguageModel
    from vitrail.text.passages import PassageBatches, Stream
    from vitrail.text.tokens import Tokens
    from vitrail.train import Traces

SMALL: Mapping[str, str] = {"causal": "gpt_small", "masked": "bert_small"}
"""The preset of each objective, unless another is named."""

SHOWN = 5
"""Texts that are gone on from, or filled in, at each look."""


@dataclass(frozen=True)
class PassageOptions:
    """Which texts are read, in passages of which length, and where the run is kept."""

    data: str = "docstrings"
    """Texts, several sources joined by commas: docstrings (embedded), .txt or .md files or folders of them; .jsonl,
    .csv or .parquet files with documents and summaries, folders of them, or Hub names."""
    run: Path | None = None
    """Folder of the run; an unfinished run there goes on (default: runs/ with the model's and the data's names)."""
    columns: tuple[str, str] | None = None
    """Names of the columns with documents and with summaries (default: found by their usual names)."""
    length: int = 256
    """Tokens of a passage, which all texts in a row are cut into; the model has as many positions."""


@dataclass(frozen=True)
class LanguageRecipe(TraceOptions, LoopOptions, TokenizerOptions, PassageOptions):
    """Train a model that knows a language: one that writes, or one that fills in."""

    objective: Literal["causal", "masked"] = "causal"
    """causal: which token comes next, for a model that writes (GPT-2); masked: which tokens were hidden, for one that
    fills in (BERT)."""
    batch_size: int = 8192
    """Tokens in one optimizer step."""
    preset: str | None = None
    """Shape of the model: gpt_small or gpt2, bert_small or bert_base (default: the small one of the objective)."""
    attention_only: bool = False
    """Blocks without feed-forward networks."""
    init: str | None = None
    """Start from this run, folder or Hub name of a GPT-2 or BERT, with its shape and tokenizer."""
    dropout: float = 0.1
    """At the entry, on the attention weights and on what each branch adds to the residual stream."""

    def folder(self) -> Path:
        """Where the run is kept."""
        names = [run_folder(None, "lm", source.strip()).name.removeprefix("lm-") for source in self.data.split(",")]
        return run_folder(self.run, f"lm-{self.objective}", "-".join(names))


def run(recipe: LanguageRecipe, report: Report = ignore) -> "RunSummary":
    """Train, or go on with the run in the recipe's folder.

    Raises:
        VitrailError: an option, the data, the folder or the start can't be used; the text says what to do.
    """
    import torch

    from vitrail.data.texts import load_texts
    from vitrail.nn.randomness import derive_seed
    from vitrail.recipes.curves import FILE as CURVES
    from vitrail.recipes.curves import draw_curves
    from vitrail.recipes.evaluate_language import stream_of
    from vitrail.recipes.language_runs import KIND, open_language_run
    from vitrail.recipes.text_folders import describe_texts, keep_tokens, own_tokens, require_own
    from vitrail.recipes.training import RunSummary, count_parameters
    from vitrail.text.language_objective import objective_for
    from vitrail.train import train
    from vitrail.train.precision import pick_device

    start = None if recipe.init is None else open_language_run(recipe.init)
    folder = recipe.folder()
    require_own(folder, KIND)
    texts, held_out = (load_texts(recipe.data, part, recipe.columns) for part in ("train", "validation"))
    every = (text for source in texts for text in source.texts)
    masked = recipe.objective == "masked"
    tokens = (
        start.tokens if start is not None
        else own_tokens(folder, every, recipe.vocabulary, recipe.tokenizer, mask=masked)
    )  # fmt: skip
    config = configure(recipe, tokens, start)
    stream = stream_of(texts, tokens)
    report(Note(f"{len(stream) - 1:,} tokens of {sum(len(of.texts) for of in texts):,} texts, {len(tokens):,} kinds"))
    torch.manual_seed(derive_seed(recipe.seed, "start"))
    model = build(config, start)
    objective = objective_for(model, tokens)
    batches = batches_of(recipe, stream, pick_device(recipe.device))
    loop = recipe.train_config(batches.steps_per_epoch)
    keep_tokens(tokens, folder)
    known = {"data": recipe.data, "fingerprint": fingerprint(texts)}
    result = train(
        objective,
        batches,
        loop,
        folder,
        evaluate=_look(recipe, tokens, held_out, folder),
        traces=_traces(recipe, tokens, held_out, folder),
        report=report,
        describe=describe_texts(KIND, config, tokens, known, asdict(recipe)),
    )
    draw_curves(folder)
    return RunSummary(
        folder,
        KIND.name,
        count_parameters(model),
        result.finished,
        result.seconds,
        result.metrics,
        _test(recipe, report) if result.finished else {},
        (folder / CURVES,),
    )


def configure(recipe: LanguageRecipe, tokens: "Tokens", start: "LanguageRun | None") -> "LanguageConfig":
    """The shape of the model.

    Raises:
        ConfigError: no such preset, or one for the other objective.
        ModelError: a start that was trained for the other objective, or has fewer positions than passages have tokens.
    """
    from vitrail.text.language_presets import PRESETS
    from vitrail.vision.presets import named_preset

    causal = recipe.objective == "causal"
    if start is not None:
        config = start.model.config
        if config.causal != causal:
            raise ModelError(
                f"{start.folder} is a {'causal' if config.causal else 'masked'} model, and --objective is "
                f"{recipe.objective}: start from another, or train it for what it is."
            )
        if recipe.length > config.max_length:
            raise ModelError(
                f"{start.folder} has {config.max_length:,} positions, and passages of {recipe.length:,} tokens were "
                "asked for: take shorter ones."
            )
        return _with_dropout(config, recipe.dropout)
    name = recipe.preset or SMALL[recipe.objective]
    config = named_preset(PRESETS, name)(len(tokens))
    if config.causal != causal:
        raise ConfigError(
            f"{name} is a {'causal' if config.causal else 'masked'} model, and --objective is {recipe.objective}: "
            f"choose the other objective, or --preset {SMALL[recipe.objective]}."
        )
    shape = replace(config, max_length=recipe.length, feed_forward=not recipe.attention_only)
    return _with_dropout(replace(shape, pad=tokens.pad, end=tokens.end), recipe.dropout)


def build(config: "LanguageConfig", start: "LanguageRun | None") -> "LanguageModel":
    """The model before its first step."""
    from vitrail.text.language import LanguageModel

    model = LanguageModel(config)
    if start is not None:
        model.load_state_dict(start.model.state_dict())
    return model


def batches_of(recipe: LanguageRecipe, stream: "Stream", device: str) -> "PassageBatches":
    """The batches of this process."""
    from vitrail.text.passages import PassageBatches

    return PassageBatches(
        stream,
        recipe.length,
        recipe.batch_size,
        seed=recipe.seed,
        micro_batches=recipe.micro_batches,
        rank=int(os.environ.get("RANK", "0")),
        world_size=int(os.environ.get("WORLD_SIZE", "1")),
        device=device,
    )


def fingerprint(sources: "Sequence[Texts]") -> str:
    """The same for the same texts of the same sources, in their order."""
    return hashlib.blake2b("".join(of.fingerprint for of in sources).encode(), digest_size=16).hexdigest()


def _with_dropout(config: "LanguageConfig", rate: float) -> "LanguageConfig":
    return replace(config, dropout=rate, entry_dropout=rate, attention_dropout=rate)


def _look(
    recipe: LanguageRecipe, tokens: "Tokens", held_out: "Sequence[Texts]", folder: Path
) -> "Callable[[nn.Module], Mapping[str, float]]":
    """What is done at each look: the loss on held-out texts, and what the model makes of some into ``samples.md``."""
    from vitrail.recipes.evaluate_language import stream_of

    stream = stream_of(held_out, tokens)

    def look(module: "nn.Module") -> Mapping[str, float]:
        from vitrail.recipes.curves import draw_curves
        from vitrail.recipes.evaluate_language import samples
        from vitrail.recipes.results import write_bytes
        from vitrail.text.language import LanguageModel
        from vitrail.text.language_objective import objective_for
        from vitrail.text.language_scoring import loss_on

        assert isinstance(module, LanguageModel)
        draw_curves(folder)
        write_bytes(folder / "samples.md", samples(module, tokens, held_out, SHOWN, recipe.length).encode())
        return loss_on(objective_for(module, tokens), stream, recipe.length)

    return look


def _traces(recipe: LanguageRecipe, tokens: "Tokens", held_out: "Sequence[Texts]", folder: Path) -> "Traces | None":
    """What is kept of how a held-out text is attended to."""
    if not recipe.trace_every:
        return None
    from vitrail.recipes.language_runs import LanguageRun
    from vitrail.recipes.traces import TOKENS, long_enough, shortened, traces_of
    from vitrail.text.language import LanguageModel

    texts = [text for source in held_out for text in source.texts]
    most = min(TOKENS, recipe.length) - (1 if recipe.objective == "causal" else 2)
    text = shortened(tokens, texts[long_enough(tokens, texts, most)], most)

    def opened(module: "nn.Module") -> LanguageRun:
        assert isinstance(module, LanguageModel)
        return LanguageRun(folder, module, tokens, recipe.length, recipe.data, {})

    return traces_of(recipe, opened, text=text)


def _test(recipe: LanguageRecipe, report: Report) -> Mapping[str, Any]:
    """Figures on test texts, where there are any."""
    from vitrail.recipes.evaluate import run as evaluate

    try:
        return evaluate(EvaluateRecipe(recipe.folder(), device=recipe.device), report).figures
    except DataError as error:
        report(Note(f"not tested: {error}"))
        return {}
