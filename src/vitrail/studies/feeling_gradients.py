"""Do gradients tell which heads matter for a feeling? (Michel et al. 2019, "Are Sixteen Heads Really Better than One?")

The course's exercise asks for "I am happy" and "I am not sad". The model is a trained BERT without an output over
words; it gives a text an embedding (the mean over tokens). So the number that gradients are of is *how much nearer the
embedding is to a text of the sentence's own feeling than to one of the other* (``POLES``, which have neither word): the
difference of two cosines, above 0 where the model has it right. Of each head, in sentences of one frame each with
"happy" and with "sad":

- weight x gradient on the feeling word: Σ_q A[q, w] · dL/dA[q, w], what its looks at the word do for the number;
- weight x gradient on all tokens, which is to first order what taking the head away would cost;
- what taking it away does cost: its outputs are put to zero, and the number is taken again.

Whether the first two foretell the third is a rank correlation over all heads (Spearman 1904), its interval by drawing
frames with replacement. Where we differ from Michel et al.: their number is a loss, and they add up absolute values
("importance"), which stands beside.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from vitrail.capture import Target, Wishes, attend, record_attention
from vitrail.capture.call import Call
from vitrail.capture.interventions import Ablate, run_edited
from vitrail.recipes.events import Note, Report
from vitrail.recipes.intervals import wilson_interval
from vitrail.studies.bert import Bert, model_name, open_bert, seen
from vitrail.studies.drawing import in_parts
from vitrail.studies.feeling_gradients_figure import draw
from vitrail.studies.measuring import UNTOLD, Interval
from vitrail.studies.over_inputs import cell, over, plain
from vitrail.studies.terms import Finding, Study, StudyRecipe
from vitrail.trace import gradient_x_attention, words_of

FRAMES = (
    "I am {}.",
    "She was {} yesterday.",
    "They looked {} after the game.",
    "He felt {} about the news.",
    "My mother is {} today.",
    "The children were {} in the morning.",
    "We are all {} tonight.",
    "You seem {} to me.",
    "The old man was {} at home.",
    "Everyone was {} when the train came.",
    "It was a {} day for us.",
    "The film has a {} end.",
    "She told a {} story.",
    "He wrote a {} song.",
    "I had a {} time at school.",
    "His face was {} in the picture.",
    "A {} child sat by the window.",
    "The {} dog lay at the door.",
    "It made me {} to see her.",
    "The letter made him {}.",
    "I was {} all week.",
    "They came home {} and tired.",
    "What a {} house this is.",
    "Her voice sounded {} on the phone.",
)
QUICK_FRAMES = 6
POLES = {"happy": "A joyful, cheerful and delighted mood.", "sad": "A miserable, gloomy and sorrowful mood."}
"""A text of each feeling, in words that no frame has."""
COURSE = ("I am happy", "I am not sad")
"""The exercise's sentences."""
TARGET = "cosine of the embedding with a text of its own feeling, less that with one of the other"
FORETELLING = {
    "word": "weight x gradient on the word",
    "all": "weight x gradient on all tokens",
    "importance": "importance (absolute values)",
}
DRAWS = 1000
TOP = 8
"""Heads that the table has."""


class Told(NamedTuple):
    """Of every head (layer after layer) and sentence; the sentences of a frame stand side by side, one a feeling.

    Attributes:
        word: weight x gradient on the feeling word.
        everything: on all tokens.
        cost: what the number loses without the head.
        number: of each sentence, with all heads.
        course: of the course's sentences, the cosine with the happy text less that with the sad one.
    """

    word: Float64[np.ndarray, "heads frames feelings"]
    everything: Float64[np.ndarray, "heads frames feelings"]
    cost: Float64[np.ndarray, "heads frames feelings"]
    number: Float64[np.ndarray, "frames feelings"]
    course: Float64[np.ndarray, " sentences"]


def run(recipe: StudyRecipe, report: Report) -> Finding:
    """Take gradients and take heads away, in the model and in its twins."""
    seeds = recipe.repetitions(2)
    bert = open_bert(recipe)
    frames = FRAMES[: QUICK_FRAMES if recipe.quick else None]
    report(Note(f"{model_name(recipe)} and {len(seeds)} twins on {len(frames) * len(POLES)} sentences"))
    trained = measure(bert, frames)
    twins = [measure(twin, frames) for twin in bert.twins("library", seeds)]
    shape = bert.model.config.num_hidden_layers, bert.model.config.num_attention_heads
    found = {name: correlation(*_two(trained, name)) for name in FORETELLING}
    untrained = {name: [correlation(*_two(twin, name)) for twin in twins] for name in FORETELLING}
    order = np.argsort(-np.abs(trained.word.mean((1, 2))))
    ranks = np.argsort(np.argsort(-trained.cost.mean((1, 2)))) + 1
    rows = [
        (
            _name(head, shape),
            *(cell(_over_frames(part[head]), 4) for part in (trained.word, trained.everything, trained.cost)),
            f"{ranks[head]} of {len(ranks)}",
            f"{max(float(np.abs(twin.word.mean((1, 2))).max()) for twin in twins):.4f}",
        )
        for head in order[:TOP]
    ]
    facts = {
        "target": TARGET,
        "poles": POLES,
        "frames": list(frames),
        "shape": list(shape),
        "seeds": len(seeds),
        "trained": {**_facts(trained), "correlations": {name: plain([one]) for name, one in found.items()}},
        "untrained": [
            {**_facts(twin), "correlations": {name: plain([untrained[name][place]]) for name in FORETELLING}}
            for place, twin in enumerate(twins)
        ],
    }
    heads = (
        "layer.head",
        "weight x gradient, word",
        "weight x gradient, all",
        "cost of taking it away",
        "rank of cost",
        "untrained, largest on word",
    )
    return Finding(heads, tuple(rows), _words(trained, twins, found, untrained, order, ranks, shape), (), facts)


# -- the number -------------------------------------------------------------------------------------------------------


def embeddings(output: Any, mask: Int64[Tensor, "b n"]) -> Tensor:
    """Unit embeddings ``[b d]``: the mean over tokens (1 in the mask) of what the last layer gives."""
    kept = mask[..., None].to(output.last_hidden_state.dtype)
    mean = (output.last_hidden_state * kept).sum(1) / kept.sum(1)
    return torch.nn.functional.normalize(mean, dim=-1)


def towards(bert: Bert) -> Tensor:
    """The happy text's embedding less the sad one's ``[d]``."""
    batch = bert.tokenizer(list(POLES.values()), padding=True, return_tensors="pt")
    with torch.no_grad():
        happy, sad = embeddings(bert.model(**batch), batch["attention_mask"])
    direction: Tensor = happy - sad
    return direction


def target(direction: Tensor, sign: float) -> Target:
    """The number of one text."""

    def number(output: Any) -> Tensor:
        mask = torch.ones(output.last_hidden_state.shape[:2], dtype=torch.int64)
        return sign * (embeddings(output, mask) @ direction)[0]

    return Target(TARGET, number)


# -- heads ------------------------------------------------------------------------------------------------------------


def measure(bert: Bert, frames: Sequence[str]) -> Told:
    """All heads of a model on all sentences."""
    bert.model.eval()
    direction = towards(bert)
    signs = dict(zip(POLES, (1.0, -1.0), strict=True))
    pairs = [(frame.format(word), word) for frame in frames for word in POLES]
    gradients = [on_word_and_all(bert, text, word, target(direction, signs[word])) for text, word in pairs]
    number, cost = costs(bert, [text for text, _ in pairs], direction)
    sign = np.array([signs[word] for _, word in pairs])
    course, _ = costs(bert, COURSE, direction, heads=False)

    def shaped(values: Float64[np.ndarray, "*heads sentences"]) -> Any:
        return values.reshape(*values.shape[:-1], len(frames), len(POLES))

    word, everything = (np.stack([one[place] for one in gradients], axis=1) for place in (0, 1))
    return Told(shaped(word), shaped(everything), shaped(cost * sign), shaped(number * sign), course)


def on_word_and_all(
    bert: Bert, text: str, word: str, number: Target
) -> tuple[Float64[np.ndarray, " heads"], Float64[np.ndarray, " heads"]]:
    """Weight x gradient of each head, over all queries: on the pieces of a word, and on all tokens."""
    trace = attend(bert.model, bert.tokenizer, text, gradient=number, wishes=Wishes(check=False))
    words = words_of(trace.tokens())
    place = [one.casefold() for one in words.texts].index(word)
    pieces = slice(words.starts[place], words.ends[place])
    on_word, on_all = [], []
    for layer in range(len(trace.stream().layers)):
        product = gradient_x_attention(trace.weights(layer), trace.gradients(layer)).astype(np.float64)
        on_word.append(product[:, :, pieces].sum((1, 2)))
        on_all.append(product.sum((1, 2)))
    return np.concatenate(on_word), np.concatenate(on_all)


@torch.no_grad()
def costs(
    bert: Bert, texts: Sequence[str], direction: Tensor, *, heads: bool = True
) -> tuple[Float64[np.ndarray, " sentences"], Float64[np.ndarray, "heads sentences"]]:
    """How far texts are towards happy, and by how much less each is without each head (none, unless asked)."""
    batch = bert.tokenizer(list(texts), padding=True, return_tensors="pt")
    go = partial(bert.model, **batch)
    calls: list[tuple[str, int]] = []

    def count(call: Call) -> None:
        calls.append((call.name, call.weights.shape[1]))

    def numbers(output: Any) -> Float64[np.ndarray, " sentences"]:
        return np.asarray((embeddings(output, batch["attention_mask"]) @ direction).double())

    with record_attention(bert.model, each=count):
        usual = numbers(go())
    found = [
        usual - numbers(run_edited(bert.model, go, Ablate({name: [head]})))
        for name, several in calls
        for head in range(several if heads else 0)
    ]
    return usual, np.stack(found) if found else np.empty((0, len(texts)))


# -- whether one foretells the other ----------------------------------------------------------------------------------


def correlation(
    first: Float64[np.ndarray, "heads frames"], second: Float64[np.ndarray, "heads frames"], seed: int = 0
) -> Interval:
    """Spearman's rank correlation over heads of two figures' means over frames; the middle 95% of frames drawn anew."""
    frames = first.shape[1]
    draws = np.random.default_rng(seed).multinomial(frames, [1 / frames] * frames, size=DRAWS) / frames
    every = np.vstack([np.full(frames, 1 / frames), draws])
    found = _spearman(every @ first.T, every @ second.T)
    low, high = np.quantile(found[1:], (0.025, 0.975))
    return Interval(float(found[0]), float(found[1:].std()), float(low), float(high))


def _spearman(
    first: Float64[np.ndarray, "draws heads"], second: Float64[np.ndarray, "draws heads"]
) -> Float64[np.ndarray, " draws"]:
    from scipy.stats import rankdata

    one, other = (rankdata(values, axis=1) for values in (first, second))
    one, other = (ranks - ranks.mean(1, keepdims=True) for ranks in (one, other))
    return np.asarray((one * other).sum(1) / np.sqrt((one**2).sum(1) * (other**2).sum(1)))


def _two(told: Told, name: str) -> tuple[np.ndarray, np.ndarray]:
    """What foretells, and what is foretold."""
    if name == "importance":
        return np.abs(told.everything).mean(2), np.abs(told.cost).mean(2)
    return (told.word if name == "word" else told.everything).mean(2), told.cost.mean(2)


def _over_frames(values: Float64[np.ndarray, "frames feelings"]) -> Interval:
    return over(values.mean(1))


# -- what it came to --------------------------------------------------------------------------------------------------


def _facts(told: Told) -> dict[str, Any]:
    return {
        "right": round(float((told.number > 0).mean()), 4),
        "number": plain([_over_frames(told.number)]),
        "word": plain([_over_frames(one) for one in told.word]),
        "all": plain([_over_frames(one) for one in told.everything]),
        "cost": plain([_over_frames(one) for one in told.cost]),
        "course": dict(zip(COURSE, np.round(told.course, 4).tolist(), strict=True)),
    }


def _words(
    trained: Told,
    twins: Sequence[Told],
    found: Mapping[str, Interval],
    untrained: Mapping[str, Sequence[Interval]],
    order: np.ndarray,
    ranks: np.ndarray,
    shape: tuple[int, int],
) -> tuple[str, ...]:
    sentences = trained.number.size
    right = int((trained.number > 0).sum())
    low, high = wilson_interval(right / sentences, sentences)
    by_chance = ", ".join(f"{100 * float((twin.number > 0).mean()):.0f}%" for twin in twins)
    first = int(order[0])
    correlations = "; ".join(
        f"{FORETELLING[name]} {_told(one)} (untrained {', '.join(f'{other.value:.2f}' for other in untrained[name])})"
        for name, one in found.items()
    )
    shown = found["word"].told and found["word"].low > 0
    largest, blank = (float(np.abs(of).max()) for of in (trained.cost.mean((1, 2)), _means(twins)))
    course = ", ".join(f"{text!r} {value:+.3f}" for text, value in zip(COURSE, trained.course, strict=True))
    return (
        f"the number: {TARGET}; above 0 in {right} of {sentences} sentences ({100 * low:.0f}% to {100 * high:.0f}%), "
        f"untrained {by_chance}",
        f"the largest weight x gradient on the word is that of head {_name(first, shape)}: "
        f"{cell(_over_frames(trained.word[first]), 4)}; taking it away costs "
        f"{cell(_over_frames(trained.cost[first]), 4)}, rank {ranks[first]} of {len(ranks)}",
        f"rank correlation with the cost of taking a head away, over {len(ranks)} heads: {correlations}",
        f"no untrained head costs more than {blank:.5f} either way, and a trained one up to {largest:.5f}: gradients "
        "are of small changes, and foretell small costs best",
        f"happy less sad of the course's sentences: {course}; the number "
        + ("follows the word there, not what is denied" if trained.course[1] < 0 else "hears what is denied there"),
        f"this shows, on {sentences} sentences, that heads whose looks at the feeling word have a large gradient are "
        "those whose loss costs most, by rank"
        if shown
        else "this shows no relation between a head's gradient on the feeling word and what it costs to lose it: "
        "too small to tell",
        "it can't show what a head does for a feeling by other ways than this number, which two texts of ours define, "
        "nor what heads do together: each was taken away alone",
    )


def _means(twins: Sequence[Told]) -> Float64[np.ndarray, "twins heads"]:
    return np.stack([twin.cost.mean((1, 2)) for twin in twins])


def _told(one: Interval) -> str:
    ends = f"({one.low:.2f} to {one.high:.2f})"
    return f"{one.value:.2f} {ends}" if one.told else f"{UNTOLD} {ends}"


def _name(head: int, shape: tuple[int, int]) -> str:
    return "{}.{}".format(*divmod(int(head), shape[1]))


STUDY = Study(
    "Do gradients tell which heads matter for a feeling?",
    run,
    in_parts(draw, (11.5, 7.6)),
    model_name,
    ("model", "seeds"),
    "means over frames with 95% intervals, in units of cosine; layer.head counted from 0",
    view=seen(*COURSE),
)
