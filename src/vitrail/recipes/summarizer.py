"""Train an encoder-decoder Transformer to write summaries (Vaswani et al. 2017; Lewis et al. 2020 for the layout).

One step is read in four files: this one, ``text/batches.py`` (which texts meet), ``text/transformer.py`` (the model)
and ``text/objective.py`` (the loss per target token).
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vitrail.errors import ConfigError, DataError, ModelError
from vitrail.recipes.evaluate import EvaluateRecipe
from vitrail.recipes.evaluate import run as evaluate
from vitrail.recipes.events import Note, Report, ignore
from vitrail.recipes.options import LoopOptions, TokenizerOptions, TraceOptions, run_folder

if TYPE_CHECKING:
    from torch import nn

    from vitrail.data.documents import Documents
    from vitrail.recipes.text_runs import TextRun
    from vitrail.recipes.training import RunSummary
    from vitrail.text import Transformer, TransformerConfig
    from vitrail.text.batches import TextBatches, TokenPairs
    from vitrail.text.tokens import Tokens
    from vitrail.train import Traces

SHOWN = 3
"""Documents whose summaries are written down at each look."""


@dataclass(frozen=True)
class TextOptions:
    """Which texts are read, how far, and where the run is kept."""

    data: str = "docstrings"
    """Documents with summaries: docstrings (embedded), a .jsonl, .csv or .parquet file, a folder of them, or a Hub
    name."""
    run: Path | None = None
    """Folder of the run; an unfinished run there goes on (default: runs/ with the model's and the data's names)."""
    columns: tuple[str, str] | None = None
    """Names of the columns with documents and with summaries (default: found by their usual names)."""
    longest_document: int = 512
    """Tokens that documents are cut to."""
    longest_summary: int = 64
    """Tokens that summaries are cut to."""


@dataclass(frozen=True)
class SummarizerRecipe(TraceOptions, LoopOptions, TokenizerOptions, TextOptions):
    """Train a model that writes summaries, on documents with their summaries."""

    batch_size: int = 8192
    """Tokens in one optimizer step at most: documents and summaries, with what pads them."""
    preset: str = "small"
    """Shape of the model: course, small, tiny, bart_base, bart_large, t5_small or t5_v1_1_small."""
    init: str | None = None
    """Start from this run, folder or Hub name of a BART or T5, with its shape and tokenizer."""
    test: int = 500
    """Test documents that are summarized when training ends; 'vitrail evaluate' takes all of them."""
    label_smoothing: float = 0.1
    """Share of a target that is spread over all tokens."""
    dropout: float = 0.1
    """On what each branch adds to the residual stream."""

    def folder(self) -> Path:
        """Where the run is kept."""
        return run_folder(self.run, "summarizer", self.data)


def run(recipe: SummarizerRecipe, report: Report = ignore) -> "RunSummary":
    """Train, or go on with the run in the recipe's folder.

    Raises:
        VitrailError: an option, the data, the folder or the start can't be used; the text says what to do.
    """
    import torch

    from vitrail.data.documents import load_documents
    from vitrail.nn.randomness import derive_seed
    from vitrail.recipes.curves import FILE as CURVES
    from vitrail.recipes.curves import draw_curves
    from vitrail.recipes.text_folders import describe_texts, keep_tokens, require_own
    from vitrail.recipes.text_runs import KIND, open_text_run
    from vitrail.recipes.training import RunSummary, count_parameters
    from vitrail.text.objective import SummaryObjective
    from vitrail.train import train
    from vitrail.train.precision import pick_device

    start = None if recipe.init is None else open_text_run(recipe.init)
    require_lengths(recipe, start)
    folder = recipe.folder()
    require_own(folder, KIND)
    texts, held_out = (load_documents(recipe.data, part, recipe.columns) for part in ("train", "validation"))
    if texts.empty:
        report(Note(f"left out {texts.empty:,} pairs with an empty side"))
    tokens = tokens_of(recipe, folder, texts, start)
    pairs = pairs_of(recipe, tokens, texts)
    report(Note(_in_words(pairs, tokens)))
    config = configure(recipe, tokens, start)
    torch.manual_seed(derive_seed(recipe.seed, "start"))
    model = build(config, start)
    batches = batches_of(recipe, pairs, tokens, pick_device(recipe.device))
    report(Note(f"{batches.steps_per_epoch:,} batches an epoch, {batches.padding:.1%} of their tokens padding"))
    loop = recipe.train_config(batches.steps_per_epoch)
    keep_tokens(tokens, folder)
    look = _look(recipe, tokens, held_out, folder)
    objective = SummaryObjective(model, recipe.label_smoothing)
    result = train(
        objective,
        batches,
        loop,
        folder,
        evaluate=look,
        traces=_traces(recipe, tokens, held_out, folder),
        report=report,
        describe=describe_texts(
            KIND, config, tokens, {"data": texts.name, "fingerprint": texts.fingerprint}, asdict(recipe)
        ),
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


def require_lengths(recipe: SummarizerRecipe, start: "TextRun | None") -> None:
    """Refuse lengths of texts that the recipe or its start has no room for.

    Raises:
        ModelError: texts longer than the start's positions.
        ConfigError: lengths that leave no room for a word.
    """
    if min(recipe.longest_document, recipe.longest_summary) < 2:
        raise ConfigError(
            f"documents of {recipe.longest_document} and summaries of {recipe.longest_summary} tokens leave no room "
            "for a word before the end: take 2 or more of each."
        )
    if start is not None and start.model.config.positions == "learned":
        room = start.model.config.max_length
        if max(recipe.longest_document, recipe.longest_summary) > room:
            raise ModelError(
                f"{start.folder} has {room:,} positions, and texts of {recipe.longest_document:,} and "
                f"{recipe.longest_summary:,} tokens were asked for: cut them shorter."
            )


def tokens_of(recipe: SummarizerRecipe, folder: Path, texts: "Documents", start: "TextRun | None") -> "Tokens":
    """The tokenizer: that of the start, that of the run which goes on, or one made for the texts."""
    from vitrail.recipes.text_folders import own_tokens

    if start is not None:
        return start.tokens
    return own_tokens(folder, [*texts.documents, *texts.summaries], recipe.vocabulary, recipe.tokenizer)


def pairs_of(recipe: SummarizerRecipe, tokens: "Tokens", texts: "Documents") -> "TokenPairs":
    """Texts as tokens, cut to the recipe's lengths."""
    from vitrail.text.batches import make_pairs

    encoded = tokens.encode(texts.documents), tokens.encode(texts.summaries)
    return make_pairs(*encoded, tokens.end, recipe.longest_document, recipe.longest_summary)


def configure(recipe: SummarizerRecipe, tokens: "Tokens", start: "TextRun | None") -> "TransformerConfig":
    """The shape of the model.

    Raises:
        ConfigError: no such preset.
    """
    from vitrail.text.presets import PRESETS
    from vitrail.vision.presets import named_preset

    if start is not None:
        return replace(start.model.config, dropout=recipe.dropout)
    preset = named_preset(PRESETS, recipe.preset)
    shape = replace(preset(len(tokens)), pad=tokens.pad, start=tokens.start, end=tokens.end)
    return replace(shape, max_length=max(recipe.longest_document, recipe.longest_summary), dropout=recipe.dropout)


def build(config: "TransformerConfig", start: "TextRun | None") -> "Transformer":
    """The model before its first step."""
    from vitrail.text import Transformer

    model = Transformer(config)
    if start is not None:
        model.load_state_dict(start.model.state_dict())
    return model


def batches_of(recipe: SummarizerRecipe, pairs: "TokenPairs", tokens: "Tokens", device: object) -> "TextBatches":
    """The batches of this process."""
    from vitrail.text.batches import TextBatches

    return TextBatches(
        pairs,
        recipe.batch_size,
        seed=recipe.seed,
        pad=tokens.pad,
        start=tokens.start,
        micro_batches=recipe.micro_batches,
        rank=int(os.environ.get("RANK", "0")),
        world_size=int(os.environ.get("WORLD_SIZE", "1")),
        device=device,  # type: ignore[arg-type]
    )


def _look(
    recipe: SummarizerRecipe, tokens: "Tokens", held_out: "Documents", folder: Path
) -> "Callable[[nn.Module], Mapping[str, float]]":
    """What is done at each look: the loss on held-out texts, and summaries of some of them into ``samples.md``."""
    pairs = pairs_of(recipe, tokens, held_out)

    def look(module: "nn.Module") -> Mapping[str, float]:
        from vitrail.recipes.curves import draw_curves
        from vitrail.recipes.evaluate_text import loss_on, samples
        from vitrail.recipes.results import write_bytes
        from vitrail.text import Transformer

        assert isinstance(module, Transformer)
        draw_curves(folder)
        shown = samples(module, tokens, held_out, SHOWN, recipe.longest_document, recipe.longest_summary)
        write_bytes(folder / "samples.md", shown.encode())
        return loss_on(module, pairs, tokens, recipe.batch_size, held_out)

    return look


def _traces(recipe: SummarizerRecipe, tokens: "Tokens", held_out: "Documents", folder: Path) -> "Traces | None":
    """What is kept of how a held-out document is attended to while its own summary is written."""
    if not recipe.trace_every:
        return None
    from vitrail.recipes.text_runs import TextRun
    from vitrail.recipes.traces import TOKENS, long_enough, shortened, traces_of
    from vitrail.text import Transformer

    longest = recipe.longest_document, recipe.longest_summary
    most = [min(TOKENS, length) - 1 for length in longest]  # one is the end, or the start
    place = long_enough(tokens, held_out.documents, most[0])
    text = shortened(tokens, held_out.documents[place], most[0])
    target = shortened(tokens, held_out.summaries[place], most[1])

    def opened(module: "nn.Module") -> TextRun:
        assert isinstance(module, Transformer)
        return TextRun(folder, module, tokens, *longest, recipe.data, {})

    return traces_of(recipe, opened, text=text, target=target)


def _test(recipe: SummarizerRecipe, report: Report) -> Mapping[str, Any]:
    """Figures on test documents, where there are any."""
    if not recipe.test:
        return {}
    try:
        measured = evaluate(EvaluateRecipe(recipe.folder(), documents=recipe.test, device=recipe.device), report)
    except DataError as error:
        report(Note(f"not tested: {error}"))
        return {}
    return measured.figures


def _in_words(pairs: "TokenPairs", tokens: "Tokens") -> str:
    cut = [
        f"{count:,} {what} were cut"
        for count, what in ((pairs.cut_sources, "documents"), (pairs.cut_targets, "summaries"))
        if count
    ]
    return ", ".join([f"{len(pairs):,} pairs in {len(tokens):,} tokens", *cut])
