"""The app itself in every host: it draws, it follows live models, it stays up beside a damaged trace."""

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from viewer_support import HOSTILE, Browse, made, served

from vitrail.trace import Trace
from vitrail.viewer.example import examples
from vitrail.viewer.library import Library
from vitrail.viewer.live import Desk, LiveModel, Question, Without
from vitrail.viewer.onefile import to_html

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser


def drawn(page: "Page") -> None:
    """Until a picture is there."""
    page.wait_for_selector(".drawing canvas, .drawing svg, .drawing table")
    leave = page.get_by_role("button", name="Leave the tour")
    if leave.count():
        leave.first.click()


@pytest.fixture
def shipped() -> Library:
    library = Library()
    for name, path in examples().items():
        library.add(path, name)
    return library


def test_the_served_app_draws_the_example(browse: Browse, shipped: Library) -> None:
    with served(shipped) as address:
        page = browse(address)
        drawn(page)
        assert page.get_by_text("I wanted to have a party").first.is_visible()
        assert page.locator("option", has_text="MiniLM, untrained").count() >= 1


def test_one_file_from_the_disk_draws_the_same(browse: Browse, tmp_path: Path) -> None:
    page = browse(to_html(examples(), tmp_path / "one.html").path.as_uri())
    drawn(page)
    assert page.get_by_text("I wanted to have a party").first.is_visible()
    assert page.locator("form.ask").count() == 0
    for name in ("Matrix", "Text", "Arithmetic", "Model", "Atlas", "Lines"):
        page.get_by_role("tab", name=name).click()
        page.locator(".stage").get_by_role("img").or_(page.locator(".drawing *")).first.wait_for(state="attached")
    for name, suffix in (("SVG", "svg"), ("PNG", "png"), ("CSV", "csv")):
        with page.expect_download() as saved:
            page.get_by_role("button", name=name).click()
        assert saved.value.suggested_filename.endswith(f".{suffix}")
        assert Path(saved.value.path()).stat().st_size > 200


def test_a_damaged_trace_leaves_a_sentence_and_the_page(browse: Browse, tmp_path: Path) -> None:
    library = Library()
    (tmp_path / "bad.safetensors").write_bytes(b"\x08" + b"\0" * 7 + b"nonsense")
    entry = library.add(tmp_path / "bad.safetensors")
    library.add(made().save(tmp_path / "good.safetensors"))
    with served(library) as address:
        page = browse(address)
        drawn(page)  # the first that can be read
        page.evaluate(f"location.hash = 'trace={entry.id}'")
        page.get_by_text("can't be read as a trace").wait_for()
        assert page.locator("select option").count() > 2


def test_hostile_words_stay_text_in_the_app(browse: Browse, hostile: Trace, tmp_path: Path) -> None:
    library = Library()
    library.add(hostile.save(tmp_path / "h.safetensors"), HOSTILE[2])
    with served(library, title=HOSTILE[0]) as address:
        page = browse(address)
        drawn(page)
        for drawing in ("lines", "matrix", "text", "arithmetic", "model", "atlas"):
            page.evaluate(f"location.hash = location.hash.replace(/&?drawing=\\w+/, '') + '&drawing={drawing}'")
            page.wait_for_timeout(200)
        assert page.evaluate("window.hostile") is None
        assert (
            page.evaluate(
                "document.querySelectorAll('body script:not([src]), body img[onerror], [onmouseover]').length"
            )
            == 0
        )


def test_traces_that_come_while_the_page_is_open_are_listed(browse: Browse, shipped: Library, tmp_path: Path) -> None:
    shipped.growing = True
    with served(shipped) as address:
        page = browse(address)
        drawn(page)
        shown = page.url
        shipped.add(made().save(tmp_path / "new.safetensors"), "just trained")
        page.locator("option", has_text="just trained").first.wait_for(state="attached")
        assert page.url == shown  # what is looked at stays


class Echo:
    """A live model that gives a trace of the words it gets."""

    models = (LiveModel("echo", "an echo", "text", pair=True, causal=True),)

    def __init__(self) -> None:
        self.asked: list[Question] = []

    def prepare(self, model: str) -> None:
        pass

    def attend(self, question: Question) -> Trace:
        self.asked.append(question)
        texts = tuple(f" {word}" for word in (question.text or "").split())
        return made(texts, seed=len(texts), name="echo")

    def ablate(self, question: Question, without: Without) -> tuple[float, str]:
        return 0.1, f"Without head {without.layer}.{without.head} the echo is fainter."


def test_what_is_typed_is_seen_in_a_moment(browse: Browse, shipped: Library) -> None:
    echo = Echo()
    desk = Desk(echo, shipped)
    with served(shipped, desk=desk) as address:
        page = browse(address)
        drawn(page)
        field = page.get_by_label("text", exact=True)
        field.fill("seven small words that nobody has said")
        page.get_by_label("second text").fill("")
        begun = time.monotonic()
        field.press("Enter")
        page.wait_for_url(re.compile("trace=live-1"))
        drawn(page)
        print(f"from Enter to picture: {time.monotonic() - begun:.3f} s")
        assert echo.asked == [Question("echo", "seven small words that nobody has said")]
        assert page.get_by_text("nobody").first.count() == 1
        page.get_by_role("button", name="Without this head").click()
        page.get_by_text("the echo is fainter").wait_for()
        page.get_by_role("checkbox", name="untrained").check()
        page.wait_for_url(re.compile("trace=live-2"))
        page.wait_for_url(re.compile("other=live-1"))  # the twin's answer stands beside its own
        assert echo.asked[-1].untrained
        field.fill(" ")
        field.press("Enter")
        page.get_by_text("Type a sentence first.").wait_for()
    desk.close()
