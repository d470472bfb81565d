"""Which architectures can be looked into? All that transformers can build from a config, one by one.

    python bench/reach.py [--only TYPE…] [--again STATUS…] [--limit N]

Every type that has a base model is built tiny with random weights, run once as it is, once recorded, and once under
its own eager attention in a second copy. Captured: queries, keys, values, masks and weights of every layer that ran,
weights within 1e-6 of its own, recomputed from queries and keys within 1e-5, nothing left behind; outputs the same to
the bit as one of the model's own paths, and within 1e-6 (of the largest number, where that is above 1) of the path that
it takes by itself. Where that is a fused kernel and ours its eager formula, float32 sums come in another order: where
this makes more than 1e-6, the output must be as near to that of the same model in float64 as the model itself comes.
Processes are short-lived, so one crash ends nothing; what is done is kept in
``results/reach/reach.json`` and not done again. A table for people (``results/reach/README.md``), then one JSON line.
Expected: at least 340 captured, none that differs.
"""

import argparse
import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
RESULTS = HERE.parent / "results" / "reach"
BATCH, SECONDS = 40, 150
ORDER = (
    "captured",
    "two paths",
    "weights only",
    "partly",
    "refused",
    "differs",
    "failed",
    "no attention",
    "not run",
    "not built",
)
MEANING = {
    "captured": "queries, keys, values, masks and weights of every layer",
    "two paths": "the same as its own eager path to the bit, but its own fused path gives something else",
    "weights only": "weights of every layer; queries and keys of some could not be had, or don't give the weights",
    "partly": "some attention in it is refused by name, or a part (vision, sound) could not be run tiny",
    "refused": "attention that has no weights to show",
    "differs": "weights or outputs differ from its own attention: a fault of ours",
    "failed": "could not be recorded: a fault of ours",
    "no attention": "computes none (convolutions, state spaces, …)",
    "not run": "no input was found that its tiny version takes",
    "not built": "could not be built tiny",
}


def all_types() -> list[str]:
    """Every type with a base model."""
    from transformers import MODEL_MAPPING
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    found = []
    for kind in CONFIG_MAPPING:
        try:
            if CONFIG_MAPPING[kind] in MODEL_MAPPING:
                found.append(kind)
        except Exception:  # a module that needs a package that isn't here
            continue
    return sorted(set(found))


def work(kinds: list[str]) -> None:
    """Inside a worker: one JSON line before and one after each type."""
    import torch
    from reach_one import measure
    from transformers import logging

    logging.set_verbosity_error()
    torch.set_num_threads(1)
    for kind in kinds:
        print(json.dumps({"start": kind}), flush=True)
        began = time.perf_counter()
        row = measure(kind)
        print(json.dumps({"done": kind, "row": {**row, "seconds": round(time.perf_counter() - began, 2)}}), flush=True)


def run_batch(kinds: list[str], done: dict[str, Any]) -> None:
    """A worker for some types; where it crashes or hangs, that type is written down and the rest go to the next."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, __file__, "--work", *kinds]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment)
    lines: queue.Queue[str | None] = queue.Queue()

    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            lines.put(line)
        lines.put(None)

    threading.Thread(target=read, daemon=True).start()
    current = kinds[0]
    while True:
        try:
            line = lines.get(timeout=SECONDS)
        except queue.Empty:
            process.kill()
            done[current] = {"status": "failed", "why": f"took more than {SECONDS} s"}
            break
        if line is None:
            if process.wait() != 0 and current not in done:
                done[current] = {"status": "failed", "why": f"ended the process with {process.returncode}"}
            break
        if not line.startswith("{"):
            continue
        message = json.loads(line)
        current = message.get("start", current)
        if "done" in message:
            done[message["done"]] = message["row"]
    process.wait()


def table(done: dict[str, Any], version: str) -> str:
    """The README of the results."""
    counts = Counter(row["status"] for row in done.values())
    files = {row["file"] for row in done.values() if row["status"] == "captured"}
    lines = [
        "# Reach: which architectures can be looked into",
        "",
        f"All {len(done)} types of transformers {version} that have a base model, tiny, with random weights, in",
        "float32. Written by `python bench/reach.py`.",
        "",
        "| | types | |",
        "|---|---|---|",
        *(f"| {status} | {counts[status]} | {MEANING[status]} |" for status in ORDER if counts[status]),
        "",
        f"The captured ones are of {len(files)} modelling files.",
        "",
        *outputs(done),
        "| type | result | layers | heard by | weights differ by | outputs differ by | why |",
        "|---|---|---|---|---|---|---|",
    ]
    for kind, row in sorted(done.items(), key=lambda item: (ORDER.index(item[1]["status"]), item[0])):
        why = row.get("why", "") or "; ".join(f"{name}: {reason}" for name, reason in row.get("missed", {}).items())
        cells = [kind, row["status"], row.get("layers", ""), ", ".join(row.get("heard by", []))]
        cells += [_number(row.get(name)) for name in ("weights differ", "outputs differ")]
        lines.append("| " + " | ".join(str(cell) for cell in [*cells, why[:160].replace("|", "/")]) + " |")
    return "\n".join(lines) + "\n"


def outputs(done: dict[str, Any]) -> list[str]:
    """What is said of the outputs of what was captured."""
    captured = {kind: row for kind, row in done.items() if row["status"] == "captured"}
    same = sum(row["outputs differ"] == 0 for row in captured.values())
    eager = sum(row["outputs differ"] != 0 and row.get("eager outputs differ") == 0 for row in captured.values())
    apart = {kind: row for kind, row in captured.items() if row["outputs differ"] > 1e-6}
    lines = [
        "Outputs while recording, beside those of the same model without: differences are relative to the largest",
        f"number of a tensor where that is above 1. {same} models give the same to the bit. {eager} take their own",
        "eager formula in place of a fused kernel: they give, to the bit, what they give when they are set to",
        f'"eager", and that is within 1e-6 of what they give by themselves, but for {len(apart)}:',
        "",
        "| type | outputs differ by | from float64, as it is | from float64, recorded |",
        "|---|---|---|---|",
    ]
    for kind, row in sorted(apart.items()):
        found = row["from float64"]
        cells = [kind, *(f"{x:.1e}" for x in (row["outputs differ"], found["as it is"], found["recorded"]))]
        lines.append(f"| {' | '.join(cells)} |")
    return [
        *lines,
        "",
        "There float32 leaves no more: both runs are that far from the same model in float64 (the last two columns),",
        "and none is more than twice as far from it recorded as it is by itself.",
        "",
    ]


def _number(value: float | None) -> str:
    return "" if value is None else "0" if value == 0 else f"{value:.1e}"


def main() -> None:
    """Go through what is missing, then write the table and print the JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", nargs="+", help=argparse.SUPPRESS)
    parser.add_argument("--only", nargs="+", help="these types, also if they are done")
    parser.add_argument("--again", nargs="+", default=[], help="types with this status once more")
    parser.add_argument("--limit", type=int, help="at most so many")
    options = parser.parse_args()
    if options.work:
        work(options.work)
        return
    import transformers

    RESULTS.mkdir(parents=True, exist_ok=True)
    file = RESULTS / "reach.json"
    done: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    kinds = options.only or [kind for kind in all_types() if kind not in done or done[kind]["status"] in options.again]
    todo = kinds[: options.limit]
    began = time.perf_counter()
    while todo:
        fresh: dict[str, Any] = {}
        run_batch(todo[:BATCH], fresh)
        done |= fresh
        todo = [kind for kind in todo if kind not in fresh]
        beside = file.with_suffix(".tmp")
        beside.write_text(json.dumps(dict(sorted(done.items())), indent=1) + "\n")
        os.replace(beside, file)
        print(f"{len(todo)} left after {time.perf_counter() - began:.0f} s", flush=True)
        if not fresh:
            break
    (RESULTS / "README.md").write_text(table(done, transformers.__version__))
    counts = Counter(row["status"] for row in done.values())
    for status in ORDER:
        print(f"{status:14} {counts[status]:4}  {MEANING[status]}")
    captured = [row for row in done.values() if row["status"] == "captured"]
    largest = {
        name: max((row[name] or 0 for row in captured), default=None) for name in ("weights differ", "outputs differ")
    }
    print(json.dumps({"bench": "reach", "types": len(done), **{s: counts[s] for s in ORDER}, "largest": largest}))


if __name__ == "__main__":
    main()
