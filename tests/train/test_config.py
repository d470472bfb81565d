"""Values that can't be meant, and which differences end a run's continuation."""

import dataclasses
from typing import Any

import pytest
import torch
from train_toy import toy_config

from vitrail.errors import ConfigError
from vitrail.train import TrainConfig
from vitrail.train.config import HOW_NOT_WHAT, match_config
from vitrail.train.precision import pick_device, pick_precision


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("steps", 0, "steps is 0, but must be at least 1: change --steps"),
        ("batch_size", 0, "at least 1: change --batch-size"),
        ("micro_batches", 0, "at least 1"),
        ("lr", 0.0, "a positive number"),
        ("lr", float("nan"), "a positive number"),
        ("muon_lr", -1.0, "a positive number: change --muon-lr"),
        ("weight_decay", -0.1, "0 or more"),
        ("clip", float("inf"), "0 or more"),
        ("betas", (0.9, 1.0), r"in \[0, 1\) each"),
        ("warmup_steps", 41, "at most steps, which is 40"),
        ("warmup_steps", -1, "0 or more"),
        ("final_lr_fraction", 2.0, r"in \[0, 1\]"),
        ("layer_decay", 0.0, r"in \(0, 1\]"),
        ("ema", 1.0, r"in \[0, 1\)"),
        ("optimizer", "sgd", "'sgd', but must be one of adamw, muon"),
        ("schedule", "step", "one of cosine, linear, constant"),
        ("precision", "fp16", "one of auto, float32, bf16"),
        ("device", "tpu", "one of auto, cpu, cuda"),
        ("sharding", "zero", "one of ddp, fsdp"),
        ("log_every", 0, "at least 1"),
        ("save_every", -1, "0 or more"),
        ("evaluate_every", -1, "0 or more"),
        ("seed", -1, "0 or more"),
    ],
)
def test_values_that_cannot_be_meant(field: str, value: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        toy_config(**{field: value})


def test_every_field_is_checked_and_explained() -> None:
    from inspect import getsource

    source = getsource(TrainConfig)
    for field in dataclasses.fields(TrainConfig):
        declared = source.index(f"    {field.name}: ")
        assert source[source.index("\n", declared) :].lstrip().startswith('"""'), field.name


def test_match_config() -> None:
    begun = dataclasses.asdict(toy_config())
    match_config(begun, dataclasses.asdict(toy_config(save_every=1, log_every=1, micro_batches=2)), "run")
    for field in dataclasses.fields(TrainConfig):
        other = {**begun, field.name: "other"}
        if field.name in HOW_NOT_WHAT:
            match_config(begun, other, "run")
        else:
            with pytest.raises(ConfigError, match=f"run was begun with {field.name.replace('_', '-')} "):
                match_config(begun, other, "run")
    with pytest.raises(ConfigError, match="run was begun with depth 4, but now it is 6"):
        match_config({"model": {"depth": 4}}, {"model": {"depth": 6}}, "run")
    with pytest.raises(ConfigError, match="begun with new-one None, but now it is 1"):
        match_config({}, {"new_one": 1}, "run")
    match_config({"shape": [1, 2]}, {"shape": (1, 2)}, "run")


def test_precision_by_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    has: dict[str, bool] = {}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: has)
    assert pick_precision("auto", "cpu") == ("float32", "this processor has neither amx_bf16 nor avx512_bf16")
    has["avx512_bf16"] = True
    assert pick_precision("auto", "cpu") == ("bf16", "this processor has avx512_bf16")
    has["amx_bf16"] = True
    assert pick_precision("auto", "cpu") == ("bf16", "this processor has amx_bf16")
    assert pick_precision("float32", "cpu") == ("float32", "as asked")
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: not including_emulation)
    assert pick_precision("auto", "cuda")[0] == "bf16"
    assert pick_device("auto") == ("cuda" if torch.cuda.is_available() else "cpu")
