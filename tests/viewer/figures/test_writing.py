"""Figures as files: whole or not there, the same bytes twice, safe to open, whatever the user's settings."""

import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import matplotlib
import pytest
from PIL import Image

from vitrail.errors import OutputError
from vitrail.trace import Trace
from vitrail.viewer.figures import attention_map, draw_all, head_atlas, save_figure, side_by_side

Make = Callable[..., Trace]
SVG = "{http://www.w3.org/2000/svg}"


def test_a_png_is_as_large_as_the_figure(text_trace: Make, tmp_path: Path) -> None:
    figure = attention_map(text_trace(), 0, 0)
    path = save_figure(figure, tmp_path / "a.png")
    assert path == tmp_path / "a.png"
    with Image.open(path) as image:
        size = image.size
    assert size == tuple(int(150 * inches) for inches in figure.get_size_inches())
    assert [one.name for one in tmp_path.iterdir()] == ["a.png"]


def test_an_svg_is_well_formed_and_quotes_what_it_says(
    text_trace: Make, hostile: Sequence[str], tmp_path: Path
) -> None:
    trace = text_trace([*hostile, "<script>alert(1)</script>", "a--b", "]]>"], None, model="<i>&\x07m$x$</i>")
    path = save_figure(attention_map(trace, 0, 0), tmp_path / "a.SVG")
    written = path.read_text(encoding="utf-8")
    root = ElementTree.fromstring(written)
    assert root.tag == f"{SVG}svg"
    assert not {one.tag for one in root.iter()} & {f"{SVG}script", f"{SVG}b", f"{SVG}i", f"{SVG}foreignObject"}
    assert "<script" not in written
    assert "<b>" not in written
    assert not any(one.startswith("on") for element in root.iter() for one in element.attrib)


def test_the_same_figure_is_the_same_file(text_trace: Make, tmp_path: Path) -> None:
    for kind in ("png", "svg"):
        files = [save_figure(head_atlas(text_trace()), tmp_path / f"{number}.{kind}") for number in range(2)]
        assert files[0].read_bytes() == files[1].read_bytes()


def test_a_users_settings_change_nothing(text_trace: Make, tmp_path: Path) -> None:
    before = save_figure(attention_map(text_trace(), 0, 0), tmp_path / "before.svg").read_bytes()
    with matplotlib.rc_context({"text.usetex": True, "axes.grid": True, "savefig.bbox": "tight", "font.size": 31}):
        after = save_figure(attention_map(text_trace(), 0, 0), tmp_path / "after.svg").read_bytes()
        assert matplotlib.rcParams["font.size"] == 31
    assert before == after


def test_another_suffix_or_a_bad_place_is_one_sentence(text_trace: Make, tmp_path: Path) -> None:
    figure = head_atlas(text_trace())
    with pytest.raises(OutputError, match=r"a\.gif is no name of a figure: let it end in \.png or \.svg"):
        save_figure(figure, tmp_path / "a.gif")
    with pytest.raises(OutputError, match=r"nowhere/a\.png can't be written \(No such file or directory\)"):
        save_figure(figure, tmp_path / "nowhere" / "a.png")
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OutputError, match="file is a file, but a folder is needed there"):
        draw_all(text_trace(), tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"


def test_all_figures_of_a_text(text_trace: Make, tmp_path: Path) -> None:
    written = draw_all(text_trace(), tmp_path / "figures", beside=text_trace(seed=1))
    names = [path.name for path in written]
    assert names[:4] == ["atlas.png", "beside.png", "scores.png", "heads-encoder.png"]
    assert len(names) == 5
    assert sorted(names) == sorted(path.name for path in (tmp_path / "figures").iterdir())


def test_all_figures_of_an_image_and_of_three_streams(image_trace: Make, cross_trace: Make, tmp_path: Path) -> None:
    names = [path.name for path in draw_all(image_trace(), tmp_path / "image", "svg")]
    assert names[:3] == ["atlas.svg", "scores.svg", "heads-encoder.svg"]
    assert names[3].startswith("encoder-")
    names = [path.name for path in draw_all(cross_trace(), tmp_path / "cross")]
    assert {"heads-encoder.png", "heads-decoder.png", "heads-cross.png"} <= set(names)


def test_names_of_streams_are_no_paths(text_trace: Make, tmp_path: Path) -> None:
    trace = text_trace()
    trace = replace(trace, parts=(replace(trace.parts[0], name="../a/b"),))
    for path in draw_all(trace, tmp_path / "figures"):
        assert path.parent == tmp_path / "figures"
    assert [one.name for one in tmp_path.iterdir()] == ["figures"]


def test_figures_import_no_framework_and_no_global_state() -> None:
    program = (
        "import sys, vitrail.viewer.figures; "
        "print(*{'torch', 'transformers', 'matplotlib.pyplot', 'scipy', 'pandas'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_side_by_side_is_written_too(text_trace: Make, tmp_path: Path) -> None:
    path = save_figure(side_by_side(text_trace(), text_trace(seed=1), layer=0, head=0), tmp_path / "b.svg")
    assert ElementTree.parse(path).getroot().tag == f"{SVG}svg"
