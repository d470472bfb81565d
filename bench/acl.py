"""Abstracts → titles of the ACL anthology, trained from scratch: our recipe for hours, and the course's beside ours.

    python bench/acl.py train [--runs FOLDER] [--gaps 4] [--epochs 6]
    python bench/acl.py compare [--runs FOLDER] [--seeds 3]

train    one pass over abstracts with a sentence taken out, which the model writes (gap sentences: Zhang et al. 2020,
         PEGASUS, section 3.1; here drawn at random, 4 of each abstract), then 6 epochs of titles; ROUGE on the 921
         test abstracts beside their first and their central sentence. --gaps 0 --epochs 12 is titles alone
compare  the course's recipe and ours at the same number of examples seen (2 epochs), on validation titles

The course's recipe: post-norm blocks, a tokenizer of 32,100 tokens, batches of 16 pairs at random, AdamW at 1e-4 with a
linear fall, weight decay 0.01, documents up to 1,024 tokens, no label smoothing; at half its width (256), so that three
seeds fit into an evening. The losses of two tokenizers compare in nats a character. Each run goes on where it was cut
off, a finished one isn't repeated. A table for people, then one JSON line.
"""

import argparse
import json
import os
import statistics
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("GOMP_SPINCOUNT", "20000")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np
import torch

from vitrail.cli.screen import Screen
from vitrail.cli.summaries import show_summaries
from vitrail.data.documents import Documents, load_documents
from vitrail.nn.randomness import derive_seed
from vitrail.recipes import summarizer
from vitrail.recipes.evaluate import EvaluateRecipe
from vitrail.recipes.evaluate import run as evaluate
from vitrail.recipes.evaluate_text import loss_on
from vitrail.recipes.results import write_bytes
from vitrail.recipes.summarizer import SummarizerRecipe
from vitrail.text.batches import TextBatches, make_pairs
from vitrail.text.objective import SummaryObjective
from vitrail.text.presets import course
from vitrail.text.rouge import sentences
from vitrail.text.tokens import train_tokenizer
from vitrail.text.transformer import Transformer
from vitrail.train import TrainConfig, train
from vitrail.train.memory import keep_freed_memory

DATA = Path(__file__).parents[2] / "shared/data/summarization/acl_anthology_abstract_title.jsonl.gz"

OURS = {"optimizer": "muon", "lr": 2e-3, "muon_lr": 6e-3, "dropout": 0.2, "warmup_epochs": 0.5, "save_every": 200}

AT_FIRST = {"dropout": 0.1, "warmup_epochs": 0.1}
"""Where each text is seen once, little is learned by heart."""

ONWARDS = {"lr": 1e-3, "muon_lr": 3e-3}
"""A model that has begun takes smaller steps."""

GAP = "…"
"""Stands where a sentence was taken out."""

ONCE = 16
"""Pairs in a batch of the course's."""


def report(event: object) -> None:
    """A line an event, but for the steps in between."""
    step = getattr(event, "step", 0)
    if type(event).__name__ not in ("StepDone", "Saved") or step % 500 == 0:
        print("   ", event, flush=True)


def write_gaps(data: str, file: Path, each: int) -> None:
    """Abstracts of the training and the validation part without one of their sentences, and that sentence."""
    rng = np.random.default_rng(0)
    lines = []
    for split, count in (("train", each), ("validation", 1)):
        for document in load_documents(data, split).documents:  # type: ignore[arg-type]
            parts = sentences(document)
            for row in rng.permutation(len(parts))[: count if len(parts) > 2 else 0]:
                rest = " ".join([*parts[:row], GAP, *parts[row + 1 :]])
                lines.append(json.dumps({"document": rest, "summary": parts[row], "split": split}))
    file.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(file, "\n".join(lines).encode())


def long(data: str, runs: Path, gaps: int, epochs: int) -> dict[str, object]:
    """Our recipe for hours, and its ROUGE on all test abstracts."""
    seconds, options, start = 0.0, OURS, None
    if gaps:
        if not (file := runs / "gaps.jsonl").exists():
            write_gaps(data, file, gaps)
        start, options = str(runs / "gaps"), {**OURS, **ONWARDS}
        first = SummarizerRecipe(
            data=str(file),
            run=runs / "gaps",
            epochs=1,
            test=0,
            evaluate_every=0,
            **{**OURS, **AT_FIRST},  # type: ignore[arg-type]
        )
        begun = summarizer.run(first, report)
        if not begun.finished:
            raise SystemExit(1)
        seconds = begun.seconds
    recipe = SummarizerRecipe(data=data, run=runs / "long", epochs=epochs, test=0, init=start, **options)  # type: ignore[arg-type]
    done = summarizer.run(recipe, report)
    if not done.finished:
        raise SystemExit(1)
    figures = evaluate(EvaluateRecipe(done.folder), report).figures
    show_summaries({"kind": "summarizer", **figures}, Screen())
    return {"bench": "acl train", "parameters": done.parameters, "seconds": seconds + done.seconds, **figures}


def of_course(data: str, folder: Path, seed: int, held_out: Documents) -> dict[str, float]:
    """The course's recipe for two epochs; its losses on held-out pairs."""
    texts = load_documents(data)
    tokens = train_tokenizer([*texts.documents, *texts.summaries], 32_100, "unigram")

    def encoded(part: Documents) -> object:
        return make_pairs(tokens.encode(part.documents), tokens.encode(part.summaries), tokens.end, 1024, 128)

    pairs, unseen = encoded(texts), encoded(held_out)
    shape = replace(course(len(tokens)), dim=256, hidden=1024, pad=tokens.pad, start=tokens.start, end=tokens.end)
    torch.manual_seed(derive_seed(seed, "start"))
    model = Transformer(shape)
    batches = TextBatches(pairs, 0, count=ONCE, seed=seed, pad=tokens.pad, start=tokens.start)
    steps = 2 * batches.steps_per_epoch
    config = TrainConfig(
        steps=steps,
        batch_size=ONCE,
        lr=1e-4,
        weight_decay=0.01,
        betas=(0.9, 0.999),
        warmup_steps=steps // 10,
        schedule="linear",
        clip=1.0,
        seed=seed,
        save_every=500,
    )
    done = train(
        SummaryObjective(model),
        batches,
        config,
        folder,
        evaluate=lambda module: loss_on(module, unseen, tokens, 8192, held_out),
        report=report,
        describe={"course": "acl"},
    )
    if not done.finished:
        raise SystemExit(1)
    return figures_of(done.metrics)


def of_ours(data: str, folder: Path, seed: int) -> dict[str, float]:
    """Our recipe for two epochs; its losses on held-out pairs."""
    options = {**OURS, "dropout": 0.1}
    recipe = SummarizerRecipe(data=data, run=folder, epochs=2, seed=seed, test=0, evaluate_every=0, **options)  # type: ignore[arg-type]
    done = summarizer.run(recipe, report)
    if not done.finished:
        raise SystemExit(1)
    return figures_of(done.metrics)


def figures_of(metrics: dict[str, float]) -> dict[str, float]:
    """The last look's."""
    return {name: metrics[f"evaluation/{name}"] for name in ("nats_per_token", "nats_per_character")}


def compare(data: str, runs: Path, seeds: int) -> dict[str, object]:
    """Both recipes, seed by seed."""
    held_out = load_documents(data, "validation")
    found: dict[str, list[dict[str, float]]] = {"course's": [], "ours": []}
    for seed in range(seeds):
        found["course's"].append(of_course(data, runs / f"course-{seed}", seed, held_out))
        found["ours"].append(of_ours(data, runs / f"ours-{seed}", seed))
    for name, of in found.items():
        for kind in ("nats_per_character", "nats_per_token"):
            values = [figures[kind] for figures in of]
            spread = statistics.stdev(values) if len(values) > 1 else 0.0
            print(f"{name:10} {kind:20} {statistics.mean(values):.4f} ± {spread:.4f} ({len(values)} seeds)")
    return {"bench": "acl compare", **found}


def main() -> None:
    """Train or compare, print the table and the JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["train", "compare"])
    parser.add_argument("--data", default=str(DATA))
    parser.add_argument("--runs", type=Path, default=Path("runs/acl"))
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--gaps", type=int, default=4, help="sentences taken out of each abstract at first; 0: none")
    parser.add_argument("--seeds", type=int, default=3)
    asked = parser.parse_args()
    keep_freed_memory()
    if asked.what == "train":
        result = long(asked.data, asked.runs, asked.gaps, asked.epochs)
    else:
        result = compare(asked.data, asked.runs, asked.seeds)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
