"""Folders that can't be written and disks that are full: the last checkpoint stands, nothing half-written."""

import errno
import os
import resource
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from train_toy import ToyBatches, ToyNet, ToyObjective, toy_config

from vitrail.errors import OutputError
from vitrail.files import written_beside
from vitrail.train import load_weights, train
from vitrail.train.checkpoint import STATE, Checkpoints, load_state


def go(folder: Path, **changes: Any) -> None:
    train(ToyObjective(ToyNet()), ToyBatches(), toy_config(**changes), folder)


def leftovers(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.suffix in (".part", ".new", ".tmp") or "part-" in path.name]


def test_run_path_is_a_file(tmp_path: Path) -> None:
    path = tmp_path / "run"
    path.write_text("mine")
    with pytest.raises(OutputError, match=r"run is a file, but a folder is needed there: choose another one"):
        go(path)
    with pytest.raises(OutputError, match=r"can't be written \(Not a directory\): .* choose a folder that you may"):
        go(path / "below")
    assert path.read_text() == "mine"


def test_unwritable_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As for a user without permission; the tests may run as root, whom nothing stops."""
    tmp_path.chmod(0o500)
    if os.access(tmp_path, os.W_OK):

        def refuse(self: Path, content: bytes) -> int:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))

        monkeypatch.setattr(Path, "write_bytes", refuse)
    with pytest.raises(OutputError, match=r"can't be written \(Permission denied\)"):
        go(tmp_path)
    assert list(tmp_path.iterdir()) == []


def full(real: Callable[..., Any], calls_left: int) -> Callable[..., Any]:
    """``real``, which finds the disk full after some calls."""

    def limited(*arguments: Any, **named: Any) -> Any:
        nonlocal calls_left
        calls_left -= 1
        if calls_left < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(*arguments, **named)

    return limited


@pytest.mark.parametrize(
    ("where", "calls"), [("torch.save", 0), ("os.fsync", 0), ("os.fsync", 2), ("os.fsync", 4), ("os.replace", 1)]
)
def test_full_disk_leaves_the_last_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, calls: int
) -> None:
    class Fills(ToyObjective):
        def loss(self, batch: Any, random: Any) -> Any:
            if random.step == 15:  # steps 7 and 14 were saved
                module = {"torch": torch, "os": os}[where.split(".")[0]]
                name = where.split(".")[1]
                monkeypatch.setattr(module, name, full(getattr(module, name), calls))
            return super().loss(batch, random)

    with pytest.raises(OutputError, match=r"can't be written \(No space left on device\): free some space"):
        train(Fills(ToyNet()), ToyBatches(), toy_config(ema=0.5), tmp_path)
    monkeypatch.undo()
    assert load_state(tmp_path / STATE)["step"] == 14
    load_weights(tmp_path)
    assert leftovers(tmp_path) == []
    train(ToyObjective(ToyNet()), ToyBatches(), toy_config(ema=0.5), tmp_path)
    whole = tmp_path / "whole"
    train(ToyObjective(ToyNet()), ToyBatches(), toy_config(ema=0.5), whole)
    for name in ("model.safetensors", "metrics.jsonl"):
        assert (tmp_path / name).read_bytes() == (whole / name).read_bytes()


def test_a_real_write_that_stops_in_the_middle(tmp_path: Path) -> None:
    """The system itself refuses to let files grow beyond a limit: torch hides that, we name it."""
    go(tmp_path, steps=7)
    content = (tmp_path / STATE).read_bytes()
    state = {**load_state(tmp_path / STATE), "large": torch.zeros(50_000)}
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        for limit in (0, 100, 5000, 100_000, 200_000):
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
            with pytest.raises(OutputError, match=r"state.pt.new can't be written \(File too large\)"):
                Checkpoints(tmp_path).save(state)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert (tmp_path / STATE).read_bytes() == content
    assert leftovers(tmp_path) == []


def test_written_beside_keeps_the_old_file_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def interrupted() -> None:
        with written_beside(path) as file:
            file.write(b"new")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_bytes() == b"old"
    with written_beside(path) as file:
        file.write(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_two_runs_in_one_folder(tmp_path: Path) -> None:
    class Nested(ToyObjective):
        def loss(self, batch: Any, random: Any) -> Any:
            go(tmp_path)
            return super().loss(batch, random)

    with pytest.raises(OutputError, match=r"another process is training in .* wait for it or name another folder"):
        train(Nested(ToyNet()), ToyBatches(), toy_config(), tmp_path)


def test_a_picture_that_fails_leaves_no_half(tmp_path: Path) -> None:
    def picture(module: torch.nn.Module, path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(OutputError, match=r"step-000008.png can't be written"):
        train(ToyObjective(ToyNet()), ToyBatches(), toy_config(), tmp_path, picture=picture)
    assert list((tmp_path / "pictures").iterdir()) == []
