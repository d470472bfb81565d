"""Models larger than memory: Accelerate fetches each map from the disk when it is called, and capture holds no more."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers as hf
from accelerate import cpu_offload, disk_offload
from capture_models import SMALL, bart, wordpiece
from torch import nn
from torch.overrides import TorchFunctionMode

from vitrail.capture import Call, Wishes, attend, record_attention
from vitrail.trace import Trace

TEXT = "the dog ran to the park"


def llama() -> Any:
    torch.manual_seed(0)
    return hf.LlamaForCausalLM(hf.LlamaConfig(**{**SMALL, "num_hidden_layers": 5})).eval()


def held(model: nn.Module) -> int:
    """Numbers of parameters that are in memory."""
    return sum(x.numel() for x in model.parameters() if not x.is_meta)


def same(ours: Trace, theirs: Trace) -> None:
    assert ours.streams == theirs.streams
    for mine, yours in zip(ours.parts, theirs.parts, strict=True):
        for layer, other in zip(mine.layers, yours.layers, strict=True):
            for name in ("q", "k", "v", "vo", "hidden", "lse"):
                assert np.array_equal(getattr(layer, name), getattr(other, name)), name
            assert other.errors.model is not None
            assert other.errors.model <= 1e-6


@pytest.mark.parametrize("name", ["llama", "bart"])
def test_a_model_on_the_disk_gives_the_same_trace(name: str, tmp_path: Path) -> None:
    make, target = (llama, None) if name == "llama" else (bart, "a cat ran")
    wishes = Wishes(hidden=True, predictions=True)
    expected = attend(make(), wordpiece(), TEXT, target=target, wishes=wishes)
    model = make()
    disk_offload(model, str(tmp_path), execution_device=torch.device("cpu"))
    assert held(model) == 0
    found = attend(model, wordpiece(), TEXT, target=target, wishes=wishes)
    same(expected, found)
    assert held(model) == 0
    ours, theirs = (trace.parts[-1 if name == "llama" else 1].predictions for trace in (expected, found))
    assert ours is not None
    assert theirs is not None
    assert np.array_equal(ours.choices, theirs.choices)


def test_a_model_beside_the_device_gives_the_same_trace() -> None:
    model = llama()
    expected = attend(model, wordpiece(), TEXT, wishes=Wishes(hidden=True))
    cpu_offload(model, torch.device("cpu"))
    same(expected, attend(model, wordpiece(), TEXT, wishes=Wishes(hidden=True)))


class Looking(TorchFunctionMode):
    """Notes at every torch function how much of a model is in memory."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model, self.most = model, 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.most = max(self.most, held(self.model))
        return func(*args, **(kwargs or {}))


def test_one_map_is_in_memory_at_a_time(tmp_path: Path) -> None:
    model = llama()
    largest = max(sum(x.numel() for x in part.parameters(recurse=False)) for part in model.modules())
    disk_offload(model, str(tmp_path), execution_device=torch.device("cpu"))
    calls: list[Call] = []
    with torch.no_grad(), Looking(model) as looking, record_attention(model, each=calls.append):
        model(torch.tensor([[2, 5, 6, 7, 3]]))
    assert len(calls) == 5
    assert 0 < looking.most <= largest


PROGRAM = """
import sys, time, torch, transformers as hf
from vitrail.capture import trace_run
from vitrail.trace import Axis
folder, where = sys.argv[1:]
hf.utils.logging.disable_progress_bar()
if where == "built":
    sizes = dict(vocab_size=101, hidden_size=512, intermediate_size=2048, num_attention_heads=8, num_key_value_heads=8)
    hf.LlamaForCausalLM(hf.LlamaConfig(**sizes, num_hidden_layers=16)).save_pretrained(folder)
    sys.exit()
disk = {"device_map": {"": "disk"}, "offload_folder": folder} if where == "disk" else {}
model = hf.LlamaForCausalLM.from_pretrained(folder, **disk).eval()
ids = torch.randint(0, 101, (1, 128))
with torch.no_grad():
    model(ids)

def memory(name):
    with open("/proc/self/status") as file:
        (line,) = [line for line in file if line.startswith(name)]
    return int(line.split()[1]) / 1024

def peak(run):
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")  # the peak is counted from here
    run()
    return memory("VmHWM")

def plain():
    with torch.no_grad():
        model(ids)

def captured():
    trace_run(model, lambda: model(ids), lambda *_: Axis("tokens", "tokens", 128))

print(peak(plain), peak(captured))
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux's count of memory")
def test_the_peak_of_a_model_on_the_disk(tmp_path: Path) -> None:
    """16 layers of 16 MiB, at 128 tokens: the whole process, PyTorch and transformers with it."""

    def peaks(where: str) -> list[float]:
        """MiB while the model runs as it is, and while it is captured."""
        command = [sys.executable, "-W", "ignore", "-c", PROGRAM, str(tmp_path), where]
        environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
        return [float(word) for word in done.stdout.split()]

    peaks("built")
    in_memory, on_disk = peaks("memory"), peaks("disk")
    print(f"as it is and captured: in memory {in_memory}, on the disk {on_disk} MiB")
    assert on_disk[0] < in_memory[0] - 10 * 16, "most of the model isn't in memory"
    assert on_disk[1] < on_disk[0] + 3 * 16, "capturing adds a trace and one layer at a time"
