"""What capturing costs: peak memory and time above the model itself, at 12 layers x 12 heads x 64, by length.

    python bench/capture.py [--lengths 512 1024 4096]

A GPT-2 of that shape with random weights runs as it is (its fused attention), on its own eager attention, and captured
into a trace; each in a process of its own, so that peaks don't mix. Expected: the capture's peak is at most one layer's
weights above the model's, beside the trace itself and some 15 MiB of work space. A table, then one JSON line.

Freed memory is given back at once in these processes (a fixed threshold for malloc's mmap): what counts is what is
held, not what the allocator keeps for later.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

LAYERS, HEADS, WIDTH = 12, 12, 64
MODES = ("model", "eager", "capture")


def measure(mode: str, length: int) -> dict[str, float]:
    """Seconds and peak resident MiB of one run, above what was there before it; of a capture also the trace's MiB."""
    import torch
    import transformers

    from vitrail.capture import trace_run

    transformers.logging.set_verbosity_error()
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        vocab_size=97, n_embd=HEADS * WIDTH, n_layer=LAYERS, n_head=HEADS, n_inner=HEADS * WIDTH, n_positions=length
    )
    config._attn_implementation = "eager" if mode == "eager" else "sdpa"
    model = transformers.GPT2Model(config).eval()
    ids = torch.randint(0, 97, (1, length))
    with torch.no_grad():
        model(ids[:, :64])
        if mode == "capture":
            trace_run(model, lambda: model(ids[:, :64], use_cache=False))
        before, began = _peak(), time.perf_counter()
        found: dict[str, float] = {}
        if mode == "capture":
            trace = trace_run(model, lambda: model(ids, use_cache=False))
            layers = [layer for part in trace.parts for layer in part.layers]
            kept = [x for layer in layers for x in (layer.q, layer.k, layer.v, layer.lse, layer.vo) if x is not None]
            found["trace"] = sum(x.nbytes for x in kept) / 2**20
            found["error"] = max(layer.errors.model or 0.0 for layer in layers)
        else:
            model(ids, use_cache=False)
        return {**found, "seconds": time.perf_counter() - began, "peak": _peak() - before}


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def apart(mode: str, length: int) -> Any:
    """The same in a process of its own."""
    command = [sys.executable, str(Path(__file__).resolve()), "--mode", mode, "--lengths", str(length)]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "MALLOC_MMAP_THRESHOLD_": str(2**18)}
    output = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return json.loads(output.stdout.splitlines()[-1])


def main() -> None:
    """Measure, print the table and the JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lengths", type=int, nargs="+", default=[512, 1024, 4096])
    parser.add_argument("--mode", choices=MODES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.mode:
        print(json.dumps(measure(options.mode, options.lengths[0])))
        return
    rows: dict[int, Any] = {}
    for length in options.lengths:
        found = {mode: apart(mode, length) for mode in MODES}
        layer = HEADS * length**2 * 4 / 2**20
        above = found["capture"]["peak"] - found["model"]["peak"] - found["capture"]["trace"]
        rows[length] = {"layer_mib": layer, "above_model_mib": above, "layers_above": above / layer, **found}
        seconds = "  ".join(f"{mode} {found[mode]['seconds']:.1f} s" for mode in MODES)
        print(
            f"{length:6} tokens  one layer's weights {layer:7.1f} MiB  capture above the model {above:7.1f} MiB beside "
            f"the trace's {found['capture']['trace']:.1f}  {seconds}  error {found['capture']['error']:.0e}"
        )
    print(json.dumps({"bench": "capture", "lengths": rows}))


if __name__ == "__main__":
    main()
