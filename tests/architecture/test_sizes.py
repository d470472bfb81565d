"""Files stay small enough to read in one sitting."""

import statistics
from pathlib import Path

import pytest

LONGEST = 500
MEDIAN = 200


def lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


@pytest.mark.parametrize("folder", ["src", "tests", "bench"])
def test_no_file_is_longer_than_500_lines(root: Path, folder: str) -> None:
    sizes = {path.relative_to(root): lines(path) for path in (root / folder).rglob("*.py")}
    assert {path: size for path, size in sizes.items() if size > LONGEST} == {}


def test_the_median_file_has_at_most_200_lines(root: Path) -> None:
    sizes = [lines(path) for path in (root / "src").rglob("*.py")]
    assert len(sizes) > 10
    assert statistics.median(sizes) <= MEDIAN


def test_no_room_is_called_utils(root: Path) -> None:
    names = {path.stem for path in (root / "src").rglob("*.py")}
    assert names.isdisjoint({"utils", "util", "helpers", "common", "misc"})
