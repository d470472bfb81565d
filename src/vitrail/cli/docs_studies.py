"""Writes docs/studies.md from ``results/``: ``python -m vitrail.cli.docs_studies [FILE]``.

A test compares the committed page with a fresh one, so that a stale page is red.
"""

import sys
from pathlib import Path

from vitrail.studies.report_markdown import markdown
from vitrail.studies.report_parts import gather


def page(results: Path = Path("results")) -> str:
    """The whole page, as markdown."""
    return markdown(gather(results, {}))


if __name__ == "__main__":
    target = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/studies.md")
    target.write_text(page(), encoding="utf-8")
    print(f"wrote {target}")
