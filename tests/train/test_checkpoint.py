"""Damage: a checkpoint that isn't whole is never loaded and never takes the place of one that is."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from train_toy import ToyBatches, ToyNet, ToyObjective, toy_config

from vitrail.errors import CheckpointError, ConfigError
from vitrail.train import TrainConfig, load_weights, read_config, train
from vitrail.train.checkpoint import PREVIOUS, STATE, TRAILER_BYTES, Checkpoints, is_whole, load_state
from vitrail.train.events import Event, Resumed
from vitrail.train.weights import WEIGHTS, save_weights


def state(step: int) -> dict[str, object]:
    return {"step": step, "x": torch.arange(3.0) + step, "deep": {"tuple": (1, 2.5, None)}}


@pytest.fixture
def two(tmp_path: Path) -> Path:
    """A folder with generations 1 and 2."""
    checkpoints = Checkpoints(tmp_path)
    assert checkpoints.find() is None
    for step in (1, 2):
        checkpoints.save(state(step))
    return tmp_path


def damages(content: bytes) -> Iterator[bytes]:
    """The file cut at every length, and with every byte changed (one bit, another each time)."""
    for length in range(len(content)):
        yield content[:length]
    for place in range(len(content)):
        yield content[:place] + bytes([content[place] ^ (1 << place % 8)]) + content[place + 1 :]
    yield content + b"\0"


def test_generations(two: Path) -> None:
    assert load_state(two / STATE)["step"] == 2
    assert load_state(two / PREVIOUS)["step"] == 1
    assert sorted(path.name for path in two.iterdir()) == [PREVIOUS, STATE]
    plain = torch.load(two / STATE, weights_only=True)  # readable without Vitrail
    assert plain["deep"] == {"tuple": (1, 2.5, None)}


def test_any_damage_is_seen(tmp_path: Path) -> None:
    content = Checkpoints(tmp_path).save({"step": 1}).read_bytes()
    victim = tmp_path / "victim.pt"
    seen = 0
    for damaged in damages(content):
        victim.write_bytes(damaged)
        assert not is_whole(victim)
        seen += 1
    assert seen == 2 * len(content) + 1
    with pytest.raises(CheckpointError, match=r"victim.pt is damaged .* put back a copy, or delete it"):
        load_state(victim)
    victim.write_bytes(content)
    assert is_whole(victim)


def test_a_damaged_latest_falls_back_and_spares_the_good_one(two: Path) -> None:
    latest = two / STATE
    content = latest.read_bytes()
    for length in range(0, len(content), 97):
        latest.write_bytes(content[:length])
        checkpoints = Checkpoints(two)
        assert checkpoints.find() == two / PREVIOUS
        assert checkpoints.damaged == latest
        assert load_state(two / PREVIOUS)["step"] == 1
    checkpoints.save(state(3))
    assert load_state(latest)["step"] == 3
    assert load_state(two / PREVIOUS)["step"] == 1  # and not the damaged one
    checkpoints.save(state(4))
    assert [load_state(two / name)["step"] for name in (STATE, PREVIOUS)] == [4, 3]


def test_a_missing_latest_falls_back(two: Path) -> None:
    (two / STATE).unlink()  # killed between the two renames
    checkpoints = Checkpoints(two)
    assert checkpoints.find() == two / PREVIOUS
    checkpoints.save(state(3))
    assert [load_state(two / name)["step"] for name in (STATE, PREVIOUS)] == [3, 1]


def test_all_damaged_is_an_error_and_deletes_nothing(two: Path) -> None:
    for name in (STATE, PREVIOUS):
        (two / name).write_bytes((two / name).read_bytes()[:-TRAILER_BYTES])
    before = {path: path.read_bytes() for path in two.iterdir()}
    with pytest.raises(CheckpointError, match=r"state.pt and .*state.previous.pt are damaged .* delete what is there"):
        Checkpoints(two).find()
    assert {path: path.read_bytes() for path in two.iterdir()} == before


def test_code_in_a_checkpoint_is_not_run(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (Path(tmp_path / "pwned"),)  # type: ignore[return-value]

    Checkpoints(tmp_path).save({"step": 1, "evil": Evil()})
    with pytest.raises(CheckpointError, match="holds more than tensors and plain values"):
        load_state(tmp_path / STATE)
    assert not (tmp_path / "pwned").exists()


def test_weights_any_damage_is_seen(tmp_path: Path) -> None:
    shared = torch.arange(4.0)
    tensors = {"b": torch.ones(2, 3, dtype=torch.bfloat16), "a": shared, "twin": shared, "n": torch.tensor(5)}
    save_weights(tmp_path / WEIGHTS, tensors)
    read = load_weights(tmp_path)
    assert read.keys() == tensors.keys()
    assert all(torch.equal(read[name], tensors[name]) and read[name].dtype == tensors[name].dtype for name in read)
    from safetensors.torch import load_file

    assert load_file(tmp_path / WEIGHTS).keys() == tensors.keys()  # readable without Vitrail
    content = (tmp_path / WEIGHTS).read_bytes()
    for damaged in damages(content):
        (tmp_path / WEIGHTS).write_bytes(damaged)
        with pytest.raises(CheckpointError, match="is damaged"):
            load_weights(tmp_path)


def test_weights_missing(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"has no model.safetensors, .* train it first"):
        load_weights(tmp_path)


def trained(folder: Path, config: TrainConfig) -> list[Event]:
    events: list[Event] = []
    train(ToyObjective(ToyNet()), ToyBatches(), config, folder, report=events.append)
    return events


def test_a_run_survives_damage_to_its_latest_files(tmp_path: Path) -> None:
    config = toy_config(ema=0.9)
    whole, hurt = tmp_path / "whole", tmp_path / "hurt"
    trained(whole, config)
    for damaged in (b"", (whole / STATE).read_bytes()[:5000], (whole / STATE).read_bytes()[:-1]):
        shutil.copytree(whole, hurt)
        (hurt / STATE).write_bytes(damaged)
        (hurt / WEIGHTS).write_bytes((whole / WEIGHTS).read_bytes()[:-3])
        assert trained(hurt, config)[0] == Resumed(35, hurt / PREVIOUS, hurt / STATE)
        for name in (WEIGHTS, "metrics.jsonl"):
            assert (hurt / name).read_bytes() == (whole / name).read_bytes(), name
        assert load_state(hurt / PREVIOUS)["step"] == 35
        shutil.rmtree(hurt)


def test_damaged_weights_are_written_again(tmp_path: Path) -> None:
    config = toy_config(ema=0.9)
    trained(tmp_path, config)
    content = (tmp_path / WEIGHTS).read_bytes()
    (tmp_path / WEIGHTS).write_bytes(content[:-1])
    assert trained(tmp_path, config)[0] == Resumed(40, tmp_path / STATE, None)
    assert (tmp_path / WEIGHTS).read_bytes() == content


def test_another_model_is_refused_by_name(tmp_path: Path) -> None:
    trained(tmp_path, toy_config())
    wider = ToyNet()
    wider.head = torch.nn.Linear(wider.head.in_features, 7)
    with pytest.raises(CheckpointError, match=r"another model \(head.bias is 5 there, but 7 here\).*another folder"):
        train(ToyObjective(wider), ToyBatches(), toy_config(), tmp_path)
    longer = ToyNet()
    longer.extra = torch.nn.Linear(2, 3)
    with pytest.raises(CheckpointError, match=r"extra.bias is missing there, but 3 here"):
        train(ToyObjective(longer), ToyBatches(), toy_config(), tmp_path)


def test_another_configuration_is_refused_by_name(tmp_path: Path) -> None:
    trained(tmp_path, toy_config())
    before = {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    for field, value, said in (
        ("steps", 80, "steps 40, but now it is 80"),
        ("lr", 0.5, "lr 0.02, but now it is 0.5"),
        ("betas", (0.9, 0.99), r"betas \[0.9, 0.95\], but now it is \[0.9, 0.99\]"),
    ):
        with pytest.raises(ConfigError, match=rf"was begun with {said}: give the old value again .* another folder"):
            trained(tmp_path, toy_config(**{field: value}))
    # also where config.json is lost: the checkpoint knows its own
    (tmp_path / "config.json").unlink()
    with pytest.raises(ConfigError, match="steps 40, but now it is 80"):
        trained(tmp_path, toy_config(steps=80))
    after = {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    assert {path: after[path] for path in before if path.name != "config.json"} == {
        path: content for path, content in before.items() if path.name != "config.json"
    }


def test_the_description_is_kept_and_compared(tmp_path: Path) -> None:
    def go(**describe: object) -> None:
        train(ToyObjective(ToyNet()), ToyBatches(), toy_config(steps=2, warmup_steps=0), tmp_path, describe=describe)

    go(kind="toy", model={"dim": 11, "shape": (2, 3)}, images={"data": "here", "fingerprint": "f"})
    config = read_config(tmp_path)
    assert config["model"] == {"dim": 11, "shape": [2, 3]}
    assert config["train"]["steps"] == 2
    go(kind="toy", model={"dim": 11, "shape": (2, 3)}, images={"data": "moved", "fingerprint": "f"})
    with pytest.raises(ConfigError, match="begun with dim 11, but now it is 12"):
        go(kind="toy", model={"dim": 12, "shape": (2, 3)}, images={"data": "here", "fingerprint": "f"})
    with pytest.raises(ConfigError, match="begun with fingerprint 'f', but now it is 'g'"):
        go(kind="toy", model={"dim": 11, "shape": (2, 3)}, images={"data": "here", "fingerprint": "g"})


def test_a_run_that_never_saved_may_begin_otherwise(tmp_path: Path) -> None:
    """A first try that ended in NaN must not lock the folder to its learning rate."""
    (tmp_path / "config.json").write_text('{"train": {"lr": 99}}')
    trained(tmp_path, toy_config(steps=2, warmup_steps=0))
    assert read_config(tmp_path)["train"]["lr"] == 0.02


@pytest.mark.parametrize(
    ("content", "said"), [(None, "has no config.json"), ("{", "can't be read"), ("3", "holds a int")]
)
def test_read_config_says_what_is_wrong(tmp_path: Path, content: str | None, said: str) -> None:
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    with pytest.raises(CheckpointError, match=said):
        read_config(tmp_path)
