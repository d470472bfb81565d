"""How well a language model knows test texts: perplexity a token, nats a character, beside a 5-gram and single tokens.

The n-gram models are counted on the training texts in the model's own tokens, and asked for the same test tokens. A
causal model and they are told what is before a token. A masked model is told what is on both sides of one hidden token,
and so are they (``KneserNey.log_probabilities_between``): for a sample of tokens, since each takes a pass. Told what is
before it alone, as when it writes, a 5-gram stands beside too ("from the left").

Intervals are by bootstrap: of a causal model over stretches as long as its passages, of a masked one over tokens.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int

from vitrail.data.texts import Texts, load_texts
from vitrail.errors import ConfigError
from vitrail.nn.randomness import RowRandom, derive_seed
from vitrail.recipes.events import Note, Report
from vitrail.recipes.inference import inferring
from vitrail.recipes.language_runs import LanguageRun, writing_options
from vitrail.text.language import LanguageModel
from vitrail.text.language_objective import MaskedObjective, hide, objective_for
from vitrail.text.language_scoring import causal_nats, loss_on, nats_between
from vitrail.text.language_writing import go_on
from vitrail.text.ngram import KneserNey
from vitrail.text.passages import Stream, cut, make_stream
from vitrail.text.rouge import difference, interval
from vitrail.text.tokens import Tokens

if TYPE_CHECKING:
    from vitrail.recipes.evaluate import EvaluateRecipe

ORDERS = {"5-gram": 5, "single tokens": 1}
"""What stands beside a model: n-gram models, by name."""

PLACES = 2000
"""Tokens that a masked model is asked for one at a time."""

Nats = Float[np.ndarray, " n"]


def evaluate(opened: LanguageRun, recipe: "EvaluateRecipe", report: Report) -> tuple[dict[str, Any], tuple[Path, ...]]:
    """A language model's figures on its test texts; no files beside them.

    Raises:
        VitrailError: the data can't be used.
    """
    name = recipe.data or opened.data
    if name is None:
        raise ConfigError(f"{opened.folder} wasn't trained here, so that its texts aren't known: name some by --data.")
    columns = recipe.columns or (_columns(opened) if recipe.data is None else None)
    sources = load_texts(name, "test", columns)
    streams = {texts.name: stream_of([texts], opened.tokens) for texts in sources}
    report(Note(f"{sum(map(len, streams.values())) - len(streams):,} test tokens of {name}"))
    beside = _beside(opened, report)
    objective = objective_for(opened.model, opened.tokens)
    found: Mapping[str, Mapping[str, Nats]]
    figures: dict[str, Any] = {"objective": "causal" if opened.model.config.causal else "masked", "data": name}
    with inferring(opened.model, recipe.device, recipe.precision):
        if isinstance(objective, MaskedObjective):
            figures["hidden"] = loss_on(objective, stream_of(sources, opened.tokens), opened.length)
            found = _between(objective, streams, opened.length, beside)
        else:
            found = _after(opened.model, streams, opened.length, beside)
    size = 1 if isinstance(objective, MaskedObjective) else opened.length
    facts = {texts.name: (len(texts.texts), len(streams[texts.name]) - 1, texts.characters) for texts in sources}
    figures["sources"] = {source: _figures(nats, size, *facts[source]) for source, nats in found.items()}
    pooled = {by: np.concatenate([nats[by] for nats in found.values()]) for by in next(iter(found.values()))}
    figures["all"] = _figures(pooled, size, *(sum(column) for column in zip(*facts.values(), strict=True)))
    return figures, ()


def stream_of(sources: Sequence[Texts], tokens: Tokens) -> Stream:
    """All texts of some sources as one stream."""
    return make_stream([text for source in sources for text in tokens.encode(source.texts)], tokens.end)


def samples(model: LanguageModel, tokens: Tokens, sources: Sequence[Texts], count: int, length: int) -> str:
    """What a model makes of some texts, as Markdown; the model is in evaluation mode.

    A causal one goes on from their beginnings; a masked one fills in hidden tokens: [what it took for | what stood
    there], one word where both are the same.
    """
    every = [text for source in sources for text in source.texts]
    chosen = random.Random(derive_seed(0, "samples")).sample(every, min(count, len(every)))
    read = [text[: length // 4 if model.config.causal else length - 2] for text in tokens.encode(chosen)]
    if model.config.causal:
        beginnings = [tokens.decode(text) for text in read]
        written = go_on(model, tokens, beginnings, writing_options(length))
        return "\n".join(
            f"**Given:** {_one_line(given)}\n\n**Written:** {_one_line(text)}\n"
            for given, text in zip(beginnings, written, strict=True)
        )
    objective = objective_for(model, tokens)
    if not isinstance(objective, MaskedObjective):
        return ""
    return "\n".join(_filled(objective, tokens, text) for text in read)


def _filled(objective: MaskedObjective, tokens: Tokens, text: Sequence[int]) -> str:
    """A text with some of its tokens hidden and filled in again."""
    stream = make_stream([text], tokens.end)
    device = objective.module.embedding.weight.device
    batch = cut(stream, np.zeros(1, np.int64), len(stream), device)
    shown, chosen = hide(
        batch.tokens,
        RowRandom(0, 0, range(1), 1),
        objective.mask,
        objective.special,
        objective.module.config.vocabulary,
    )
    guesses = objective.module(shown)[0].argmax(-1).tolist()
    words = []
    for token, guess, asked in zip(stream.tolist(), guesses, chosen[0].tolist(), strict=True):
        name, other = tokens.texts([token, guess])
        right, taken = tokens.decode([token]) or name, tokens.decode([guess]) or other
        space = " " if name.startswith(("Ġ", "▁")) else ""
        shown_as = right if not asked else f"[{right}]" if token == guess else f"[{taken} | {right}]"
        words.append(space + shown_as)
    return _one_line("".join(words[1:-1]).replace("Ċ", " ").replace("Ġ", " ")) + "\n"


def _beside(opened: LanguageRun, report: Report) -> dict[str, KneserNey]:
    """n-gram models of what the model was trained on; none where that isn't known."""
    if opened.data is None:
        return {}
    stream = stream_of(load_texts(opened.data, "train", _columns(opened)), opened.tokens)
    report(Note(f"counting n-grams of {len(stream) - 1:,} training tokens"))
    return {name: KneserNey(stream, len(opened.tokens), order) for name, order in ORDERS.items()}


def _after(
    model: LanguageModel, streams: Mapping[str, Stream], length: int, beside: Mapping[str, KneserNey]
) -> dict[str, dict[str, Nats]]:
    """Nats of all tokens, each after those before it."""
    return {
        name: {
            "model": causal_nats(model, stream, length, length // 2),
            **{other: -ngram.log_probabilities(stream[None])[0, 1:] for other, ngram in beside.items()},
        }
        for name, stream in streams.items()
    }


def _between(
    objective: MaskedObjective, streams: Mapping[str, Stream], length: int, beside: Mapping[str, KneserNey]
) -> dict[str, dict[str, Nats]]:
    """Nats of single hidden tokens, drawn from all sources alike."""
    ordinary = {name: np.flatnonzero(~np.isin(stream, objective.special)) for name, stream in streams.items()}
    total = sum(map(len, ordinary.values()))
    drawn = np.random.default_rng(derive_seed(0, "places")).permutation(total)[:PLACES]
    found, begin = {}, 0
    for name, stream in streams.items():
        own: Int[np.ndarray, " k"] = np.sort(drawn[(drawn >= begin) & (drawn < begin + len(ordinary[name]))]) - begin
        places, begin = ordinary[name][own], begin + len(ordinary[name])
        if len(places):
            found[name] = {
                "model": nats_between(objective, stream, places, length),
                **{other: -ngram.log_probabilities_between(stream, places) for other, ngram in beside.items()},
                **{
                    f"{other} from the left": -ngram.log_probabilities(stream[None])[0, places]
                    for other, ngram in beside.items()
                    if ngram.order > 1
                },
            }
    return found


def _figures(nats: Mapping[str, Nats], size: int, texts: int, tokens: int, characters: int) -> dict[str, Any]:
    """Means with intervals over stretches of ``size`` tokens."""
    means = {by: _means(of, size) for by, of in nats.items()}
    figures: dict[str, Any] = {
        "texts": texts,
        "tokens": tokens,
        "characters": characters,
        "asked": len(nats["model"]),
        "by": {by: _measures(values, tokens / characters) for by, values in means.items()},
    }
    for other in means:
        if other != "model":
            figures.setdefault("model_less", {})[other] = asdict(difference(means["model"], means[other]))
    return figures


def _means(nats: Nats, size: int) -> Nats:
    """Of stretches of about equal size, so that their mean is that of all."""
    return np.array([part.mean() for part in np.array_split(nats, max(1, len(nats) // size))])


def _measures(values: Nats, tokens_per_character: float) -> dict[str, Any]:
    found = asdict(interval(values))
    return {
        "nats_per_token": found,
        "perplexity": {name: float(np.exp(min(value, 700))) for name, value in found.items()},
        "nats_per_character": {name: value * tokens_per_character for name, value in found.items()},
    }


def _columns(opened: LanguageRun) -> tuple[str, str] | None:
    columns = opened.options.get("columns")
    return None if columns is None else (columns[0], columns[1])


def _one_line(text: str) -> str:
    return " ".join(text.split()) or "(nothing)"
