"""How large is a trace, and how long does it take, beside the weights themselves?

    python bench/trace.py [--tokens 128 512 1024 4096] [--layers 12] [--heads 12] [--width 64]

Random queries, keys and values of a model with 12 layers of 12 heads of 64: the trace (q, k, v, log-sum-exps, every
score, thumbnails; float32) beside the JSON of the weights that BertViz puts into its page, and beside a dump of the
weights in float16. The JSON is computed, not made: its characters per weight are counted on some rows of each layer.
"Digest" is what a capture adds to the model's own time (CPU seconds as well, for machines that others use), "first
head" the time from opening the file to one head's weights; memory is the peak beyond q, k and v (Linux only).

Expected: at 512 tokens q, k and log-sum-exps at least 20 times smaller than the JSON; 4,096 tokens under 1 GB.
A table for people, then one JSON line.
"""

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from memory import forget_peak, peak, resident

from vitrail.trace import Axis, Layer, Provenance, Stream, Trace, finish, load_trace, named
from vitrail.trace.recompute import weight_rows

SAMPLE = 2**17
"""Weights a layer whose characters in JSON are counted."""
MB = 1e6


def json_bytes(layer: Layer) -> float:
    """Characters that a layer's weights have in ``json.dumps``, from some rows of its first head."""
    queries, keys = layer.size
    rows = slice(0, min(queries, max(1, SAMPLE // keys)))
    sample = weight_rows(layer, 0, rows)[0].astype(np.float32)
    return len(json.dumps(sample.tolist())) / sample.size * layer.heads * queries * keys


def measure(tokens: int, layers: int, heads: int, width: int) -> dict[str, float]:
    """One length: sizes in MB, times in seconds."""
    draw = np.random.default_rng(0)
    axis = Axis("tokens", "tokens", tokens, texts=tuple(f" word{place}" for place in range(tokens)))
    parts = tuple(
        Layer(
            f"layer.{place}",
            *(draw.standard_normal((heads, tokens, width), dtype=np.float32) for _ in range(3)),
            scale=width**-0.5,
        )
        for place in range(layers)
    )
    plain = Trace(named([axis]), (Stream("encoder", "tokens", "tokens", parts),), Provenance("random"))
    held = resident()
    forget_peak()
    began, worked = time.perf_counter(), time.process_time()
    trace = finish(plain)
    digested, worked = time.perf_counter(), time.process_time() - worked
    with tempfile.TemporaryDirectory() as folder:
        path = trace.save(Path(folder) / "trace.safetensors")
        saved = time.perf_counter()
        memory = peak() - held
        load_trace(path).weights(layers - 1, heads - 1)
        looked = time.perf_counter()
        size = path.stat().st_size
    counted = layers * heads * tokens * (2 * width * 4 + 4)  # q, k and log-sum-exps in float32
    text = sum(json_bytes(layer) for layer in parts)
    return {
        "tokens": tokens,
        "trace MB": size / MB,
        "q, k, lse MB": counted / MB,
        "JSON MB": text / MB,
        "float16 MB": layers * heads * tokens**2 * 2 / MB,
        "JSON / q, k, lse": text / counted,
        "JSON / trace": text / size,
        "float16 / trace": layers * heads * tokens**2 * 2 / size,
        "digest s": digested - began,
        "digest CPU s": worked,
        "save s": saved - digested,
        "first head s": looked - saved,
        "memory MB": memory,
    }


def main() -> None:
    """Measure, print the table and the JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, nargs="+", default=[128, 512, 1024, 4096])
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--heads", type=int, default=12)
    parser.add_argument("--width", type=int, default=64)
    asked = parser.parse_args()
    rows = [measure(tokens, asked.layers, asked.heads, asked.width) for tokens in asked.tokens]
    print(" | ".join(rows[0]))
    for row in rows:
        print(" | ".join(f"{value:>{len(name)}.{0 if value >= 100 else 2}f}" for name, value in row.items()))
    print(json.dumps({"bench": "trace", "layers": asked.layers, "heads": asked.heads, "rows": rows}))


if __name__ == "__main__":
    main()
