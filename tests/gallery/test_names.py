"""One name however it is spelled, and no name that isn't text."""

import pytest

from vitrail.errors import ConfigError
from vitrail.gallery.names import LONGEST, clean_name, name_key


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Zo\u00eb", "zoe\u0308"),  # composed and decomposed
        ("STRASSE", "straße"),
        (" Ada ", "ada"),
        ("ΣΊΣΥΦΟΣ", "σίσυφος"),  # a final sigma
        ("\u01f0", "J\u030c"),  # folding it takes it apart
        ("../../etc/passwd", "../../ETC/passwd"),
    ],
)
def test_spellings_of_one_name(one: str, other: str) -> None:
    assert name_key(one) == name_key(other)


@pytest.mark.parametrize(("one", "other"), [("Ada", "Ida"), ("Zoë", "Zoe"), ("A B", "AB"), ("l", "1")])
def test_different_names(one: str, other: str) -> None:
    assert name_key(one) != name_key(other)


@pytest.mark.parametrize("name", ["/etc/passwd", "..", "C:\\x", "Robert'); DROP TABLE people;--", "李小龍", "😀", "%s"])
def test_any_text_on_one_line_is_a_name(name: str) -> None:
    assert clean_name(name) == name


def test_what_is_shown_is_composed_and_trimmed() -> None:
    assert clean_name(" Zoe\u0308\u00a0") == "Zo\u00eb"


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("", "is empty"),
        (" \t\n", "is empty"),
        ("a\nb", r"U\+000A"),
        ("a\0b", r"U\+0000"),
        ("a\udcffb", r"U\+DCFF"),
        ("x" * (LONGEST + 1), "201 characters"),
    ],
)
def test_what_is_no_name(name: str, part: str) -> None:
    with pytest.raises(ConfigError, match=part):
        clean_name(name)
