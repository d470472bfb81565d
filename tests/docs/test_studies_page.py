"""docs/studies.md is generated from what is committed in results/; a stale page is red."""

from pathlib import Path

from vitrail.cli.docs_studies import page
from vitrail.studies import STUDIES


def test_the_page_is_up_to_date(root: Path) -> None:
    committed = (root / "docs" / "studies.md").read_text(encoding="utf-8")
    assert committed == page(root / "results"), "run `make docs` and commit docs/studies.md"


def test_every_study_is_on_it(root: Path) -> None:
    fresh = page(root / "results")
    assert [name for name in STUDIES if f"/results/{name}/figure.png)" not in fresh] == []
