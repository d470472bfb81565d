"""What may be asked of live models, and what is refused: one question at a time, within limits."""

import http.client
import json
import threading
import time

import pytest
from starlette.testclient import TestClient
from viewer_support import Talking, trace_url

from vitrail.viewer import live as room
from vitrail.viewer.library import Library
from vitrail.viewer.live import Desk, Question
from vitrail.viewer.server import application
from vitrail.viewer.serving import Serving, open_port


def test_a_text_becomes_a_trace(client: TestClient, talking: Talking) -> None:
    asked = {"model": "m", "text": "a", "pair": "b", "untrained": True, "causal": False, "target": None}
    told = client.post("/api/attend", json=asked).json()
    assert talking.asked == [Question("m", "a", "b", untrained=True, causal=False)]
    assert told["id"] == "live-1"
    assert told["name"] == "a + b · untrained · a model"
    assert client.get(told["url"]).content[8:40].startswith(b'{"__metadata__"')


def test_an_image_becomes_a_trace(client: TestClient, talking: Talking) -> None:
    sent = client.post("/api/attend?model=i&untrained=true", content=b"\x89PNG", headers={"Content-Type": "image/png"})
    assert sent.status_code == 200
    assert talking.asked == [Question("i", image=b"\x89PNG", untrained=True)]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"model": "nobody", "text": "a"}, 404),
        ({"model": "m", "text": " "}, 400),
        ({"model": "m", "text": 3}, 400),
        ({"model": "m", "text": "a", "untrained": "yes"}, 400),
        ({"model": ["m"], "text": "a"}, 400),
        ([], 400),
        (3, 400),
        ({"model": "m", "text": "bad"}, 422),
        ({"model": "m", "text": "fault"}, 500),
    ],
)
def test_what_can_t_be_asked_is_one_sentence(client: TestClient, body: object, status: int) -> None:
    answer = client.post("/api/attend", json=body)
    assert answer.status_code == status
    assert answer.json()["error"].endswith(".")
    assert "Traceback" not in answer.text


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"[" * 30_000, b'{"model": NaN'])
def test_what_is_no_json_is_one_sentence(client: TestClient, body: bytes) -> None:
    answer = client.post("/api/attend", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert "object in JSON" in answer.json()["error"]


def test_long_bodies_are_not_read(client: TestClient, talking: Talking) -> None:
    for size, kind in ((2**16 + 1, "application/json"), (20 * 2**20 + 1, "image/png")):
        answer = client.post("/api/attend?model=i", content=b"1" * size, headers={"Content-Type": kind})
        assert answer.status_code == 413
        answer = client.post("/api/attend?model=i", content=iter([b"1" * size]), headers={"Content-Type": kind})
        assert answer.status_code == 413
    assert talking.asked == []


def test_a_head_is_taken_away(client: TestClient) -> None:
    client.post("/api/attend", json={"model": "m", "text": "words"})
    which = {"trace": "live-1", "stream": "encoder", "layer": 1, "head": 2, "kind": "mean"}
    told = client.post("/api/ablate", json=which).json()
    assert told == {"effect": 0.5, "sentence": "words without encoder 1.2 (mean)"}
    for wrong, status in [
        ({"trace": "live-9"}, 404),
        ({"trace": trace_url(client).split("/")[-1]}, 409),
        ({"layer": -1}, 400),
        ({"head": True}, 400),
        ({"head": 1.5}, 400),
        ({"kind": "double"}, 400),
        ({"stream": None}, 400),
    ]:
        assert client.post("/api/ablate", json={**which, **wrong}).status_code == status, wrong


def test_only_the_latest_are_kept(client: TestClient, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "KEPT", 2)
    urls = [client.post("/api/attend", json={"model": "m", "text": "a"}).json()["url"] for _ in range(3)]
    assert [client.get(url).status_code for url in urls] == [404, 200, 200]
    monkeypatch.setattr(room, "KEPT_BYTES", 10)
    client.post("/api/attend", json={"model": "m", "text": "a"})
    assert [client.get(url).status_code for url in urls] == [404, 404, 404]


def test_one_at_a_time_a_few_wait_and_more_are_sent_away(library: Library, desk: Desk, talking: Talking) -> None:
    talking.hold.clear()
    with Serving(application(library, desk=desk), open_port("127.0.0.1", 0)) as serving:
        statuses: list[int] = []
        threads = [
            threading.Thread(target=lambda: statuses.append(post(serving.port))) for _ in range(room.WAITING + 3)
        ]
        for thread in threads:
            thread.start()
        end = time.monotonic() + 10
        while len(statuses) < 2 and time.monotonic() < end:
            time.sleep(0.01)
        assert statuses == [429, 429]
        talking.hold.set()
        for thread in threads:
            thread.join(10)
    assert sorted(statuses) == [200] * (room.WAITING + 1) + [429, 429]


def test_what_takes_too_long_is_given_up(client: TestClient, talking: Talking, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "PATIENCE", 0.05)
    talking.hold.clear()
    answer = client.post("/api/attend", json={"model": "m", "text": "a"})
    talking.hold.set()
    assert answer.status_code == 503
    assert "shorter text" in answer.json()["error"]


def post(port: int) -> int:
    """Ask for a trace; the status."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request(
        "POST", "/api/attend", json.dumps({"model": "m", "text": "a"}), {"Content-Type": "application/json"}
    )
    status = connection.getresponse().status
    connection.close()
    return status
