"""Does one training step of NN2 on FaceNet's batch of 1,800 fit into memory, and what does caching its gradients cost?

    python bench/gradient_caching.py [--network nn2] [--identities 45] [--images 40] [--chunk 24]

One step (forward twice, backward once, semi-hard triplets of the whole batch, in float32) on random images of the
network's own size; the pixels alone are 1.1 GB at NN2's 224 x 224. First 16 images, cached and with the whole graph:
what caching costs in time, how much memory an image's graph takes, and the gradients side by side in float64. Then the
step itself, in a process of its own whose peak of resident memory is what counts. With two cores it takes five to ten
minutes. A table, then one JSON line.

Expected: the step of 1,800 completes, its peak under 8 GB; the graph of all its images would be about 75 GB.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch
from memory import peak
from torch import Tensor, nn

from vitrail.faces.caching import triplet_objective
from vitrail.faces.networks import NETWORKS
from vitrail.nn.randomness import RowRandom

SMALL = 16


class RandomFaces:
    """A whole batch of noise, ``images`` of each of ``identities``."""

    def __init__(self, identities: int, images: int, size: tuple[int, int]) -> None:
        self.total = identities * images
        self.rows = range(self.total)
        self.images = torch.rand(self.total, 3, *size, generator=torch.Generator().manual_seed(0)).mul_(2).sub_(1)
        self.labels = torch.arange(identities).repeat_interleave(images)


def step(network: nn.Module, batch: RandomFaces, chunk: int) -> tuple[float, float, list[Tensor]]:
    """(seconds, loss, gradients) of one step."""
    network.zero_grad()
    objective = triplet_objective(network, chunk=chunk)
    began = time.perf_counter()
    loss, _, _ = objective.accumulate(batch, RowRandom(0, 0, batch.rows, batch.total), Tensor.backward)
    taken = time.perf_counter() - began
    found = [parameter.grad for parameter in network.parameters()]
    return taken, float(loss), [gradient.clone() for gradient in found if gradient is not None]


def build(name: str) -> nn.Module:
    """The network with fixed weights."""
    torch.manual_seed(0)
    return NETWORKS[name]()


def alone(name: str, identities: int, images: int, chunk: int) -> dict[str, float]:
    """The step of the large batch and the memory of this process."""
    network = build(name)
    batch = RandomFaces(identities, images, network.image_size)  # type: ignore[arg-type]
    before = peak()
    seconds, loss, _ = step(network, batch, chunk)
    return {"seconds": seconds, "loss": loss, "gigabytes": peak() / 1024, "gigabytes_before": before / 1024}


def small(name: str) -> dict[str, float]:
    """A batch whose graph fits, both ways: time and memory in float32, gradients in float64 too."""
    network = build(name)
    batch = RandomFaces(SMALL // 4, 4, network.image_size)  # type: ignore[arg-type]
    step(network, batch, 4)
    before = peak()
    step(network, batch, SMALL)
    graph = (peak() - before) / 1024 / (SMALL - 4)
    turns = [(step(network, batch, 4)[0], step(network, batch, SMALL)[0]) for _ in range(3)]
    slower = statistics.median(cached / whole for cached, whole in turns)
    network, batch.images = network.double(), batch.images.double()
    ours, theirs = step(network, batch, 4)[2], step(network, batch, SMALL)[2]
    difference = max(float((a - b).abs().max() / b.abs().max()) for a, b in zip(ours, theirs, strict=True) if b.any())
    return {"slower": slower, "gradient_differs": difference, "graph_gigabytes_per_image": graph}


def apart(*words: object) -> dict[str, float]:
    """One of the two above in a process of its own."""
    command = [sys.executable, __file__, "--alone", *map(str, words)]
    found: dict[str, float] = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    return found


def main() -> None:
    """Measure, print the table and the JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", default="nn2", choices=sorted(NETWORKS))
    parser.add_argument("--identities", type=int, default=45)
    parser.add_argument("--images", type=int, default=40)
    parser.add_argument("--chunk", type=int, default=24)
    asked = parser.parse_args()
    rows = asked.identities * asked.images
    both = apart(asked.network)
    print(f"{asked.network}, {SMALL} images: cached takes {both['slower']:.2f} times as long; ", end="")
    print(f"in float64 gradients differ by {both['gradient_differs']:.0e} of their largest")
    whole = both["graph_gigabytes_per_image"] * rows
    print(f"the graph of {rows} images would be {whole:.0f} GB")
    found = apart(asked.network, asked.identities, asked.images, asked.chunk)
    print(
        f"{asked.network}, {rows} images by {asked.chunk}: {found['seconds']:.0f} s, loss {found['loss']:.4f}, ", end=""
    )
    print(f"peak {found['gigabytes']:.2f} GB of memory in all")
    named = {"bench": "gradient_caching", "network": asked.network, "rows": rows, "chunk": asked.chunk}
    threads = {"threads": torch.get_num_threads(), "load": os.getloadavg()[0]}
    print(json.dumps({**named, **threads, **found, **{f"small_{k}": v for k, v in both.items()}, "graph": whole}))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--alone"]:
        name, *numbers = sys.argv[2:]
        print(json.dumps(alone(name, *map(int, numbers)) if numbers else small(name)))
    else:
        main()
