"""How many triplets are there, and what does mining leave? (FaceNet, section 3.2)

A batch of P people with K images each has P(P-1)K²(K-1) triplets; the paper's has a hundred million, its training set
about 10^18. How many of a batch's teach anything is counted on fixed batches while a network learns with semi-hard
triplets: all, those with a loss (active), and of these the semi-hard and the hard ones. Beside them stand as many
triplets drawn by chance as there are pairs of anchor and positive, and random unit vectors in place of a network.
"""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import torch
import torch.nn.functional as F

from vitrail.data import require_identities
from vitrail.nn.randomness import derive_seed
from vitrail.recipes.events import Report
from vitrail.recipes.inference import inferring
from vitrail.recipes.intervals import mean_interval
from vitrail.studies.drawing import in_parts
from vitrail.studies.networks import FACE_OPTIONS, data_of, short_name, training_images
from vitrail.studies.terms import Finding, Study, StudyRecipe
from vitrail.studies.triplet_counts import Counts, count, of_identities, pairs_of
from vitrail.studies.triplet_runs import (
    Looks,
    batches_looked_at,
    counted,
    drawn,
    rounded,
    trained,
    usual_options,
    whole,
)
from vitrail.studies.triplets_figure import draw

LARGE, LARGE_EACH = 1800, 40
"""Images of a batch of the paper's size, and of a person in it; who has fewer gives all."""
PAPER = {"FaceNet's batch": (45, 40), "FaceNet's training set, about": (8_000_000, 25)}
"""People and images of each: "around 40 faces per identity" and "around 1,800 exemplars" (section 3.2); "100M-200M
images of about 8M identities" (section 5), here as if all of them had 25."""
LFW = 6_240_445_100
"""Triplets of all of Labeled Faces in the Wild, 13,233 images of 5,749 people; counted from its list of people."""
TOLD = 6
"""Rows of the table that are about steps."""


def run(recipe: StudyRecipe, report: Report) -> Finding:
    """Train with each seed, counting on the way, and count a large batch at the end."""
    wanted = usual_options(recipe)
    images = training_images(wanted)
    labels = require_identities(images)
    looks: list[Looks] = []
    large: list[Counts] = []
    for seed in recipe.repetitions(3):
        network, seen, _ = trained(recipe, "semi-hard", seed, report)
        looks.append(seen)
        fed = network.feed(images)
        with inferring(network.model, recipe.device, "float32"):
            large.append(counted(network.model, [drawn(fed, min(LARGE, len(fed)), LARGE_EACH)], wanted.margin))
    vectors = _of_vectors(recipe, wanted.margin)
    closed = {
        "this batch": int(looks[0]["triplets"][0]),
        **{name: of_identities(*sizes) for name, sizes in PAPER.items()},
        "all training images": whole(labels),
        "LFW, all of it": LFW,
    }
    steps = [int(step) for step in looks[0]["step"]]
    shown = [round(place * (len(steps) - 1) / (TOLD - 1)) for place in range(TOLD)]
    rows = [_row("random unit vectors", [asdict(one) for one in vectors])]
    for place in dict.fromkeys(shown):
        found = [{name: one[name][place] for name in one} for one in looks]
        rows.append(_row(f"step {steps[place]}" if steps[place] else "before training", found))
    rows.append(_row(f"then a batch of {min(LARGE, len(images)):,}", [asdict(one) for one in large]))
    rows += [(name, f"{total:,}" if total < 1e15 else f"{total:.1e}", *["-"] * 5) for name, total in closed.items()]
    return Finding(
        ("triplets of a batch", "all", "active", "semi-hard", "hard", "pairs without semi-hard", "active if drawn"),
        tuple(rows),
        _words(looks, large, closed),
        (),
        {
            "data": short_name(data_of(recipe)),
            "seeds": len(looks),
            "batch": wanted.batch_size,
            "each": wanted.per_person,
            "margin": wanted.margin,
            "closed": {name: str(total) for name, total in closed.items()},
            "pairs_of_the_papers_batch": pairs_of(*PAPER["FaceNet's batch"]),
            "looks": [rounded(one) for one in looks],
            "large": [asdict(one) for one in large],
            "vectors": [asdict(one) for one in vectors],
        },
    )


def _of_vectors(recipe: StudyRecipe, margin: float) -> list[Counts]:
    """The counts of unit vectors drawn by chance, in place of embeddings."""
    wanted, found = usual_options(recipe), []
    batch = batches_looked_at(training_images(wanted), wanted)[0]
    assert batch.labels is not None
    for seed in recipe.repetitions(3):
        random = torch.Generator().manual_seed(derive_seed(seed, "unit vectors"))
        vectors = F.normalize(torch.randn(len(batch.labels), wanted.embedding_dim, generator=random), dim=1)
        found.append(count(vectors, batch.labels, margin, random))
    return found


def _row(name: str, found: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    """Means over seeds; shares in percent with intervals."""
    total = found[0]["triplets"]
    counts = (sum(one[kind] for one in found) / len(found) for kind in ("active", "semi_hard", "hard"))
    return (
        name,
        f"{total:,.0f}",
        *(f"{number:,.0f} ({100 * number / total:.2g}%)" for number in counts),
        *(_percent([one[kind] / one["pairs"] for one in found]) for kind in ("skipped", "drawn")),
    )


def _percent(shares: Sequence[float]) -> str:
    """A mean over seeds with Student's 95% interval, as far as shares go."""
    mean, interval = mean_interval([100 * share for share in shares])
    if interval is None:
        return f"{mean:.1f}%"
    return f"{mean:.1f}% ({max(0.0, interval[0]):.1f} to {min(100.0, interval[1]):.1f})"


def _words(looks: Sequence[Looks], large: Sequence[Counts], closed: dict[str, int]) -> tuple[str, ...]:
    def share(kind: str, place: int, of: str = "triplets") -> str:
        return _percent([one[kind][place] / one[of][place] for one in looks])

    last = int(looks[0]["step"][-1])
    batch, whole_set = closed["FaceNet's batch"], closed["FaceNet's training set, about"]
    skipped = _percent([one.skipped / one.pairs for one in large])
    return (
        f"a batch of 45 people with 40 images each, as the paper's, has {batch:,} triplets with "
        f"{pairs_of(45, 40):,} pairs of anchor and positive; a training set as the paper's about {whole_set:.0e}, of "
        f"which a million a second take {whole_set / 1e6 / 3.156e7:,.0f} years",
        f"of this batch's {closed['this batch']:,} triplets {share('active', 0)} have a loss before training and "
        f"{share('active', -1)} after {last} steps: the rest costs time and teaches nothing",
        f"of triplets drawn by chance, one for each pair, {share('drawn', 0, 'pairs')} have a loss before training and "
        f"{share('drawn', -1, 'pairs')} after; of mined semi-hard ones all have",
        f"after {last} steps {share('skipped', -1, 'pairs')} of the pairs find no semi-hard negative in their batch, "
        f"and in one of {large[0].triplets:,.0f} triplets {skipped}",
        "this shows why triplets aren't all taken, and that mining leaves those that still teach, ever fewer of them",
        "it can't show how fast they become few on a hundred million faces: these are drawn characters, and a small "
        f"network that has learned for {last} steps",
    )


STUDY = Study(
    "How many triplets are there, and what does mining leave?",
    run,
    in_parts(draw, (11.0, 4.2)),
    lambda recipe: short_name(data_of(recipe)),
    FACE_OPTIONS,
    "means over batches and seeds, shares with 95% intervals over seeds; active: with a loss, of these semi-hard where "
    "the negative is farther than the positive, else hard; drawn: one triplet by chance for each pair",
)
