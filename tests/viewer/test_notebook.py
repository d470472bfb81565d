"""The notebook's widget: a real browser with as much of a notebook around it as the protocol of anywidget needs."""

import base64
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from viewer_support import Browse, made

from vitrail.errors import ConfigError, TraceError
from vitrail.trace import Trace

pytest.importorskip("anywidget", reason="needs anywidget")
from vitrail.viewer import notebook

NOTEBOOK = """<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><body><script type="module">
const url = URL.createObjectURL(new Blob([ESM], {type: "text/javascript"}));
const {default: widget} = await import(url);
function modelOf(name, values) {
  const heard = new Set();
  const receive = ({content, buffers}) => {
    const parts = buffers.map((text) => new DataView(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer));
    for (const one of [...heard]) one(content, parts);
  };
  return {
    get: (key) => values[key],
    set: (key, value) => { values[key] = value; },
    save_changes: () => window.changed(name, JSON.stringify(values.selection)),
    send: async (content) => receive(await window.ask(name, content)),
    on: (event, one) => heard.add(one),
    off: (event, one) => heard.delete(one),
  };
}
window.views = [];
for (const [name, values] of Object.entries(WIDGETS)) {
  const model = modelOf(name, values);
  for (const place of ["one", "two"]) {
    const el = document.createElement("div");
    el.id = `${name}-${place}`;
    document.body.append(el);
    window.views.push(widget.render({model, el}));
  }
}
</script>"""


def as_script(value: object) -> str:
    from vitrail.viewer.page import escaped

    return escaped(value)


@pytest.fixture
def in_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notebook, "in_notebook", lambda: True)


@pytest.mark.browser
@pytest.mark.usefixtures("stub", "in_kernel")
def test_several_widgets_on_a_page_each_read_their_own_trace(browse: Browse, tmp_path: Path) -> None:
    traces = {"a": made(seed=1), "b": made((" x", " y", "<b>"), seed=2)}
    widgets = {name: notebook.show(trace, height=300) for name, trace in traces.items()}
    sent: list[dict[str, Any]] = []
    for widget in widgets.values():
        assert isinstance(widget, notebook.TraceWidget)
        widget.send = lambda content, buffers=(): sent.append(  # type: ignore[method-assign]
            {"content": content, "buffers": [base64.b64encode(part).decode() for part in buffers]}
        )

    def ask(name: str, content: dict[str, Any]) -> dict[str, Any]:
        widgets[name]._handle_custom_msg(content, [])  # type: ignore[union-attr]
        return sent.pop()

    changed: list[tuple[str, str]] = []
    values = {name: {"page": one.page, "height": one.height} for name, one in widgets.items()}  # type: ignore[union-attr]
    text = NOTEBOOK.replace("ESM", as_script(notebook.TraceWidget._esm)).replace("WIDGETS", as_script(values))
    (tmp_path / "notebook.html").write_text(text)
    page = browse("about:blank")
    page.expose_function("ask", ask)
    page.expose_function("changed", lambda name, selection: changed.append((name, selection)))
    page.goto((tmp_path / "notebook.html").as_uri())
    for name, trace in traces.items():
        for place in ("one", "two"):
            frame = page.frame_locator(f"#{name}-{place} iframe")
            frame.locator("#read").wait_for()
            assert frame.locator("#read p").all_text_contents() == list(trace.tokens().texts or ())
    assert {name for name, _ in changed} == {"a", "b"}
    assert changed[0][1] == '{"stream":"encoder","layer":1,"head":2,"query":3,"key":-1}'
    assert page.locator("iframe").count() == 4
    page.evaluate("window.views.forEach((gone) => gone())")
    assert page.locator("iframe").count() == 0


@pytest.fixture
def widget(trace: Trace, in_kernel: None) -> "notebook.TraceWidget":
    shown = notebook.show(trace)
    assert isinstance(shown, notebook.TraceWidget)
    return shown


def asked(widget: "notebook.TraceWidget", content: object) -> tuple[dict[str, Any], list[bytes]]:
    """What the kernel sends back."""
    sent: list[tuple[dict[str, Any], list[bytes]]] = []
    widget.send = lambda content, buffers=(): sent.append((content, list(buffers)))  # type: ignore[method-assign]
    widget._handle_custom_msg(content, [])
    return sent[0]


def test_the_kernel_sends_the_bytes_that_are_asked_for(
    widget: "notebook.TraceWidget", trace: Trace, tmp_path: Path
) -> None:
    content = trace.save(tmp_path / "x.safetensors").read_bytes()
    back, (part,) = asked(widget, {"view": "1-x", "call": 7, "id": "t0", "start": 8, "end": 108})
    assert back == {"view": "1-x", "call": 7}
    assert part == content[8:108]
    _, (part,) = asked(
        widget, {"view": "1-x", "call": 8, "id": "t0", "start": len(content) - 3, "end": len(content) + 9}
    )
    assert part == content[-3:]


@pytest.mark.parametrize(
    "content",
    [
        {"id": "t1", "start": 0, "end": 1},
        {"id": "../t0", "start": 0, "end": 1},
        {"id": ["t0"], "start": 0, "end": 1},
        {"id": "t0", "start": -5, "end": 1},
        {"id": "t0", "start": 5, "end": 1},
        {"id": "t0", "start": 0, "end": 2**40},
        {"id": "t0", "start": "no", "end": None},
        {},
        "nothing of the kind",
        None,
    ],
)
def test_what_is_no_range_of_a_trace_is_answered_with_a_sentence(
    widget: "notebook.TraceWidget", content: object
) -> None:
    back, parts = asked(widget, content)
    assert re.fullmatch(r"these bytes can't be had \(\w+\): run the cell again\.", back["error"])
    assert parts == []


def test_closing_a_widget_forgets_its_files(widget: "notebook.TraceWidget") -> None:
    (path,) = widget._paths.values()
    assert path.exists()
    widget.close()
    assert not path.exists()


def test_outside_of_a_notebook_one_file_is_opened(trace: Trace, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr(notebook, "open_browser", opened.append)
    shown = notebook.show(trace, made(seed=2))
    assert opened == [shown.path.as_uri()]  # type: ignore[union-attr]
    with pytest.raises(TraceError, match="int is no trace"):
        notebook.show(3)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="put all of them into the mapping"):
        notebook.show({"a": trace}, trace)


def test_without_anywidget_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "anywidget", None)
    monkeypatch.delitem(sys.modules, "vitrail.viewer.notebook")
    import vitrail as vt

    with pytest.raises(ConfigError, match=r"needs anywidget, .* pip install 'vitrail\[notebook\]', or .* vt\.to_html"):
        _ = vt.show


@pytest.mark.filterwarnings("ignore")  # the kernel's own, of its plain sockets and its loop
def test_a_cell_of_a_real_notebook_runs() -> None:
    nbclient = pytest.importorskip("nbclient", reason="needs nbclient and ipykernel")
    nbformat = pytest.importorskip("nbformat")
    show = "import vitrail as vt\nfrom vitrail.viewer.example import examples\nwidget = vt.show(examples())\nwidget"
    cells = [nbformat.v4.new_code_cell(code) for code in (show, "widget.selection", "len(widget.page) < 1_500_000")]
    ran = nbclient.NotebookClient(nbformat.v4.new_notebook(cells=cells), timeout=120, kernel_name="python3").execute()
    shown, selection, small = (cell.outputs[0].data for cell in ran.cells)
    assert "application/vnd.jupyter.widget-view+json" in shown
    assert (selection["text/plain"], small["text/plain"]) == ("{}", "True")
