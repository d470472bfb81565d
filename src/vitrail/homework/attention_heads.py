"""Questions (c) and (e): what different heads look for, and what else there is to be found."""

from collections.abc import Iterator, Sequence

import numpy as np

from vitrail.homework.attention_context import NAMELESS, Context, percent, quoted
from vitrail.homework.attention_numbers import divergence, strongest
from vitrail.homework.attention_reading import BERT_TEXTS, BOTH, trained_ones
from vitrail.homework.pages import Block, Heading, Links, Points, Question, Table, Text, Yours
from vitrail.homework.shelf import ATLAS, EVERY_HEAD, head
from vitrail.trace import Trace, label_heads
from vitrail.trace.tables import gather_scores

EACH, DRAWN = 4, 3
"""Heads of one role that are listed, and heads that are drawn."""
LEAST = 0.02
"""What a head must do beyond uniform attention, to be listed in (e)."""
SEARCHED = {
    "duplicate": "an earlier occurrence of the same token",
    "induction": "what followed an earlier occurrence of the same token",
    "punctuation": "punctuation",
    "next": "the next token",
    "A to B": "the second sentence, from the first",
    "B to A": "the first sentence, from the second",
}
"""Scores whose best head is looked for in (e), and where its attention goes."""


def about_heads(context: Context) -> Question:
    """Whether heads look for different things, and for which."""
    return Question(
        "c",
        "Heads",
        "Do heads look for different things, and for which?",
        (
            *_roles(context),
            *context.studies("c"),
            Yours("Which heads you would name, and for what; what a head does that no role here describes."),
        ),
    )


def about_others(context: Context) -> Question:
    """Where to look for more."""
    return Question(
        "e",
        "Other patterns",
        "Which other patterns did you find?",
        (
            Text(
                "What follows was searched for by score, as a way in. Open the views, change a sentence (vitrail "
                "attend), and look for what no score is made for."
            ),
            *_searched(context),
            *_changed(context),
            Yours("The patterns that you found: in which head, on which text, how you know that it is no accident."),
        ),
    )


def _roles(context: Context) -> Iterator[Block]:
    from vitrail.viewer.figures import attention_map, head_atlas, head_grid

    traces = list(trained_ones(context.traces, "bert"))
    table = label_heads(traces)
    caption = f"What each head of {context.bert.name} does, over the {len(traces)} inputs of this page."
    looked = context.shelf.views("c", "the atlas of one input", "bert-party", looked=ATLAS)
    yield context.shelf.picture("c-atlas", head_atlas(table), caption, looked)
    clear = table[~table["role"].isin(NAMELESS)].sort_values("score", ascending=False, kind="stable")
    listed = clear.groupby("role", sort=False).head(EACH)
    rows = tuple((f"{row.layer}.{row.head}", row.role, row.evidence) for row in listed.itertuples())
    more = f" Of each role {EACH} at most stand here; {len(clear) - len(rows)} more heads have one." * (
        len(clear) > len(rows)
    )
    if rows:
        yield Table(
            ("head", "role", "evidence"),
            rows,
            "Heads that look for one kind of token: half of their attention or more, and far more than uniform "
            f"attention would, the low end of the interval over inputs too.{more}",
            left=3,
        )
    counts = table["role"].value_counts()
    yield Points(
        (
            f"Of {len(table)} heads {len(clear)} have a role: "
            + (", ".join(f"{count} {role}" for role, count in counts.items() if role not in NAMELESS) or "none")
            + f". {int(counts.get('broad', 0))} are broad, {int(counts.get('unclear', 0))} unclear: what these look "
            "for, if it is one thing, isn't a position, a mark or a repetition.",
        )
    )
    name = "bert-thanksgiving"
    caption = f"{quoted(*BERT_TEXTS[name])}: every head."
    looked = context.shelf.views("c", "all heads in the viewer", name, looked=EVERY_HEAD)
    yield context.shelf.picture("c-thanksgiving", head_grid(context.traces[name]), caption, looked)
    for row in clear.drop_duplicates("role")[:DRAWN].itertuples():
        layer, number = int(row.layer), int(row.head)
        caption = f"Head {layer}.{number}, {row.role}, on {quoted(*BERT_TEXTS['bert-party'])}."
        looked = context.shelf.views("c", "as lines in the viewer", "bert-party", looked=head(layer, number))
        figure = attention_map(context.traces["bert-party"], layer, number)
        yield context.shelf.picture(f"c-head-{layer}-{number}", figure, caption, looked)


def _searched(context: Context) -> Iterator[Block]:
    """The head with the highest score of each kind, in both models."""
    rows, links = [], []
    families = (("GPT", "gpt", "gpt-both"), ("BERT", "bert", "bert-party"))
    for said, family, shown in families:
        traces = list(trained_ones(context.traces, family))
        scores = gather_scores(traces)
        for name, where in SEARCHED.items():
            place = scores.names.index(name)
            lift = scores.means[:, place] - scores.uniform[:, place]
            if scores.counts[:, place].max() < 1 or not np.nanmax(lift, initial=0.0) > LEAST:
                continue
            best = int(np.nanargmax(lift))
            _, layer, number = scores.heads[best]
            share, uniform = float(scores.means[best, place]), float(scores.uniform[best, place])
            rows.append((said, where, f"{layer}.{number}", percent(share), percent(uniform), _texts(traces, name)))
            # One of the two that has what is asked for: sentences in pairs, or words that come twice.
            seen = f"{family}-both" if name in ("duplicate", "induction") else shown
            links.append(
                context.shelf.views("e", f"{said} {layer}.{number}: {where}", seen, looked=head(layer, number))[0]
            )
    yield Table(
        ("model", "looks at", "head", "share", "uniform", "over"),
        tuple(rows),
        "The head that does most of each beyond what uniform attention would. The best of many heads is high by "
        "chance, too: believe it where the share is far from uniform, and try it on a text of your own.",
        left=3,
    )
    yield Links("Each of them:", tuple(links))


def _texts(traces: Sequence[Trace], name: str) -> str:
    """How many of the inputs say something about a score."""
    scores = [gather_scores(trace) for trace in traces]
    told = sum(bool(one.counts[:, one.names.index(name)].max() > 0) for one in scores)
    return f"{told} input{'s' * (told != 1)}"


def _changed(context: Context) -> Iterator[Block]:
    """Where training has moved attention most."""
    yield Heading("Where training changed most")
    rows, links = [], []
    for said, name in (("GPT", "gpt-both"), ("BERT", "bert-both"), ("BERT", "bert-party")):
        trace, twin = context.traces[name], context.twin(name)
        apart = divergence(trace, twin)
        best = strongest(apart)
        text = quoted(*BERT_TEXTS[name]) if name in BERT_TEXTS else quoted(BOTH)
        rows.append(
            (
                said,
                text,
                *(f"{apart[layer].mean():.2f}" for layer in (0, -1)),
                f"{best.layer}.{best.head} ({best.weight:.2f})",
            )
        )
        view = context.shelf.views(
            "e", f"{said} {best.layer}.{best.head}", name, other=f"{name}-untrained", looked=head(best.layer, best.head)
        )
        links.append(view[0])
    yield Table(
        ("model", "text", "first layer", "last layer", "most"),
        tuple(rows),
        "Jensen-Shannon divergence of trained from untrained attention, in nats, mean over heads (at most 0.693).",
        left=2,
    )
    yield Links("Hold Space in a view to swap with the untrained model:", tuple(links))
