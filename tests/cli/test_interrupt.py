"""Ctrl-C and SIGTERM: a clean save, exit code 1, and a command that goes on."""

import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SLOW = ["--epochs", "2000", "--batch-size", "64", "--save-every", "0", "--evaluate-every", "0"]


def begin(folder: Path, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "vitrail", *words],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_stopped_says_how_to_go_on(number: signal.Signals, tmp_path: Path) -> None:
    words = ["train", "mae", "--run", "runs/my run", *SLOW]
    process = begin(tmp_path, *words)
    assert process.stdout is not None
    assert process.stdout.readline().startswith("training ")
    time.sleep(1)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 1, err
    assert err == ""
    assert "Traceback" not in out
    last = out.splitlines()[-1]
    assert last.startswith("stopped and saved in runs/my run; to go on from there:  ")
    assert shlex.split(last.partition("from there:")[2]) == ["vitrail", *words]
    assert (tmp_path / "runs" / "my run" / "state.pt").exists()

    again = begin(tmp_path, *words)
    assert again.stdout is not None
    assert again.stdout.readline().startswith("going on after step ")
    again.kill()
    again.communicate()
