"""What do semi-hard triplets of a whole batch cost, beside pytorch-metric-learning's, and as the batch grows?

    python bench/triplets.py [--identities 45] [--images 40] [--rounds 7]

The loss over all semi-hard triplets (margin 0.2, squared distances of unit vectors, d = 128) and its gradient, by
``vitrail.faces.triplets.triplet_loss`` and by their TripletMarginMiner("semihard") with TripletMarginLoss. The inputs
are random, so that about a third of all triplets are semi-hard, as in a network that has not learned yet. Each cost is
taken in a process of its own: seconds as the median of some rounds (theirs of one, which takes about a minute), memory
as the peak of resident pages during them above what there was before. Ours runs before and after theirs. Then ours
alone, from 500 to 8,000 rows of 20 images an identity. A table, then one JSON line.

Expected at 45 x 40: at least 70 times faster, at least 10 times less memory; the same loss and gradient.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable

os.environ.setdefault("GOMP_SPINCOUNT", "20000")

import torch
from memory import forget_peak, peak, resident
from torch import Tensor
from torch.nn import functional as F

from vitrail.train.memory import keep_freed_memory

DIM, MARGIN = 128, 0.2
GROWTH = (500, 1000, 2000, 4000, 8000)


def ours() -> Callable[[Tensor, Tensor], Tensor]:
    """Raw embeddings and labels -> loss."""
    from vitrail.faces.triplets import triplet_loss

    return lambda raw, labels: triplet_loss(F.normalize(raw, dim=1), labels, MARGIN, "semi-hard")[0]


def theirs() -> Callable[[Tensor, Tensor], Tensor]:
    """The same of pytorch-metric-learning, which normalises by itself."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pytorch_metric_learning.distances import LpDistance
        from pytorch_metric_learning.losses import TripletMarginLoss
        from pytorch_metric_learning.miners import TripletMarginMiner

    squared = LpDistance(normalize_embeddings=True, p=2, power=2)
    miner = TripletMarginMiner(margin=MARGIN, type_of_triplets="semihard", distance=squared)
    loss = TripletMarginLoss(margin=MARGIN, distance=squared)

    def run(raw: Tensor, labels: Tensor) -> Tensor:
        value: Tensor = loss(raw, labels, miner(raw, labels))
        return value

    return run


def cost(loss: Callable[[Tensor, Tensor], Tensor], identities: int, images: int, rounds: int) -> dict[str, float]:
    """Seconds and memory of forward and backward, and what came of them."""
    keep_freed_memory()
    generator = torch.Generator().manual_seed(0)
    loss(torch.randn(20, DIM, generator=generator), torch.arange(20) % 4)  # whatever is loaded at the first call
    raw = torch.randn(identities * images, DIM, generator=generator)
    labels = torch.arange(identities).repeat_interleave(images)
    before = resident()
    forget_peak()
    seconds, busy = [], []
    for _ in range(rounds):
        leaf = raw.clone().requires_grad_()
        began, worked = time.perf_counter(), time.process_time()
        value = loss(leaf, labels)
        value.backward()
        seconds.append(time.perf_counter() - began)
        busy.append(time.process_time() - worked)
    assert leaf.grad is not None
    return {
        "seconds": statistics.median(seconds),
        "cpu_seconds": statistics.median(busy),
        "megabytes": peak() - before,
        "loss": float(value.detach()),
        "gradient": float(leaf.grad.norm()),
    }


def apart(which: str, identities: int, images: int, rounds: int) -> dict[str, float]:
    """``cost`` in a process of its own."""
    asked = [str(number) for number in (identities, images, rounds)]
    done = subprocess.run([sys.executable, __file__, "--alone", which, *asked], stdout=subprocess.PIPE, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def row(name: str, found: dict[str, float]) -> str:
    """A line of the table."""
    return f"{name:24} {found['seconds']:9.3f} s {found['cpu_seconds']:9.3f} s of CPU {found['megabytes']:9.1f} MB"


def main() -> None:
    """Measure, print the table and the JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--identities", type=int, default=45)
    parser.add_argument("--images", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=7)
    asked = parser.parse_args()
    size = (asked.identities, asked.images)
    first = apart("ours", *size, asked.rounds)
    rival = apart("theirs", *size, 1)
    own = apart("ours", *size, asked.rounds)
    own = {name: (value + first[name]) / 2 for name, value in own.items()}
    print(row(f"vitrail {size[0]} x {size[1]}", own))
    print(row("pytorch-metric-learning", rival))
    ratios = {name: rival[name] / own[name] for name in ("seconds", "cpu_seconds", "megabytes")}
    apartness = {name: abs(rival[name] / own[name] - 1) for name in ("loss", "gradient")}
    print(f"{ratios['seconds']:.0f} times faster ({ratios['cpu_seconds']:.0f} in CPU time), ", end="")
    print(
        f"{ratios['megabytes']:.0f} times less memory; losses differ by {apartness['loss']:.0e} of themselves, ", end=""
    )
    print(f"gradients' norms by {apartness['gradient']:.0e}")
    growth = {rows: apart("ours", rows // 20, 20, asked.rounds) for rows in GROWTH}
    for rows, found in growth.items():
        print(row(f"vitrail {rows} rows", found))
    print(
        json.dumps(
            {
                "bench": "triplets",
                "threads": torch.get_num_threads(),
                "load": os.getloadavg()[0],
                "faster": ratios["seconds"],
                "faster_in_cpu_time": ratios["cpu_seconds"],
                "less_memory": ratios["megabytes"],
                "seconds": own["seconds"],
                "megabytes": own["megabytes"],
                "their_seconds": rival["seconds"],
                "their_megabytes": rival["megabytes"],
                "loss_differs": apartness["loss"],
                "gradient_differs": apartness["gradient"],
                "seconds_by_rows": {rows: found["seconds"] for rows, found in growth.items()},
                "cpu_seconds_by_rows": {rows: found["cpu_seconds"] for rows, found in growth.items()},
                "megabytes_by_rows": {rows: found["megabytes"] for rows, found in growth.items()},
            }
        )
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--alone"]:
        which, *numbers = sys.argv[2:]
        print(json.dumps(cost({"ours": ours, "theirs": theirs}[which](), *map(int, numbers))))
    else:
        main()
