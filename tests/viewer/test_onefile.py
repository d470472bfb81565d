"""Traces as one file: what it holds, how long it says it is, what it refuses."""

import base64
import re
from pathlib import Path

import pytest
from viewer_support import HOSTILE, made

import vitrail as vt
from vitrail.errors import ConfigError, OutputError, TraceError
from vitrail.trace import Trace, load_trace


def embedded(text: str, number: int) -> bytes:
    """A trace's bytes as they stand in a page."""
    found = re.search(rf'<script type="application/octet-stream" id="bytes-t{number}">([^<]*)</script>', text)
    assert found is not None
    return base64.b64decode(found[1], validate=True)


def test_the_traces_are_in_it_byte_for_byte(trace: Trace, tmp_path: Path) -> None:
    other = made(seed=3).save(tmp_path / "other.safetensors")
    text = vt.to_html([trace, other], tmp_path / "two.html").path.read_text()
    assert embedded(text, 1) == other.read_bytes()
    (tmp_path / "back.safetensors").write_bytes(embedded(text, 0))
    back = load_trace(tmp_path / "back.safetensors")
    assert (back.weights(1) == trace.weights(1)).all()
    assert '"name":"model · the cat sat on it"' in text
    assert '"name":"other"' in text


def test_it_says_how_long_it_will_be(trace: Trace, tmp_path: Path) -> None:
    told: list[int] = []
    written = vt.to_html({"a name": trace}, tmp_path / "one.html", tell=told.append)
    assert written.bytes == written.path.stat().st_size
    assert told == [pytest.approx(written.bytes, rel=0.01)]
    assert str(written).endswith(f"one.html ({written.bytes / 2**20:.1f} MB)")


def test_a_longer_one_than_allowed_is_refused_with_the_remedy(trace: Trace, tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"would have \d+\.\d MB, and 0\.0 MB are allowed: capture with half precision"
    ):
        vt.to_html(trace, tmp_path / "one.html", limit=10_000)
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_trace_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no trace to show"):
        vt.to_html([], tmp_path / "x.html")
    with pytest.raises(TraceError, match="int is no trace"):
        vt.to_html([3], tmp_path / "x.html")  # type: ignore[list-item]
    with pytest.raises(TraceError, match="missing"):
        vt.to_html(tmp_path / "missing.safetensors", tmp_path / "x.html")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_isnt_there_is_said_and_nothing_is_left(trace: Trace, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="can't be written"):
        vt.to_html(trace, tmp_path / "nowhere" / "one.html")
    assert list(tmp_path.iterdir()) == []


def test_nothing_that_is_told_can_be_markup(hostile: Trace, tmp_path: Path) -> None:
    text = vt.to_html({HOSTILE[2]: hostile}, tmp_path / "one.html", title=HOSTILE[2]).path.read_text()
    elements = re.findall(r"<script[^>]*>", text)
    assert [element for element in elements if "nonce" not in element] == [
        '<script type="application/json" id="vitrail-modules">',
        '<script type="application/json" id="vitrail">',
        '<script type="application/octet-stream" id="bytes-t0">',
    ]
    assert len(elements) == 4
    assert text.count("</script>") == 4
    assert "<img" not in text
    assert "\u2028" not in text


def test_the_page_in_it_may_ask_nobody(trace: Trace, tmp_path: Path) -> None:
    text = vt.to_html(trace, tmp_path / "one.html").path.read_text()
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)
    assert "default-src &#x27;none&#x27;" in policy
    assert "connect-src &#x27;none&#x27;" in policy
    assert "unsafe" not in policy
    assert "'self'" not in policy
