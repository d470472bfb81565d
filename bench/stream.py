"""Does the memory of ``vitrail summarize`` stay as it is, however long the stream of documents is?

    python bench/stream.py [--lines 1000000] [--run FOLDER]

A stream of short lines goes through ``vitrail summarize RUN -``, 256 documents at a time, greedy, at most 4 tokens
each; at every tenth of the way the process's resident memory is read. Without ``--run`` a tiny model is made first, on
the embedded docstrings: what is measured is the way of the stream, not what is written.

Expected: after the last line not a tenth more than after the first tenth; a summary for each line. A table for people,
then one JSON line.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import IO

from vitrail.recipes import summarizer
from vitrail.recipes.summarizer import SummarizerRecipe

OPTIONS = ("--batch", "256", "--beams", "1", "--max-tokens", "4", "--no-repeat-ngram", "0", "--read", "lines")


def pour(lines: int, stream: IO[bytes]) -> None:
    """All lines, each another."""
    with stream:
        for number in range(lines):
            stream.write(b"Return the number %d of the items that were read.\n" % number)


def resident(process: int) -> float:
    """Megabytes that a process holds in memory."""
    status = Path(f"/proc/{process}/status").read_text()
    return next(int(line.split()[1]) / 1e3 for line in status.splitlines() if line.startswith("VmRSS"))


def main() -> None:
    """Measure, print the table and the JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--run", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as kept:
        run = asked.run
        if run is None:
            run = Path(kept) / "run"
            summarizer.run(SummarizerRecipe(run=run, preset="tiny", epochs=1, longest_document=32, test=0))
        command = [sys.executable, "-m", "vitrail", "summarize", str(run), "-", *OPTIONS]
        began = time.perf_counter()
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            threading.Thread(target=pour, args=(asked.lines, process.stdin), daemon=True).start()
            held, step = [], max(asked.lines // 10, 1)
            for written, _ in enumerate(process.stdout, start=1):
                if written % step == 0 and written < asked.lines:
                    held.append(resident(process.pid))
                    seconds = time.perf_counter() - began
                    print(f"{written:9,} lines  {held[-1]:7.0f} MB  {written / seconds:7.0f} lines/s", flush=True)
        if process.returncode or written != asked.lines:
            raise SystemExit(f"{written:,} summaries of {asked.lines:,} lines, exit code {process.returncode}")
    result = {"bench": "stream", "lines": asked.lines, "megabytes": held, "growth": held[-1] / held[0]}
    print(f"{asked.lines:,} lines, as many summaries; memory grew {result['growth']:.3f} times")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
