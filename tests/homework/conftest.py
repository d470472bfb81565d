"""Files of the course's form, made once from an implementation that shares nothing with ours."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))

from homework_plain import write_course_files


@pytest.fixture(scope="session")
def course(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``test_reference.pt`` and ``autograder_student.pt``."""
    folder = tmp_path_factory.mktemp("course")
    write_course_files(folder)
    return folder


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
