"""A tiny model, objective and stream for the tests of the loop.

Nothing here knows other rooms: 13 numbers in, 5 classes, with dropout so that random state matters.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from vitrail.nn.randomness import RowRandom, derive_seed
from vitrail.train import TrainConfig

FEATURES, WIDTH, CLASSES, ROWS = 13, 11, 5, 24


@dataclass
class ToyBatch:
    inputs: Tensor
    labels: Tensor
    indices: Tensor
    rows: range
    total: int


class ToyNet(nn.Module):
    """Two blocks between an input and an output map, as Muon and layer decay want to see them."""

    def __init__(self, dropout: float = 0.2) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(7)
        self.stem = nn.Linear(FEATURES, WIDTH)
        self.blocks = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in range(2))
        self.table = nn.Parameter(torch.zeros(1, WIDTH))
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(WIDTH, CLASSES)
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=generator) / 3)

    @property
    def depth_count(self) -> int:
        return 4

    def parameter_depth(self, name: str) -> int:
        if name.startswith("blocks."):
            return int(name.split(".")[1]) + 1
        return 3 if name.startswith("head") else 0

    def no_weight_decay(self) -> set[str]:
        return {"table"}

    def forward(self, inputs: Tensor) -> Tensor:
        if self.training:
            self.seen += 1
        x = self.stem(inputs) + self.table
        for block in self.blocks:
            x = x + self.dropout(torch.tanh(block(x)))
        return self.head(x)


class ToyObjective:
    """Cross-entropy on noisy inputs, over rows that a draw keeps: counts differ between parts of a batch."""

    def __init__(self, module: nn.Module, keep: float = 0.7) -> None:
        self.module = module
        self.keep = keep

    def loss(self, batch: ToyBatch, random: RowRandom) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        noisy = batch.inputs + 0.1 * random.normal("noise", FEATURES).to(batch.inputs.device)
        kept = (random.uniform("keep") < self.keep).to(batch.inputs.device)
        logits = self.module(noisy).float()
        losses = nn.functional.cross_entropy(logits, batch.labels, reduction="none") * kept
        correct = ((logits.argmax(-1) == batch.labels) & kept).sum()
        return losses.sum(), kept.sum(), {"accuracy": correct}


class AccumulatingToy(ToyObjective):
    """The same loss, but backward is its own."""

    def accumulate(
        self, batch: ToyBatch, random: RowRandom, backward: Callable[[Tensor], None]
    ) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        loss, count, scalars = self.loss(batch, random)
        backward(loss)
        return loss.detach(), count, scalars


class ToyBatches:
    """Random points around a centre per class, a pure function of seed and step."""

    def __init__(self, batch_size: int = ROWS, *, micro_batches: int = 1, rank: int = 0, world: int = 1) -> None:
        self.batch_size, self.step = batch_size, 0
        parts = micro_batches * world
        bounds = [batch_size * part // parts for part in range(parts + 1)]
        mine = range(rank * micro_batches, (rank + 1) * micro_batches)
        self.rows = [range(bounds[part], bounds[part + 1]) for part in mine]
        self.spoil: dict[int, int] = {}
        """step -> row of the global batch whose input is NaN."""

    def make(self, step: int) -> list[ToyBatch]:
        generator = torch.Generator().manual_seed(derive_seed("toy", step))
        labels = torch.randint(CLASSES, (self.batch_size,), generator=generator)
        centres = torch.randn(CLASSES, FEATURES, generator=torch.Generator().manual_seed(3))
        inputs = centres[labels] + 0.5 * torch.randn(self.batch_size, FEATURES, generator=generator)
        if step in self.spoil:
            inputs[self.spoil[step]] = float("nan")
        indices = torch.arange(self.batch_size) + 1000 * step
        return [
            ToyBatch(inputs[r.start : r.stop], labels[r.start : r.stop], indices[r.start : r.stop], r, self.batch_size)
            for r in self.rows
        ]

    def __iter__(self) -> Iterator[list[ToyBatch]]:
        while True:
            self.step += 1
            yield self.make(self.step - 1)

    def state_dict(self) -> dict[str, Any]:
        return {"step": self.step}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.step = state["step"]


def toy_config(**changes: Any) -> TrainConfig:
    fields: dict[str, Any] = {
        "steps": 40, "batch_size": ROWS, "lr": 0.02, "warmup_steps": 5, "precision": "float32", "device": "cpu",
        "log_every": 3, "save_every": 7, "evaluate_every": 8,
    }  # fmt: skip
    return TrainConfig(**{**fields, **changes})


def evaluate(module: nn.Module) -> dict[str, float]:
    """Accuracy on rows that are never trained on; also disturbs the global random state, as a careless caller would."""
    torch.rand(17)
    (batch,) = ToyBatches(97).make(10_000)
    assert not module.training
    assert not torch.is_grad_enabled()
    return {"accuracy": (module(batch.inputs).float().argmax(-1) == batch.labels).float().mean().item()}
