"""How fast does a masked autoencoder pretrain, beside Hugging Face's of the same size, and how near to the peak?

    python bench/mae_speed.py [--rounds 12] [--batch 128]

One optimizer step (forward, backward, fused AdamW) of ``MaskedAutoencoder`` and of ``ViTMAEForPreTraining`` with the
same sizes, batch, noise and targets; Hugging Face with sdpa and with eager attention, each in float32 and under bf16
autocast. All take turns in one process, so that a busy moment meets them all; rates and ratios are medians over the
rounds. The peak is the best of three cubic matrix products in the same run. The share of it counts six floating-point
operations for each multiply-add of our forward pass (``vitrail.nn.cost``): forward one, backward two, each a product
and a sum.

Expected, at the same precision: at least 1.05 times the better of Hugging Face's two in float32, and 1.25 in bf16.
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable

os.environ.setdefault("GOMP_SPINCOUNT", "20000")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
from torch import Tensor, nn

from vitrail.nn.cost import multiply_adds
from vitrail.train.memory import keep_freed_memory
from vitrail.vision import MAEConfig, MaskedAutoencoder, ViTConfig

ENCODER = ViTConfig(32, 4, 3, dim=256, depth=4, heads=4, mlp_dim=1024, positions="sincos", norm_eps=1e-12)
SIZE = MAEConfig(ENCODER, decoder_dim=128, decoder_depth=2, decoder_heads=4, decoder_mlp_dim=512)
PRECISIONS = {"float32": torch.float32, "bf16": torch.bfloat16}


def hugging_face(attention: str) -> nn.Module:
    """Their model of the same size, with the attention of that name in encoder and decoder."""
    from transformers import ViTMAEConfig, ViTMAEForPreTraining

    config = ViTMAEConfig(
        hidden_size=ENCODER.dim,
        num_hidden_layers=ENCODER.depth,
        num_attention_heads=ENCODER.heads,
        intermediate_size=ENCODER.mlp_dim,
        image_size=32,
        patch_size=4,
        decoder_hidden_size=SIZE.decoder_dim,
        decoder_num_hidden_layers=SIZE.decoder_depth,
        decoder_num_attention_heads=SIZE.decoder_heads,
        decoder_intermediate_size=SIZE.decoder_mlp_dim,
        mask_ratio=SIZE.mask_ratio,
        norm_pix_loss=SIZE.norm_pix,
    )
    return ViTMAEForPreTraining._from_config(config, attn_implementation=attention).train()


def stepper(model: nn.Module, loss: Callable[[], Tensor], precision: torch.dtype) -> Callable[[], None]:
    """One optimizer step as a function."""
    optimizer = torch.optim.AdamW(model.parameters(), 1e-4, fused=True)

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == torch.bfloat16):
            value = loss()
        value.backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def peak(precision: torch.dtype) -> float:
    """The best matrix product of three sizes, in floating-point operations a second."""
    best = 0.0
    for size in (1024, 2048, 4096):
        a, b = torch.randn(2, size, size).to(precision)
        a @ b
        for _ in range(3):
            began = time.perf_counter()
            a @ b
            best = max(best, 2 * size**3 / (time.perf_counter() - began))
    return best


def main() -> None:
    """Measure, print the table and the JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--steps", type=int, default=2, help="steps a turn")
    asked = parser.parse_args()
    keep_freed_memory()
    torch.manual_seed(0)
    images, noise = torch.randn(asked.batch, 3, 32, 32), torch.rand(asked.batch, SIZE.patches)
    ours, sdpa, eager = MaskedAutoencoder(SIZE), hugging_face("sdpa"), hugging_face("eager")
    losses: dict[str, tuple[nn.Module, Callable[[], Tensor]]] = {
        "vitrail": (ours, lambda: ours(images, noise).loss),
        "Hugging Face sdpa": (sdpa, lambda: sdpa(images, noise=noise).loss),
        "Hugging Face eager": (eager, lambda: eager(images, noise=noise).loss),
    }
    steps = {
        (name, precision): stepper(model, loss, PRECISIONS[precision])
        for precision in PRECISIONS
        for name, (model, loss) in losses.items()
    }
    for step in steps.values():
        step()
    times: dict[tuple[str, str], list[float]] = {key: [] for key in steps}
    peaks: dict[str, list[float]] = {precision: [] for precision in PRECISIONS}
    turns = list(steps.items())
    for _ in range(asked.rounds):
        for precision, dtype in PRECISIONS.items():
            peaks[precision].append(peak(dtype))
        turns = turns[1:] + turns[:1]  # whoever comes after the large products finds cold caches: each in turn
        for key, step in turns:
            step()
            began = time.perf_counter()
            for _ in range(asked.steps):
                step()
            times[key].append((time.perf_counter() - began) / asked.steps)
    result: dict[str, float | str] = {
        "bench": "mae_speed",
        "threads": torch.get_num_threads(),
        "load": os.getloadavg()[0],
    }
    rates = {key: asked.batch / statistics.median(values) for key, values in times.items()}
    for precision in PRECISIONS:
        best = max(peaks[precision])
        share = rates["vitrail", precision] * 6 * multiply_adds(ours, images[:1], noise[:1]).total / best
        for name in losses:
            print(f"{precision:8} {name:20} {rates[name, precision]:8.0f} images/s")
        # Side by side: each round's ratio, for the machine is faster in one minute than in the next.
        ratio = min(
            statistics.median(theirs / own for own, theirs in zip(times["vitrail", precision], other, strict=True))
            for (name, at), other in times.items()
            if at == precision and name != "vitrail"
        )
        print(f"{precision:8} ratio {ratio:.2f}; {share:.0%} of the peak, {best / 1e9:.0f} GFLOP/s")
        result |= {
            f"{precision}_ratio": ratio,
            f"{precision}_images_per_second": rates["vitrail", precision],
            f"{precision}_peak_share": share,
        }
    best_mode = max(rates["vitrail", at] for at in PRECISIONS)
    plain = max(rate for (name, at), rate in rates.items() if at == "float32" and name != "vitrail")
    print(f"our best mode beside their float32: {best_mode / plain:.2f}")
    print(json.dumps({**result, "best_mode_over_their_float32": best_mode / plain}))


if __name__ == "__main__":
    main()
