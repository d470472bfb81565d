"""A language model that writes and one that fills in, trained on this machine: perplexity beside a 5-gram.

    python bench/language.py {causal,masked,both} [--epochs N] [--optimizer NAME] [--runs FOLDER] [--smoke]

Both are 6 blocks 256 wide (6.9 million parameters), on ACL abstracts with their titles, docstrings of installed
packages, and WikiText-2's validation file; tested on what each keeps for tests: the ACL test part, a twentieth of the
docstrings, WikiText-2's test file. The last tenth of WikiText's validation file is looked at while training.

causal   perplexity a token and nats a character of all test tokens, each after what is before it
masked   of 2,000 test tokens, each between what is on both sides of it; and with 15% hidden at once

A run that was cut off goes on where it was. ``--smoke`` takes WikiText alone and few steps, to see the loss fall.
Expected: both below the 5-gram, with intervals apart. A table for people, then one JSON line.
"""

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("GOMP_SPINCOUNT", "20000")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import vitrail as vt

DATA = Path(__file__).parents[2] / "shared" / "data"
EPOCHS = {"causal": 4, "masked": 8}


def wikitext(folder: Path) -> Path:
    """WikiText-2's two files as three parts: nine tenths of the one, its last tenth, and the other."""
    whole = (DATA / "text" / "wikitext-2_valid.txt").read_text(encoding="utf-8")
    edge = whole.rfind("\n", 0, len(whole) * 9 // 10) + 1
    test = (DATA / "text" / "wikitext-2_test.txt").read_text(encoding="utf-8")
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in (("train", whole[:edge]), ("valid", whole[edge:]), ("test", test)):
        (folder / f"wikitext-2_{name}.txt").write_text(text, encoding="utf-8")
    return folder


def report(event: object) -> None:
    """A line an event, but for most of the steps."""
    step = getattr(event, "step", 0)
    if type(event).__name__ != "StepDone" or step % 250 == 0:
        print("   ", event, flush=True)


def trained(objective: str, asked: argparse.Namespace) -> dict[str, Any]:
    """Train one, or go on with it; its figures on test texts."""
    folder = asked.runs / ("smoke" if asked.smoke else "full")
    texts = str(wikitext(asked.runs / "wikitext"))
    options: dict[str, Any] = {"epochs": asked.epochs or EPOCHS[objective], "batch_size": 8192, "save_every": 100}
    if asked.smoke:
        options |= {"epochs": asked.epochs or 2, "batch_size": 2048, "length": 128, "vocabulary": 4000}
    else:
        abstracts = DATA / "summarization" / "acl_anthology_abstract_title.jsonl.gz"
        texts = f"{texts},{abstracts},docstrings"
    began, processor = time.monotonic(), time.process_time()
    done = vt.train(
        "lm",
        data=texts,
        run=folder / objective,
        objective=objective,
        report=report,
        optimizer=asked.optimizer,
        lr=asked.lr,
        dropout=0.0,
        warmup_epochs=0.5,
        **options,
    )
    if not done.finished:
        raise SystemExit(1)
    seconds = {"seconds": time.monotonic() - began, "cpu_seconds": time.process_time() - processor}
    return {**done.evaluation, "parameters": done.parameters, "run": str(done.folder), "this_session": seconds}


def main() -> None:
    """Train, print the table and the JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["causal", "masked", "both"])
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--optimizer", default="muon", choices=["adamw", "muon"])
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--runs", type=Path, default=Path("runs/language"))
    parser.add_argument("--smoke", action="store_true")
    asked = parser.parse_args()
    result: dict[str, Any] = {"bench": "language", "smoke": asked.smoke}
    for objective in ("causal", "masked") if asked.what == "both" else (asked.what,):
        result[objective] = found = trained(objective, asked)
        parts = {**{Path(name).name: part for name, part in found["sources"].items()}, "all": found["all"]}
        for part, figures in parts.items():
            print(f"{objective}, {part}: {figures['asked']:,} of {figures['tokens']:,} tokens")
            for by, measures in figures["by"].items():
                perplexity, characters = measures["perplexity"], measures["nats_per_character"]
                print(
                    f"    {by:14} perplexity {perplexity['mean']:8.1f} ({perplexity['low']:.1f} to "
                    f"{perplexity['high']:.1f}), {characters['mean']:.3f} nats a character"
                )
            for other, less in figures["model_less"].items():
                print(f"    less than {other}: {less['mean']:+.3f} ({less['low']:+.3f} to {less['high']:+.3f}) nats")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
