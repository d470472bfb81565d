"""How well a face network tells same from different, on people that training never saw (FaceNet, section 4).

VAL at a FAR over all pairs of test images, with errors by resampling people; where there is a list of pairs, accuracy,
AUC and equal error rate on it, by LFW's protocol. Beside the network stand, on the same pairs, the same network
untrained and the pixels themselves. What ``calibration.json`` says, whoever uses the network can rely on: up to which
distance two images may be taken for one person, at which rate of mistakes. It is for single images: averages with their
mirror images have distances of their own.

Beside an older network v1 (``--harmonic-with``), embeddings of the two are compared with each other: v1-v1, v1-v2,
v2-v2 (the paper's appendix, figure 8).
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from vitrail.data import (
    ImageSet,
    IndexPairs,
    in_order,
    index_pairs,
    read_pairs,
    require_identities,
)
from vitrail.faces.calibration import NAME, RATES, calibrate
from vitrail.faces.pairs import KEEP, AllPairs, compare_all
from vitrail.faces.protocols import lfw_accuracy
from vitrail.faces.statistics import distance_histograms
from vitrail.faces.verification import auc, eer
from vitrail.nn.randomness import derive_seed
from vitrail.recipes.evaluate_harmonic import compare_generations, embed_people, mixed_figures, older_of
from vitrail.recipes.events import Note, Report
from vitrail.recipes.face_measures import curve_figures, people_of
from vitrail.recipes.face_pictures import distances_png, roc_png
from vitrail.recipes.inference import BATCH, embeddings_of, inferring
from vitrail.recipes.results import write_bytes
from vitrail.recipes.runs import build_model

if TYPE_CHECKING:
    from vitrail.recipes.evaluate import EvaluateRecipe
    from vitrail.recipes.runs import Run

LOOK = 1e-2
"""The FAR at which VAL is told while training, when few people are held out."""
LIST = Path("lfw_protocol") / "pairsDevTest.txt"
"""Where a list of pairs is looked for, beside the data."""
PIXELS = 32
"""Raw pixels are compared at this many on a side, at most."""
DRAWN = 1500
"""Images whose distances are drawn into a picture, at most."""


def evaluate(opened: "Run", recipe: "EvaluateRecipe", report: Report) -> tuple[dict[str, Any], tuple[Path, ...]]:
    """The figures of a face run on its test people; writes a picture and ``calibration.json`` beside its weights.

    Raises:
        VitrailError: the data or the list of pairs can't be used.
    """
    images = people_of(opened, recipe.data, report)
    labels = torch.from_numpy(require_identities(images))
    pairs = _pairs(recipe, images)
    many = int(labels.unique().numel())
    report(Note(f"evaluating {opened.folder} on {len(images):,} test images of {many:,} people"))
    known = set(images.classes) & set(opened.classes)
    if known:
        report(Note(f"{len(known):,} of these people have names that were trained on: if it is them, figures flatter"))
    found: dict[str, Any] = {}
    histograms = {}
    files: list[Path] = []
    # Of the different-person pairs as many as the highest rate accepts, and half as many again for its error.
    keep = max(KEEP, int(0.75 * max(RATES) * len(images) ** 2))
    shown = slice(None, None, -(-len(images) // DRAWN))
    own = None
    for name, embeddings in _subjects(opened, images, recipe):
        found[name] = figures = _figures(compare_all(embeddings, labels, keep=keep), embeddings, pairs)
        histograms[name] = distance_histograms(embeddings[shown], labels[shown])
        if name == "trained":
            own = embeddings
            if not recipe.mirror:
                files.append(_calibrated(opened, images, embeddings))
        report(Note(f"{name}: {_in_words(figures)}"))
    thresholds = {f"FAR {far}": at["threshold"] for far, at in found["trained"]["val_at_far"].items()}
    title = f"{len(images):,} test images of {images.name}"
    files.insert(0, write_bytes(opened.folder / "distances.png", distances_png(histograms, title, thresholds)))
    older, mixed = older_of(opened, recipe, report), {}
    if older is not None and own is not None:
        mixed = compare_generations(own, embed_people(older, images, recipe, report), labels)
        curves = {name: compared.roc() for name, compared in mixed.items()}
        files.append(write_bytes(opened.folder / "harmonic.png", roc_png(curves, title)))
    return {
        "data": images.name,
        "fingerprint": images.fingerprint,
        "images": len(images),
        "people": many,
        "pairs": None if pairs is None else str(recipe.pairs or LIST),
        "mirrored": recipe.mirror,
        **found.pop("trained"),
        "beside": found,
        **({} if older is None else {"harmonic": mixed_figures(opened, older, mixed)}),
    }, tuple(files)


def quick_figures(
    network: nn.Module,
    images: ImageSet,
    device: Literal["auto", "cpu", "cuda"],
    precision: Literal["auto", "float32", "bf16"],
) -> dict[str, float]:
    """AUC, equal error rate and VAL at one FAR over all pairs of images, for a look while training."""
    with inferring(network, device, precision) as place:
        embeddings = embeddings_of(network, images, place).clone()
    curve = compare_all(embeddings, torch.from_numpy(require_identities(images)), keep=1).roc()
    val = curve.val[curve.far <= LOOK].max()
    return {"auc": curve.area(), "eer": curve.equal_error_rate(), f"val_at_far_{LOOK:g}": float(val)}


def draw_distances(network: nn.Module, images: ImageSet, path: Path, device: Literal["auto", "cpu", "cuda"]) -> None:
    """Write a picture of how far apart images of one person and of two are; of a large set, its first images."""
    part = images if len(images) <= DRAWN else images.subset(range(DRAWN))
    with inferring(network, device, "float32") as place:
        embeddings = embeddings_of(network, part, place).clone()
    histograms = distance_histograms(embeddings, torch.from_numpy(require_identities(part)))
    write_bytes(path, distances_png({f"{len(part):,} images of {images.name}": histograms}))


def _subjects(opened: "Run", images: ImageSet, recipe: "EvaluateRecipe") -> Iterator[tuple[str, Float[Tensor, "n d"]]]:
    """What is compared, by name: embeddings of the images."""
    # The thresholds are for whoever embeds a few faces later, in float32.
    precision: Literal["float32", "bf16"] = "bf16" if recipe.precision == "bf16" else "float32"

    def embedded(network: nn.Module) -> Float[Tensor, "n d"]:
        with inferring(network, recipe.device, precision) as place:
            return embeddings_of(network, images, place, flip=recipe.mirror).clone()

    yield "trained", embedded(opened.model)
    torch.manual_seed(derive_seed(0, "untrained"))
    yield "untrained", embedded(build_model(opened.config))
    yield "raw pixels", raw_pixels(images)


def raw_pixels(images: ImageSet) -> Float[Tensor, "n d"]:
    """The pixels of each image as a unit vector, without mean and contrast, shrunk where there are many."""
    height, width = (min(PIXELS, length) for length in images.image_size)
    batches = in_order(images, BATCH, labels=False)
    parts = [F.adaptive_avg_pool2d(batch.images, (height, width)).flatten(1) for batch in batches]
    return F.normalize(torch.cat([part - part.mean(1, keepdim=True) for part in parts]), dim=1)


def _pairs(recipe: "EvaluateRecipe", images: ImageSet) -> IndexPairs | None:
    """The list of pairs that was named, or that lies beside the data and knows its people."""
    if recipe.pairs is not None:
        return index_pairs(read_pairs(recipe.pairs), images)
    beside = Path(images.name).parent / LIST
    if not Path(images.name).exists() or not beside.is_file():
        return None
    pairs = read_pairs(beside)
    return index_pairs(pairs, images) if pairs.first[0][0] in images.classes else None


def _figures(compared: AllPairs, embeddings: Float[Tensor, "n d"], pairs: IndexPairs | None) -> dict[str, Any]:
    figures = curve_figures(compared)
    if pairs is not None:
        same = torch.from_numpy(pairs.same)
        apart = (embeddings[torch.from_numpy(pairs.first)] - embeddings[torch.from_numpy(pairs.second)]).square().sum(1)
        right = lfw_accuracy(apart, same)
        figures["listed_pairs"] = {
            "pairs": len(same),
            "accuracy": right.value,
            "standard_error": right.standard_error,
            "auc": auc(apart, same),
            "eer": eer(apart, same),
        }
    return figures


def _calibrated(opened: "Run", images: ImageSet, embeddings: Float[Tensor, "n d"]) -> Path:
    """Measure the thresholds and write them down where the network's users find them."""
    calibration = calibrate(
        embeddings,
        torch.from_numpy(require_identities(images)),
        data=f"the test part of {images.name}",
        fingerprint=opened.model_fingerprint,
    )
    return write_bytes(opened.folder / NAME, calibration.to_json().encode())


def _in_words(figures: Mapping[str, Any]) -> str:
    told = [f"VAL {at['val']:.1%} at FAR {far}" for far, at in figures["val_at_far"].items()]
    if "listed_pairs" in figures:
        told.append(f"{figures['listed_pairs']['accuracy']:.1%} of the listed pairs right")
    return ", ".join([*told, f"AUC {figures['auc']:.3f}"])
