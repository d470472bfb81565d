"""docs/cli.md is generated from the commands' own help; a stale page is red."""

import re
from pathlib import Path

import pytest

from vitrail.cli.docs import page
from vitrail.cli.table import COMMANDS


@pytest.fixture(scope="module")
def fresh() -> str:
    return page()


def test_the_page_is_up_to_date(root: Path, fresh: str) -> None:
    committed = (root / "docs" / "cli.md").read_text(encoding="utf-8")
    assert committed == fresh, "run `make docs` and commit docs/cli.md"


def test_every_command_and_option_is_explained(fresh: str) -> None:
    for command in COMMANDS:
        section = fresh.split(f"## `vitrail {command.name}`")[1].split("\n## ")[0]
        assert f"usage: vitrail {command.name}" in section
        assert "\x1b" not in section
        for entry in re.split(r"^  (?=-)", section, flags=re.MULTILINE)[1:]:
            assert len(entry.split()) >= 4, f"{command.name}: {entry!r} has no explanation"


def test_the_page_does_not_depend_on_the_terminal(monkeypatch: pytest.MonkeyPatch, fresh: str) -> None:
    monkeypatch.setenv("COLUMNS", "61")
    monkeypatch.setenv("TERM", "xterm-256color")
    assert page() == fresh
