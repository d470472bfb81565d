"""``vitrail view``: what its words mean, what it serves, how it stops."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from vitrail.cli import main
from vitrail.errors import ConfigError, ModelError
from vitrail.recipes import view as recipe
from vitrail.recipes.view import INSTALLED, ViewRecipe, installed_model, runs_in, serve, sort
from vitrail.viewer.example import examples


def config_of(url: str) -> dict[str, Any]:
    """What the page is told."""
    with urllib.request.urlopen(url, timeout=20) as answer:
        found: dict[str, Any] = json.loads(re.findall(r'id="vitrail">(.*?)</script>', answer.read().decode())[0])
    return found


def names_of(url: str) -> list[str]:
    return [source["name"] for source in config_of(url)["sources"]]


@pytest.fixture
def traces(tmp_path: Path) -> Path:
    """A folder with two traces, one of them in a folder of its own."""
    (tmp_path / "traces" / "deep").mkdir(parents=True)
    for name, path in zip(("a", "deep/b"), examples().values(), strict=True):
        (tmp_path / "traces" / f"{name}.safetensors").write_bytes(path.read_bytes())
    return tmp_path / "traces"


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """No model is installed."""
    monkeypatch.setattr(recipe, "installed_model", lambda: None)


def test_the_shipped_traces_are_small_and_whole() -> None:
    from vitrail.trace import load_trace

    trained, untrained = (load_trace(path) for path in examples().values())
    assert all(path.stat().st_size <= 300_000 for path in examples().values())
    assert (
        trained.provenance.texts
        == untrained.provenance.texts
        == ("I wanted to have a party", "I bought a cake for it.")
    )
    assert [trace.provenance.model for trace in (trained, untrained)] == ["sentence-transformers/all-MiniLM-L6-v2"] * 2
    assert trained.weights(5).shape == (12, 16, 16)
    assert float(trained.weights(0, 2).diagonal(-1).mean()) > 0.9  # its previous-token head
    assert float(untrained.weights(0, 2).max()) < 0.2


@pytest.mark.usefixtures("bare")
def test_without_words_the_example_is_shown() -> None:
    with serve(ViewRecipe(())) as opened:
        assert names_of(opened.url) == list(examples())
        assert config_of(opened.url)["live"] is None


@pytest.mark.usefixtures("bare")
def test_traces_and_folders_of_them(traces: Path) -> None:
    with serve(ViewRecipe((str(traces), str(traces / "a.safetensors")))) as opened:
        assert names_of(opened.url) == ["a", "deep/b"]


@pytest.mark.usefixtures("bare")
def test_a_damaged_trace_is_listed_and_the_others_are_served(traces: Path) -> None:
    (traces / "bad.safetensors").write_bytes((traces / "a.safetensors").read_bytes()[:5000])
    with serve(ViewRecipe((str(traces),))) as opened:
        sources = config_of(opened.url)["sources"]
    assert [source["name"] for source in sources if "error" in source] == ["bad"]
    assert len(sources) == 3


@pytest.mark.usefixtures("here")
def test_runs_are_asked_at_once_and_live_afterwards(runs: Path) -> None:
    notes: list[object] = []
    with serve(ViewRecipe(("runs/mae", "runs/faces", "runs/vit"), image=Path("three.png")), notes.append) as opened:
        config = config_of(opened.url)
        assert [model["name"] for model in config["live"]["models"]] == ["runs/mae", "runs/faces", "runs/vit"]
        assert {model["kind"] for model in config["live"]["models"]} == {"image"}
        assert [source["streams"] for source in config["sources"]] == [
            ["encoder", "mae-decoder"],
            ["encoder"],
            ["encoder"],
        ]
        which = {"trace": config["sources"][2]["id"], "stream": "encoder", "layer": 0, "head": 1, "kind": "zero"}
        body = json.dumps(which).encode()
        asked = urllib.request.Request(f"{opened.url}api/ablate", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(asked, timeout=60) as answer:
            told = json.load(answer)
        assert told["sentence"].startswith("Without head 0.1 the likeliest class, ")
        assert told["effect"] > 0
        model = config["live"]["models"][0]["id"]
        address = f"{opened.url}api/attend?model={model}&untrained=true"
        sent = urllib.request.Request(address, Path("three.png").read_bytes(), {"Content-Type": "image/png"})
        with urllib.request.urlopen(sent, timeout=60) as answer:
            assert json.load(answer)["weights"].startswith("untrained")


@pytest.mark.usefixtures("here")
def test_a_folder_of_runs_lists_them_as_live_models(runs: Path) -> None:
    assert {"cls", "faces", "mae", "vit"} <= {path.name for path in runs_in(Path("runs"))}
    with serve(ViewRecipe(("runs",))) as opened:
        config = config_of(opened.url)
    assert {"runs/cls", "runs/faces", "runs/mae", "runs/vit"} <= {model["name"] for model in config["live"]["models"]}
    assert [source["name"] for source in config["sources"]] == list(examples())


def test_words_are_sorted_by_what_they_name(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text("{}")
    (tmp_path / "x.safetensors").write_bytes(b"")
    words = (str(tmp_path), str(tmp_path / "run"), str(tmp_path / "x.safetensors"), "a text", "b")
    found = sort(words)
    assert found.folders == (tmp_path,)
    assert found.models == (str(tmp_path / "run"),)
    assert found.traces == (tmp_path / "x.safetensors",)
    assert found.texts == ("a text", "b")
    assert sort(("bert-base-uncased", "word")).models == ("bert-base-uncased",)
    assert sort(("org/model", "word", "two")).texts == ("word", "two")
    assert sort((INSTALLED, "a text")).models == (installed_model(),), "the package's, by its name"


@pytest.mark.parametrize(
    ("things", "said"),
    [
        (("missing.safetensors",), r"missing\.safetensors does not exist: name a trace"),
        (("a text of words",), "as a text it needs a model before it"),
        (("model", "a", "b", "c"), "3 texts can't be read together"),
    ],
)
def test_words_that_name_nothing(things: tuple[str, ...], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        sort(things)


def test_a_model_that_isnt_there_is_said(tmp_path: Path) -> None:
    with (
        pytest.raises(ModelError, match="no folder and no name on the hub"),
        serve(ViewRecipe(("no/such-model", "text"))),
    ):
        pass


def test_other_machines_need_the_token(traces: Path) -> None:
    with serve(ViewRecipe((str(traces),), host="0.0.0.0")) as opened:
        found = re.fullmatch(r"http://[^/]+:(\d+)/\?token=([\w-]{32})", opened.url)
        assert found is not None
        with pytest.raises(urllib.request.HTTPError, match="403"):
            urllib.request.urlopen(f"http://127.0.0.1:{found[1]}/", timeout=20)
        jar = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
        with jar.open(f"http://127.0.0.1:{found[1]}/?token={found[2]}", timeout=20) as answer:
            assert answer.url == f"http://127.0.0.1:{found[1]}/"
            assert answer.status == 200


@pytest.mark.usefixtures("bare")
def test_the_browser_is_opened_unless_told_not_to(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from vitrail.cli import view

    opened: list[str] = []
    monkeypatch.setattr(view, "open_browser", opened.append)
    monkeypatch.setattr(view, "wait", lambda: None)
    assert main(["view"]) == 0
    assert main(["view", "--no-open"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(opened) == 1
    assert lines[0] == f"open {opened[0]}  (Ctrl-C stops)"
    assert re.fullmatch(r"open http://127\.0\.0\.1:\d+/  \(Ctrl-C stops\)", lines[2])


def test_no_browser_without_a_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    from vitrail.viewer import browsers

    opened: list[str] = []
    monkeypatch.setattr(browsers.webbrowser, "open", lambda url: opened.append(url) or True)
    monkeypatch.setattr(browsers.sys, "platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert not browsers.open_browser("http://x")
    monkeypatch.setenv("DISPLAY", ":0")
    assert browsers.open_browser("http://x")
    assert opened == ["http://x"]


def test_ctrl_c_stops_it_cleanly(traces: Path) -> None:
    program = [sys.executable, "-m", "vitrail", "view", str(traces), "--no-open"]
    with subprocess.Popen(
        program,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ,
        # A shell that runs the tests in the background has them ignore Ctrl-C, which children inherit.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as running:
        killer = threading.Timer(120, running.kill)
        killer.start()
        assert running.stdout is not None
        url = running.stdout.readline().split()[1]
        assert names_of(url) == ["a", "deep/b"]
        running.send_signal(signal.SIGINT)
        said, complained = running.communicate()
        killer.cancel()
    assert (running.returncode, complained) == (0, "")
    assert said.startswith("next:     vitrail attend ")


def test_one_file_instead_of_a_server(traces: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "page.html"
    assert main(["view", str(traces), "--html", str(page)]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == f"{page} takes {page.stat().st_size / 2**20:.1f} MB"
    assert said[1:] == [f"results:  {page}", f"next:     vitrail view {traces}"]
    assert '"name":"deep/b"' in page.read_text()
    assert main(["view", str(traces), "--html", str(page), "--limit", "1"]) == 2
    assert "1.0 MB are allowed: capture with half precision" in capsys.readouterr().err


def test_an_empty_folder_is_said_and_an_example_shown(tmp_path: Path) -> None:
    notes: list[Any] = []
    with serve(ViewRecipe((str(tmp_path),)), notes.append) as opened:
        assert names_of(opened.url) == list(examples())
    assert [note.text for note in notes] == [f"there are no traces in {tmp_path}, so an example is shown"]


def test_a_taken_port_is_one_sentence(traces: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with serve(ViewRecipe((str(traces),))) as opened:
        port = opened.url.split(":")[2].strip("/")
        assert main(["view", str(traces), "--port", port, "--no-open"]) == 2
    assert f"vitrail: port {port} of 127.0.0.1 can't be had" in capsys.readouterr().err
