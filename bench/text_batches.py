"""How fast does a summarizer train with batches by a budget of tokens, beside batches of 16 as most trainers make them?

    python bench/text_batches.py [--data FILE] [--preset small] [--minutes 2]

On ACL abstracts and titles, the same model and machine, taking turns: batches of a budget of tokens (ours); 16 pairs at
random, padded to their longest; 16 pairs grouped by length as Hugging Face's trainer does (random megabatches of 50
batches, each sorted by the source's length). Target tokens a second and the share of padding, sources and targets.

Expected: ours at least 1.45 times the random batches of 16, and at least as fast as grouping by length. A table for
people, then one JSON line.
"""

import argparse
import json
import os
import time
from pathlib import Path

os.environ.setdefault("GOMP_SPINCOUNT", "20000")

import numpy as np
import torch

from vitrail.data.documents import load_documents
from vitrail.nn.randomness import RowRandom
from vitrail.text.batches import Plan, TokenPairs, collate, make_pairs, plan_by_count, plan_by_tokens
from vitrail.text.objective import SummaryObjective
from vitrail.text.presets import PRESETS
from vitrail.text.tokens import train_tokenizer
from vitrail.text.transformer import Transformer
from vitrail.train.memory import keep_freed_memory

DATA = Path(__file__).parents[2] / "shared/data/summarization/acl_anthology_abstract_title.jsonl.gz"
PAD, START, END = 0, 1, 1


def grouped(pairs: TokenPairs, count: int, seed: int) -> Plan:
    """Batches as ``group_by_length`` of Hugging Face's trainer makes them."""
    order = np.random.default_rng(seed).permutation(len(pairs))
    mega = 50 * count
    rows = [
        row
        for place in range(0, len(order), mega)
        for row in sorted(order[place : place + mega], key=lambda row: -len(pairs.sources[row]))
    ]
    return Plan([np.array(rows[place : place + count]) for place in range(0, len(rows), count)])


def main() -> None:
    """Measure, print the table and the JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=str(DATA))
    parser.add_argument("--preset", default="small", choices=sorted(PRESETS))
    parser.add_argument("--tokens", type=int, default=6000)
    parser.add_argument("--minutes", type=float, default=2)
    asked = parser.parse_args()
    keep_freed_memory()
    texts = load_documents(asked.data)
    tokens = train_tokenizer([*texts.documents[:5000], *texts.summaries[:5000]], 8000)
    pairs = make_pairs(tokens.encode(texts.documents), tokens.encode(texts.summaries), END, 512, 64)
    plans = {
        "by tokens": plan_by_tokens(pairs, asked.tokens, 0, 0),
        "16 at random": plan_by_count(pairs, 16, 0, 0),
        "16 by length": grouped(pairs, 16, 0),
    }
    torch.manual_seed(0)
    objective = SummaryObjective(Transformer(PRESETS[asked.preset](len(tokens))).train(), 0.1)
    optimizer = torch.optim.AdamW(objective.module.parameters(), 1e-4, fused=True)

    def step(rows: np.ndarray) -> int:
        batch = collate(pairs, rows, pad=PAD, start=START)
        with torch.autocast("cpu", torch.bfloat16):
            loss, count, _ = objective.loss(batch, RowRandom(0, 0, batch.rows, batch.total))
        (loss / count).backward()
        optimizer.step()
        optimizer.zero_grad()
        return int(count)

    places, counts, seconds = dict.fromkeys(plans, 0), dict.fromkeys(plans, 0), dict.fromkeys(plans, 0.0)
    end = time.perf_counter() + 60 * asked.minutes
    for plan in plans.values():
        step(plan.batches[-1])  # warms up
    while time.perf_counter() < end:
        for name, plan in plans.items():
            began, count = time.perf_counter(), 0
            while time.perf_counter() < began + 5:
                count += step(plan.batches[places[name] % len(plan.batches)])
                places[name] += 1
            counts[name] += count
            seconds[name] += time.perf_counter() - began
    result: dict[str, float | str] = {
        "bench": "text_batches",
        "preset": asked.preset,
        "threads": torch.get_num_threads(),
    }
    rates = {name: counts[name] / seconds[name] for name in plans}  # not a median: batches of long texts are slower
    for name, plan in plans.items():
        ratio, rate, padding = rates["by tokens"] / rates[name], rates[name], plan.padding(pairs)
        print(f"{name:14} {rate:7.0f} target tokens/s, {padding:.1%} padding; ours is {ratio:.2f} times as fast")
        result |= {name: rate, f"{name} padding": padding, f"ratio to {name}": ratio}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
