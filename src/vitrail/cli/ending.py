"""How every command ends: where its results are, and the next useful command."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Ending:
    """What a command leaves behind.

    Args:
        results: files and folders it wrote, the most useful first.
        next: a command worth running now, complete as typed.
        finished: false if it was interrupted after a clean save; the same command then goes on, and the exit code is 1.
    """

    results: tuple[Path, ...]
    next: str
    finished: bool = True
