"""Which path of attention is the faster one, fused or explicit, by length and precision?

    python bench/attention.py

Forward and backward of ``vitrail.nn.attention.attention`` on 64 x 4 heads 64 wide (fewer at great lengths), both paths
in turn. ``SHORT`` in that file is the length up to which the explicit path wins on a CPU in bf16: this prints both.
A table, then one JSON line.
"""

import json
import os
import statistics
import time

os.environ.setdefault("GOMP_SPINCOUNT", "20000")

import torch

from vitrail.nn.attention import SHORT, Path, attention
from vitrail.train.memory import keep_freed_memory

LENGTHS = (17, 65, 128, 256, 512, 1024)
ROUNDS = 7


def seconds(length: int, dtype: torch.dtype) -> dict[Path, float]:
    """Median seconds of one forward and backward pass, by path."""
    batch = max(1, min(64, 2**21 // length**2))
    q, k, v = torch.randn(3, batch, 4, length, 64).to(dtype).unbind()
    leaves = [x.clone().requires_grad_() for x in (q, k, v)]
    times: dict[Path, list[float]] = {"fused": [], "explicit": []}
    for _ in range(ROUNDS + 1):
        for path, taken in times.items():
            began = time.perf_counter()
            attention(*leaves, path=path).backward(v)
            taken.append(time.perf_counter() - began)
    return {path: statistics.median(taken[1:]) for path, taken in times.items()}


def main() -> None:
    """Measure, print the table and the JSON line."""
    keep_freed_memory()
    torch.manual_seed(0)
    ratios: dict[str, float] = {}
    for name, dtype in (("float32", torch.float32), ("bf16", torch.bfloat16)):
        for length in LENGTHS:
            taken = seconds(length, dtype)
            ratios[f"{name}_{length}"] = taken["fused"] / taken["explicit"]
            print(f"{name:8} {length:5} positions   fused / explicit {ratios[f'{name}_{length}']:.2f}")
    print(f"the explicit path is taken in bf16 on a CPU up to {SHORT}")
    print(json.dumps({"bench": "attention", "short": SHORT, "fused_over_explicit": ratios}))


if __name__ == "__main__":
    main()
