"""The demo's part on identities: learn to tell some characters apart, then tell others apart that were never seen.

Characters stand for people here: one identity each, many pictures of it (``data/glyphs.py``). Beside the trained
network stands the same one untrained, and the pixels. Then pictures of unseen characters are put together by distance
alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vitrail.recipes.events import Note, Report
from vitrail.recipes.faces import FacesRecipe
from vitrail.recipes.faces import run as train

if TYPE_CHECKING:
    from vitrail.recipes.demo import DemoRecipe

CLUSTERED = 40
"""Characters whose pictures are clustered; as many others choose the threshold."""
SHOWN = 12
"""Clusters in the picture, from the largest to the smallest, evenly spread: the largest alone are those that were taken
together by mistake."""


@dataclass(frozen=True)
class FacesPart:
    """What was found on characters.

    Attributes:
        folder: the run.
        figures: as in its ``evaluation.json``.
        sheet: pictures of some clusters.
        clusters: how many were found.
        characters: how many there are.
        agreement: B-cubed F of the two.
    """

    folder: Path
    figures: Mapping[str, Any]
    sheet: Path
    clusters: int
    characters: int
    agreement: float


def run(recipe: "DemoRecipe", report: Report) -> FacesPart | None:
    """Do this part, or what is left of it; None where it was interrupted."""
    report(Note("training a network to tell characters apart: 330 of them, in 16 fonts"))
    folder = recipe.run / "faces"
    trained = train(
        FacesRecipe(
            data="glyphs",
            run=folder,
            network="vit",  # FaceNet's own networks are made for larger pictures and learn less from these
            preset="digits",
            stem="conv",
            patch_size=8,
            crop_padding=2,
            epochs=recipe.face_epochs,
            batch_size=240,
            per_person=8,
            optimizer="muon",
            lr=2e-3,
            muon_lr=1.5e-2,
            warmup_epochs=0.5,
            evaluate_every=0,
            precision=recipe.precision,
            device=recipe.device,
        ),
        report,
    )
    if not trained.finished:
        return None
    report(Note(f"putting pictures of {CLUSTERED} unseen characters together by their distances"))
    return _cluster(folder, trained.evaluation)


def _cluster(folder: Path, figures: Mapping[str, Any]) -> FacesPart:
    """Cluster unseen characters, with a threshold that other ones chose."""
    import numpy as np
    import torch

    from vitrail.faces.agreement import bcubed
    from vitrail.faces.clustering import choose_threshold, cluster
    from vitrail.faces.sheets import contact_sheet, png
    from vitrail.recipes.events import ignore
    from vitrail.recipes.face_measures import people_of
    from vitrail.recipes.results import write_bytes
    from vitrail.recipes.runs import open_run

    opened = open_run(folder)
    images = people_of(opened, None, ignore)
    assert images.labels is not None
    own, others = (images.subset(np.flatnonzero(images.labels // CLUSTERED == part)) for part in (0, 1))
    assert own.labels is not None
    assert others.labels is not None
    embeddings, labels = opened.embed(torch.from_numpy(own.pixels)), torch.from_numpy(own.labels)
    chosen = choose_threshold(opened.embed(torch.from_numpy(others.pixels)), torch.from_numpy(others.labels))
    found = cluster(embeddings, chosen.threshold)
    groups, captions = [], []
    by_size = found.bincount().argsort(descending=True, stable=True)
    for number in by_size[np.linspace(0, len(by_size) - 1, min(SHOWN, len(by_size))).astype(int)].tolist():
        members = (found == number).nonzero().squeeze(1).numpy()
        names = [own.classes[label] for label in own.labels[members]]
        counts = sorted(((names.count(name), name) for name in set(names)), reverse=True)
        groups.append(list(own.pixels[members].transpose(0, 2, 3, 1)))
        captions.append("  ".join(f"{count} of {name}" for count, name in counts))
    sheet = write_bytes(folder / "clusters.png", png(contact_sheet(groups, captions, columns=24, side=32)))
    agreement = bcubed(found, labels).f
    return FacesPart(folder, figures, sheet, int(found.max()) + 1, CLUSTERED, agreement)
