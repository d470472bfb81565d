"""When the order changes, what moves with a word and what stays at its position?

Two sentences are read together, as the course's exercise has them: as they are, in the other order, with the words of
both from last to first ("party a have to wanted I"), and with these shuffled. The tokens are the same each time, so
that each can be found again, and two maps of attention compared in two ways. *By content*: row and column of a token
beside row and column of the same token, wherever it stands now. *By position*: row beside row as they are, whatever
stands there now. A head that looks for tokens is the same by content, a head that looks at places by position. How far
two maps are apart is the Jensen-Shannon divergence of their rows (Lin 1991), over tokens that moved; for scale the same
*by chance*, with the tokens of one paired with those of the other at random ([CLS] and [SEP] with themselves, always).
Hidden states are compared likewise, by cosine, and so is the mean over all tokens, which is this model's embedding of a
text (Reimers and Gurevych 2019), beside that of another two sentences.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float64, Int64

from vitrail.capture.tokens import tokenized
from vitrail.errors import DataError
from vitrail.recipes.events import Note, Report
from vitrail.studies.bert import Bert, model_name, open_bert, seen
from vitrail.studies.drawing import in_parts
from vitrail.studies.over_inputs import by_layer, cell, over, plain, told
from vitrail.studies.seeing import Seen, see
from vitrail.studies.sentence_order_figure import draw
from vitrail.studies.sentences import fingerprint, pairs_of_sentences
from vitrail.studies.terms import Finding, Study, StudyRecipe
from vitrail.trace import Axis, jensen_shannon

COURSE = ("I wanted to have a party", "I bought a cake for it.")
"""The exercise's; read too, and told apart."""
PAIRS, QUICK_PAIRS = 100, 10
SWAPPED, REVERSED, SHUFFLED = CHANGES = ("sentences swapped", "words reversed", "words shuffled")
CONTENT, POSITION, CHANCE = WAYS = ("content", "position", "chance")
HEADS = REVERSED
"""The change that heads are told apart by: it moves nearly all words, and not by one distance."""

Origin = list[list[tuple[int, int]]]
"""Of each word of two changed sentences: the sentence it stood in, and its place there."""


class Changed(NamedTuple):
    """Two sentences in another order, and where their words stood before."""

    texts: tuple[str, str]
    origin: Origin


class Measured(NamedTuple):
    """What a change did, by the way in which tokens are paired.

    Attributes:
        maps: divergences in nats, of every head.
        states: cosines of hidden states; the first is of what enters the first layer.
        embedding: cosine of the means over all tokens, likewise.
    """

    maps: Mapping[str, Float64[np.ndarray, "l h"]]
    states: Mapping[str, Float64[np.ndarray, " l"]]
    embedding: Float64[np.ndarray, " l"]


class Many(NamedTuple):
    """The same over pairs of sentences, the mean over seeds of an untrained model."""

    maps: Mapping[str, Float64[np.ndarray, "pairs l h"]]
    states: Mapping[str, Float64[np.ndarray, "pairs l"]]
    embedding: Float64[np.ndarray, "pairs l"]


def run(recipe: StudyRecipe, report: Report) -> Finding:
    """Read all pairs in all orders with the model and with its twins."""
    seeds = recipe.repetitions(2)
    bert = open_bert(recipe)
    pairs = pairs_of_sentences(QUICK_PAIRS if recipe.quick else PAIRS, 0)
    report(Note(f"{model_name(recipe)} and {len(seeds)} twins on {len(pairs)} pairs of sentences"))
    trained, others = read_all(bert, pairs)
    course, _ = read_all(bert, [COURSE])
    twins = [read_all(twin, pairs) for twin in bert.twins("library", seeds)]
    untrained = {change: _over_seeds([found[change] for found, _ in twins]) for change in CHANGES}
    strangers = {"trained": others, "untrained": np.mean([other for _, other in twins], axis=0)}
    models = {"trained": trained, "untrained": untrained}
    facts = {
        "pairs": len(pairs),
        "sentences": fingerprint(pairs),
        "seeds": len(seeds),
        "models": {which: {change: _facts(many) for change, many in found.items()} for which, found in models.items()},
        "another pair": {which: plain(by_layer(values)) for which, values in strangers.items()},
        "heads": {which: _rounded(_towards(found[HEADS])) for which, found in models.items()},
        "course": {change: _rounded(many.embedding[0]) for change, many in course.items()},
    }
    heads = (
        "change",
        "layer",
        *(f"maps, by {way}" for way in WAYS),
        "states, by content",
        "states, by position",
        "untrained maps, likewise",
    )
    return Finding(heads, tuple(_rows(models)), _words(models, strangers, course, len(pairs)), (), facts)


def changed(pair: tuple[str, str], how: str, random: np.random.Generator) -> Changed:
    """Two sentences in another order; without their full stops, which would be nowhere else in a sentence."""
    words = [text.rstrip(".").split() for text in pair]
    places = [[(sentence, place) for place in range(len(of))] for sentence, of in enumerate(words)]
    origin = places
    if how == SWAPPED:
        origin = places[::-1]
    elif how == REVERSED:
        origin = [of[::-1] for of in places]
    elif how == SHUFFLED:
        origin = [[of[at] for at in random.permutation(len(of))] for of in places]
    first, second = (" ".join(words[sentence][place] for sentence, place in of) for of in origin)
    return Changed((first, second), origin)


def moves(before: Axis, texts: Sequence[str], after: Axis, there: Changed) -> Int64[np.ndarray, " n"]:
    """Where each token of two sentences stands after a change.

    Raises:
        DataError: the tokenizer made other tokens of the same words, or doesn't tell where each stands.
    """
    usual = [[(sentence, place) for place in range(len(text.split()))] for sentence, text in enumerate(texts)]
    found = {key: place for place, key in enumerate(_keys(after, there.texts, there.origin))}
    keys = _keys(before, texts, usual)
    if set(keys) != set(found):
        raise DataError(
            "the words of two sentences became other tokens when their order changed: name a model whose tokenizer "
            "cuts each word by itself, as BERT's does."
        )
    return np.array([found[key] for key in keys])


def _keys(axis: Axis, texts: Sequence[str], origin: Origin) -> list[tuple[int, int, int]]:
    """What each token is: its sentence, its word there and its place in the word; added ones are counted by themselves.

    Raises:
        DataError: the tokenizer doesn't tell where tokens stand.
    """
    if axis.offsets is None or axis.segments is None:
        raise DataError("the tokenizer doesn't tell where its tokens stand: name a model with a fast one.")
    seen: dict[tuple[int, int], int] = {}
    keys = []
    for segment, (begin, _) in zip(axis.segments.tolist(), axis.offsets.tolist(), strict=True):
        word = (-1, -1) if segment < 0 else origin[segment][texts[segment][:begin].count(" ")]
        keys.append((*word, seen.setdefault(word, 0)))
        seen[word] += 1
    return keys


def compare(first: Seen, second: Seen, content: Int64[np.ndarray, " n"], chance: Int64[np.ndarray, " n"]) -> Measured:
    """Two orders of the same tokens.

    Args:
        first: the sentences as they are.
        second: in another order.
        content: where each token of the first stands in the second.
        chance: any token of the second for each of the first.
    """
    moved = content != np.arange(len(content))
    paired = {CONTENT: content, POSITION: np.arange(len(content)), CHANCE: chance}
    maps, states = {}, {}
    for way, places in paired.items():
        mine, theirs = first.maps[:, :, moved], second.maps[:, :, places[moved]][..., places]
        maps[way] = jensen_shannon(mine, theirs).mean(-1)
        states[way] = cosines(first.states[:, moved], second.states[:, places[moved]]).mean(1)
    return Measured(maps, states, cosines(first.states.mean(1), second.states.mean(1)))


def cosines(first: Float64[np.ndarray, "*n m"], second: Float64[np.ndarray, "*n m"]) -> Float64[np.ndarray, " *n"]:
    """Of each vector and its partner."""
    lengths = np.linalg.norm(first, axis=-1) * np.linalg.norm(second, axis=-1)
    return np.asarray((first * second).sum(-1) / lengths)


def read_all(bert: Bert, pairs: Sequence[tuple[str, str]]) -> tuple[dict[str, Many], Float64[np.ndarray, "pairs l"]]:
    """What each change does to each pair, and the cosines of embeddings of each pair and the one before it."""
    random = np.random.default_rng(0)
    found: dict[str, list[Measured]] = {change: [] for change in CHANGES}
    embeddings = []
    for pair in pairs:
        usual = changed(pair, "", random)
        orders = [changed(pair, change, random) for change in CHANGES]
        axis, *others = (tokenized(bert.tokenizer, *order.texts) for order in (usual, *orders))
        contents = [moves(axis, usual.texts, other, order) for other, order in zip(others, orders, strict=True)]
        first, *seconds = see(bert, [order.texts for order in (usual, *orders)])
        embeddings.append(first.states.mean(1))
        ordinary = np.ones(axis.length, bool) if axis.special is None else ~axis.special
        for change, second, content in zip(CHANGES, seconds, contents, strict=True):
            chance = content.copy()
            chance[ordinary] = random.permutation(content[ordinary])
            found[change].append(compare(first, second, content, chance))
    before = np.roll(np.stack(embeddings), 1, axis=0)
    return {change: _many(of) for change, of in found.items()}, cosines(np.stack(embeddings), before)


def _many(found: Sequence[Measured]) -> Many:
    return Many(
        {way: np.stack([one.maps[way] for one in found]) for way in WAYS},
        {way: np.stack([one.states[way] for one in found]) for way in WAYS},
        np.stack([one.embedding for one in found]),
    )


def _over_seeds(found: Sequence[Many]) -> Many:
    return Many(
        {way: np.mean([one.maps[way] for one in found], axis=0) for way in WAYS},
        {way: np.mean([one.states[way] for one in found], axis=0) for way in WAYS},
        np.mean([one.embedding for one in found], axis=0),
    )


def _towards(many: Many) -> Float64[np.ndarray, "l h"]:
    """Whether a head goes with content (towards 1) or with position (towards -1): the difference, by their sum."""
    content, position = (many.maps[way].mean(0) for way in (CONTENT, POSITION))
    return np.asarray((position - content) / (position + content))


def _facts(many: Many) -> dict[str, Any]:
    return {
        "maps": {way: plain(by_layer(values.mean(2))) for way, values in many.maps.items()},
        "states": {way: plain(by_layer(values)) for way, values in many.states.items()},
        "embedding": plain(by_layer(many.embedding)),
    }


def _rounded(values: np.ndarray) -> Any:
    return np.round(values, 4).tolist()


def _rows(models: Mapping[str, Mapping[str, Many]]) -> list[tuple[str, ...]]:
    rows = []
    for change in CHANGES:
        trained, untrained = (models[which][change] for which in ("trained", "untrained"))
        maps = {way: by_layer(values.mean(2)) for way, values in trained.maps.items()}
        states = {way: by_layer(values[:, 1:]) for way, values in trained.states.items()}
        twin = {way: values.mean((0, 2)) for way, values in untrained.maps.items()}
        for layer in range(len(maps[CONTENT])):
            rows.append(
                (
                    change,
                    str(layer),
                    *(cell(maps[way][layer], 3) for way in WAYS),
                    *(cell(states[way][layer]) for way in (CONTENT, POSITION)),
                    " / ".join(f"{twin[way][layer]:.4f}" for way in WAYS),
                )
            )
    return rows


def _words(
    models: Mapping[str, Mapping[str, Many]],
    strangers: Mapping[str, np.ndarray],
    course: Mapping[str, Many],
    pairs: int,
) -> tuple[str, ...]:
    trained, untrained = models["trained"], models["untrained"]
    nearer = {change: _nearer(trained[change]) for change in CHANGES}
    heads = _towards(trained[HEADS])
    last = {change: over(many.embedding[:, -1]) for change, many in trained.items()}
    twin = {change: over(many.embedding[:, -1]) for change, many in untrained.items()}
    ends = over(trained[HEADS].states[CONTENT][:, -1] - trained[HEADS].states[POSITION][:, -1])
    embedded = ", ".join(f"{change} {cell(one, 3)}" for change, one in last.items())
    blank = ", ".join(f"{one.value:.3f}" for one in twin.values())
    return (
        "trained maps, over all layers, position less content (above 0: attention goes with the words): "
        + "; ".join(f"{change} {told(one, 3)}" for change, one in nearer.items()),
        "untrained: " + "; ".join(f"{change} {told(_nearer(untrained[change]), 4)}" for change in CHANGES),
        f"with {HEADS}, {int((heads > 0).sum())} of {heads.size} heads are nearer by content and "
        f"{int((heads < 0).sum())} nearer by position; first layer {int((heads[0] < 0).sum())} of {heads.shape[1]} by "
        f"position, last {int((heads[-1] < 0).sum())}",
        f"hidden states after the last layer with {HEADS}: cosine by content less by position {told(ends)}",
        f"embedding of both sentences, cosine with that in the usual order: {embedded}; with another two sentences "
        f"{cell(over(strangers['trained'][:, -1]), 3)}; untrained {blank} and "
        f"{over(strangers['untrained'][:, -1]).value:.3f}; of the course's two sentences "
        + ", ".join(f"{many.embedding[0, -1]:.3f}" for many in course.values()),
        _shown(nearer, pairs),
        "it can't show what order means to other models: this one was trained to give sentences that mean the same "
        "the same embedding, and two sentences read together are not what it was trained on",
    )


def _nearer(many: Many) -> Any:
    """By how much maps are nearer by content than by position, over all layers and heads."""
    return over((many.maps[POSITION] - many.maps[CONTENT]).mean((1, 2)))


def _shown(nearer: Mapping[str, Any], pairs: int) -> str:
    ways = {change: one.value > 0 for change, one in nearer.items() if one.told}
    if not ways:
        return "this shows nothing of what attention goes with: too small to tell"
    told_ways = ", ".join(f"{change} with {'words' if content else 'places'}" for change, content in ways.items())
    return f"this shows, on {pairs} pairs, what trained attention goes with more: {told_ways}"


STUDY = Study(
    "When the order changes, what moves with a word and what stays at its position?",
    run,
    in_parts(draw, (11.5, 7.2)),
    model_name,
    ("model", "seeds"),
    "means over pairs with 95% intervals; maps: Jensen-Shannon divergence in nats, 0 to 0.693; states: cosines",
    view=seen("party a have to wanted I", "I bought a cake for it"),
)
