"""Which device and which precision a run uses, and why."""

from typing import Literal

import torch

from vitrail.errors import ConfigError

Precision = Literal["float32", "bf16"]


def pick_device(wanted: Literal["auto", "cpu", "cuda"]) -> Literal["cpu", "cuda"]:
    """The kind of device for ``wanted``.

    Raises:
        ConfigError: a GPU is asked for and there is none.
    """
    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if wanted == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device is cuda, but PyTorch finds no GPU on this machine: use --device cpu.")
    return wanted


def pick_precision(wanted: Literal["auto", "float32", "bf16"], device: Literal["cpu", "cuda"]) -> tuple[Precision, str]:
    """The precision for ``wanted`` on ``device``, and the reason in words.

    bf16 pays where matrix products of bf16 are done in hardware: then they are two to three times as fast as float32
    (measured: docs/results.md). Elsewhere PyTorch emulates them, slower than float32.
    """
    if wanted != "auto":
        return wanted, "as asked"
    if device == "cuda":
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return "bf16", "this GPU multiplies bf16 matrices natively"
        return "float32", "this GPU has no native bf16"
    found = [name for name in ("amx_bf16", "avx512_bf16") if torch.cpu.get_capabilities().get(name)]
    if found:
        return "bf16", f"this processor has {found[0]}"
    return "float32", "this processor has neither amx_bf16 nor avx512_bf16"
