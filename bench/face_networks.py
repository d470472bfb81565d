"""How fast do FaceNet's networks train on this machine: order of memory, precision, and the response norm?

    python bench/face_networks.py [--rounds 3] [--batch 32] [--networks nn4 nns2 nns1]

One forward and one backward pass of each network over random images of its own size: feature maps channels-last (as the
networks do by themselves) or channel by channel, float32 or bf16 autocast; and float32 with PyTorch's own response norm
instead of ours (on a CPU it does not know bf16). All take turns in one process; the best of the rounds.

Expected on a CPU with bf16 instructions: channels-last with bf16 is the fastest, ours at least a tenth faster than with
PyTorch's norm.
"""

import argparse
import json
import os
import time
from collections.abc import Callable

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch
from torch import nn

from vitrail.faces.layers import ResponseNorm
from vitrail.faces.networks import NETWORKS, FaceNetwork
from vitrail.train.memory import keep_freed_memory

VARIANTS = {
    # name: channels-last, bf16, PyTorch's response norm
    "channels-last bf16": (True, True, False),
    "channels-last float32": (True, False, False),
    "channel by channel bf16": (False, True, False),
    "channel by channel float32": (False, False, False),
    "channels-last float32, torch's norm": (True, False, True),
}


def with_their_norm(network: FaceNetwork) -> FaceNetwork:
    """The same network with ``torch.nn.LocalResponseNorm``."""
    for name, layer in network.layers.named_children():
        if isinstance(layer, ResponseNorm):
            setattr(network.layers, name, nn.LocalResponseNorm(layer.size, layer.alpha, k=layer.k))
    return network


def passes(name: str, batch: int, last: bool, half: bool, theirs: bool) -> Callable[[], tuple[float, float]]:
    """A function that runs forward and backward once and gives the seconds of each."""
    network = NETWORKS[name](128)
    network = with_their_norm(network) if theirs else network
    order = torch.channels_last if last else torch.contiguous_format
    images = torch.randn(batch, 3, *network.image_size).contiguous(memory_format=order)

    def once() -> tuple[float, float]:
        began = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            # Past the network's own forward, which would turn the images channels-last.
            embeddings = network.embedding(network.layers(images))
        between = time.perf_counter()
        embeddings[:, 0].sum().backward()
        return between - began, time.perf_counter() - between

    return once


def main() -> None:
    """Measure, print the table and the JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--networks", nargs="+", default=["nn4", "nns2", "nns1"], choices=list(NETWORKS))
    asked = parser.parse_args()
    keep_freed_memory()
    result: dict[str, float | str] = {
        "bench": "face_networks",
        "threads": torch.get_num_threads(),
        "load": os.getloadavg()[0],
    }
    for name in asked.networks:
        runs = {variant: passes(name, asked.batch, *how) for variant, how in VARIANTS.items()}
        times: dict[str, list[tuple[float, float]]] = {variant: [] for variant in runs}
        for _ in range(asked.rounds + 1):
            for variant, once in runs.items():
                times[variant].append(once())
        for variant, measured in times.items():
            forward = asked.batch / min(first for first, _ in measured[1:])
            both = asked.batch / min(first + second for first, second in measured[1:])
            print(f"{name:5} {variant:36} forward {forward:7.0f} images/s, and backward {both:7.0f} images/s")
            result[f"{name} {variant}"] = both
    print(json.dumps(result))


if __name__ == "__main__":
    main()
