"""The field's own measures for a run, on test data that training never saw.

A ViT: top-1 accuracy with Wilson's 95% interval, each class's accuracy, and who is taken for whom.
A masked autoencoder: the squared error on hidden patches beside two fills that learn nothing.
A face network: VAL at a FAR over all pairs, and LFW's protocol (``recipes/evaluate_faces.py``).
A summarizer: its loss a token and ROUGE (``recipes/evaluate_text.py``).
A language model: its perplexity beside a 5-gram's (``recipes/evaluate_language.py``).
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from vitrail.errors import ConfigError
from vitrail.recipes.events import Note, Report, ignore

if TYPE_CHECKING:
    from torch import nn

    from vitrail.data import ImageSet
    from vitrail.recipes.runs import Run

OWN: Mapping[str, tuple[str, ...]] = {
    "mae": ("seed",),
    "faces": ("pairs", "mirror", "harmonic_with"),
    "summarizer": ("columns", "documents", "beams", "length_penalty", "no_repeat_ngram", "beside"),
    "lm": ("columns",),
}
"""Options that only runs of some kinds have."""

COMPARED = 500
"""At most so many test images are filled in by interpolation, which takes some 15 ms each."""


@dataclass(frozen=True)
class EvaluateRecipe:
    """The field's own measures for a run, with intervals."""

    run: Path
    """Folder of the run."""
    data: str | None = None
    """What to test on, the test part of it (default: what the run was trained on)."""
    seed: int = 0
    """Draws the masks of a masked autoencoder."""
    pairs: Path | None = None
    """Of a face network: a list of pairs in LFW's format
    (default: lfw_protocol/pairsDevTest.txt beside the data, if it is there)."""
    mirror: bool = False
    """Of a face network: average each embedding with that of the mirrored image; not for letters."""
    harmonic_with: Path | None = None
    """Of a face network: also compare its embeddings with those of this older one's run
    (default: the one that it was trained to be harmonic with)."""
    columns: tuple[str, str] | None = None
    """Of a summarizer or language model: the columns with documents and with summaries (default: those that it was
    trained on)."""
    documents: int | None = None
    """Of a summarizer: at most so many documents, drawn at random (default: all)."""
    beams: int = 4
    """Of a summarizer: texts that are followed at a time; 1 is greedy decoding."""
    length_penalty: float = 1.0
    """Of a summarizer: a text's log-probability is divided by its number of tokens, to this power."""
    no_repeat_ngram: int = 3
    """Of a summarizer: no so many tokens in a row come twice in a summary (0: they may)."""
    beside: Path | None = None
    """Of a summarizer: another one's run, evaluated on the same documents, whose ROUGE is compared with this one's."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """"auto": a GPU if there is one."""
    precision: Literal["auto", "float32", "bf16"] = "auto"
    """"auto": bf16 where the processor multiplies bf16 matrices natively, else float32."""


@dataclass(frozen=True)
class Evaluation:
    """The figures of a run, as in ``evaluation.json``, and the files written."""

    folder: Path
    kind: str
    figures: dict[str, Any]
    files: tuple[Path, ...]


def run(recipe: EvaluateRecipe, report: Report = ignore) -> Evaluation:
    """Measure a run on its test images and write ``evaluation.json`` and a picture beside its weights.

    Raises:
        VitrailError: the run or the data can't be used.
    """
    from vitrail.recipes import evaluate_faces, evaluate_language, evaluate_text
    from vitrail.recipes.language_runs import LanguageRun
    from vitrail.recipes.opening import load
    from vitrail.recipes.results import write_json
    from vitrail.recipes.text_runs import TextRun

    opened = load(recipe.run)
    _require_own(recipe, opened.kind)
    began = time.monotonic()
    if isinstance(opened, TextRun):
        figures, files = evaluate_text.evaluate(opened, recipe, report)
    elif isinstance(opened, LanguageRun):
        figures, files = evaluate_language.evaluate(opened, recipe, report)
    elif opened.kind == "faces":
        figures, files = evaluate_faces.evaluate(opened, recipe, report)
    else:
        figures, files = _evaluate_images(opened, recipe, report)
    figures = {"kind": opened.kind, **figures, "seconds": round(time.monotonic() - began, 1)}
    write_json(opened.folder / "evaluation.json", figures)
    return Evaluation(opened.folder, opened.kind, figures, files)


def _require_own(recipe: EvaluateRecipe, kind: str) -> None:
    """Refuse an option that is for another kind of run.

    Raises:
        ConfigError: there is one.
    """
    for other, names in OWN.items():
        for field in fields(recipe):
            if (
                field.name in names
                and field.name not in OWN.get(kind, ())
                and getattr(recipe, field.name) != field.default
            ):
                option = "--" + field.name.replace("_", "-")
                raise ConfigError(
                    f"{recipe.run} is a run of kind {kind}, and {option} is for runs of kind {other} only: leave it "
                    f"out, or name the folder of a 'vitrail train {other}' run."
                )


def _evaluate_images(run: "Run", recipe: EvaluateRecipe, report: Report) -> tuple[dict[str, Any], tuple[Path, ...]]:
    images = images_of(run, recipe.data, "test", report)
    report(Note(f"evaluating {recipe.run} on the {len(images):,} test images of {images.name}"))
    measure = _evaluate_vit if run.kind == "vit" else _evaluate_mae
    figures, picture = measure(run, images, recipe)
    facts = {"data": images.name, "fingerprint": images.fingerprint, "images": len(images)}
    return {**facts, **figures}, (picture,)


def images_of(run: "Run", data: str | None, split: Literal["train", "test"], report: Report) -> "ImageSet":
    """A run's images, or others fitted to its model."""
    from vitrail.data import load_images

    height, width = run.image_size
    size = run.options.get("image_size")
    if data is not None or (size is None and run.options.get("init") is not None):  # which settled the size of images
        size = height if height == width else None
    images = load_images(
        data or run.data,
        split,
        image_size=size,
        channels=run.channels,
        corrupt=run.options.get("corrupt", "refuse"),
        report=lambda line: report(Note(line)),
    )
    return run.feed(images)


def accuracy_and_loss(
    model: "nn.Module",
    images: "ImageSet",
    device: Literal["auto", "cpu", "cuda"],
    precision: Literal["auto", "float32", "bf16"],
) -> dict[str, float]:
    """Top-1 accuracy and mean cross-entropy over all images."""
    import torch
    from torch.nn import functional as F

    from vitrail.data import require_labels
    from vitrail.recipes.inference import inferring, logits_of

    labels = torch.from_numpy(require_labels(images))
    with inferring(model, device, precision) as place:
        logits = logits_of(model, images, place)
    right = (logits.argmax(1) == labels).double().mean()
    return {"accuracy": right.item(), "loss": F.cross_entropy(logits, labels).item()}


def masked_error(
    model: "nn.Module",
    images: "ImageSet",
    seed: int,
    device: Literal["auto", "cpu", "cuda"],
    precision: Literal["auto", "float32", "bf16"],
) -> float:
    """The training loss over all images, with masks that are always the same."""
    from vitrail.data import in_order
    from vitrail.nn.randomness import RowRandom
    from vitrail.recipes.inference import BATCH, inferring

    total, count = 0.0, 0
    with inferring(model, device, precision) as place:
        for batch in in_order(images, BATCH, device=place, labels=False):
            random = RowRandom(seed, 0, batch.rows, batch.total)
            output = model(batch.images, random.uniform("mask", _patches(model)).to(place))
            total += output.loss_sum.item()
            count += output.count
    return total / count


def _patches(model: "nn.Module") -> int:
    from vitrail.vision import MaskedAutoencoder

    assert isinstance(model, MaskedAutoencoder)
    return model.config.patches


def _evaluate_vit(run: "Run", images: "ImageSet", recipe: EvaluateRecipe) -> tuple[dict[str, Any], Path]:
    import torch

    from vitrail.data import require_labels
    from vitrail.errors import ModelError
    from vitrail.recipes.inference import inferring, logits_of
    from vitrail.recipes.intervals import wilson_interval
    from vitrail.recipes.results import write_bytes
    from vitrail.vision.pictures import confusion_png

    labels = torch.from_numpy(require_labels(images))
    if images.classes != run.classes:
        raise ModelError(
            f"{images.name} has the classes {_some(images.classes)}, and {run.folder} knows {_some(run.classes)}: "
            "name data with the same classes, or train on these."
        )
    with inferring(run.model, recipe.device, recipe.precision) as place:
        guesses = logits_of(run.model, images, place).argmax(1)
    number = len(run.classes)
    counts = torch.bincount(labels * number + guesses, minlength=number**2).view(number, number)
    of_class = counts.sum(1)
    accuracy = counts.diagonal().sum().item() / len(images)
    interval = wilson_interval(accuracy, len(images))
    title = f"{accuracy:.1%} of {len(images):,} test images right"
    picture = write_bytes(run.folder / "confusion.png", confusion_png(counts, run.classes, title))
    per_class = {
        name: round(counts[row, row].item() / of_class[row].item(), 6) if of_class[row] else None
        for row, name in enumerate(run.classes)
    }
    return {
        "accuracy": accuracy,
        "interval": list(interval),
        "per_class": per_class,
        "confusion": counts.tolist(),
    }, picture


def _evaluate_mae(run: "Run", images: "ImageSet", recipe: EvaluateRecipe) -> tuple[dict[str, Any], Path]:
    from vitrail.recipes.fills import compare
    from vitrail.recipes.reconstruct import draw_examples

    model = run.autoencoder()
    loss = masked_error(model, images, recipe.seed, recipe.device, recipe.precision)
    training = images_of(run, recipe.data, "train", ignore)
    compared = images if len(images) <= COMPARED else images.subset(range(COMPARED))
    errors = compare(model, compared, training, recipe.seed, recipe.device, recipe.precision)
    picture = run.folder / "reconstruction.png"
    title = f"test images of {images.name}, {model.config.mask_ratio:.0%} of patches hidden"
    draw_examples(model, images, 8, picture, recipe.seed, recipe.device, title)
    return {
        "loss": loss,
        "masked_patch_error": errors,
        "unit": "mean squared error of hidden pixels, in squared standard deviations of the training pixels",
        "compared_images": len(compared),
        "better_than_mean_image": 1 - errors["model"] / errors["mean_image"],
        "better_than_bilinear": 1 - errors["model"] / errors["bilinear"],
        "better_than_both": 1 - errors["model"] / min(errors["mean_image"], errors["bilinear"]),
        "given": "mean and contrast of each hidden patch, to model and fills alike" if model.config.norm_pix else "",
    }, picture


def _some(names: tuple[str, ...]) -> str:
    return ", ".join(names[:3]) + (f" … ({len(names)})" if len(names) > 3 else "")
