"""What an exercise came to: checks, files, remarks."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vitrail.homework.checking import Result


@dataclass(frozen=True)
class Answers:
    """What an exercise came to.

    Attributes:
        results: of the checks that were made.
        files: what was written.
        remarks: what the reader should know of it, a line each.
        finished: False where training was interrupted after a clean save.
    """

    results: Sequence["Result"] = ()
    files: tuple[Path, ...] = ()
    remarks: tuple[str, ...] = ()
    finished: bool = True
