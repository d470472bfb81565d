"""One page in all hosts: served, as one file from the disk, and in a sandboxed frame."""

import json
from pathlib import Path

import pytest
from viewer_support import HOSTILE, Browse, served

from vitrail.trace import Trace
from vitrail.viewer.library import Library
from vitrail.viewer.onefile import to_html

pytestmark = pytest.mark.browser


def test_a_served_page_reads_its_trace_by_ranges(stub: None, browse: Browse, library: Library, trace: Trace) -> None:
    with served(library) as address:
        page = browse(address)
        page.wait_for_selector("#read")
        said = page.evaluate("window.said")
    assert said["layers"] == 2
    assert said["texts"] == list(trace.tokens().texts or ())
    assert said["q"] == pytest.approx(trace.queries(0, 1)[0, :3].tolist(), abs=1e-6)


@pytest.mark.usefixtures("stub")
def test_one_file_from_the_disk_reads_its_traces(browse: Browse, trace: Trace, tmp_path: Path) -> None:
    written = to_html(trace, tmp_path / "one.html")
    page = browse(written.path.as_uri())
    page.wait_for_selector("#read")
    assert page.evaluate("window.said.q") == pytest.approx(trace.queries(0, 1)[0, :3].tolist(), abs=1e-6)
    assert page.title() == "one"


@pytest.mark.usefixtures("stub")
def test_tokens_and_names_are_only_ever_text(browse: Browse, hostile: Trace, tmp_path: Path) -> None:
    path = hostile.save(tmp_path / "x.safetensors")
    library = Library()
    library.add(path, HOSTILE[2])
    written = to_html({HOSTILE[2]: hostile}, tmp_path / "one.html", title=HOSTILE[0])
    with served(library, title=HOSTILE[0]) as address:
        for url in (address, written.path.as_uri()):
            page = browse(url)
            page.wait_for_selector("#read")
            assert page.evaluate("[window.hostile, document.querySelectorAll('main img, main script').length]") == [
                None,
                0,
            ]
            assert page.evaluate("window.said.texts") == list(HOSTILE)
            assert page.title() == HOSTILE[0]


@pytest.mark.usefixtures("stub")
def test_the_page_works_in_a_sandboxed_frame(browse: Browse, trace: Trace, tmp_path: Path) -> None:
    text = to_html(trace, tmp_path / "one.html").path.read_text()
    inside = json.dumps(text).replace("<", "\\u003c")
    frame = (
        "<!doctype html><iframe sandbox='allow-scripts'></iframe><script>"
        + f"document.querySelector('iframe').srcdoc={inside}</script>"
    )
    (tmp_path / "outer.html").write_text(frame)
    page = browse((tmp_path / "outer.html").as_uri())
    inner = page.frames[1]
    inner.wait_for_selector("#read")
    assert inner.evaluate("window.said.layers") == 2
