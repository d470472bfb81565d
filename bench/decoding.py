"""How fast are texts written, beside Hugging Face's ``generate`` on the same weights?

    python bench/decoding.py [--rounds 3] [--batch 16] [--source 512] [--tokens 60] [--grow]

A BART of 6 + 6 layers, 512 wide, in float32, with random weights and 8,000 tokens; every text gets all its tokens.
Both take turns in one process; the ratio of each round's times, their median. ``--grow`` adds what a larger batch, more
beams and longer texts cost ours. The tokens of both are compared, too.

Expected on two cores: greedy at least 1.2 times as fast as theirs (target 1.4), beam 4 at least 3 times. A table for
people, then one JSON line.
"""

import argparse
import json
import os
import statistics
import time
import warnings
from collections.abc import Callable

os.environ.setdefault("GOMP_SPINCOUNT", "20000")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
from transformers import BartConfig, BartForConditionalGeneration

from vitrail.text import Decoding, TransformerWriter, decode
from vitrail.text.convert import from_huggingface
from vitrail.train.memory import keep_freed_memory

WORDS, END = 8_000, 2


def build() -> BartForConditionalGeneration:
    """The model, with logits that differ enough to leave few ties."""
    torch.manual_seed(0)
    sizes = {"encoder_attention_heads": 8, "decoder_attention_heads": 8}
    sizes |= {"encoder_ffn_dim": 2048, "decoder_ffn_dim": 2048, "encoder_layers": 6, "decoder_layers": 6}
    config = BartConfig(vocab_size=WORDS, d_model=512, init_std=0.1, forced_eos_token_id=None, **sizes)
    return BartForConditionalGeneration(config).eval()


def sources(count: int, length: int) -> torch.Tensor:
    """Random documents of one length."""
    return torch.randint(3, WORDS, (count, length), generator=torch.Generator().manual_seed(1))


def seconds(work: Callable[[], list[list[int]]]) -> tuple[float, list[list[int]]]:
    """How long something takes, and what it gives."""
    began = time.perf_counter()
    found = work()
    return time.perf_counter() - began, found


@torch.inference_mode()
def main() -> None:
    """Measure, print the table and the JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--source", type=int, default=512)
    parser.add_argument("--tokens", type=int, default=60)
    parser.add_argument("--grow", action="store_true")
    asked = parser.parse_args()
    warnings.filterwarnings("ignore")
    keep_freed_memory()
    theirs = build()
    ours = from_huggingface(theirs).eval()

    def our_texts(batch: int, beams: int, tokens: int) -> list[list[int]]:
        options = Decoding(beams=beams, max_tokens=tokens, min_tokens=tokens - 1, early_stopping=True)
        made = decode(TransformerWriter(ours, sources(batch, asked.source)), options)
        return [texts[0].tokens for texts in made]

    def their_texts(beams: int) -> list[list[int]]:
        found = theirs.generate(
            sources(asked.batch, asked.source),
            num_beams=beams,
            do_sample=False,
            max_new_tokens=asked.tokens,
            min_new_tokens=asked.tokens - 1,
            early_stopping=beams > 1,
        )
        return [row.tolist()[1:] for row in found]

    result: dict[str, float | str] = {"bench": "decoding", "threads": torch.get_num_threads()}
    for name, beams in (("greedy", 1), ("beam 4", 4)):
        ratios, speeds, same = [], [], 0
        for number in range(asked.rounds + 1):
            mine, found = seconds(lambda beams=beams: our_texts(asked.batch, beams, asked.tokens))
            yours, expected = seconds(lambda beams=beams: their_texts(beams))
            if number:  # the first round warms up
                ratios.append(yours / mine)
                speeds.append(asked.batch * asked.tokens / mine)
            same = sum(a == b for a, b in zip(found, expected, strict=True))
        ratio, speed = statistics.median(ratios), statistics.median(speeds)
        print(
            f"{name:8} {speed:7.0f} tokens/s, {ratio:.2f} times Hugging Face's; {same} of {asked.batch} texts the same"
        )
        result |= {f"{name} tokens/s": speed, f"{name} ratio": ratio, f"{name} same": float(same)}
    if asked.grow:
        for batch, beams, tokens in ((1, 1, 60), (4, 1, 60), (64, 1, 60), (16, 1, 240), (16, 2, 60), (16, 8, 60)):
            taken, _ = seconds(lambda batch=batch, beams=beams, tokens=tokens: our_texts(batch, beams, tokens))
            print(f"batch {batch:3}, beams {beams}, {tokens:3} tokens: {batch * tokens / taken:7.0f} tokens/s")
            result[f"{batch} x {beams} x {tokens}"] = batch * tokens / taken
    print(json.dumps(result))


if __name__ == "__main__":
    main()
