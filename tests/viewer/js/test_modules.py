"""The page's modules in node: their arithmetic is Python's, hostile files are refused, addresses come back."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from js_golden import write_golden
from roles_golden import write_roles

HERE = Path(__file__).parent


@pytest.mark.timeout(600)
def test_the_modules_of_the_page_do_as_python_does(tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node isn't installed (apt-get install nodejs): the page's modules are tested in it")
    write_golden(tmp_path)
    write_roles(tmp_path)
    tests = sorted(str(path) for path in HERE.glob("*.test.mjs"))
    assert tests
    done = subprocess.run(
        [node, "--import", (HERE / "bare.mjs").as_uri(), "--test", *tests],
        env={**os.environ, "VITRAIL_GOLDEN": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=550,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert "# skipped 0" in done.stdout
