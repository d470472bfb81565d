"""A program that is one of two processes of a run: takes a file of scenarios, writes what became of each.

A scenario: {"folder", "config", "batch_size", "keep", "accumulate", "fault"}; a fault is [rank, step, kind] with kind
"term" (a signal), "nan" (a loss that isn't a number) or "full" (a full disk from then on).
"""

import errno
import json
import os
import signal
import sys
import warnings
from pathlib import Path
from typing import Any

import torch
from train_toy import AccumulatingToy, ToyBatches, ToyNet, ToyObjective, evaluate, toy_config

from vitrail.errors import VitrailError
from vitrail.train import train


def scenario(
    rank: int, folder: str, config: dict[str, Any], keep: float, accumulate: bool, fault: tuple[int, int, str] | None
) -> dict[str, Any]:
    """Train as one of two; what came of it, as plain values."""
    settings = toy_config(**config)
    module = ToyNet(dropout=0.0)
    if rank == 1:  # what the loop must make equal
        torch.nn.init.zeros_(module.head.weight)
    objective = (AccumulatingToy if accumulate else ToyObjective)(module, keep)
    own_loss, fsync = objective.loss, os.fsync

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def loss(batch: Any, random: Any) -> Any:
        value, count, scalars = own_loss(batch, random)
        if fault is not None and (rank, random.step) == (fault[0], fault[1]):
            if fault[2] == "term":
                os.kill(os.getpid(), signal.SIGTERM)
            elif fault[2] == "nan":
                value = value * float("nan")
            else:
                os.fsync = full
        return value, count, scalars

    objective.loss = loss  # type: ignore[method-assign]
    batches = ToyBatches(settings.batch_size, micro_batches=settings.micro_batches, rank=rank, world=2)
    told: list[str] = []
    try:
        result = train(
            objective, batches, settings, Path(folder), evaluate=evaluate, report=lambda event: told.append(repr(event))
        )
    except VitrailError as error:
        return {"error": type(error).__name__, "text": str(error), "told": len(told)}
    finally:
        os.fsync = fsync
    return {"finished": result.finished, "steps": result.steps, "metrics": result.metrics, "told": len(told)}


def main() -> None:
    """Join the other process, then run all scenarios."""
    work = Path(sys.argv[1])
    warnings.simplefilter("error")
    torch.set_num_threads(1)
    rank = int(os.environ["RANK"])
    by_torchrun = "TORCHELASTIC_RUN_ID" in os.environ
    if not by_torchrun:  # which brings its own meeting point; a file needs no free port
        store = torch.distributed.FileStore(str(work / "store"), 2)
        torch.distributed.init_process_group("gloo", store=store, rank=rank, world_size=2)
    results = [scenario(rank, **given) for given in json.loads((work / "scenarios.json").read_text())]
    (work / f"results-{rank}.json").write_text(json.dumps(results))
    if not by_torchrun:
        torch.distributed.barrier()  # neither leaves while the other still listens
        torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
