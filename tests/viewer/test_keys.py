"""Everything can be done by keys alone: real presses in Chromium; the focus is seen, kept, and given back."""

import pytest
from walker import Walk, Walker

pytestmark = pytest.mark.browser

FOCUSED = """() => { const one = document.activeElement;
  return one === document.body ? "" : one.getAttribute("aria-label") ?? one.textContent; }"""


def focused(at: Walker) -> str:
    """What has the focus, in words; nothing is ""."""
    return str(at.page.evaluate(FOCUSED)).strip()


def tabbed(at: Walker, to: str, *, most: int = 60) -> list[str]:
    """Press Tab until that has the focus; what had it on the way."""
    met = []
    for _ in range(most):
        at.page.keyboard.press("Tab")
        met.append(focused(at))
        if to in met[-1]:
            return met
    raise AssertionError(f"Tab never came to {to}: {met}")


def ringed(at: Walker) -> bool:
    """Whether people see what has the focus."""
    return bool(
        at.page.evaluate(
            """() => { const style = getComputedStyle(document.activeElement);
            return style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 1; }"""
        )
    )


def test_tab_goes_through_the_rooms_in_their_order(walk: Walk) -> None:
    at = walk(drawing="lines", other="")
    met = tabbed(at, "inspector")
    rooms = ["Open a trace file", "map of 6 layers", "Lines", "SVG", "quantity", "sentences", "every", "inspector"]
    places = [next(place for place, one in enumerate(met) if room in one) for room in rooms]
    assert places == sorted(places)
    assert not {"Matrix", "Atlas", "a trace file"} & set(met), "tabs are one stop, and arrows go on"
    assert (
        at.page.evaluate('document.querySelectorAll(\'[tabindex]:not([tabindex="0"]):not([tabindex="-1"])\').length')
        == 0
    )


def test_the_focus_is_seen_everywhere(walk: Walk) -> None:
    at = walk()
    for drawing in ("lines", "atlas", "model"):
        at.go("bert", drawing=drawing)
        at.page.evaluate("document.activeElement.blur()")
        for _ in range(30):
            at.page.keyboard.press("Tab")
            assert not focused(at) or ringed(at), focused(at)
            if focused(at) == "inspector":
                break


def test_tabs_and_the_map_are_moved_in_by_arrows(walk: Walk) -> None:
    at = walk()
    tabbed(at, "Lines")
    at.press("ArrowRight")
    at.until(drawing="matrix")
    assert focused(at) == "Matrix"
    at.press("ArrowLeft", "ArrowLeft")
    at.until(drawing="atlas")
    assert focused(at) == "Atlas"
    at.page.evaluate("document.activeElement.blur()")
    tabbed(at, "map of")
    at.press("ArrowDown", "ArrowDown", "ArrowRight", "ArrowUp", "ArrowLeft", "ArrowRight")
    at.until(layer="1", head="1")
    assert "layer 1, head 1 is chosen" in focused(at)


@pytest.mark.parametrize("drawing", ["lines", "matrix", "text", "arithmetic"])
def test_layers_and_heads_are_stepped_with_the_drawing_in_focus(walk: Walk, drawing: str) -> None:
    at = walk()
    at.go("bert", drawing=drawing)
    stage = at.page.locator(f".{drawing}-stage")
    stage.focus()
    at.press("]", "]", "[", ".", ".", ",")
    at.until(layer="1", head="1")
    assert at.page.evaluate("document.activeElement.className") == f"{drawing}-stage", "the focus stays"
    at.press("ArrowDown", "Enter")
    assert int(at.state()["query"]) >= 0
    if drawing in ("lines", "matrix"):
        at.press("ArrowRight", "Enter")
        at.press("p")
        assert at.state()["pin"] == f"{at.state()['query']}.{at.state()['key']}"
        at.page.locator(".pinned").wait_for()
        assert at.page.evaluate("document.activeElement.className") == f"{drawing}-stage", "the focus stays"
    at.press("Escape")
    at.until(query="", key="", pin="")


def test_keys_that_work_anywhere(walk: Walk) -> None:
    at = walk()
    at.go("mae", drawing="lines")
    for key, drawing in (
        ("2", "matrix"),
        ("4", "image"),
        ("5", "arithmetic"),
        ("6", "model"),
        ("7", "atlas"),
        ("3", "atlas"),
    ):
        at.press(key)
        at.until(drawing=drawing)  # a picture has no Text: that key does nothing
    at.go("summarizer", stream="encoder")
    at.press("w")
    at.until(words="true")
    at.press("w")
    at.until(words="")
    theme = at.page.evaluate("document.documentElement.dataset.theme")
    at.press("t")
    assert at.page.evaluate("document.documentElement.dataset.theme") != theme
    assert at.page.evaluate("localStorage.getItem('vitrail-theme')") != theme


def test_space_shows_the_other_as_long_as_it_is_held(walk: Walk) -> None:
    at = walk()
    at.go("bert", other="untrained", drawing="matrix", layer=2, query=3)
    first = at.csv()
    at.page.locator(".matrix-stage").focus()
    at.page.keyboard.down(" ")
    at.page.get_by_text("swapped").wait_for()
    at.settled()
    assert at.page.get_by_text("untrained (library)").first.is_visible()
    at.page.keyboard.up(" ")
    at.page.get_by_text("beside untrained").wait_for()
    at.settled()
    assert at.csv() == first
    assert at.state()["query"] == "3"


def test_what_is_typed_into_a_choice_is_no_command(walk: Walk) -> None:
    at = walk()
    at.page.get_by_label("quantity", exact=True).focus()
    at.page.keyboard.press("t")
    assert "words" not in at.state()
    assert at.page.evaluate("localStorage.getItem('vitrail-theme')") in (None, "")


def test_the_focus_stays_on_what_is_pressed(walk: Walk) -> None:
    at = walk()
    at.go("bert", drawing="lines", query=3, key=4)
    at.page.get_by_role("group", name="heads whose").get_by_role("button", name="3", exact=True).focus()
    at.press("Enter")
    at.until(heads="0.3")
    assert focused(at) == "3"
    at.press("Space")
    at.until(heads="")
    at.page.get_by_role("button", name="which heads make this link?").focus()
    at.press("Enter")
    at.until(pin="3.4")
    assert focused(at) == "unpin this link"
    at.go("summarizer")
    at.page.get_by_role("button", name="cross", exact=True).focus()
    at.press("Enter")
    at.until(stream="cross")
    assert focused(at) == "cross"


def test_help_holds_the_focus_and_gives_it_back(walk: Walk) -> None:
    at = walk()
    stage = at.page.locator(".lines-stage")
    stage.focus()
    at.page.keyboard.press("?")
    dialog = at.page.get_by_role("dialog")
    dialog.wait_for()
    for _ in range(5):
        at.page.keyboard.press("Tab")
        assert at.page.evaluate(
            "document.activeElement === document.body || document.activeElement.closest('dialog') !== null"
        )
    at.page.keyboard.press("2")
    assert "drawing" not in at.state(), "what lies behind hears nothing"
    dialog.get_by_role("button", name="Close").focus()
    at.page.keyboard.press("Enter")
    dialog.wait_for(state="detached")
    assert at.page.evaluate("document.activeElement.className") == "lines-stage"
    at.page.keyboard.press("?")
    at.page.keyboard.press("Escape")
    dialog.wait_for(state="detached")
    assert at.page.evaluate("document.activeElement.className") == "lines-stage"


def test_the_tour_is_walked_by_keys_to_its_end(walk: Walk) -> None:
    at = walk(drawing="lines")
    at.page.get_by_role("button", name="A short tour").focus()
    at.page.keyboard.press("Enter")
    tour = at.page.get_by_role("dialog", name="tour")
    tour.wait_for()
    seen = set()
    for _ in range(9):
        at.settled()
        seen.add(at.state().get("drawing", "lines"))
        assert at.page.locator(".tour").evaluate("one => one.contains(document.activeElement)")
        assert at.notice() == ""
        if "Look around" in str(tour.text_content()):
            break
        at.page.keyboard.press("Enter")
    assert seen >= {"lines", "model", "arithmetic", "matrix"}
    at.page.keyboard.press("ArrowLeft")
    assert tour.get_by_role("button", name="Leave the tour").is_visible()
    at.page.keyboard.press("Escape")
    tour.wait_for(state="detached")
    assert focused(at) == "A short tour of the questions that this trace can answer"
