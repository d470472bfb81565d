"""Files that are dropped or chosen, bad ones too; an address restores a view; what the map is coloured by."""

from pathlib import Path

import pytest
from viewer_support import made
from walker import Walk, close, number

from vitrail.trace import Trace

pytestmark = pytest.mark.browser

DROP = """async ([name, bytes]) => {
  const files = new DataTransfer();
  files.items.add(new File([Uint8Array.from(bytes)], name));
  for (const kind of ["dragover", "drop"])
    document.body.dispatchEvent(new DragEvent(kind, {bubbles: true, cancelable: true, dataTransfer: files}));
}"""


def test_a_file_is_dropped_or_chosen(walk: Walk, tmp_path: Path) -> None:
    path = made(("red", " green", " blue"), name="dropped model").save(tmp_path / "colours.safetensors")
    at = walk(drawing="matrix", query=4)
    at.page.evaluate(DROP, [path.name, list(path.read_bytes())])
    at.page.get_by_text("dropped model").first.wait_for()
    at.settled()
    assert at.page.title().startswith("colours")
    assert len(at.csv()) == 5, "its head, three rows, and their sum"
    at.go("bert", drawing="matrix")
    assert at.page.title().startswith("bert")
    with at.page.expect_file_chooser() as chooser:
        at.page.get_by_role("button", name="Open a trace file").click()
    chooser.value.set_files(path)
    at.page.get_by_text("dropped model").first.wait_for()
    assert at.page.get_by_role("combobox", name="Trace").locator("option", has_text="colours").count() >= 1


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("cut.safetensors", b"\x10\0\0\0\0\0\0\0{}"),
        ("long.safetensors", b"\xff" * 64),
        ("none.safetensors", b""),
        ("<img src=x onerror=window.hostile=1>.png", b"\x89PNG\r\n\x1a\n" + bytes(99)),
    ],
)
def test_a_bad_file_is_one_sentence_and_the_page_lives_on(walk: Walk, name: str, content: bytes) -> None:
    at = walk(drawing="matrix")
    before = at.state()
    at.page.evaluate(DROP, [name, list(content)])
    at.page.locator(".notice").wait_for()
    said = at.notice()
    assert said.endswith(".")
    assert name[:9] in said
    assert said.count(". ") == 0, "one sentence"
    assert at.state() == before, "what was looked at stays"
    at.press("]")
    at.until(layer="1")
    assert at.notice() == ""
    assert at.page.evaluate("window.hostile") is None


def test_an_address_restores_what_was_looked_at(walk: Walk) -> None:
    at = walk()
    wanted = {"stream": "decoder", "layer": 1, "head": 2, "heads": "0.2", "drawing": "lines", "quantity": "score"}
    at.go("summarizer", **wanted, query=5, words="true", score="entropy")
    kept, numbers = at.state(), at.csv()
    at.page.reload()
    at.settled()
    assert at.state() == kept
    assert at.csv() == numbers
    # An address says all of it, also by what it leaves out.
    at.go("summarizer", stream="decoder")
    assert at.state() == {"trace": kept["trace"], "stream": "decoder"}
    at.page.evaluate(
        "location.hash = 'trace=nobody&other=none&layer=999&head=-4&heads=x&drawing=no&quantity=no&pin=1.x'"
    )
    at.page.wait_for_function("() => document.title.startsWith('bert')")
    at.settled()
    assert at.notice() == ""


def test_the_map_is_coloured_by_what_is_asked(walk: Walk, walked: dict[str, Trace]) -> None:
    trace = walked["bert"]
    at = walk()
    at.go("bert", other="untrained", layer=3, head=4)
    chooser = at.page.get_by_label("the map is coloured by")
    choices = chooser.evaluate("one => [...one.options].map(option => option.value)")
    assert {"role", "change", "entropy", "previous", "importance", "ablation"} <= set(choices)
    for choice in choices:
        chooser.select_option(choice)
        at.until(score="" if choice == "role" else choice)
        told = at.page.locator(".told").text_content() or ""
        assert told.startswith("3.4 ")
        digest = trace.layer(3).digest
        assert digest is not None
        if choice in digest.scores:
            assert number(told.split(": ")[-1]) == pytest.approx(float(digest.scores[choice][4]), rel=0.06, abs=1e-4)
    at.go("bert", layer=3, head=4, pin="5.2")
    told = at.page.locator(".told").text_content() or ""
    assert number(told.split(": ")[-1]) == pytest.approx(float(trace.weights(3, 4)[5, 2]), abs=1e-4)
    at.page.get_by_role("button", name="unpin").click()
    at.until(pin="")
    at.go("bert", query=5, key=2)
    close(at.told("This link")["Weight, head 0.0"], trace.weights(0, 0)[5, 2])


def test_the_address_is_copied_and_that_is_said(walk: Walk) -> None:
    at = walk(drawing="matrix")
    at.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    at.page.keyboard.press("?")
    at.page.get_by_role("button", name="Copy the address").click()
    at.page.get_by_role("button", name="Copied").wait_for()
    assert "drawing=matrix" in at.page.evaluate("navigator.clipboard.readText()")


def test_the_table_behind_follows_what_is_locked(walk: Walk, walked: dict[str, Trace]) -> None:
    at = walk()
    at.go("bert", drawing="lines")
    at.behind("strongest key")
    at.page.locator(".lines-stage").focus()
    at.press("ArrowDown", "ArrowDown", "Enter")
    query = int(at.state()["query"])
    for row, weight in zip(at.behind(f"from query {query}"), walked["bert"].weights(0, 0)[query], strict=True):
        assert number(row[2]) == pytest.approx(weight, abs=1e-4)
