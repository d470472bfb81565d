"""Each test has a cache of its own; the pictures beside these files can be imported."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of this test alone."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("VITRAIL_CACHE", str(folder))
    return folder


@pytest.fixture
def classes_folder(tmp_path: Path, cache: Path) -> Path:
    """13 cats and 11 dogs, without a test split."""
    from data_pictures import write_classes

    folder = tmp_path / "pets"
    write_classes(folder, {"cat": 13, "dog": 11})
    return folder
