"""A program that is one of two processes: trains each scenario of a file, writes what became of it."""

import json
import os
import sys
import warnings
from pathlib import Path
from typing import Any

import torch
from faces_toy import TinyNet, faces, part, run
from torch import Tensor

from vitrail.errors import VitrailError
from vitrail.faces.caching import triplet_objective
from vitrail.nn.randomness import RowRandom


def scenario(rank: int, name: str, given: dict[str, Any], work: Path) -> str:
    """Train as one of two; the error that ended it, or nothing."""
    try:
        run(work / name, given, rank, world=2)
    except VitrailError as error:
        return f"{type(error).__name__}: {error}"
    return ""


def one_step(rank: int, uncached: bool) -> list[Tensor]:
    """This process's gradients of one batch of 23 in float64: by its own rows, of the whole batch's loss."""
    whole = faces(23, dtype=torch.float64)
    mine = part(whole, range(9) if rank == 0 else range(9, 23))
    network = TinyNet().double()
    objective = triplet_objective(network, chunk=100 if uncached else 4, mining="hardest-semi-hard")
    objective.accumulate(mine, RowRandom(0, 0, mine.rows, mine.total), Tensor.backward)
    gradients = [parameter.grad for parameter in network.parameters()]
    assert None not in gradients
    return [gradient for gradient in gradients if gradient is not None]


def main() -> None:
    """Join the other process, then go through all scenarios."""
    work, rank = Path(sys.argv[1]), int(os.environ["RANK"])
    warnings.simplefilter("error")
    torch.set_num_threads(1)
    store = torch.distributed.FileStore(str(work / "store"), 2)
    torch.distributed.init_process_group("gloo", store=store, rank=rank, world_size=2)
    scenarios = json.loads((work / "scenarios.json").read_text())
    ends = {name: scenario(rank, name, given, work) for name, given in scenarios.items()}
    (work / f"ends-{rank}.json").write_text(json.dumps(ends))
    steps = {"cached": one_step(rank, uncached=False), "uncached": one_step(rank, uncached=True)}
    torch.save(steps, work / f"gradients-{rank}.pt")
    torch.distributed.barrier()  # neither leaves while the other still listens
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
