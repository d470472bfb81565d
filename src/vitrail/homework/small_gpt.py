"""A GPT for who names none: the newest finished run there is, else a tiny one trained here on the embedded docstrings.

The tiny one is GPT-2's architecture, 3 blocks 128 wide, and sees 600,000 tokens: enough for heads with habits, far too
little for English. Its perplexity says so. Fewer blocks and twice the steps at half the batch: with 4 blocks and 300
steps, in the same time, its attention stayed nearly uniform.
"""

from dataclasses import asdict, replace
from pathlib import Path

import torch

from vitrail.data.texts import load_texts, make_texts
from vitrail.errors import VitrailError
from vitrail.nn.randomness import derive_seed
from vitrail.recipes.curves import read_figures
from vitrail.recipes.evaluate_language import stream_of
from vitrail.recipes.events import Note, Report
from vitrail.recipes.inference import inferring
from vitrail.recipes.language import LanguageRecipe, batches_of, fingerprint
from vitrail.recipes.language_runs import KIND, LanguageRun
from vitrail.recipes.text_folders import describe_texts, keep_tokens, own_tokens
from vitrail.text.language import LanguageConfig, LanguageModel
from vitrail.text.language_objective import objective_for
from vitrail.text.language_scoring import loss_on
from vitrail.train import read_config, train
from vitrail.train.journal import METRICS

DATA = "docstrings"
STEPS = 600
"""Less than a minute of one core."""
TEXTS = 50
"""Held-out docstrings that perplexity is taken over."""


def find_run(runs: Path) -> Path | None:
    """The newest run in a folder that is a causal language model and was trained to its end."""
    found = [path.parent for path in runs.glob("*/config.json") if _finished(path.parent)]
    return max(found, key=lambda folder: (folder / "model.safetensors").stat().st_mtime, default=None)


def _finished(folder: Path) -> bool:
    try:
        settings = read_config(folder)
    except VitrailError:
        return False
    if settings.get("kind") != KIND.name or not settings.get("model", {}).get("causal"):
        return False
    steps = read_figures(folder / METRICS).get("loss", {}).get("train", ([0], []))[0]
    return (folder / "model.safetensors").is_file() and steps[-1] >= settings.get("train", {}).get("steps", 1)


def train_tiny(folder: Path, seed: int, report: Report) -> bool:
    """Train it, or go on with it, or find it there; False where it was interrupted after a clean save.

    Raises:
        VitrailError: the folder holds something else, or can't be written.
    """
    recipe = LanguageRecipe(
        data=DATA,
        run=folder,
        vocabulary=2000,
        length=64,
        batch_size=1024,
        optimizer="muon",
        lr=3e-3,
        muon_lr=2e-2,
        dropout=0.0,
        warmup_epochs=0.0,
        evaluate_every=0,
        save_every=0,
        seed=seed,
        precision="float32",
        device="cpu",
    )
    texts = load_texts(DATA, "train", None)
    tokens = own_tokens(folder, (text for of in texts for text in of.texts), recipe.vocabulary, recipe.tokenizer)
    config = LanguageConfig(
        len(tokens),
        dim=128,
        layers=3,
        heads=4,
        hidden=256,
        max_length=recipe.length,
        dropout=0.0,
        entry_dropout=0.0,
        attention_dropout=0.0,
        pad=tokens.pad,
        end=tokens.end,
    )
    torch.manual_seed(derive_seed(seed, "start"))
    batches = batches_of(recipe, stream_of(texts, tokens), "cpu")
    keep_tokens(tokens, folder)
    known = {"data": DATA, "fingerprint": fingerprint(texts)}
    result = train(
        objective_for(LanguageModel(config), tokens),
        batches,
        replace(recipe.train_config(batches.steps_per_epoch), steps=STEPS, warmup_steps=STEPS // 20),
        folder,
        report=report,
        describe=describe_texts(KIND, config, tokens, known, asdict(recipe)),
    )
    return result.finished


def perplexity(run: LanguageRun, report: Report) -> float:
    """Of a model on docstrings that it has not been trained on: e to the mean nats of a token.

    Raises:
        VitrailError: there are none.
    """
    texts = [make_texts(of.name, of.texts[:TEXTS]) for of in load_texts(DATA, "test", None)]
    stream = stream_of(texts, run.tokens)
    report(Note(f"perplexity on {len(stream) - 1:,} tokens of docstrings that were held out"))
    with inferring(run.model, "cpu", "float32"):
        return loss_on(objective_for(run.model, run.tokens), stream, run.length)["perplexity"]
