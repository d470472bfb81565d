"""Fine-tuning as a probe: the whole encoder is trained on, once a seed, beside the same net from scratch.

Each seed is a training run in a folder of its own below the probed run's, through the same loop as every other; what is
reported is its accuracy after the last epoch.
"""

import dataclasses
import hashlib
import json
from typing import TYPE_CHECKING

from vitrail.recipes.events import Note, Report
from vitrail.recipes.options import AugmentationOptions
from vitrail.recipes.terms import ProbeRecipe, Score

if TYPE_CHECKING:
    from vitrail.data import ImageSet
    from vitrail.recipes.runs import Run
    from vitrail.recipes.vit import ViTRecipe


def finetune(
    opened: "Run", train: "ImageSet", test: "ImageSet", recipe: ProbeRecipe, report: Report
) -> list[Score] | None:
    """Fine-tune for each seed, and from scratch beside it; None where it was interrupted."""
    scores = []
    for subject in ("trained encoder", "from scratch") if recipe.baselines else ("trained encoder",):
        accuracies = []
        for seed in recipe.all_seeds:
            accuracy = _finetune_once(opened, train, test, recipe, subject, seed, report)
            if accuracy is None:
                return None
            accuracies.append(accuracy)
            report(Note(f"fine-tuning, {subject}, seed {seed}: {accuracy:.1%}"))
        scores.append(Score("finetune", subject, tuple(accuracies), (), len(test)))
    return scores


def _finetune_once(
    opened: "Run", train: "ImageSet", test: "ImageSet", recipe: ProbeRecipe, subject: str, seed: int, report: Report
) -> float | None:
    """Test accuracy after the last epoch; None where it was interrupted."""
    import torch

    from vitrail.nn.randomness import derive_seed
    from vitrail.recipes.evaluate import accuracy_and_loss
    from vitrail.recipes.labels import labelled_rows
    from vitrail.recipes.training import TrainingImages, carry_out
    from vitrail.recipes.vit import classifier_from, plan

    pretrained = subject == "trained encoder"
    labelled = train.subset(labelled_rows(train, recipe.labels_per_class, seed))
    options = _training(recipe, len(labelled), seed, pretrained)
    torch.manual_seed(derive_seed(seed, "start"))
    model = classifier_from(opened.encoder, len(train.classes), drop_path=recipe.drop_path, weights=pretrained)
    # What is learned has a folder of its own, so that a repetition goes on and any change begins anew.
    digest = hashlib.blake2b(json.dumps([dataclasses.asdict(options), labelled.fingerprint], default=str).encode())
    for weight in model.state_dict().values():
        digest.update(weight.numpy().tobytes())
    name = ("finetune" if pretrained else "scratch") + f"-{seed}-{digest.hexdigest()[:8]}"
    job = plan(options, model, TrainingImages(labelled, None), opened.folder / "probes" / name)
    finished, _, _ = carry_out(job, options, report)
    return accuracy_and_loss(model, test, recipe.device, recipe.precision)["accuracy"] if finished else None


def _training(recipe: ProbeRecipe, images: int, seed: int, pretrained: bool) -> "ViTRecipe":
    """Fine-tuning as a training recipe; from scratch without layer decay, which would hold fresh layers back."""
    from vitrail.recipes.vit import ViTRecipe

    shared = {field.name: getattr(recipe, field.name) for field in dataclasses.fields(AugmentationOptions)}
    return ViTRecipe(
        **shared,
        epochs=recipe.epochs,
        batch_size=min(recipe.batch_size, images),
        lr=recipe.lr,
        optimizer=recipe.optimizer,
        muon_lr=recipe.muon_lr,
        weight_decay=recipe.weight_decay,
        warmup_epochs=recipe.warmup_epochs,
        layer_decay=recipe.layer_decay if pretrained else 1.0,
        drop_path=recipe.drop_path,
        label_smoothing=recipe.label_smoothing,
        mixup=recipe.mixup,
        cutmix=recipe.cutmix,
        labels_per_class=recipe.labels_per_class,
        evaluate_every=0,
        seed=seed,
        device=recipe.device,
        precision=recipe.precision,
    )
