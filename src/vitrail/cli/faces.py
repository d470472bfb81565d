"""What the commands of ``vitrail faces`` have in common: words for how much an answer is worth, and where to go on."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from vitrail.cli.screen import Screen

if TYPE_CHECKING:
    from vitrail.faces.calibration import OperatingPoint

HINT = "an answer is a hint for a person to check, never a proof of who somebody is: see docs/consent.md"


def say_limits(screen: Screen, point: "OperatingPoint", measured_on: str) -> None:
    """What the network gets wrong at the threshold in use, as measured."""
    screen.say(
        f"(at this threshold the network recognises {point.val:.1%} ± {point.val_error:.1%} of pairs of one person, "
        f"and takes {point.far:.2%} of pairs of two people for one; measured on {measured_on})"
    )
    screen.say(HINT)


def counted(number: int, what: str) -> str:
    """``1 face``, ``2 faces``."""
    return f"{number:,} {what}{'s' * (number != 1)}"


def people_counted(number: int) -> str:
    """``1 person``, ``2 people``."""
    return f"{number:,} {'person' if number == 1 else 'people'}"


def results_in(gallery: str) -> tuple[Path, ...]:
    """A gallery's folder, as a result; a database is none."""
    return () if "://" in gallery else (Path(gallery),)


def typed(*words: str | Path) -> str:
    """A command as it is typed, its words quoted where they must be."""
    return shlex.join(["vitrail", "faces", *map(str, words)])


def as_whole(whole: bool) -> list[str]:
    """The option that says that photographs are crops, if they are."""
    return ["--whole"] if whole else []


def at(gallery: str, default: str = "gallery") -> list[str]:
    """The option that names a gallery, unless it is the usual one."""
    return [] if gallery == default else ["--gallery", gallery]
