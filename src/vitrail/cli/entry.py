"""From the words that were typed to an exit code: 0 done, 1 interrupted (or a fault of ours), 2 a mistake to mend.

The first words pick a module; only that module is imported. What a person can put right is one sentence on standard
error; a traceback comes only with ``--debug``.
"""

import importlib
import os
import shlex
import signal
import sys
import traceback
from collections.abc import Sequence
from types import FrameType

from vitrail.cli.table import COMMANDS, Command, overview
from vitrail.errors import ConfigError, VitrailError

ENVIRONMENT = {
    # Nothing that Vitrail calls may report on its users.
    "HF_HUB_DISABLE_TELEMETRY": "1",
    # How long OpenMP threads that wait for each other spin before they sleep: about a millisecond. Where they sleep at
    # once, a step of a small MAE takes 1.3 to 1.5 times as long on cores at rest; where they spin on (the default), 4
    # times as long on busy ones, for each thread that was put aside holds up all (results/LOG.md).
    "GOMP_SPINCOUNT": "20000",
}
"""Set before torch is loaded, unless the user has set them, or said by OMP_WAIT_POLICY how threads should wait."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code of the process."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words
    words = [word for word in words if word != "--debug"]
    # Asked to stop, a command outside the training loop (which saves first) stops as it does for Ctrl-C.
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        code = _run(words)
        sys.stdout.flush()
        return code
    except SystemExit as stop:  # tyro, after it printed a help page
        return int(stop.code or 0)
    except BrokenPipeError:  # `vitrail … | head`: the reader has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (Exception, KeyboardInterrupt) as error:
        if debug:
            traceback.print_exc()
        code, sentence = explain(error)
        print(f"vitrail: {sentence}", file=sys.stderr)
        return code
    finally:
        signal.signal(signal.SIGTERM, before)


def explain(error: BaseException) -> tuple[int, str]:
    """The exit code of an error and the sentence that says what to do about it."""
    if isinstance(error, VitrailError):
        return 2, str(error)
    if isinstance(error, KeyboardInterrupt):
        return 1, "interrupted before there was anything to save; the same command starts again"
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return 2, f"{where}{error.strerror}; choose a path that can be read and written, on a disk with room left"
    if isinstance(error, MemoryError) or "OutOfMemory" in type(error).__name__ or "can't allocate" in str(error):
        return (
            2,
            "not enough memory for a step; take a smaller --batch-size, or cut it into more --micro-batches",
        )
    what = f"{type(error).__name__}: {error}".splitlines()[0]
    return 1, f"{what}: this is a fault in Vitrail, please report it with what the same command says under --debug"


def _run(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        print(overview())
        return 0
    if words[0] == "--version":
        from importlib.metadata import version

        print(f"vitrail {version('vitrail')}")
        return 0
    group = [command for command in COMMANDS if len(command.words) > 1 and command.words[0] == words[0]]
    if group and (len(words) == 1 or words[1] in ("-h", "--help")):
        if len(words) == 1:
            *choices, last = (" ".join(command.words[1:]) for command in group)
            raise ConfigError(
                f"'vitrail {words[0]}' needs to know what, {', '.join(choices)} or {last}: see vitrail {words[0]} -h"
            )
        print(overview(tuple(group)))
        return 0
    command = pick(words)
    return _run_command(command, words[len(command.words) :], words)


def pick(words: Sequence[str]) -> Command:
    """The command that the first words name.

    Raises:
        ConfigError: no such command; the nearest is named.
    """
    for command in COMMANDS:
        if list(words[: len(command.words)]) == command.words:
            return command
    from vitrail.cli.options import nearest

    groups = {command.words[0] for command in COMMANDS if len(command.words) > 1}
    typed = " ".join(words[:2] if words[0] in groups else words[:1])
    near = nearest(typed, [command.name for command in COMMANDS] + sorted({c.words[0] for c in COMMANDS}))
    remedy = f"did you mean 'vitrail {near}'?" if near else "see vitrail --help"
    raise ConfigError(f"there is no command 'vitrail {typed}': {remedy}")


def _run_command(command: Command, arguments: list[str], words: list[str]) -> int:
    from vitrail.cli.screen import Screen

    for name, value in ENVIRONMENT.items():
        if not (name == "GOMP_SPINCOUNT" and "OMP_WAIT_POLICY" in os.environ):
            os.environ.setdefault(name, value)
    with Screen(sys.stderr if command.pipes else None) as screen:
        ending = importlib.import_module(command.module).command(arguments, screen)
    if not ending.finished:
        again = shlex.join(["vitrail", *words])
        screen.say(f"stopped and saved in {ending.results[0]}; to go on from there:  {again}")
        return 1
    if ending.results:
        screen.say("results:  " + "  ".join(map(str, ending.results)))
    screen.say(f"next:     {ending.next}")
    return 0


def _interrupt(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
