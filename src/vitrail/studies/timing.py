"""How long several ways of doing a thing take, side by side.

What is taken is processor time on one thread, which leaves out waiting for one's turn, though not what other programs
do to the caches and to the memory that all share. So every way has its turn in each round, each round begins with
another way, and what is told are ratios of times of the same round.
"""

import platform
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from vitrail.recipes.threads import one_thread

Key = TypeVar("Key", bound=Hashable)

Prepare = Callable[[], Callable[[], object]]
"""Does what comes before a turn, and gives the turn itself, which alone is timed."""


def side_by_side(ways: Mapping[Key, Prepare], rounds: int) -> dict[Key, list[float]]:
    """Processor seconds of each way, one number a round."""
    found: dict[Key, list[float]] = {name: [] for name in ways}
    names = list(ways)
    with one_thread():
        for turn in range(rounds):
            first = turn % len(names)
            for name in (*names[first:], *names[:first]):
                work = ways[name]()
                began = time.process_time()
                work()
                found[name].append(time.process_time() - began)
    return found


def ratios(times: Sequence[float], base: Sequence[float]) -> list[float]:
    """How many times as long as another way took in the same round."""
    return [one / other for one, other in zip(times, base, strict=True)]


def processor() -> str:
    """What the machine calls its processor."""
    known = Path("/proc/cpuinfo")
    lines = known.read_text().splitlines() if known.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
