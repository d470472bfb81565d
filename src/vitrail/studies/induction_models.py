"""The models of ``induction``: attention alone, trained on blocks and pieces of them, and how heads are scored."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from vitrail.capture import record_attention
from vitrail.nn.randomness import RowRandom, derive_seed
from vitrail.recipes.curves import read_figures
from vitrail.recipes.events import Note, Report
from vitrail.studies.blocks import LENGTH, LONGEST, VOCABULARY, PieceBatches, pieces, twice
from vitrail.studies.terms import Stopped, StudyRecipe
from vitrail.text.language import LanguageConfig, LanguageModel
from vitrail.text.language_objective import CausalObjective
from vitrail.train import TrainConfig, train
from vitrail.train.journal import METRICS

STEPS, QUICK_STEPS = 1000, 400
ROWS = 64
LOOKS = 50
"""Times that a training is looked at."""


@dataclass(frozen=True)
class Scored:
    """What a model does on fresh blocks, each twice.

    Attributes:
        loss: of the tokens that the first time decides, in nats.
        pieces: the same on fresh pieces, as in training.
        induction: the mean of A[i, i - (T - 1)] over the second time, of each layer and head.
        previous: the mean of A[i, i - 1] over the first time, likewise.
        weights: of the first block, by layer.
    """

    loss: float
    pieces: float
    induction: Float[Tensor, "l h"]
    previous: Float[Tensor, "l h"]
    weights: Float[Tensor, "l h q k"]


def trained(recipe: StudyRecipe, layers: int, seed: int, report: Report) -> tuple[LanguageModel, Mapping[str, Any]]:
    """A model of so many layers, and how its loss and its best score went; found where it was trained before.

    Raises:
        Stopped: the training was interrupted.
    """
    config = LanguageConfig(
        VOCABULARY,
        dim=64,
        layers=layers,
        heads=4,
        hidden=64,
        feed_forward=False,
        max_length=LENGTH,
        dropout=0.0,
        entry_dropout=0.0,
        attention_dropout=0.0,
    )
    steps = QUICK_STEPS if recipe.quick else STEPS
    loop = TrainConfig(
        steps=steps,
        batch_size=ROWS,
        optimizer="muon",
        lr=1e-2,
        weight_decay=0.0,
        warmup_steps=steps // 50,
        schedule="linear",
        clip=1.0,
        precision="float32",
        device="cpu",
        seed=seed,
        log_every=steps // LOOKS or 1,
        evaluate_every=steps // LOOKS or 1,
        save_every=0,
    )
    folder = recipe.work / "induction" / f"layers-{layers}-seed-{seed}{'-quick' * recipe.quick}"
    report(Note(f"a model of {layers} layer{'s' * (layers > 1)}, seed {seed}"))
    torch.manual_seed(derive_seed(seed, "start"))
    model = LanguageModel(config)
    batches = PieceBatches(ROWS, derive_seed(seed, "pieces"))
    known = {"study": "induction", "model": asdict(config)}
    result = train(CausalObjective(model), batches, loop, folder, evaluate=_look, report=report, describe=known)
    if not result.finished:
        raise Stopped
    figures = read_figures(folder / METRICS)
    steps_seen, loss = figures["loss"]["evaluation"]
    scores = figures["induction"]["evaluation"][1]
    return model, {
        "step": steps_seen,
        "loss": [round(value, 4) for value in loss],
        "induction": [round(value, 4) for value in scores],
    }


@torch.no_grad()
def score(model: LanguageModel, blocks: int) -> Scored:
    """What the heads of a model do on fresh blocks, which no training saw."""
    random = RowRandom(derive_seed("tested blocks"), 0, range(blocks), blocks)
    tokens = twice(random)
    training = model.training
    model.eval()
    with record_attention(model) as record:
        logits = model(tokens)
    loss, count, _ = CausalObjective(model).loss(pieces(random), random)
    model.train(training)
    weights = torch.stack([call.weights.float() for call in record.calls])
    mean = weights.mean(1)
    return Scored(
        float(F.cross_entropy(logits[:, LONGEST:-1].flatten(0, 1), tokens[:, LONGEST + 1 :].flatten())),
        float(loss / count),
        # From the query at T - 1 on, which is the last of the first time.
        mean.diagonal(-(LONGEST - 1), -2, -1)[..., 1:].mean(-1),
        mean.diagonal(-1, -2, -1)[..., : LONGEST - 1].mean(-1),
        weights[:, 0],
    )


def _look(module: nn.Module) -> Mapping[str, float]:
    assert isinstance(module, LanguageModel)
    found = score(module, ROWS)
    return {"loss": found.loss, "induction": float(found.induction.max())}
