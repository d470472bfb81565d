"""A tiny network, batches of faces and runs of them, for the tests of caching and the processes that they start."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vitrail.faces.caching import EmbeddingObjective, triplet_objective
from vitrail.nn.randomness import derive_seed
from vitrail.train import TrainConfig, train

SIDE, DIM, PEOPLE = 7, 5, 4


@dataclass
class Faces:
    images: Tensor
    labels: Tensor | None
    rows: range
    total: int


class TinyNet(nn.Module):
    """A convolution and a map to the sphere, with dropout in between."""

    def __init__(self, dropout: float = 0.0) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(7)
            self.conv = nn.Conv2d(3, 11, 3, stride=2)
            self.dropout = nn.Dropout(dropout)
            self.embed = nn.Linear(11 * 3 * 3, DIM)

    def forward(self, images: Tensor) -> Tensor:
        x = self.dropout(torch.tanh(self.conv(images)))
        return F.normalize(self.embed(x.flatten(1)).to(images.dtype), dim=1)


def faces(rows: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Faces:
    generator = torch.Generator().manual_seed(derive_seed("faces", seed))
    labels = torch.randint(PEOPLE, (rows,), generator=generator)
    people = torch.randn(PEOPLE, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(3))
    images = 0.4 * people[labels] + torch.randn(rows, 3, SIDE, SIDE, generator=generator)
    return Faces(images.to(dtype), labels, range(rows), rows)


def part(batch: Faces, rows: range) -> Faces:
    labels = None if batch.labels is None else batch.labels[rows.start : rows.stop]
    return Faces(batch.images[rows.start : rows.stop], labels, rows, batch.total)


class FaceBatches:
    """The parts of a global batch that one of ``world`` processes gets."""

    def __init__(self, total: int, micro_batches: int = 1, rank: int = 0, world: int = 1) -> None:
        parts = micro_batches * world
        bounds = [total * place // parts for place in range(parts + 1)]
        mine = range(rank * micro_batches, (rank + 1) * micro_batches)
        self.total, self.step = total, 0
        self.rows = [range(bounds[place], bounds[place + 1]) for place in mine]

    def __iter__(self) -> Iterator[list[Faces]]:
        while True:
            whole = faces(self.total, self.step)
            self.step += 1
            yield [part(whole, rows) for rows in self.rows]

    def state_dict(self) -> dict[str, Any]:
        return {"step": self.step}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.step = state["step"]


def run(folder: Path, scenario: dict[str, Any], rank: int = 0, world: int = 1) -> nn.Module:
    """Train as one of ``world`` processes; the module afterwards."""
    settings = {"steps": 12, "batch_size": 29, "lr": 0.01, "log_every": 1, "precision": "float32", "device": "cpu"}
    config = TrainConfig(**{**settings, **scenario.get("config", {})})
    objective: EmbeddingObjective = triplet_objective(TinyNet(), **scenario["objective"])
    batches = FaceBatches(config.batch_size, config.micro_batches, rank, world)
    train(objective, batches, config, folder)
    return objective.module
