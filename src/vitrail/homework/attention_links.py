"""Question (d): random against trained weights, words that should attend to each other, the gradients of that head."""

from collections.abc import Iterator, Sequence

import numpy as np

from vitrail.homework.attention_context import Context, decimals, named_heads, percent, quoted
from vitrail.homework.attention_numbers import Link, first_piece, if_uniform, link, overall, strongest
from vitrail.homework.attention_pictures import gradient_maps
from vitrail.homework.attention_reading import BERT_TEXTS, UNTRAINED
from vitrail.homework.pages import Block, Formula, Heading, Points, Question, Table, Text, Yours
from vitrail.homework.shelf import EVERY_HEAD, head
from vitrail.trace import Trace, head_scores

KEY = "d"
UNIFORM = 0.1
"""Nats below the largest entropy there could be, up to which attention is called nearly uniform."""
PAIRS = (("happy", "sad"), ("sad", "happy"), ("sad", "not"), ("happy", "not"), ("happy", "I"))
"""Words that should look at each other: opposites, what is negated and its negation, who is happy."""
PYTORCH = f"{UNTRAINED}-pytorch"


def about_training(context: Context) -> Question:
    """What random weights look like beside trained ones; one pair of words, and the gradients of its head."""
    return Question(
        KEY,
        "Random and trained",
        "What do the patterns of random weights look like beside trained ones? Which words should attend strongly to "
        "each other, and what do the gradients of that head say?",
        (
            Heading("Random against trained"),
            *_beside_random(context),
            Heading("Which words should attend to each other"),
            *_pairs(context),
            Heading("The gradients of that head"),
            *_gradients(context),
            *context.studies(KEY),
            Yours(
                "What you expected before you looked; which words should attend strongly and whether a head does it; "
                "what it means that the gradient is large where the weight is small, or the other way round."
            ),
        ),
    )


def _versions(context: Context, name: str = "bert-happy") -> dict[str, Trace]:
    return {
        "trained": context.traces[name],
        "untrained, as its library draws it": context.traces[f"{name}{UNTRAINED}"],
        "untrained, as PyTorch draws it": context.traces[f"{name}{PYTORCH}"],
    }


def _beside_random(context: Context) -> Iterator[Block]:
    from vitrail.viewer.figures import side_by_side

    versions = _versions(context)
    figure = side_by_side(*versions.values(), names=list(versions))
    looked = context.shelf.views(KEY, "trained", "bert-happy", looked=EVERY_HEAD)
    others = context.shelf.views(KEY, "untrained", f"bert-happy{UNTRAINED}", looked=EVERY_HEAD)
    caption = f"{quoted(*BERT_TEXTS['bert-happy'])}: roles of heads, trained and with random weights."
    yield context.shelf.picture("d-atlases", figure, caption, looked + others)
    measures = ("entropy", "broadness", "first", "separator", "previous", "self")
    digits = {"entropy": 3, "broadness": 1}
    trained = versions["trained"]
    columns = [*versions.values()]
    rows = [
        (
            name.replace("broadness", "keys attended to").replace("entropy", "entropy, nats"),
            *(_shown(overall(trace, name), digits.get(name)) for trace in columns),
            _shown(if_uniform(trained, name), digits.get(name)),
        )
        for name in measures
    ]
    rows.append(("heads with a role", *(str(named_heads(trace)) for trace in columns), "0"))
    yield Table(
        ("", *versions, "uniform"),
        tuple(rows),
        f"{quoted(*BERT_TEXTS['bert-happy'])}: means over all heads. The two ways to draw weights differ: compare "
        "with both.",
    )
    gaps = [if_uniform(trace, "entropy") - overall(trace, "entropy") for trace in columns]
    verdict = (
        " It is nearly uniform: its pattern is none, or that of whichever tokens' random vectors happen to be alike."
        if max(gaps[1:]) < UNIFORM
        else ""
    )
    yield Points(
        (
            f"The entropy of random attention is {gaps[1]:.3f} and {gaps[2]:.3f} nats below the largest there could "
            f"be, that of trained attention {gaps[0]:.2f}.{verdict}",
        )
    )


def _pairs(context: Context) -> Iterator[Block]:
    from vitrail.viewer.figures import attention_map

    versions = _versions(context)
    trained, *random = versions.values()
    uniform = 1 / trained.tokens().length
    rows, found = [], {}
    for asking, asked in PAIRS:
        weights = link(trained, asking, asked)
        best = strongest(weights)
        found[asking, asked] = best
        rows.append(
            (
                f"{asking} → {asked}",
                _named(best),
                *(percent(float(link(trace, asking, asked)[best.layer, best.head])) for trace in random[:1]),
                *(_named(strongest(link(trace, asking, asked))) for trace in random),
                percent(uniform),
            )
        )
    heads = sum(layer.heads for layer in trained.stream().layers)
    yield Table(
        (
            "from → to",
            "strongest head",
            "the same, untrained",
            "strongest, untrained",
            "strongest, PyTorch's",
            "uniform",
        ),
        tuple(rows),
        f"The head of {heads} that joins two words most. The largest of {heads} numbers is above the mean by "
        "chance alone: the untrained models' largest says how far. Neighbours are joined by heads that go by position, "
        "too, whatever they mean.",
    )
    best = found[PAIRS[0]]
    at = [first_piece(trained.tokens(), word) for word in PAIRS[0]]
    looked = context.shelf.views(
        KEY, "in the viewer, with all heads coloured by this link", "bert-happy",
        other=f"bert-happy{UNTRAINED}", looked=head(best.layer, best.head, query=at[0], key=at[1], pin=at),
    )  # fmt: skip
    caption = f"Head {best.layer}.{best.head}, which joins “{PAIRS[0][0]}” to “{PAIRS[0][1]}” most strongly."
    yield context.shelf.picture("d-happy-sad", attention_map(trained, best.layer, best.head), caption, looked)
    largest = max(float(link(trace, *PAIRS[0]).max()) for trace in random)
    verdict = (
        "more than any head of either random model" if best.weight > largest else "no more than random weights reach"
    )
    yield Points(
        (f"“{PAIRS[0][0]}” → “{PAIRS[0][1]}”: {percent(best.weight)} in head {best.layer}.{best.head}, {verdict}.",)
    )


def _gradients(context: Context) -> Iterator[Block]:
    hidden = "bert-hidden" in context.traces
    name = "bert-hidden" if hidden else "bert-happy"
    versions = _versions(context, name)
    trained = versions["trained"]
    words = _words(trained, hidden)
    best = strongest(link(trained, *words))
    target = trained.provenance.target
    if hidden:
        yield Text(
            f"What gradients are of: with “happy” hidden in {quoted(*trained.provenance.texts)}, the {target}. A "
            "positive gradient says: more attention here, and the model is surer of “happy”."
        )
    else:
        yield Text(
            f"What gradients are of: this BERT has no output over words, so L is the {target}, how alike it finds “I "
            "am happy” and “I am not sad”. A positive gradient says: more attention here, and the two are more alike."
        )
    yield Formula("dL/dA[i, j] = g[i] · v[j], where g is L's gradient with respect to what the head gives to token i")
    pairs = [words, words[::-1], (words[1], "not"), (words[0], "not")]
    yield Table(
        ("from → to", "weight", "dL/dA", "weight × dL/dA", "untrained: weight", "dL/dA", "weight × dL/dA"),
        tuple(_row(trained, versions["untrained, as its library draws it"], pair, best) for pair in pairs),
        f"Head {best.layer}.{best.head}, the one that joins “{words[0]}” to “{words[1]}” most strongly, at the words' "
        "first pieces; beside it the same head with random weights.",
    )
    for said, trace in list(versions.items())[:2]:
        suffix = "" if said == "trained" else UNTRAINED
        title = f"Head {best.layer}.{best.head}, {said}"
        looked = context.shelf.views(
            KEY, "in the viewer", f"{name}{suffix}",
            looked=head(best.layer, best.head, drawing="matrix", quantity="weight-gradient"),
        )  # fmt: skip
        caption = (
            f"{title}: weights, the gradient of L with respect to each, and their product, which is what L would lose "
            "without this weight (to first order)."
        )
        figure = gradient_maps(trace, best.layer, best.head, title)
        yield context.shelf.picture(f"d-gradients{suffix}", figure, caption, looked)
    yield Points(_importance(trained, versions, best))


def _words(trace: Trace, hidden: bool) -> tuple[str, str]:
    """The pair that gradients are looked at for: where "happy" is hidden, its mask."""
    if not hidden:
        return PAIRS[0]
    texts = trace.tokens().texts or ()
    mask = next((text.strip() for text in texts if "mask" in text.casefold()), PAIRS[0][0])
    return mask, PAIRS[0][1]


def _row(trained: Trace, untrained: Trace, pair: Sequence[str], best: Link) -> tuple[str, ...]:
    cells = [f"{pair[0]} → {pair[1]}"]
    for trace in (trained, untrained):
        query, key = (first_piece(trace.tokens(), word) for word in pair)
        weight = float(trace.weights(best.layer, best.head)[query, key])
        gradient = float(trace.gradients(best.layer, best.head)[query, key])
        cells += [percent(weight), f"{gradient:+.2g}", f"{weight * gradient:+.2g}"]
    return tuple(cells)


def _importance(trained: Trace, versions: dict[str, Trace], best: Link) -> tuple[str, ...]:
    table = head_scores(trained).pivot(index="layer", columns="head", values="importance").to_numpy(dtype=float)
    rank = int((table > table[best.layer, best.head]).sum()) + 1
    first = strongest(table)
    gradients = trained.gradients(best.layer, best.head)
    weights = trained.weights(best.layer, best.head)
    moved = np.unravel_index(int(np.abs(gradients * weights).argmax()), weights.shape)
    texts = trained.tokens().texts or ()
    others = [float(np.nansum(head_scores(trace)["importance"])) for trace in list(versions.values())[1:]]
    return (
        "The head that matters most for L isn't the one that joins the two words most: by |Σ A · dL/dA| it is "
        f"{first.layer}.{first.head}; {best.layer}.{best.head} is number {rank} of {table.size}."
        if rank > 1
        else f"The head that joins the two words most matters most for L, too (|Σ A · dL/dA|, of {table.size} heads).",
        f"In head {best.layer}.{best.head} the link that carries most of L goes from “{texts[moved[0]].strip()}” to "
        f"“{texts[moved[1]].strip()}”.",
        f"Summed over all heads, |Σ A · dL/dA| is {float(np.nansum(table)):.2g} trained, {others[0]:.2g} and "
        f"{others[1]:.2g} untrained.",
    )


def _named(best: Link) -> str:
    return f"{percent(best.weight)} ({best.layer}.{best.head})"


def _shown(value: float, digits: int | None) -> str:
    return percent(value) if digits is None else decimals(value, digits)
