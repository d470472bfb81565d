"""How fast are texts written, beside Hugging Face's ``generate`` on the same weights?

    python bench/decoding.py [--rounds 3] [--batch 16] [--source 512] [--tokens 60] [--grow]

A BART of 6 + 6 layers, 512 wide, in float32, with random weights and 8,000 tokens; every text gets all its tokens.
All take turns in one process: ours, CTranslate2 with weights of 32 and of 8 bits (where it is installed, with as many
threads as PyTorch), and theirs; the ratio of each round's times, their median. ``--grow`` adds what a larger batch,
more beams and longer texts cost ours. The tokens are compared, too; those of 8 bits are others.

Expected on two cores: greedy at least 1.2 times as fast as theirs (target 1.4), beam 4 at least 3 times, and with
CTranslate2's 8 bits at least 6 times. A table for people, then one JSON line.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

os.environ.setdefault("GOMP_SPINCOUNT", "20000")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
from tokenizers import Tokenizer, models
from transformers import BartConfig, BartForConditionalGeneration

from vitrail.text import Decoding, Transformer
from vitrail.text.convert import from_huggingface
from vitrail.text.ctranslate2 import Quantization, to_ctranslate2
from vitrail.text.ctranslate2_engine import CTranslate2Engine
from vitrail.text.engines import Engine, TorchEngine
from vitrail.text.tokens import Tokens
from vitrail.train.memory import keep_freed_memory

WORDS, END = 8_000, 2

Texts = list[list[int]]


def build() -> BartForConditionalGeneration:
    """The model, with logits that differ enough to leave few ties."""
    torch.manual_seed(0)
    sizes = {"encoder_attention_heads": 8, "decoder_attention_heads": 8}
    sizes |= {"encoder_ffn_dim": 2048, "decoder_ffn_dim": 2048, "encoder_layers": 6, "decoder_layers": 6}
    config = BartConfig(vocab_size=WORDS, d_model=512, init_std=0.1, forced_eos_token_id=None, **sizes)
    return BartForConditionalGeneration(config).eval()


def engines(model: Transformer, folder: Path, *, alone: bool) -> dict[str, Engine]:
    """What writes: our own decoding, and CTranslate2 where it is installed."""
    found: dict[str, Engine] = {"ours": TorchEngine(model), "ours bf16": TorchEngine(model, "bf16")}
    if not alone and find_spec("ctranslate2") is not None:
        names = Tokenizer(models.WordLevel({str(place): place for place in range(WORDS)}, unk_token="0"))
        quantizations: tuple[Quantization, ...] = ("float32", "int8")
        for quantization in quantizations:
            to_ctranslate2(model, Tokens(names, pad=1, start=END, end=END), folder / quantization, quantization)
            found[f"CTranslate2 {quantization}"] = CTranslate2Engine(folder / quantization)
    return found


def sources(count: int, length: int) -> torch.Tensor:
    """Random documents of one length."""
    return torch.randint(3, WORDS, (count, length), generator=torch.Generator().manual_seed(1))


def seconds(work: Callable[[], Texts]) -> tuple[float, Texts]:
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
    parser.add_argument("--alone", action="store_true", help="without CTranslate2, whose threads may be in the way")
    asked = parser.parse_args()
    warnings.filterwarnings("ignore")
    keep_freed_memory()
    theirs = build()
    model = from_huggingface(theirs).eval()
    kept = tempfile.TemporaryDirectory()
    writers = engines(model, Path(kept.name), alone=asked.alone)

    def texts(name: str, batch: int, beams: int, tokens: int) -> Texts:
        options = Decoding(beams=beams, max_tokens=tokens, min_tokens=tokens - 1, early_stopping=True)
        return writers[name].prepare(options)(sources(batch, asked.source).tolist())

    def their_texts(beams: int) -> Texts:
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
    for kind, beams in (("greedy", 1), ("beam 4", 4)):
        ratios: dict[str, list[float]] = {name: [] for name in writers}
        speeds: dict[str, list[float]] = {name: [] for name in writers}
        same = dict.fromkeys(writers, 0)
        for number in range(asked.rounds + 1):
            found = {
                name: seconds(lambda name=name, beams=beams: texts(name, asked.batch, beams, asked.tokens))
                for name in writers
            }
            yours, expected = seconds(lambda beams=beams: their_texts(beams))
            for name, (mine, written) in found.items():
                if number:  # the first round warms up
                    ratios[name].append(yours / mine)
                    speeds[name].append(asked.batch * asked.tokens / mine)
                same[name] = sum(a == b for a, b in zip(written, expected, strict=True))
        for name in writers:
            ratio, speed = statistics.median(ratios[name]), statistics.median(speeds[name])
            print(
                f"{kind:8} {name:20} {speed:7.0f} tokens/s, {ratio:5.2f} times Hugging Face's; {same[name]} of "
                f"{asked.batch} texts the same"
            )
            label = kind if name == "ours" else f"{kind} {name}"
            result |= {f"{label} tokens/s": speed, f"{label} ratio": ratio, f"{label} same": float(same[name])}
    if asked.grow:
        for batch, beams, tokens in ((1, 1, 60), (4, 1, 60), (64, 1, 60), (16, 1, 240), (16, 2, 60), (16, 8, 60)):
            taken, _ = seconds(lambda batch=batch, beams=beams, tokens=tokens: texts("ours", batch, beams, tokens))
            print(f"batch {batch:3}, beams {beams}, {tokens:3} tokens: {batch * tokens / taken:7.0f} tokens/s")
            result[f"{batch} x {beams} x {tokens}"] = batch * tokens / taken
    kept.cleanup()
    print(json.dumps(result))


if __name__ == "__main__":
    main()
