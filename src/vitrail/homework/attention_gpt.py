"""Question (a): a GPT's attention between examples and between layers."""

from collections.abc import Iterator

import numpy as np

from vitrail.homework.attention_context import NAMELESS, Context, beside, decimals, listed, percent, quoted
from vitrail.homework.attention_numbers import Link, by_layer, habits, if_uniform, layers_of, overall, strongest
from vitrail.homework.attention_reading import GPT_TEXTS
from vitrail.homework.pages import Block, Heading, Links, Points, Question, Table, Yours
from vitrail.homework.shelf import EVERY_HEAD, head
from vitrail.trace import Trace, head_scores, label_heads

SHARES = {"first": "first token", "previous": "previous token", "self": "own token"}
"""Scores that are shares of attention, and what they are called here."""
KEY = "a"


def about_gpt(context: Context) -> Question:
    """How the patterns of three examples are alike and differ; how they change from layer to layer."""
    examples = [(name, text, context.traces[name]) for name, text in GPT_TEXTS.items()]
    return Question(
        KEY,
        "GPT: between examples, between layers",
        "In a GPT, how are the patterns of the examples alike, and how do they differ? How do they change from layer "
        "to layer?",
        (
            Heading("Between examples"),
            *_between_examples(context, examples),
            Heading("Between layers"),
            *_between_layers(context, *examples[-1][::2]),
            *_predictions(examples),
            *context.studies(KEY),
            Yours(
                "What is alike in the three examples and what isn't; how the first layers differ from the last; and "
                "which picture or view made you think so."
            ),
        ),
    )


def _between_examples(context: Context, examples: list[tuple[str, str, Trace]]) -> Iterator[Block]:
    from vitrail.viewer.figures import head_grid

    for name, text, trace in examples:
        caption = (
            f"{quoted(text)}: every head of {context.gpt.name}, a row a layer; queries downwards, keys to the right."
        )
        looked = context.shelf.views(KEY, "all heads in the viewer", name, looked=EVERY_HEAD)
        yield context.shelf.picture(f"a-{name}", head_grid(trace), caption, looked)
    rows = [
        (
            quoted(text),
            str(trace.tokens().length),
            *(beside(overall(trace, score), if_uniform(trace, score)) for score in SHARES),
            f"{decimals(overall(trace, 'broadness'), 1)} ({decimals(if_uniform(trace, 'broadness'), 1)})",
        )
        for _, text, trace in examples
    ]
    yield Table(
        ("text", "tokens", *SHARES.values(), "keys attended to"),
        tuple(rows),
        "Means over all heads and tokens; in brackets what attending alike to all that may be seen would have. “Keys "
        "attended to” is e to the entropy: over how many keys attention is as good as spread.",
    )
    pairs = [(one, other) for place, one in enumerate(examples) for other in examples[place + 1 :]]
    found = {score: [habits(one[2], other[2], score) for one, other in pairs] for score in (*SHARES, "broadness")}
    yield Table(
        ("two texts", *SHARES.values(), "keys attended to"),
        tuple(
            (
                f"{quoted(_short(one[1]))} and {quoted(_short(other[1]))}",
                *(decimals(found[score][place]) for score in found),
            )
            for place, (one, other) in enumerate(pairs)
        ),
        "Do heads keep their habits? Correlation over heads: 1 where the heads that do most of it in one text do so "
        "in the other.",
    )
    lifts = [overall(trace, "first") / if_uniform(trace, "first") for _, _, trace in examples]
    told = [value for values in found.values() for value in values if not np.isnan(value)]
    middle = float(np.median(told)) if told else float("nan")
    kept = "Heads keep their habits from text to text" if middle > 0.7 else "Heads keep their habits in part"
    alike = kept if middle > 0.3 else "Heads change from text to text"
    yield Points(
        (
            f"Alike: no token sees a later one, which is the model's mask. {alike}: the median of these correlations "
            f"is {decimals(middle)}.",
            f"Different: the longer a text, the thinner uniform attention is spread. The first token gets "
            f"{listed([f'{lift:.1f}' for lift in lifts])} times its uniform share in the three texts.",
        )
    )


def _between_layers(context: Context, name: str, trace: Trace) -> Iterator[Block]:
    from vitrail.viewer.figures import attention_map, scores_by_layer
    from vitrail.viewer.figures.album import telling

    names = [*SHARES, "duplicate", "entropy", "distance"]
    table = head_scores(trace)
    chosen = [score for score in names if table[score].notna().any()]
    figure = scores_by_layer(trace, chosen)
    text = quoted(GPT_TEXTS[name])
    yield context.shelf.picture("a-layers", figure, f"{text}: what heads do, layer by layer.")
    mean = by_layer(trace, [*SHARES, "broadness", "distance"])
    roles = label_heads(trace)
    rows = []
    for layer in range(layers_of(trace)):
        mine = roles[roles["layer"] == layer]
        clear = mine[~mine["role"].isin(NAMELESS)]
        named = [f"{role} {', '.join(f'{layer}.{one}' for one in of['head'])}" for role, of in clear.groupby("role")]
        rows.append(
            (
                str(layer),
                *(percent(float(mean.loc[layer, score])) for score in SHARES),
                decimals(float(mean.loc[layer, "broadness"]), 1),
                decimals(float(mean.loc[layer, "distance"]), 1),
                "; ".join(named) or "-",
            )
        )
    yield Table(
        ("layer", *SHARES.values(), "keys attended to", "tokens away", "heads with a role"),
        tuple(rows),
        f"{text}: means over the heads of each layer. A head has a role where half of its attention goes to one kind "
        "of key, and far more than uniform attention would.",
    )
    first, last = mean.iloc[0], mean.iloc[-1]
    best = _best(trace, "previous")
    yield Points(
        (
            f"From the first layer to the last the first token's share goes from {percent(float(first['first']))} to "
            f"{percent(float(last['first']))}, the previous token's from {percent(float(first['previous']))} to "
            f"{percent(float(last['previous']))}, and attention is spread as over {first['broadness']:.1f} keys in "
            f"the first, {last['broadness']:.1f} in the last.",
            f"The head that looks most at the previous token is {best.layer}.{best.head}, with "
            f"{percent(best.weight)}; the one that looks most at its own, {_named(_best(trace, 'self'))}; at the "
            f"first, {_named(_best(trace, 'first'))}.",
        )
    )
    layer, number = telling(trace, trace.stream().name)[0]
    role = str(roles[(roles["layer"] == layer) & (roles["head"] == number)]["role"].iloc[0])
    caption = f"{text}: head {layer}.{number}, {role}, the clearest of this text."
    if role in NAMELESS:
        layer, number = best.layer, best.head
        caption = f"{text}: no head has a clear role; {layer}.{number} looks most at the previous token."
    looked = context.shelf.views(KEY, "the same in the viewer", name, looked=head(layer, number, drawing="matrix"))
    yield context.shelf.picture("a-clearest", attention_map(trace, layer, number), caption, looked)
    links = context.shelf.views(
        KEY, f"head {best.layer}.{best.head} as lines", name, looked=head(best.layer, best.head)
    )
    yield Links("The head of the previous token:", links)


def _best(trace: Trace, score: str) -> Link:
    """The head with the highest score, and the score."""
    table = head_scores(trace)
    return strongest(table.pivot(index="layer", columns="head", values=score).to_numpy(dtype=float))


def _named(best: Link) -> str:
    return f"{best.layer}.{best.head}, with {percent(best.weight)}"


def _predictions(examples: list[tuple[str, str, Trace]]) -> Iterator[Block]:
    """What the model takes to come next, where it says."""
    rows = []
    for _, text, trace in examples:
        predictions = trace.stream().predictions
        if predictions is not None:
            likeliest = [f"{word!r} {chance:.0%}" for word, chance in predictions.likeliest(-1)]
            rows.append((quoted(text), ", ".join(likeliest)))
    if rows:
        yield Table(("text", "likeliest next tokens"), tuple(rows), "What the model would write next.", left=2)


def _short(text: str) -> str:
    return text if len(text) <= 30 else f"{text[:28]}…"
