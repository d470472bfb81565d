"""CIFAR-10 (JPEG) on this machine: the course's ViT, and a recipe that reaches the course's three thresholds quickly.

    python bench/cifar10.py {course,fast,ten,twenty} [--seed 0] [--data FOLDER] [--runs FOLDER]

course   the course's ViT, 10 epochs; it asks for 65%
fast     supervised 65%, masked autoencoder then linear probe 30% and fine-tuned 70%, in the least total time
ten      10 supervised epochs, as high as they get
twenty   a masked autoencoder, 20 epochs, then linear, attentive and fine-tuned

Test accuracies after the last epoch, over the 10,000 test images, which choose nothing. Each stage is a run of its own
that goes on where it was cut off; a finished stage is not repeated, so its seconds are those it took. Baselines (the
untrained encoder, raw pixels, the same net from scratch with the same labelled steps) are measured apart and don't
count. A table for people, then one JSON line.
"""

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("GOMP_SPINCOUNT", "20000")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

LIGHT = {"crop_padding": 4, "flip": True}
MUON = {"optimizer": "muon", "lr": 2e-3, "muon_lr": 2e-3}


class Stages:
    """What has been measured, stage by stage, kept in a file so that a repetition goes on."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "stages.json"
        self.done: dict[str, dict[str, Any]] = json.loads(self.file.read_text()) if self.file.exists() else {}

    def measure(self, name: str, work: Callable[[], dict[str, float]]) -> dict[str, Any]:
        """Do ``work`` unless it is done; its figures and the seconds it took."""
        if name not in self.done:
            began, processor = time.monotonic(), time.process_time()
            figures = work()
            seconds = {"seconds": time.monotonic() - began, "cpu_seconds": time.process_time() - processor}
            self.done[name] = {**figures, **seconds}
            self.file.parent.mkdir(parents=True, exist_ok=True)
            beside = self.file.with_suffix(".part")
            beside.write_text(json.dumps(self.done, indent=1))
            beside.replace(self.file)
        print(f"{name:34}" + "".join(f"  {key} {value:.4g}" for key, value in self.done[name].items()), flush=True)
        return self.done[name]


def report(event: object) -> None:
    """A line an event, but for the steps in between."""
    step = getattr(event, "step", 0)
    if type(event).__name__ != "StepDone" or step % 200 == 0:
        print("   ", event, flush=True)


def supervised(folder: Path, data: str, seed: int, **options: Any) -> dict[str, float]:
    """Train a ViT on labels; its test accuracy."""
    import vitrail as vt

    done = vt.train("vit", data=data, run=folder, seed=seed, report=report, evaluate_every=0, **options)
    if not done.finished:
        raise SystemExit(1)
    return {"accuracy": done.evaluation["accuracy"]}


def pretrained(folder: Path, data: str, seed: int, **options: Any) -> dict[str, float]:
    """Train a masked autoencoder; its error on hidden patches of the test set."""
    import vitrail as vt

    done = vt.train("mae", data=data, run=folder, seed=seed, report=report, evaluate_every=0, **options)
    if not done.finished:
        raise SystemExit(1)
    return {"train_loss": done.metrics["train/loss"]}


def probed(folder: Path, kind: str, subjects: tuple[str, ...], **options: Any) -> dict[str, float]:
    """Probe a run; the accuracy of each probe on each of ``subjects``."""
    from vitrail.recipes import probe
    from vitrail.recipes.terms import ProbeRecipe

    recipe = ProbeRecipe(folder, kind, baselines=subjects != ("trained encoder",), seeds=1, **options)  # type: ignore[arg-type]
    done = probe.run(recipe, report)
    if not done.finished:
        raise SystemExit(1)
    return {f"{score.probe} / {score.subject}": score.mean for score in done.scores if score.subject in subjects}


def course(folder: Path, data: str, seed: int, stages: Stages) -> None:
    """The course's own sizes."""
    options = {"preset": "course", "epochs": 10, "optimizer": "muon", "lr": 1e-3, "muon_lr": 2e-3}
    stages.measure("supervised", lambda: supervised(folder / "vit", data, seed, **options, **LIGHT))


def fast(folder: Path, data: str, seed: int, stages: Stages) -> None:
    """All three thresholds; what counts is the sum of the seconds of the first four stages.

    A supervised net is quickest with two convolutions before its blocks; the masked autoencoder of the same name cuts
    plain patches.
    """
    quick = {"preset": "fast", "schedule": "linear", **MUON, **LIGHT}
    tuned = {"epochs": 2, "warmup_epochs": 0.3, "layer_decay": 1.0, "label_smoothing": 0.1, **MUON, **LIGHT}
    once = {"epochs": 2, "warmup_epochs": 0.3, "label_smoothing": 0.1, **quick}
    hidden = {"epochs": 8, "warmup_epochs": 0.6, "batch_size": 256, **quick}
    run, first = folder / "mae", ("trained encoder",)
    stages.measure("supervised", lambda: supervised(folder / "vit", data, seed, **once))
    stages.measure("masked autoencoder", lambda: pretrained(run, data, seed, **hidden))
    stages.measure("linear", lambda: probed(run, "linear", first, seed=seed))
    stages.measure("fine-tuned", lambda: probed(run, "finetune", first, seed=seed, **tuned))
    stages.measure("apart: linear", lambda: probed(run, "linear", ("untrained encoder", "raw pixels"), seed=seed))
    stages.measure("apart: from scratch", lambda: probed(run, "finetune", ("from scratch",), seed=seed, **tuned))


def ten(folder: Path, data: str, seed: int, stages: Stages) -> None:
    """As high as ten epochs get."""
    options = {"preset": "fast", "epochs": 10, "label_smoothing": 0.1, **MUON, **LIGHT}
    stages.measure("supervised", lambda: supervised(folder / "vit", data, seed, **options))


def twenty(folder: Path, data: str, seed: int, stages: Stages) -> None:
    """A masked autoencoder for 20 epochs; its encoder fine-tuned for 12."""
    options = {"preset": "fast", "epochs": 20, "batch_size": 256, **MUON, **LIGHT}
    tuned = {"epochs": 12, "label_smoothing": 0.1, "layer_decay": 0.9, **MUON, **LIGHT}
    run, first = folder / "mae", ("trained encoder",)
    stages.measure("masked autoencoder", lambda: pretrained(run, data, seed, **options))
    stages.measure("linear", lambda: probed(run, "linear", first, seed=seed))
    stages.measure("attentive", lambda: probed(run, "attentive", first, seed=seed))
    stages.measure("fine-tuned", lambda: probed(run, "finetune", first, seed=seed, **tuned))
    stages.measure("apart: linear", lambda: probed(run, "linear", ("untrained encoder", "raw pixels"), seed=seed))
    stages.measure("apart: attentive", lambda: probed(run, "attentive", ("untrained encoder",), seed=seed))


RECIPES = {"course": course, "fast": fast, "ten": ten, "twenty": twenty}


def main() -> None:
    """Measure one recipe with one seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", choices=RECIPES, nargs="?", default="fast")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data", default="../shared/data/cifar10")
    parser.add_argument("--runs", type=Path, default=Path("runs/cifar10"))
    asked = parser.parse_args()
    if not Path(asked.data).exists():
        print(f"skipped: {asked.data} is missing; name a folder of CIFAR-10 parquet files with --data")
        return
    folder = asked.runs / f"{asked.recipe}-{asked.seed}"
    stages = Stages(folder)
    RECIPES[asked.recipe](folder, asked.data, asked.seed, stages)
    counted = sum(stage["seconds"] for name, stage in stages.done.items() if not name.startswith("apart"))
    print(f"{'in all':34}  minutes {counted / 60:.1f}")
    print(
        json.dumps({"bench": "cifar10", "recipe": asked.recipe, "seed": asked.seed, "seconds": counted, **stages.done})
    )


if __name__ == "__main__":
    main()
