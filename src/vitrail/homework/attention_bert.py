"""Question (b): a BERT's layers, the kinds of token it attends to, GPT beside it, one word in two sentences, order."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool

from vitrail.homework.attention_context import Context, beside, decimals, named_heads, percent, quoted
from vitrail.homework.attention_numbers import (
    KINDS,
    by_layer,
    divergence,
    divergence_at,
    if_uniform,
    later,
    overall,
    shares_by_kind,
    strongest,
)
from vitrail.homework.attention_reading import BERT_TEXTS, BOTH
from vitrail.homework.pages import Block, Heading, Links, Points, Question, Table, Text, Yours
from vitrail.homework.shelf import EVERY_HEAD, head
from vitrail.studies.same_word import SHARED, WORD
from vitrail.trace import Trace, head_scores, label_heads, word_cosines
from vitrail.trace.roles import ROLES

KEY = "b"
LARGEST = 0.693
"""ln 2: the divergence of two rows with no key in common."""


def about_bert(context: Context) -> Question:
    """All parts of the question, in its order."""
    return Question(
        KEY,
        "BERT",
        "In a BERT, which patterns are in which layers, and which kinds of token are attended to? How does it differ "
        "from the GPT? Take the same word in two sentences (“play”): how do its embeddings differ? What do reading "
        "both ways and pretraining bring?",
        (
            Heading("Patterns by layer"),
            *_by_layer(context),
            Heading("Kinds of token"),
            *_kinds(context),
            Heading("GPT against BERT, trained against untrained"),
            *_beside_gpt(context),
            Heading(f"The same word in two sentences: “{WORD}”"),
            *_same_word(context),
            Heading("Reading both ways: another order"),
            *_order(context),
            *context.studies(KEY),
            Yours(
                "Which layers do what; why so much attention goes to tokens without a meaning; what BERT can do that "
                f"the GPT can't, and the other way round; what “{WORD}” is in each sentence, as far as its states "
                "tell; what you would say pretraining has brought."
            ),
        ),
    )


def _by_layer(context: Context) -> Iterator[Block]:
    from vitrail.viewer.figures import head_atlas, scores_by_layer

    trace, text = context.traces["bert-party"], quoted(*BERT_TEXTS["bert-party"])
    looked = context.shelf.views(KEY, "all heads in the viewer", "bert-party", looked=EVERY_HEAD)
    caption = f"{text}: what each head of {context.bert.name} does with this pair; grey where no role is clear."
    yield context.shelf.picture("b-atlas", head_atlas(trace), caption, looked)
    table = head_scores(trace)
    wanted = ("first", "separator", "previous", "next", "A to B", "B to A", "entropy", "distance")
    chosen = [score for score in wanted if table[score].notna().any()]
    yield context.shelf.picture("b-layers", scores_by_layer(trace, chosen), f"{text}: what heads do, layer by layer.")
    names = ["first", "separator", "previous", "next", "A to B", "B to A"]
    mean = by_layer(trace, [*names, "broadness"])
    rows = [
        (str(layer), *(percent(float(row[name])) for name in names), decimals(float(row["broadness"]), 1))
        for layer, row in mean.iterrows()
    ]
    alike = (
        "uniform",
        *(percent(if_uniform(trace, name)) for name in names),
        decimals(if_uniform(trace, "broadness"), 1),
    )
    yield Table(
        ("layer", "[CLS]", "[SEP]", "previous", "next", "A to B", "B to A", "keys attended to"),
        (*rows, alike),
        f"{text}: means over the heads of each layer. The last row is attention that is spread alike.",
    )
    crossing = (mean["A to B"] + mean["B to A"]) / 2
    yield Points(
        (
            f"[CLS] gets most in layer {int(mean['first'].idxmax())} ({percent(float(mean['first'].max()))}), [SEP] "
            f"in layer {int(mean['separator'].idxmax())} ({percent(float(mean['separator'].max()))}), neighbours in "
            f"layer {int((mean['previous'] + mean['next']).idxmax())} "
            f"({percent(float((mean['previous'] + mean['next']).max()))} to the two together), the other sentence in "
            f"layer {int(crossing.idxmax())} ({percent(float(crossing.max()))}).",
        )
    )


def _kinds(context: Context) -> Iterator[Block]:
    shares, positions = shares_by_kind(context.traces["bert-party"])
    rows = [(str(layer), *(percent(float(share)) for share in row)) for layer, row in enumerate(shares)]
    mean = shares.mean(axis=0)
    rows.append(("all layers", *(percent(float(share)) for share in mean)))
    rows.append(("of the positions", *(percent(float(share)) for share in positions)))
    yield Table(
        ("layer", *KINDS),
        tuple(rows),
        f"{quoted(*BERT_TEXTS['bert-party'])}: where all attention of a layer goes. The last row is how many of the "
        "tokens are of that kind, which is what attention that is spread alike gives them.",
    )
    lifts = {kind: share / of for kind, share, of in zip(KINDS, mean, positions, strict=True) if of}
    most, least = max(lifts, key=lifts.__getitem__), min(lifts, key=lifts.__getitem__)
    special = float(mean[:2].sum())
    yield Points(
        (
            f"Most beside how often it stands there: {most}, {lifts[most]:.1f} times its share of the positions; "
            f"least: {least}, {lifts[least]:.1f} times.",
            f"[CLS] and [SEP], which the model added, get {percent(special)} of all attention, and are "
            f"{percent(float(positions[:2].sum()))} of the tokens.",
        )
    )


def _beside_gpt(context: Context) -> Iterator[Block]:
    from vitrail.viewer.figures import side_by_side

    columns = {
        "GPT": context.traces["gpt-both"],
        "GPT, untrained": context.twin("gpt-both"),
        "BERT": context.traces["bert-both"],
        "BERT, untrained": context.twin("bert-both"),
    }
    rows = [
        ("tokens", *(str(trace.tokens().length) for trace in columns.values())),
        *(
            (said, *(beside(overall(trace, name), if_uniform(trace, name)) for trace in columns.values()))
            for name, said in (("previous", "previous token"), ("next", "next token"), ("first", "first token"))
        ),
        ("later tokens", *(percent(float(later(trace).mean())) for trace in columns.values())),
        (
            "keys attended to",
            *(
                f"{decimals(overall(trace, 'broadness'), 1)} ({decimals(if_uniform(trace, 'broadness'), 1)})"
                for trace in columns.values()
            ),
        ),
        ("heads with a role", *(f"{named_heads(trace)} of {_heads(trace)}" for trace in columns.values())),
    ]
    figure = side_by_side(columns["GPT"], columns["BERT"], names=(context.gpt.name, context.bert.name))
    looked = context.shelf.views(KEY, "GPT's heads", "gpt-both", looked=EVERY_HEAD)
    other = context.shelf.views(KEY, "BERT's heads", "bert-both", looked=EVERY_HEAD)
    yield context.shelf.picture(
        "b-gpt-and-bert", figure, f"{quoted(BOTH)}: roles of heads, in both models.", looked + other
    )
    yield Table(
        ("the same text", *columns),
        tuple(rows),
        f"{quoted(BOTH)}: means over all heads; in brackets what uniform attention has. The untrained are the same "
        "models with weights drawn as their library draws them.",
    )
    bert, twin = columns["BERT"], columns["BERT, untrained"]
    yield Points(
        (
            f"Reading both ways: {percent(float(later(bert).mean()))} of BERT's attention goes to later tokens, none "
            "of a GPT's may.",
            f"Training: {named_heads(bert)} heads of the BERT have a role here, {named_heads(twin)} of its untrained "
            f"twin; attention is spread as over {overall(bert, 'broadness'):.1f} keys, untrained "
            f"{overall(twin, 'broadness'):.1f} of {if_uniform(twin, 'broadness'):.1f}.",
        )
    )


def _same_word(context: Context) -> Iterator[Block]:
    from vitrail.viewer.figures import side_by_side

    names = ("bert-play-game", "bert-play-stage")
    game, stage = (context.traces[name] for name in names)
    found = {word: word_cosines(game, stage, word) for word in SHARED}
    twin = word_cosines(context.twin(names[0]), context.twin(names[1]), WORD)
    rows = tuple(
        (
            "entry" if layer == 0 else str(layer),
            *(decimals(float(found[word][layer])) for word in SHARED),
            decimals(float(twin[layer])),
        )
        for layer in range(len(twin))
    )
    yield Table(
        ("layers passed", *SHARED, f"{WORD}, untrained"),
        rows,
        f"{quoted(BERT_TEXTS[names[0]][0])} and {quoted(BERT_TEXTS[names[1]][0])}: cosine of each word's state in one "
        "and in the other. 1: the same; the entry is the word's embedding and its position.",
    )
    apart = divergence_at(game, stage, WORD)
    # Another word stands before it: heads that go by position differ for no other reason.
    best = strongest(np.where(_by_position(game), -1.0, apart))
    figure = side_by_side(game, stage, layer=best.layer, head=best.head, names=_sentences(names))
    looked = context.shelf.views(
        KEY, "the difference in the viewer", names[0],
        other=names[1], looked=head(best.layer, best.head, drawing="matrix", quantity="difference"),
    )  # fmt: skip
    caption = (
        f"Head {best.layer}.{best.head}, which looks from “{WORD}” most differently in the two sentences; heads of a "
        "neighbour are left out, for that is another word anyway."
    )
    yield context.shelf.picture("b-play", figure, caption, looked)
    others = {word: float(cosines[-1]) for word, cosines in found.items() if word != WORD}
    least = min(others, key=others.__getitem__)
    last = float(found[WORD][-1])
    yield Points(
        (
            f"“{WORD}” enters with a cosine of {found[WORD][0]:.2f} and leaves the last layer with {last:.2f}; of the "
            f"other words that both sentences have, {sum(value < last for value in others.values())} of {len(others)} "
            f"are less alike in the end (least: “{least}”, {others[least]:.2f}). One pair of sentences tells company "
            "from sense poorly: the study below, if it is there, has more.",
            f"Where it looks: the attention from “{WORD}” differs by {apart.mean():.2f} nats on average over heads "
            f"(Jensen-Shannon; at most {LARGEST}), most of these in head {best.layer}.{best.head} ({best.weight:.2f}).",
        )
    )


def _order(context: Context) -> Iterator[Block]:
    from vitrail.viewer.figures import side_by_side

    names = ("bert-words-reversed", "bert-sentences-exchanged", "bert-thanksgiving")
    party = context.traces["bert-party"]
    said = (
        "the first sentence's words reversed",
        "the sentences exchanged, and one of them another",
        "the second sentence another",
    )
    rows = []
    for name, what in zip(names, said, strict=True):
        trace = context.traces[name]
        apart = divergence(party, trace)
        states = word_cosines(party, trace, "party")
        rows.append(
            (
                quoted(*BERT_TEXTS[name]),
                what,
                *(decimals(float(apart[layer].mean())) for layer in (0, -1)),
                decimals(float(apart.mean())),
                f"{states[0]:.2f} → {states[-1]:.2f}",
            )
        )
    yield Text(
        f"Beside {quoted(*BERT_TEXTS['bert-party'])}: how far attention moves, and how much of “party” is left, when "
        "order or company changes."
    )
    yield Table(
        ("read instead", "changed", "first layer", "last layer", "all layers", "“party”: entry → end"),
        tuple(rows),
        f"Attention: Jensen-Shannon divergence in nats, mean over heads and over the tokens that align (0: the same; "
        f"{LARGEST}: nothing in common). “party”: cosine of its states in both.",
        left=2,
    )
    roles = label_heads(party)
    neighbours = roles[roles["role"].isin(["previous token", "next token"])].sort_values("score", ascending=False)
    if len(neighbours):
        layer, number = int(neighbours.iloc[0]["layer"]), int(neighbours.iloc[0]["head"])
        figure = side_by_side(
            party, context.traces[names[0]], layer=layer, head=number, names=_sentences(("bert-party", names[0]))
        )
        looked = context.shelf.views(KEY, "in the viewer", names[0], other="bert-party", looked=head(layer, number))
        score = ROLES[neighbours.iloc[0]["role"]][0]
        shares = [_score(trace, score, layer, number) for trace in (party, context.traces[names[0]])]
        caption = (
            f"Head {layer}.{number} ({neighbours.iloc[0]['role']}), as the words stand and reversed: "
            f"{percent(shares[0])} of its attention goes to that neighbour, reversed {percent(shares[1])}."
        )
        yield context.shelf.picture("b-reversed", figure, caption, looked)
    links = [context.shelf.views(KEY, name.removeprefix("bert-"), name, looked=EVERY_HEAD)[0] for name in names]
    yield Links("All heads of each:", tuple(links))


def _by_position(trace: Trace) -> Bool[np.ndarray, "l h"]:
    """Which heads look at a neighbour, whatever stands there."""
    table = label_heads(trace)
    found = table["role"].isin(["previous token", "next token"])
    return np.asarray(
        table.assign(found=found).pivot(index="layer", columns="head", values="found").to_numpy(dtype=bool)
    )


def _score(trace: Trace, name: str, layer: int, number: int) -> float:
    table = head_scores(trace)
    return float(table[(table["layer"] == layer) & (table["head"] == number)][name].iloc[0])


def _sentences(names: tuple[str, ...]) -> list[str]:
    return [quoted(*BERT_TEXTS[name]) for name in names]


def _heads(trace: Trace) -> int:
    return sum(layer.heads for layer in trace.stream().layers)
