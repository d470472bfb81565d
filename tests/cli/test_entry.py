"""The first words pick a command; an error is one sentence on standard error and an exit code."""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from vitrail.cli import entry
from vitrail.cli.ending import Ending
from vitrail.cli.entry import explain, main, pick
from vitrail.cli.table import COMMANDS, overview
from vitrail.errors import ConfigError, DataError, NonFiniteLossError


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "vitrail", *words], capture_output=True, text=True, timeout=60)


@pytest.fixture
def as_demo(monkeypatch: pytest.MonkeyPatch):
    """Put a function in place of the command ``demo``."""

    def put(command: object) -> None:
        monkeypatch.setattr(entry.importlib, "import_module", lambda name: SimpleNamespace(command=command))

    return put


def test_help_comes_in_under_a_second_and_without_torch() -> None:
    times = []
    for _ in range(3):
        start = time.perf_counter()
        done = run("--help")
        times.append(time.perf_counter() - start)
        assert done.returncode == 0
    assert min(times) < 1.0
    probe = (
        "import sys; from vitrail.cli import main; main(['--help']); "
        "heavy = {'torch', 'tyro', 'rich', 'numpy', 'transformers'} & set(sys.modules); assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"], ["help"]])
def test_the_overview_lists_every_command(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 0
    shown = capsys.readouterr().out
    for command in COMMANDS:
        assert f"vitrail {command.name}" in shown
        assert command.summary in shown
    assert max(map(len, shown.splitlines())) <= 110


def test_a_group_lists_its_own_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--help"]) == 0
    shown = capsys.readouterr().out
    assert "vitrail train mae" in shown
    assert "vitrail probe" not in shown
    assert main(["train"]) == 2
    assert (
        "'vitrail train' needs to know what, vit, mae, faces, summarizer or lm: see vitrail train -h"
        in capsys.readouterr().err
    )


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == "vitrail 0.1.0\n"


@pytest.mark.parametrize(
    ("typed", "remedy"),
    [
        (["evalute"], "did you mean 'vitrail evaluate'?"),
        (["train", "mea"], "did you mean 'vitrail train mae'?"),
        (["trian", "vit"], "did you mean 'vitrail train'?"),
        (["qqqq"], "see vitrail --help"),
        (["--presett"], "see vitrail --help"),
    ],
)
def test_an_unknown_command_names_the_nearest(
    typed: list[str], remedy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(typed) == 2
    said = capsys.readouterr()
    assert said.err.startswith("vitrail: there is no command 'vitrail ")
    assert said.err.count("\n") == 1
    assert remedy in said.err
    assert said.out == ""


def test_every_command_has_a_module_with_the_same_face() -> None:
    for command in COMMANDS:
        assert pick(command.words) is command
        path = Path(entry.__file__).parent / f"{command.module.rpartition('.')[2]}.py"
        assert "def command(" in path.read_text(), path


def test_a_person_s_mistake_is_one_sentence_and_exit_2(as_demo, capsys: pytest.CaptureFixture[str]) -> None:
    def command(arguments: list[str], screen: object) -> Ending:
        raise DataError("the folder x is empty: name one with images.")

    as_demo(command)
    assert main(["demo"]) == 2
    assert capsys.readouterr().err == "vitrail: the folder x is empty: name one with images.\n"
    assert main(["demo", "--debug"]) == 2
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code", "part"),
    [
        (ConfigError("no"), 2, "no"),
        (NonFiniteLossError("step 3"), 2, "step 3"),
        (KeyboardInterrupt(), 1, "interrupted"),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "runs/a"), 2, "runs/a: No space left on device"),
        (PermissionError(errno.EACCES, os.strerror(errno.EACCES), "x"), 2, "x: Permission denied"),
        (MemoryError(), 2, "--batch-size"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), 2, "--micro-batches"),
        (KeyError("tokens"), 1, "fault in Vitrail"),
        (RuntimeError("first line\nsecond"), 1, "RuntimeError: first line: this"),
        (RuntimeError(), 1, "RuntimeError"),
    ],
)
def test_errors_explained(error: BaseException, code: int, part: str) -> None:
    found, sentence = explain(error)
    assert found == code
    assert part in sentence
    assert "\n" not in sentence


def test_an_ending_names_the_results_and_the_next_command(as_demo, capsys: pytest.CaptureFixture[str]) -> None:
    as_demo(lambda arguments, screen: Ending((Path("runs/a/b.png"), Path("runs/a")), "vitrail probe runs/a"))
    assert main(["demo"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown == ["results:  runs/a/b.png  runs/a", "next:     vitrail probe runs/a"]


def test_an_interrupted_run_exits_1_and_says_how_to_go_on(as_demo, capsys: pytest.CaptureFixture[str]) -> None:
    as_demo(lambda arguments, screen: Ending((Path("runs/a"),), "vitrail probe runs/a", finished=False))
    assert main(["demo", "--run", "a b", "--debug"]) == 1
    assert "runs/a; to go on from there:  vitrail demo --run 'a b'" in capsys.readouterr().out


def test_being_asked_to_stop_ends_a_command_and_gives_the_handler_back(as_demo) -> None:
    before = signal.getsignal(signal.SIGTERM)

    def command(arguments: list[str], screen: object) -> Ending:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(1)
        raise AssertionError("it should have been interrupted")

    as_demo(command)
    assert main(["demo"]) == 1
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_reader_that_leaves_early_is_no_error() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([sys.executable, "-m", "vitrail"], stdout=writer, stderr=subprocess.PIPE, text=True)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_environment_is_set_before_torch_and_yields_to_the_user() -> None:
    program = (
        "import os, sys; from vitrail.cli import entry; "
        "entry.importlib.import_module = lambda name: print('torch' in sys.modules, os.environ.get('GOMP_SPINCOUNT')); "
        "entry.main(['demo'])"
    )
    spins = entry.ENVIRONMENT["GOMP_SPINCOUNT"]
    for given, expected in ({}, spins), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "None"):
        clean = {
            name: value for name, value in os.environ.items() if name not in {*entry.ENVIRONMENT, "OMP_WAIT_POLICY"}
        }
        done = subprocess.run([sys.executable, "-c", program], env=clean | given, capture_output=True, text=True)
        assert done.stdout.split() == ["False", expected]


def test_the_overview_of_no_command_still_has_its_options() -> None:
    assert "--debug" in overview(())
