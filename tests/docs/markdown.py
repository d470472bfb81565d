"""Reads the code blocks and links of the project's pages."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]


@dataclass(frozen=True)
class Block:
    """One fenced block of a page."""

    page: str
    line: int
    language: str
    text: str


def blocks(page: Path, *languages: str) -> list[Block]:
    """The fenced blocks of a page in these languages, in order."""
    text = page.read_text(encoding="utf-8")
    found = []
    for match in re.finditer(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        if match[1] in languages:
            line = text[: match.start()].count("\n") + 1
            found.append(Block(page.relative_to(ROOT).as_posix(), line, match[1], match[2]))
    return found


def commands(page: Path) -> list[tuple[str, list[str]]]:
    """Every command of a page's bash and console blocks: where it stands, and its words without comments."""
    found = []
    for block in blocks(page, "bash", "console"):
        lines = block.text.replace("\\\n", " ").splitlines()
        for offset, line in enumerate(lines):
            if block.language == "console":
                if not line.startswith("$ "):
                    continue  # what the command answered
                line = line[2:]
            words = shlex.split(line, comments=True)
            if words:
                found.append((f"{block.page}:{block.line + 1 + offset}", words))
    return found


def links(page: Path) -> list[str]:
    """The relative links and pictures of a page."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    targets = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'src="([^"]+)"', text)
    return [target for target in targets if "://" not in target]
