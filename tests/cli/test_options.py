"""Flags become recipes; mistakes become one sentence that names the nearest option."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from vitrail.cli.options import help_text, nearest, option_names, parse
from vitrail.errors import ConfigError


@dataclass(frozen=True)
class Inner:
    """How it is trained."""

    lr: float = 1e-3
    """Learning rate."""
    betas: tuple[float, float] = (0.9, 0.95)
    """Decay rates."""


@dataclass(frozen=True)
class Made:
    """Makes a thing."""

    run: Path
    """Folder of the run."""
    preset: Literal["tiny", "small"] = "tiny"
    """Size."""
    flip: bool = False
    """Mirror half of the images."""
    image_size: int | None = None
    """Pixels on a side (default: as they are)."""
    train: Inner = field(default_factory=Inner)


def refused(*words: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse(Made, "make", words)
    return str(caught.value)


def test_flags_become_fields_and_the_rest_keeps_its_defaults() -> None:
    made = parse(Made, "make", ["runs/a", "--preset", "small", "--flip", "--lr=0.5", "--betas", "0.5", "0.7"])
    assert made == Made(Path("runs/a"), preset="small", flip=True, train=Inner(lr=0.5, betas=(0.5, 0.7)))


def test_underscores_are_read_as_hyphens() -> None:
    assert parse(Made, "make", ["r", "--image_size", "7"]).image_size == 7


@pytest.mark.parametrize(("typed", "meant"), [("--presett", "--preset"), ("--imagesize", "--image-size")])
def test_an_unknown_option_names_the_nearest(typed: str, meant: str) -> None:
    assert refused("r", typed, "3") == f"'vitrail make' has no option {typed}: did you mean {meant}?"
    assert refused("r", f"{typed}=3") == f"'vitrail make' has no option {typed}: did you mean {meant}?"


def test_an_option_like_no_other_sends_to_the_help() -> None:
    assert refused("r", "--zzz") == "'vitrail make' has no option --zzz: see vitrail make --help"


def test_a_word_too_many() -> None:
    assert refused("r", "again").startswith("unexpected word 'again' after 'vitrail make'")


def test_a_value_that_is_no_choice_lists_the_choices() -> None:
    sentence = refused("r", "--preset", "tiyn")
    assert "'tiyn'" in sentence
    assert "'tiny', 'small'" in sentence
    assert sentence.endswith("see vitrail make --help")


def test_a_value_that_cannot_be_read_names_the_option() -> None:
    sentence = refused("r", "--lr", "fast")
    assert "--lr" in sentence
    assert "'fast'" in sentence


def test_a_missing_argument_is_named() -> None:
    assert "run" in refused().lower()


@pytest.mark.parametrize("words", [["r", "--preset", "x"], ["r", "--lr", "fast"], [], ["r", "--betas", "1"]])
def test_every_refusal_is_one_line_without_a_frame(words: list[str]) -> None:
    sentence = refused(*words)
    assert "\n" not in sentence
    assert "  " not in sentence
    assert not set(sentence) & set("│╭╰─")
    assert "can't be read: see" not in sentence, "the reason was not found"
    assert "make --help" in sentence


def test_help_wins_over_mistakes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        parse(Made, "make", ["--nonsense", "--help"])
    assert not stop.value.code
    assert "Mirror half of the images." in capsys.readouterr().out


def test_the_options_are_read_from_the_help() -> None:
    assert {"--preset", "--flip", "--image-size", "--lr", "--betas"} <= set(option_names(Made, "make"))
    assert "\x1b" not in help_text(Made, "make")


def test_no_help_says_that_the_default_is_none() -> None:
    text = help_text(Made, "make")
    assert "None" not in text
    assert "(default: as they are)" in text


def test_what_is_read_is_the_recipe_itself() -> None:
    assert type(parse(Made, "make", ["r"])) is Made


def test_nearest_gives_up_on_strangers() -> None:
    assert nearest("evalute", ["evaluate", "export"]) == "evaluate"
    assert nearest("qqqqq", ["evaluate", "export"]) is None
