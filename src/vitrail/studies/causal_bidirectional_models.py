"""The models of ``causal-bidirectional``: one stack of blocks twice, of which one may look ahead and the other may not.

Both have GPT-2's blocks (pre-norm; Radford et al. 2019), begin with the same weights, and read the same passages in the
same order. The causal one is asked what comes next, the other one what was hidden (Devlin et al. 2019): looking both
ways, the next token would be there to be read. Each run can be opened as any other: ``vitrail attend RUN "a text"``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from vitrail.capture import untrained_twin
from vitrail.data.texts import Texts, load_texts, sources_of
from vitrail.nn.randomness import derive_seed
from vitrail.recipes.evaluate_language import stream_of
from vitrail.recipes.events import Note, Report
from vitrail.recipes.language import fingerprint
from vitrail.recipes.language_runs import KIND, LanguageRun, open_language_run
from vitrail.recipes.text_folders import describe_texts, keep_tokens, own_tokens
from vitrail.studies.networks import short_name
from vitrail.studies.terms import Stopped, StudyRecipe
from vitrail.text.language import LanguageConfig, LanguageModel
from vitrail.text.language_objective import objective_for
from vitrail.text.language_scoring import loss_on
from vitrail.text.ngram import KneserNey
from vitrail.text.passages import PassageBatches, Stream
from vitrail.text.tokens import Tokens
from vitrail.train import TrainConfig, train

DATA = "docstrings"
"""What is read unless other texts are named."""
KINDS = ("causal", "bidirectional")
STEPS, QUICK_STEPS = 600, 30
TOKENS = 1024
"""Of a step."""
QUICK_HELD_OUT = 4096
"""Held-out tokens that a quick study takes losses on."""
LENGTH = 64
"""Tokens of a passage."""
VOCABULARY = 4000


@dataclass(frozen=True)
class Passages:
    """What both models read.

    Attributes:
        name: of the texts.
        tokens: their tokenizer.
        stream: tokens to learn from.
        held_out: tokens of other texts.
        texts: these other texts.
        fingerprint: of the texts to learn from.
    """

    name: str
    tokens: Tokens
    stream: Stream
    held_out: Stream
    texts: Sequence[str]
    fingerprint: str

    def single(self) -> float:
        """Nats a held-out token if no other token is seen, only how frequent each is."""
        alone = KneserNey(self.stream, len(self.tokens), 1)
        return float(-alone.log_probabilities(self.held_out[None, 1:]).mean())


def passages(recipe: StudyRecipe) -> Passages:
    """The study's texts and a tokenizer made for them, which its runs share.

    Raises:
        DataError: the texts can't be read, or have no part to learn from or to hold out.
    """
    data = recipe.data or DATA
    texts, others = (load_texts(data, part) for part in ("train", "validation"))
    folder = _folder(recipe)
    tokens = own_tokens(folder, _every(texts), VOCABULARY, "bpe", mask=True)
    keep_tokens(tokens, folder)
    return Passages(
        data_name(recipe),
        tokens,
        stream_of(texts, tokens),
        stream_of(others, tokens)[: QUICK_HELD_OUT if recipe.quick else None],
        _every(others),
        fingerprint(texts),
    )


def run_folder(recipe: StudyRecipe, kind: str, seed: int) -> Path:
    """Where a model is kept."""
    return _folder(recipe) / f"{kind}-seed-{seed}{'-quick' * recipe.quick}"


def data_name(recipe: StudyRecipe) -> str:
    """What a finding on these texts is kept under."""
    sources = sources_of(recipe.data or DATA)
    return "-".join(short_name(source).removesuffix(".jsonl") for source in sources)


def trained(recipe: StudyRecipe, read: Passages, kind: str, seed: int, report: Report) -> LanguageRun:
    """A model of one kind; found where it was trained before.

    Raises:
        Stopped: the training was interrupted.
    """
    steps = QUICK_STEPS if recipe.quick else STEPS
    config = LanguageConfig(
        len(read.tokens),
        dim=128,
        layers=4,
        heads=4,
        hidden=512,
        causal=kind == "causal",
        max_length=LENGTH,
        dropout=0.0,
        entry_dropout=0.0,
        attention_dropout=0.0,
        pad=read.tokens.pad,
        end=read.tokens.end,
    )

    loop = TrainConfig(
        steps=steps,
        batch_size=TOKENS,
        optimizer="muon",
        lr=1e-2,
        weight_decay=0.0,
        warmup_steps=steps // 20,
        schedule="linear",
        clip=1.0,
        precision=recipe.precision,
        device="cpu",
        seed=seed,
        log_every=10,
        save_every=100,
    )
    folder = run_folder(recipe, kind, seed)
    report(Note(f"a {kind} model, seed {seed}: {steps * TOKENS:,} tokens of {read.name}"))
    torch.manual_seed(derive_seed(seed, "start"))
    model = LanguageModel(config)
    keep_tokens(read.tokens, folder)
    batches = PassageBatches(read.stream, LENGTH, TOKENS, seed=seed)
    known = {"data": recipe.data or DATA, "fingerprint": read.fingerprint}
    described = describe_texts(KIND, config, read.tokens, known, {"study": recipe.name, "length": LENGTH})
    if not train(objective_for(model, read.tokens), batches, loop, folder, report=report, describe=described).finished:
        raise Stopped
    return open_language_run(folder)


def untrained(run: LanguageRun, seed: int) -> LanguageRun:
    """The model as it was before its first step."""
    return replace(run, model=untrained_twin(run.model, "library", derive_seed(seed, "start")).eval())


def losses(run: LanguageRun, read: Passages) -> Mapping[str, float]:
    """On held-out passages, as in training: nats a token asked for, and the share of these that it guesses."""
    found = loss_on(objective_for(run.model, run.tokens), read.held_out, LENGTH)
    return {name: round(found[name], 4) for name in ("nats_per_token", "accuracy")}


def inputs_of(read: Passages, count: int, words: int) -> list[str]:
    """The first words of held-out texts, drawn at random; those with more tokens than the models read are left out."""
    order = np.random.default_rng(0).permutation(len(read.texts))
    found = dict.fromkeys(" ".join(read.texts[place].split()[:words]) for place in order)
    fit = [text for text in found if len(text.split()) == words and len(read.tokens.encode([text])[0]) <= LENGTH - 2]
    return fit[:count]


def _every(sources: Sequence[Texts]) -> list[str]:
    return [text for source in sources for text in source.texts]


def _folder(recipe: StudyRecipe) -> Path:
    return recipe.work / "causal-bidirectional" / data_name(recipe)
