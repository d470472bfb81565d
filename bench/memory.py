"""A process's own resident memory, from Linux's /proc: now, and at its highest since it was last forgotten."""

from pathlib import Path


def resident() -> float:
    """Resident memory now, in MB."""
    return _status("VmRSS")


def peak() -> float:
    """The highest resident memory since ``forget_peak``, or since the program began, in MB.

    Not ``ru_maxrss``, which a program inherits from whoever started it.
    """
    return _status("VmHWM")


def forget_peak() -> None:
    """Let ``peak`` begin anew."""
    Path("/proc/self/clear_refs").write_text("5")


def _status(name: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1]) / 1024
