"""Matrix, Image, Model and Atlas in a real browser: numbers, pointer, keyboard, and files of what is seen."""

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs
from xml.etree import ElementTree

import numpy as np
import pytest
from viewer_support import HOSTILE, Browse, made, served

from vitrail.trace import (
    Axis,
    Layer,
    Mask,
    Provenance,
    Stream,
    Trace,
    finish_layer,
    head_scores,
    label_heads,
    named,
)
from vitrail.trace.flow import rollout
from vitrail.viewer.library import Library

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

SVG = "{http://www.w3.org/2000/svg}"
SIDES = {"written": 17, "read": 29}
"""Positions of either side of cross-attention."""


def seeing() -> Trace:
    """A trace of a masked autoencoder: CLS and 5 of 12 patches seen by the encoder, the others asking the decoder."""
    random = np.random.default_rng(3)
    hidden = np.isin(np.arange(12), (0, 2, 3, 7, 8, 9, 11))
    seen = np.r_[-1, np.flatnonzero(~hidden)].astype(np.int32)
    axes = [
        Axis(name, "patches", len(places), grid=(3, 4), patch=(4, 4), places=places, hidden=hidden, image="image")
        for name, places in (("seen", seen), ("hidden", np.flatnonzero(hidden).astype(np.int32)))
    ]
    streams = []
    for name, queries, keys in (("encoder", axes[0], axes[0]), ("mae-decoder", axes[1], axes[0])):
        q, k = (random.normal(size=(3, axis.length, 5)).astype(np.float32) for axis in (queries, keys))
        scores = np.einsum("hqd,hkd->hqk", q.astype(np.float64), k)
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        weights /= weights.sum(-1, keepdims=True)
        layer = finish_layer(Layer(name, q, k), queries, keys, weights.astype(np.float32))
        streams.append(Stream(name, queries.name, keys.name, (layer,)))
    image = random.integers(0, 256, (12, 16, 3)).astype(np.uint8)
    return Trace(named(axes), tuple(streams), Provenance("model"), {"image": image})


def causal() -> Trace:
    """A longer text, causal, with a head that looks at the token before."""
    random = np.random.default_rng(4)
    n = 150
    axis = Axis("tokens", "tokens", n, texts=tuple(f" t{place}" for place in range(n)))
    q, k = (random.normal(size=(2, n, 5)).astype(np.float32) for _ in range(2))
    turn = np.arange(n)[:, None] * np.pi * np.array([0.02, 0.11])
    k[0] = 9 * np.c_[np.cos(turn), np.sin(turn), np.zeros(n)]
    q[0] = np.roll(k[0], 1, axis=0)
    layer = Layer("layer", q, k, mask=Mask("causal"))
    scores = np.einsum("hqd,hkd->hqk", q.astype(np.float64), k)
    scores[:, ~np.tri(n, dtype=bool)] = -np.inf
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    done = finish_layer(layer, axis, axis, weights.astype(np.float32))
    return Trace(named([axis]), (Stream("decoder", "tokens", "tokens", (done,)),), Provenance("model"), {})


def crossing() -> Trace:
    """Cross-attention with a head that walks along what it reads, and one that doesn't."""
    random = np.random.default_rng(5)
    axes = [Axis(name, "tokens", n, texts=tuple(f" {name}{at}" for at in range(n))) for name, n in SIDES.items()]
    sides = []
    for axis in axes:
        turn = np.linspace(0, np.pi / 2, axis.length)
        walking = 20 * np.c_[np.cos(turn), np.sin(turn)]
        sides.append(np.stack([walking, random.normal(size=(axis.length, 2))]).astype(np.float32))
    scores = np.einsum("hqd,hkd->hqk", *(side.astype(np.float64) for side in sides))
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    layer = finish_layer(Layer("cross", *sides), *axes, weights.astype(np.float32))
    return Trace(named(axes), (Stream("cross", *SIDES, (layer,)),), Provenance("model"))


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of all traces."""
    folder = tmp_path_factory.mktemp("traces")
    library = Library()
    for name, trace in {
        "hostile": made(HOSTILE, name=HOSTILE[1]),
        "seeing": seeing(),
        "causal": causal(),
        "crossing": crossing(),
    }.items():
        library.add(trace.save(folder / f"{name}.safetensors"), name)
    with served(library) as found:
        yield found


def opened(browse: Browse, address: str, state: str) -> "Page":
    """The page in a state; waits until it is drawn."""
    page = browse(f"{address}/#{state}")
    page.wait_for_selector(".drawing > *")
    return page


def state_of(page: "Page") -> dict[str, str]:
    """What the address says, once it is written: it follows what is looked at a little later."""
    page.wait_for_timeout(450)
    return {name: values[0] for name, values in parse_qs(page.url.partition("#")[2]).items()}


def saved(page: "Page", kind: str) -> bytes:
    """The file behind one of the buttons SVG, PNG and CSV."""
    with page.expect_download() as download:
        page.get_by_role("button", name=kind, exact=True).click()
    return Path(download.value.path()).read_bytes()


def numbers(page: "Page") -> list[list[str]]:
    return list(csv.reader(io.StringIO(saved(page, "CSV").decode("utf-8-sig"))))[1:]


def values(rows: list[list[str]]) -> list[float]:
    return [float(row[3]) for row in rows]


def test_a_matrix_shows_the_numbers_of_python(browse: Browse, address: str) -> None:
    page = opened(browse, address, "drawing=matrix&head=1&heads=1")
    page.get_by_role("combobox", name="Trace").select_option(label="causal")
    page.wait_for_selector(".matrix-stage[aria-label*='150 queries']")
    stage = page.locator(".matrix-stage")
    stage.focus()
    page.wait_for_timeout(400)
    rows = numbers(page)
    head = int(state_of(page).get("head", "0"))
    weights = causal().weights(0, head)
    found = np.array([[float(cell or "nan") for cell in row[1:151]] for row in rows[:150]])
    assert np.isnan(found[np.triu_indices(150, 1)]).all()
    assert np.nan_to_num(found) == pytest.approx(weights, abs=1e-5)
    assert float(rows[150][1]) == pytest.approx(weights[:, 0].sum(), abs=1e-4)
    picture = saved(page, "SVG")
    assert ElementTree.fromstring(picture).find(f"{SVG}image") is not None
    assert saved(page, "PNG").startswith(b"\x89PNG\r\n\x1a\n")
    # Zoomed in, only what is seen is written, in shapes and with its tokens.
    stage.focus()
    for _ in range(14):
        page.keyboard.press("+")
    page.wait_for_timeout(100)
    near = ElementTree.fromstring(saved(page, "SVG"))
    assert near.find(f"{SVG}image") is None
    assert any((text.text or "").startswith("·t") for text in near.iter(f"{SVG}text"))
    assert 4 < len(numbers(page)) < 40
    stage.focus()
    page.keyboard.press("0")
    assert len(numbers(page)) == 151


def test_a_matrix_is_steered_by_pointer_and_keys(browse: Browse, address: str) -> None:
    page = opened(browse, address, "drawing=matrix&layer=1&head=2&heads=2")
    stage = page.locator(".matrix-stage")
    box = stage.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] * 0.4, box["y"] + box["height"] * 0.5
    page.mouse.click(x, y)
    locked = state_of(page)
    assert {"query", "key"} <= locked.keys()
    page.mouse.click(x, y)
    assert "query" not in state_of(page)
    # A drag moves the picture and keeps nothing.
    page.mouse.wheel(0, -600)
    page.wait_for_timeout(100)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - 60, y - 40, steps=4)
    page.mouse.up()
    assert "query" not in state_of(page)
    assert len(numbers(page)) < len(HOSTILE) + 1
    page.mouse.dblclick(x, y)
    assert len(numbers(page)) == len(HOSTILE) + 1
    page.keyboard.down("Shift")
    page.mouse.click(x, y)
    page.keyboard.up("Shift")
    assert state_of(page)["pin"] == f"{locked['query']}.{locked['key']}"
    stage.focus()
    page.keyboard.press("Escape")
    for key in ("ArrowDown", "ArrowRight", "ArrowDown", "Enter"):
        page.keyboard.press(key)
    state = state_of(page)
    assert (state["query"], state["key"]) == ("1", "1")


@pytest.mark.parametrize("drawing", ["matrix", "model", "atlas"])
def test_hostile_tokens_stay_text(browse: Browse, address: str, drawing: str) -> None:
    page = opened(browse, address, f"drawing={drawing}&layer=1")
    page.mouse.move(560, 420)
    page.wait_for_timeout(200)
    picture = ElementTree.fromstring(saved(page, "SVG"))
    assert not list(picture.iter(f"{SVG}script"))
    assert not [cell for row in numbers(page) for cell in row if cell[:1] in "=+@" and cell[:1]]
    assert page.evaluate("window.hostile") is None


def test_patches_show_what_they_look_at(browse: Browse, address: str) -> None:
    page = opened(browse, address, "drawing=matrix")
    page.get_by_role("combobox", name="Trace").select_option(label="seeing")
    page.get_by_role("tab", name="Image").click()
    stage = page.locator(".image-stage")
    stage.wait_for()
    trace = seeing()
    rows = numbers(page)
    assert [row[0] for row in rows] == ["CLS", "0,1", "1,0", "1,1", "1,2", "2,2"]
    weights = trace.weights(0, stream="encoder")
    assert values(rows) == pytest.approx(weights[0, 0].tolist(), abs=1e-5)
    # From CLS, where it begins, down to the first patch; kept, arrows then choose what it looks at.
    stage.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    assert state_of(page)["query"] == "1"
    assert values(numbers(page)) == pytest.approx(weights[0, 1].tolist(), abs=1e-5)
    page.get_by_role("button", name="all heads", exact=True).click()
    mean = weights.mean(axis=0)[1]
    assert values(numbers(page)) == pytest.approx(mean.tolist(), abs=1e-5)
    page.get_by_role("button", name="rollout", exact=True).click()
    page.wait_for_timeout(500)
    rolled = rollout([weights])[-1][1]
    assert values(numbers(page)) == pytest.approx(rolled.tolist(), abs=1e-5)
    assert ElementTree.fromstring(saved(page, "SVG")).find(f"{SVG}image") is not None
    page.get_by_role("button", name="mae-decoder").click()
    page.wait_for_timeout(800)
    assert len(numbers(page)) == 6


def test_all_heads_are_sorted_filtered_and_opened(browse: Browse, address: str) -> None:
    page = opened(browse, address, "drawing=model")
    stage = page.locator(".model-stage")
    stage.focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowDown"):
        page.keyboard.press(key)
        page.wait_for_timeout(300)
    assert (state_of(page)["layer"], state_of(page)["head"]) == ("1", "2")
    page.get_by_label("order of heads").select_option("entropy")
    entropy = [float(row[5]) for row in numbers(page)]
    assert entropy == sorted(entropy, reverse=True)
    role = page.locator(".model-roles button").first
    count = int((role.text_content() or "0").split()[-1])
    role.click()
    assert len(numbers(page)) == count
    stage.focus()
    page.keyboard.press("ArrowDown")
    page.wait_for_timeout(250)
    page.keyboard.press("Enter")
    page.wait_for_selector(".lines-stage")


def test_the_atlas_names_heads_as_python_does(browse: Browse, address: str) -> None:
    page = opened(browse, address, "drawing=matrix")
    page.get_by_role("combobox", name="Trace").select_option(label="causal")
    page.get_by_role("tab", name="Atlas").click()
    table = page.locator(".atlas-table")
    table.wait_for()
    expected = label_heads(causal())
    assert expected.role.tolist()[0] == "previous token"
    for row, (_, head) in zip(numbers(page), expected.iterrows(), strict=True):
        assert row[2] == head.role
        assert row[4] == head.evidence
    header = table.get_by_role("button", name="entropy")
    header.click()
    assert table.locator("th[aria-sort='descending']").count() == 1
    table.get_by_role("button", name="entropy").click()
    assert table.locator("th[aria-sort='ascending']").count() == 1
    table.locator("tbody button").first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    # Where a head looks at the token before is best seen along the diagonal.
    page.wait_for_selector(".matrix-stage")


def test_heads_of_cross_attention_that_walk_along_are_found(browse: Browse, address: str) -> None:
    expected, scores = label_heads(crossing()), head_scores(crossing())["aligned"].tolist()
    assert expected.role[0] == "aligned"
    assert scores[0] > 0.9 > 0.5 > scores[1]
    page = opened(browse, address, "drawing=matrix")
    page.get_by_role("combobox", name="Trace").select_option(label="crossing")
    page.get_by_role("tab", name="Atlas").click()
    table = page.locator(".atlas-table")
    table.get_by_role("button", name="aligned").wait_for()
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV", exact=True).click()
    head, *rows = csv.reader(io.StringIO(Path(download.value.path()).read_text("utf-8-sig")))
    (place,) = (at for at, name in enumerate(head) if name.startswith("aligned"))
    assert [row[2] for row in rows] == expected.role.tolist()
    assert [row[4] for row in rows] == expected.evidence.tolist()
    assert [float(row[place]) for row in rows] == pytest.approx(scores, abs=1e-4)
    page.get_by_label("the map is coloured by").select_option("aligned")
    # Coloured by role, the map says "aligned" of this head, too, and then a sentence.
    told = page.locator("nav .told", has_text=re.compile(r"aligned: [\d.]+$"))
    told.wait_for()
    assert float((told.text_content() or "").split()[-1]) == pytest.approx(scores[0], abs=1e-4)
