"""The questions on FaceNet: facts of the paper with their sections, what is computed here, and what studies found."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from vitrail.faces.networks import FaceNetwork
from vitrail.faces.sizes import RESNET_50, network_sizes
from vitrail.faces.tables import NN1, NN2
from vitrail.faces.tables import Table as Layers
from vitrail.homework.facenet_triplets import MARGIN, WAYS, Batch
from vitrail.homework.findings import study_blocks
from vitrail.homework.pages import Block, Formula, Heading, Points, Question, Table, Text, Yours
from vitrail.homework.shelf import Shelf
from vitrail.nn.cost import count_weights, multiply_adds
from vitrail.recipes.events import Note, Report
from vitrail.studies import STUDIES

PAPER_PEOPLE, PAPER_FACES = 8_000_000, 200_000_000
"""“100M-200M training face thumbnails consisting of about 8M different identities” (section 5)."""


@dataclass
class Studies:
    """What studies found, and which of them were not run yet."""

    results: Path
    shelf: Shelf
    found: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    def blocks(self, letter: str, name: str) -> tuple[Block, ...]:
        """A study's part of a question."""
        there = (self.results / name / "results.json").is_file()
        if there or name in STUDIES:
            (self.found if there else self.missing).append(name)
        return study_blocks(self.results, name, f"{letter}-study-{name}", self.shelf)


def questions(batch: Batch, studies: Studies, report: Report) -> Iterator[Question]:
    """All nine, in their order."""
    report(Note("counting weights and multiply-adds of the networks"))
    yield Question(
        "a",
        "The two architectures",
        "Which two kinds of network does the paper train, and what is each made of?",
        (
            *_architectures(),
            Yours("Both architectures in your own words; why one has 1×1 convolutions, and what they save."),
        ),
    )
    yield Question(
        "b",
        "The triplet loss",
        "What does the triplet loss ask of an embedding, and how does that differ from supervised classification?",
        (
            *_loss(batch),
            Yours("The loss in your own words; whether you would call it supervised, and why."),
        ),
    )
    yield Question(
        "c",
        "Choosing triplets",
        "Why isn't the loss taken over all triplets, and what is done instead?",
        (
            *_choosing(batch),
            *studies.blocks("c", "triplets"),
            Yours("Why not all, in your own words; what you would do with batches of another size."),
        ),
    )
    yield Question(
        "d",
        "Parameters and FLOPs",
        "How many parameters and operations do the networks have, beside a ResNet-50?",
        (
            *_sizes(),
            *studies.blocks("d", "network-cost"),
            Yours("Which network you would take on a phone, on a server, and why."),
        ),
    )
    yield Question(
        "e",
        "Semi-hard negatives, harmonic embeddings",
        "What are semi-hard negatives and why are they taken? What are harmonic embeddings good for?",
        (
            *_semi_hard(batch),
            *studies.blocks("e", "mining"),
            Heading("Harmonic embeddings"),
            Text(
                "A harmonic embedding (appendix) is a new network's that can be compared with an old one's: its "
                "training mixes triplets of both networks' embeddings, so that new vectors find their place among "
                "the old. A gallery of millions of old embeddings then needn't be computed anew before the better "
                "network is used."
            ),
            *studies.blocks("e", "harmonic"),
            Yours("Both in your own words; when you would rather compute the old embeddings anew."),
        ),
    )
    yield from _by_study(studies)


def _by_study(studies: Studies) -> Iterator[Question]:
    """Questions whose answers take trainings, and those that are the student's alone."""
    yield Question(
        "f",
        "Embedding dimension",
        "What does the number of dimensions of the embedding change?",
        (
            Text(
                "The paper (table 5) finds 86.8% VAL with 64 numbers, 87.9% with 128, 87.7% with 256 and 85.6% with "
                "512, each ± 1.7 to 2.0: differences that its errors can't tell. It takes 128, which fit into 128 "
                "bytes."
            ),
            *studies.blocks("f", "face-dimension"),
            Yours("What you would choose, and what more dimensions cost."),
        ),
    )
    yield Question(
        "g",
        "Training data",
        "What does more training data bring?",
        (
            Text(
                "The paper (table 6), after 700 hours with a smaller network: 76.3% VAL with 2.6 million images, "
                "85.1% with 26 million, 85.1% with 52 million, 86.2% with 260 million. Tens of millions bring much, "
                "ten times as many little."
            ),
            *studies.blocks("g", "face-data"),
            Yours("What you make of both curves; what would happen with fewer people and more images of each."),
        ),
    )
    yield Question(
        "h",
        "An emergent property",
        "Which property that nobody trained for do you like best, and why?",
        (
            Text(
                "Candidates that can be measured here: how much compression the network stands, and how few pixels "
                "are enough (section 5.2, table 4); the paper shows more in its figures, of pose and light, and of "
                "age in clusters."
            ),
            *studies.blocks("h", "face-jpeg"),
            *studies.blocks("h", "face-pixels"),
            Yours("Which one is your favourite, and why. An opinion, so yours alone: nothing is proposed here."),
        ),
    )
    yield Question(
        "i",
        "The most interesting approach",
        "Which approach of the paper do you find most interesting? About 100 words.",
        (Yours("About 100 words on what interested you most. An opinion, so yours alone: nothing is proposed here."),),
    )


def _architectures() -> Iterator[Block]:
    yield Points(
        (
            "NN1 (table 1) is Zeiler and Fergus' network with 1×1 convolutions between its layers: 22 layers deep, "
            "convolutions one after the other, then two fully connected maxout layers, which hold most of its "
            "weights.",
            "NN2 (table 2) is an Inception network after Szegedy et al.: modules in which convolutions of 1×1, 3×3 "
            "and 5×5 pixels and pooling (max, or L2) run side by side and are joined, each behind a 1×1 convolution "
            "that makes its input narrow; then an average over all pixels instead of wide fully connected layers.",
            "Both end in a linear map to 128 numbers and are scaled to length 1, so that an embedding is a point on "
            "a sphere. NN3 and NN4 are NN2 for smaller images, NNS1 and NNS2 small versions for phones.",
        )
    )
    for table, said in ((NN1, "Zeiler and Fergus with 1×1 convolutions"), (NN2, "Inception")):
        yield _layers(table, said)


def _layers(table: Layers, said: str) -> Table:
    """A row a layer: what comes out, its weights and multiply-adds, as the network was built."""
    with torch.device("meta"):
        network = FaceNetwork(table)
        images = torch.empty(1, 3, *table.image_size)
    parts: dict[str, nn.Module] = {f"layers.{name}": part for name, part in network.layers.named_children()}
    parts["embedding"] = network.embedding
    shapes: dict[str, tuple[int, ...]] = {}

    def noting(name: str) -> Callable[[nn.Module, object, Tensor], None]:
        return lambda _module, _given, made: shapes.update({name: tuple(made.shape[1:])})

    for name, part in parts.items():
        part.register_forward_hook(noting(name))
    cost = multiply_adds(network, images)
    rows = [
        (
            name.removeprefix("layers."),
            _size(shapes[name]),
            _count(count_weights(part)),
            _count(cost.of(name)),
        )
        for name, part in parts.items()
    ]
    total = count_weights(network)
    rows.append(("all", "", f"{total:,}", f"{cost.total:,}"))
    rows.append(
        ("the paper's", "", f"{(table.paper_weights or 0) / 1e6:g} M", f"{(table.paper_multiply_adds or 0) / 1e9:g} G")
    )
    height, width = table.image_size
    return Table(
        ("layer", "comes out", "weights", "multiply-adds"),
        tuple(rows),
        f"{table.name}, {said}, on images of {height}×{width} pixels (rows × columns × channels); counted as built, "
        "without biases, as the paper counts.",
    )


def _size(shape: tuple[int, ...]) -> str:
    """Of maps: rows, columns, channels; of a vector its length."""
    return "×".join(map(str, (*shape[1:], shape[0]) if len(shape) == 3 else shape))


def _loss(batch: Batch) -> Iterator[Block]:
    yield Formula("L = Σ [ ‖f(a) − f(p)‖² − ‖f(a) − f(n)‖² + α ]₊   with ‖f(x)‖ = 1 and α = 0.2   (equations 1 to 3)")
    positive, negative = batch.example()
    loss = max(0.0, positive - negative + MARGIN)
    yield Text(
        "An anchor a shall be nearer to every image p of the same person than to any image n of another, by the "
        "margin α. Once it is, the triplet's loss is 0 and it teaches nothing more. For example, the first image of "
        f"a batch of {batch.data}, among {batch.space}: its farthest positive is at a squared distance of "
        f"{positive:.2f}, its nearest negative at {negative:.2f}, so that this triplet's loss is {loss:.2f}."
    )
    width = PAPER_PEOPLE * 128
    yield Table(
        ("", "triplet loss", "softmax classification"),
        (
            ("an example", "three images, two of one person", "one image"),
            ("a label says", "the same person, or another", "which one of a fixed list"),
            ("what comes out", "an embedding, compared by its distances", "a score for each class"),
            ("a new person", "is enrolled by an embedding, without training", "needs another output, and training"),
            (
                "the last layer",
                "128 numbers, however many people",
                f"8 million people × 128: {width / 1e9:.1f} billion weights",
            ),
            (
                "what is trained",
                "the distances that are used later",
                "a bottleneck layer, hoped to generalise (section 1)",
            ),
            ("what teaches", "triplets inside the margin, which must be found", "every example, until it is certain"),
        ),
        "Both need labels of who is who: the triplet loss uses them only to say which two images are the same "
        "person's.",
        left=3,
    )


def _choosing(batch: Batch) -> Iterator[Block]:
    each = PAPER_FACES // PAPER_PEOPLE
    of_paper = PAPER_PEOPLE * each * (each - 1) * (PAPER_FACES - each)
    yield Table(
        ("set", "images", "triplets"),
        (
            ("P people with K images each", "P · K", "P (P − 1) K² (K − 1)"),
            (f"a batch of the paper: 45 people, {40} faces each", "1,800", f"{45 * 44 * 40**2 * 39:,}"),
            (f"its largest training set: 8 million people, {each} faces each", f"{PAPER_FACES:,}", f"{of_paper:.1e}"),
            (batch.data, f"{batch.images:,}", f"{batch.all_triplets:,}"),
            (f"one batch of these: {batch.people} people", f"{len(batch.labels):,}", f"{batch.triplets:,}"),
        ),
        "How many triplets there are: (anchor, another image of the same person, an image of somebody else).",
    )
    statistics = batch.mined["all"][1]
    active, share = int(statistics.active), float(statistics.active) / max(1, batch.triplets)
    rows = []
    for way, said in WAYS.items():
        loss, found = batch.mined[way]
        rows.append(
            (
                way,
                said,
                f"{int(found.chosen):,}",
                _percent(float(found.chosen) / max(1, batch.triplets)),
                _percent(float(found.active) / max(1, int(found.chosen))),
                _percent(float(found.skipped) / max(1, int(found.pairs))),
                f"{loss:.3f}",
            )
        )
    yield Table(
        ("mining", "takes of the negatives", "triplets", "of all", "with a loss", "pairs left out", "mean loss"),
        tuple(rows),
        f"What each way leaves of the {batch.triplets:,} triplets of that batch, among {batch.space}; margin "
        f"{MARGIN:g}. “Pairs left out” find no negative of that kind.",
        left=2,
    )
    yield Points(
        (
            f"A triplet whose loss is 0 teaches nothing: in this batch {_percent(1 - share)} of all, and ever more as "
            f"a network learns. {active:,} are left, far more than a step needs.",
            "The hardest ones over the whole set can't be had (every image would have to be embedded anew after each "
            "step), and wrongly labelled and poor images would be what is chosen (section 3.2).",
            "So the paper mines in each batch of about 1,800 faces, some 40 of one person: every anchor-positive "
            "pair, with semi-hard negatives. Vitrail takes all semi-hard ones of a pair unless asked otherwise.",
        )
    )


def _sizes() -> Iterator[Block]:
    rows = []
    for size in network_sizes():
        rows.append(
            (
                size.name,
                "×".join(map(str, size.image_size)),
                f"{size.weights:,}",
                "-" if size.paper_weights is None else f"{size.paper_weights / 1e6:g} M",
                f"{size.multiply_adds:,}",
                "-" if size.paper_multiply_adds is None else f"{size.paper_multiply_adds / 1e6:,.0f} M",
                f"{size.weights / RESNET_50.weights:.3f}",
                f"{size.multiply_adds / RESNET_50.multiply_adds:.3f}",
            )
        )
    yield Table(
        ("network", "image", "weights", "paper", "multiply-adds", "paper", "weights ÷ ResNet-50's", "multiply-adds ÷"),
        tuple(rows),
        "Counted as built, one image's forward pass. What the paper calls FLOPS are multiply-adds (a multiplication "
        "and an addition), and its weights leave biases out. ResNet-50 (He et al. 2015): all 25,557,032 parameters, "
        "biases and batch norm too, and 4.09 billion multiply-adds as it is built today; the paper's own table 1 "
        "says 3.8 billion, with the stride one layer earlier. The layers of NNS1 and NNS2 were never published: ours "
        "are a design to their budget.",
    )
    sizes = {size.name: size for size in network_sizes()}
    first, second = sizes["NN1"], sizes["NN2"]
    yield Points(
        (
            f"NN1 and NN2 cost about the same per image ({first.multiply_adds / 1e9:.2f} and "
            f"{second.multiply_adds / 1e9:.2f} billion multiply-adds, less than half of a ResNet-50's), but NN2 has "
            f"{first.weights / second.weights:.0f} times fewer weights: NN1's sit in its fully connected layers, each "
            "of which is used once an image, a convolution's at every pixel.",
            f"So NN1 does {first.multiply_adds / first.weights:.0f} multiply-adds a weight, NN2 "
            f"{second.multiply_adds / second.weights:.0f}, a ResNet-50 "
            f"{RESNET_50.multiply_adds / RESNET_50.weights:.0f}.",
        )
    )


def _semi_hard(batch: Batch) -> Iterator[Block]:
    semi, hard = batch.mined["semi-hard"][1], batch.mined["hard"][1]
    yield Heading("Semi-hard negatives")
    yield Formula("D(a, p) < D(a, n) < D(a, p) + α")
    yield Text(
        "Semi-hard negatives are farther from the anchor than the positive, but inside the margin (section 3.2). The "
        "hardest ones can end in a collapsed model, all of whose embeddings are one: a hard triplet's loss is above "
        "the margin, that of a collapsed model is exactly the margin, so that collapsing is a step down. Semi-hard "
        f"ones have a loss below the margin already. In the batch of question (c) {int(semi.chosen):,} triplets are "
        f"semi-hard and {int(hard.chosen):,} are hard."
    )


def _count(number: int) -> str:
    return f"{number:,}" if number else "-"


def _percent(share: float) -> str:
    return f"{100 * share:.2g}%" if share < 0.01 else f"{100 * share:.0f}%"
