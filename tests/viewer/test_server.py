"""What the server answers, and what it refuses: other names, other sites, paths, ranges, bodies."""

import asyncio
import http.client
import json
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from viewer_support import HERE, HOSTILE, Talking, served, trace_url

from vitrail.errors import ConfigError, DataError
from vitrail.trace import Trace
from vitrail.viewer.guard import Door, Guard, hostname
from vitrail.viewer.library import Library, traces_in
from vitrail.viewer.page import escaped, policy, static_files
from vitrail.viewer.ranges import NoRangeError, parse_range
from vitrail.viewer.server import application
from vitrail.viewer.serving import open_port

Answer = Any
"""Of the test client."""


def test_the_page_says_what_there_is_and_what_may_run(client: TestClient) -> None:
    answer = client.get("/")
    assert answer.status_code == 200
    config = json.loads(re.findall(r'id="vitrail">(.*?)</script>', answer.text)[0])
    assert [source["name"] for source in config["sources"]] == ["small"]
    assert config["live"]["models"][0] == {
        "id": "m",
        "name": "a model",
        "kind": "text",
        "pair": True,
        "causal": False,
        "gradients": [],
    }
    rules = answer.headers["content-security-policy"]
    nonce = re.findall(r"'nonce-([\w-]{20,})'", rules)[0]
    running = re.findall(r"<script(?! type=\"application/json\")[^>]*>", answer.text)
    assert len(running) == 2
    assert all(f'nonce="{nonce}"' in tag for tag in running)
    asked_at_once = set(re.findall(r'rel="modulepreload" href="/static/([\w/.-]+)"', answer.text))
    modules = {name for name in static_files() if name.endswith(".js")}
    assert asked_at_once == {name for name in modules if not name.startswith("drawings/")}
    assert rules == policy(nonce)
    assert "unsafe" not in rules
    assert f"'nonce-{nonce}'" not in client.get("/").headers["content-security-policy"]


def test_every_answer_is_told_to_stay_here(client: TestClient) -> None:
    for path in ("/", "/static/start.js", "/api/traces", trace_url(client), "/nowhere", "/traces/nothing"):
        headers = client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cross-origin-opener-policy"] == "same-origin"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert headers["cache-control"] == "no-store"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]


def test_modules_are_served_and_nothing_else(client: TestClient, tmp_path: Path) -> None:
    answer = client.get("/static/start.js")
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert 'from "vitrail/app.js"' in answer.text
    tricks = [
        "page.html",
        "../page.py",
        "..%2fpage.py",
        "%2e%2e/page.py",
        "....//page.py",
        "/etc/passwd",
        "start.js%00",
        "",
    ]
    for trick in [*tricks, "..\\page.py", "C:\\x", "drawings/../../page.py", "a" * 5000]:
        assert client.get(f"/static/{trick}").status_code == 404, trick
        assert client.get(f"/traces/{trick}").status_code == 404, trick


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "", "192.168.0.9", "[::2]", "localhost.", "a b"],
)
def test_other_names_are_refused(client: TestClient, host: str) -> None:
    for path in ("/", "/api/traces", trace_url(client)):
        assert client.get(path, headers={"Host": host}).status_code == 421
    assert client.post("/api/attend", headers={"Host": host}, json={}).status_code == 421


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1234", "[::1]:80", "127.0.0.1"])
def test_the_names_of_this_machine_are_known_at_any_port(client: TestClient, host: str) -> None:
    assert client.get("/", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:9999"},
        {"Origin": "http://localhost:8000"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"},
        {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors"},
    ],
)
def test_other_sites_can_ask_nothing(client: TestClient, talking: Talking, headers: dict[str, str]) -> None:
    assert client.post("/api/attend", headers=headers, json={"model": "m", "text": "x"}).status_code == 403
    if headers.get("Sec-Fetch-Mode") != "navigate":  # a link to the page may be followed
        assert client.get(trace_url(client), headers=headers).status_code == 403
    assert talking.asked == []


def test_a_page_of_ours_and_no_browser_at_all_may_ask(client: TestClient) -> None:
    for headers in ({"Origin": HERE, "Sec-Fetch-Site": "same-origin"}, {}):
        assert client.post("/api/attend", headers=headers, json={"model": "m", "text": "x"}).status_code == 200


def test_a_form_of_another_site_has_no_type_that_is_read(client: TestClient) -> None:
    body = json.dumps({"model": "m", "text": "x"})
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/jsonp", ""):
        assert client.post("/api/attend", content=body, headers={"Content-Type": kind}).status_code == 415


class TestTokens:
    DOOR = Door(frozenset({"box.example"}), "secret")

    @pytest.fixture
    def away(self, library: Library) -> TestClient:
        app = application(library, door=self.DOOR)
        return TestClient(app, base_url="http://box.example:8000", follow_redirects=False)

    def test_nobody_gets_in_without(self, away: TestClient) -> None:
        for path in ("/", "/?token=", "/?token=Secret", "/?token=%F0%9F%98%80", "/api/traces", "/static/start.js"):
            assert away.get(path).status_code == 403
        assert away.get("/", headers={"Cookie": "vitrail-80=wrong; vitrail-8000=wrong"}).status_code == 403
        assert away.get("/", headers={"Cookie": 'a="\x01;;=,'}).status_code == 403

    def test_the_token_becomes_a_cookie_and_leaves_the_address(self, away: TestClient) -> None:
        answer = away.get("/?token=secret")
        assert answer.status_code == 303
        assert answer.headers["location"] == "/"
        assert answer.headers["set-cookie"] == "vitrail-8000=secret; HttpOnly; Path=/; SameSite=strict"
        assert away.get("/").status_code == 200
        assert away.get("/api/traces").status_code == 200

    def test_names_that_a_site_could_have_are_refused_and_addresses_of_numbers_are_not(self, away: TestClient) -> None:
        assert away.get("/?token=secret", headers={"Host": "evil.example"}).status_code == 421
        assert away.get("/?token=secret", headers={"Host": "192.168.0.9:8000"}).status_code == 303
        assert away.get("/?token=secret", headers={"Host": "[fe80::1]:8000"}).status_code == 303


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("a:1", "a"),
        ("A", "a"),
        ("[::1]:8", "::1"),
        ("[::1]", "::1"),
        ("[::1", ""),
        ("[::1]x", ""),
        ("a:b", ""),
        ("a:1:2", ""),
    ],
)
def test_the_name_in_a_host(host: str, name: str) -> None:
    assert hostname(host) == name


@pytest.mark.parametrize(
    ("header", "found"),
    [
        ("bytes=0-0", (0, 1)),
        ("bytes=3-", (3, 10)),
        ("bytes=-4", (6, 10)),
        ("bytes=-40", (0, 10)),
        ("bytes=8-99999", (8, 10)),
        ("bytes=10-", None),
        ("bytes=-0", None),
    ],
)
def test_a_range_of_ten_bytes(header: str, found: tuple[int, int] | None) -> None:
    assert parse_range(header, 10) == found


@pytest.mark.parametrize(
    "header", ["bytes=-", "bytes=5-4", "bytes=a-b", "items=0-1", "bytes=0-1x", "bytes=" + "9" * 40 + "-", "x"]
)
def test_what_is_no_range(client: TestClient, header: str) -> None:
    with pytest.raises(NoRangeError):
        parse_range(header, 10)
    assert client.get(trace_url(client), headers={"Range": header}).status_code == 400


def test_a_trace_by_ranges(client: TestClient, trace: Trace, tmp_path: Path) -> None:
    url, content = trace_url(client), (tmp_path / "small.safetensors").read_bytes()
    answer = client.get(url, headers={"Range": "bytes=8-107"})
    assert (answer.status_code, answer.content) == (206, content[8:108])
    assert answer.headers["content-range"] == f"bytes 8-107/{len(content)}"
    assert client.get(url).content == content
    assert client.get(url, headers={"Range": "bytes=0-1,4-5"}).content == content
    beyond = client.get(url, headers={"Range": f"bytes={len(content)}-"})
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{len(content)}")
    head = client.head(url, headers={"Range": "bytes=1-4"})
    assert (head.status_code, head.headers["content-length"], head.content) == (206, "4", b"")
    (tmp_path / "small.safetensors").unlink()
    assert client.get(url).status_code == 404


def test_a_large_file_is_sent_in_parts(client: TestClient, library: Library, tmp_path: Path) -> None:
    content = bytes(range(256)) * 12_345
    (tmp_path / "large.safetensors").write_bytes(content)
    entry = library.add(tmp_path / "large.safetensors")
    assert entry.error is not None
    assert client.get(entry.url or "", headers={"Range": "bytes=7-3000000"}).content == content[7:3000001]


def test_a_bad_trace_is_listed_with_the_reason_and_the_others_stay(
    client: TestClient, library: Library, tmp_path: Path
) -> None:
    for number, content in enumerate(
        [b"", b"\xff" * 50, b"\x10" + b"\0" * 7 + b"{" * 16, (2**62).to_bytes(8, "little")]
    ):
        path = tmp_path / f"bad{number}.safetensors"
        path.write_bytes(content)
        library.add(path)
    library.add(tmp_path / "missing.safetensors")
    sources = client.get("/api/traces").json()["sources"]
    assert [("error" in source) for source in sources] == [False, True, True, True, True, True]
    assert all("can't be read as a trace" in source["error"] for source in sources[1:])
    assert client.get("/").status_code == 200


def test_names_and_texts_are_told_as_text(library: Library, hostile: Trace, tmp_path: Path) -> None:
    library.add(hostile.save(tmp_path / "h.safetensors"), HOSTILE[2])
    client = TestClient(application(library, title=HOSTILE[0]), base_url=HERE)
    text = client.get("/").text
    assert "<script>window" not in text
    assert "<img" not in text
    config = json.loads(re.findall(r'id="vitrail">(.*?)</script>', text)[0])
    assert config["sources"][1]["name"] == HOSTILE[2]
    assert config["sources"][1]["texts"] == ["".join(HOSTILE)[:200]]
    assert "<" not in client.get("/api/traces").text


def test_json_in_an_element_has_no_markup() -> None:
    text = escaped({"a": ["</script><!--", "\u2028\u2029", "&amp;", "\ud800"]})
    assert not set("<>&\u2028\u2029") & set(text)
    assert json.loads(text)["a"] == ["</script><!--", "\u2028\u2029", "&amp;", "?"]


class TestFolders:
    def test_traces_are_found_and_weights_of_models_are_not(self, trace: Trace, tmp_path: Path) -> None:
        trace.save(tmp_path / "b-untrained.safetensors")
        trace.save(tmp_path / "b.safetensors")
        (tmp_path / "deep" / ".hidden").mkdir(parents=True)
        trace.save(tmp_path / "deep" / "a.safetensors")
        trace.save(tmp_path / "deep" / ".hidden" / "c.safetensors")
        (tmp_path / "model.safetensors").write_bytes(b"\x08" + b"\0" * 7 + b"{}      ")
        (tmp_path / "x.txt").write_text("vitrail.trace")
        library = Library()
        assert library.add_folder(tmp_path) == 3
        assert [entry.name for entry in library.entries()] == ["b", "b-untrained", "deep/a"]

    def test_no_link_leads_out_of_the_folder(self, trace: Trace, tmp_path: Path) -> None:
        inside, outside = tmp_path / "inside", tmp_path / "outside"
        inside.mkdir()
        outside.mkdir()
        trace.save(outside / "a.safetensors")
        (inside / "link.safetensors").symlink_to(outside / "a.safetensors")
        (inside / "folder").symlink_to(outside)
        assert list(traces_in(inside)) == []

    def test_more_than_can_be_listed_is_said(
        self, trace: Trace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("vitrail.viewer.library.MOST_FILES", 1)
        for name in "ab":
            trace.save(tmp_path / f"{name}.safetensors")
        with pytest.raises(DataError, match="more than 1 traces"):
            list(traces_in(tmp_path))


def test_a_fault_of_ours_is_one_line_without_a_traceback() -> None:
    async def fails(scope: Any, receive: Any, send: Any) -> None:
        raise ZeroDivisionError("secret")

    answer = TestClient(Guard(fails, Door()), base_url=HERE).get("/")
    assert answer.status_code == 500
    assert answer.text == "this is a fault in Vitrail (ZeroDivisionError): please report what you did\n"


def test_a_port_that_is_taken_is_said() -> None:
    taken = open_port("127.0.0.1", 0)
    port = taken.getsockname()[1]
    with pytest.raises(ConfigError, match=rf"port {port} of 127\.0\.0\.1 can't be had \(.*\): choose another --port"):
        open_port("127.0.0.1", port)
    taken.close()
    with pytest.raises(ConfigError, match="is no address of this machine"):
        open_port("no.such.host.invalid", 0)


def test_what_is_no_http_is_shrugged_off(library: Library) -> None:
    import socket

    with served(library) as address:
        port = int(address.rsplit(":", 1)[1])
        for junk in (
            b"\x16\x03\x01\x02\x00",
            b"GET / HTTP/9.9\r\n\r\n",
            b"GET / HTTP/1.1\r\n\r\n",
            b"A" * 100_000,
            b"\r\n" * 50,
        ):
            with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
                connection.sendall(junk)
                connection.shutdown(socket.SHUT_WR)
                with connection.makefile("rb") as answer:
                    assert b"Traceback" not in answer.read()
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        connection.request("GET", "/")
        assert connection.getresponse().status == 200
        connection.close()


async def crowd(address: str, url: str, size: int, clients: int, seconds: float) -> int:
    """Many clients who each read a random part after the other; how many parts were read, all of them right."""
    import random

    host, _, port = address.removeprefix("http://").rpartition(":")
    end, done = time.monotonic() + seconds, 0

    async def one(number: int) -> None:
        nonlocal done
        draw = random.Random(number)
        reader, writer = await asyncio.open_connection(host, int(port))
        while time.monotonic() < end:
            start = draw.randrange(size)
            length = min(size - start, 1 + draw.randrange(4096))
            writer.write(
                f"GET {url} HTTP/1.1\r\nHost: {host}\r\nRange: bytes={start}-{start + length - 1}\r\n\r\n".encode()
            )
            head = await reader.readuntil(b"\r\n\r\n")
            assert b" 206 " in head.split(b"\r\n")[0]
            assert len(await reader.readexactly(length)) == length
            done += 1
        writer.close()

    await asyncio.gather(*map(one, range(clients)))
    return done


def read_by(address: str, library: Library, clients: int, seconds: float) -> int:
    """What a crowd reads; in a thread of its own, for a browser of other tests may have a loop in this one."""
    with ThreadPoolExecutor(1) as pool:
        url = library.entries()[0].url or ""
        return pool.submit(lambda: asyncio.run(crowd(address, url, 3000, clients, seconds))).result()


def test_many_clients_at_once(library: Library, tmp_path: Path) -> None:
    with served(library) as address:
        assert read_by(address, library, 40, 1) >= 40


@pytest.mark.slow
def test_two_hundred_clients_for_a_minute(library: Library, tmp_path: Path) -> None:
    with served(library) as address:
        before = threading.active_count()
        assert read_by(address, library, 200, 60) >= 10_000
        assert threading.active_count() <= before + 50
        assert read_by(address, library, 1, 0.1) >= 1
