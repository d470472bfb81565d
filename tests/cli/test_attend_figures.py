"""``vitrail attend --figures``: which files are asked for, where they go, and what stands beside them."""

from pathlib import Path

import numpy as np
import pytest

from vitrail.cli import main
from vitrail.cli.attend import read
from vitrail.errors import ConfigError, TraceError
from vitrail.recipes import attend
from vitrail.recipes.attend import AttendRecipe
from vitrail.trace import Axis, Layer, Provenance, Stream, Trace, finish, named


def trace_of(seed: int = 0) -> Trace:
    draw = np.random.default_rng(seed)
    axis = Axis("tokens", "tokens", 11, texts=tuple(f" w{place}" for place in range(11)))
    q, k, v = (draw.standard_normal((2, 11, 3)).astype(np.float32) for _ in range(3))
    stream = Stream("encoder", "tokens", "tokens", (Layer("l.0", q, k, v), Layer("l.1", k, q, v)))
    return finish(Trace(named([axis]), (stream,), Provenance("a/model", texts=("w0 w1",))))


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        (["m", "a text"], None),
        (["m", "a text", "--figures"], "png"),
        (["m", "a text", "--figures", "svg"], "svg"),
        (["m", "--figures", "png", "a text"], "png"),
        (["m", "--figures", "a text"], "png"),
        (["m", "a text", "--figures", "--scores"], "png"),
    ],
)
def test_figures_are_png_unless_svg_is_asked_for(words: list[str], kind: str | None) -> None:
    recipe = read(words)
    assert (recipe.figures, recipe.texts) == (kind, ("a text",))


def test_another_kind_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"invalid choice 'gif'"):
        read(["m", "a text", "--figures", "gif"])


def test_figures_stand_beside_the_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(attend, "attend", lambda *_, **__: trace_of())
    other = trace_of(1).save(tmp_path / "other.safetensors")
    place = tmp_path / "new" / "party.safetensors"
    options = ["--output", str(place), "--figures", "svg", "--beside", str(other)]
    assert main(["attend", "m", "a text", *options]) == 0
    said = capsys.readouterr().out
    written = sorted(path.name for path in (tmp_path / "new" / "party-figures").iterdir())
    assert {"atlas.svg", "beside.svg", "scores.svg", "heads-encoder.svg"} < set(written)
    assert f"{len(written)} figures: atlas.svg, beside.svg" in said
    assert str(tmp_path / "new" / "party-figures") in said


def test_a_trace_that_is_not_drawn_or_not_there_is_refused_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attend, "attend", lambda *_, **__: pytest.fail("nothing should be captured"))
    with pytest.raises(ConfigError, match=r"nothing is drawn: give --figures"):
        attend.run(AttendRecipe("m", ("a text",), beside=tmp_path / "x"))
    with pytest.raises(TraceError, match="x can't be read as a trace"):
        attend.run(AttendRecipe("m", ("a text",), beside=tmp_path / "x", figures="png"))
