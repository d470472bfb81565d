"""From the words after a command to its recipe: tyro reads the flags, a mistake becomes one sentence."""

import contextlib
import dataclasses
import difflib
import io
import re
from collections.abc import Sequence
from typing import Annotated, Any, TypeVar, cast, get_origin, get_type_hints

import tyro

from vitrail.errors import ConfigError

Recipe = TypeVar("Recipe")

_MARKERS = (
    tyro.conf.OmitArgPrefixes,
    tyro.conf.FlagCreatePairsOff,
    tyro.conf.PositionalRequiredArgs,
    tyro.conf.PositionalMetavarFromFieldName,
    tyro.conf.DisallowNone,
)


def parse(recipe: type[Recipe], name: str, arguments: Sequence[str]) -> Recipe:
    """Read a command's flags into its recipe.

    Args:
        recipe: a frozen dataclass; its field docstrings are the help texts.
        name: the command's words, as in ``train mae``.
        arguments: what the user typed after them.

    Raises:
        ConfigError: an option that doesn't exist (the nearest is named), a value that can't be read, or a missing one.
        SystemExit: with 0, after ``--help`` was printed.
    """
    if "-h" in arguments or "--help" in arguments:
        _read(recipe, name, ["--help"])
    said = io.StringIO()
    try:
        # Both streams: tyro draws plain lines instead of boxes where standard output takes no UTF-8, and so it should.
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            value, unknown = _read(recipe, name, arguments)
    except SystemExit:
        raise ConfigError(_one_sentence(said.getvalue(), name)) from None
    if unknown:
        raise ConfigError(_not_known(unknown[0], recipe, name))
    return value


def help_text(recipe: type[object], name: str) -> str:
    """The page that ``--help`` prints, as plain text."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.suppress(SystemExit):
        _read(recipe, name, ["--help"])
    return said.getvalue()


def option_names(recipe: type[object], name: str) -> list[str]:
    """Every ``--option`` of a command, read from its own help."""
    return sorted(set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*", help_text(recipe, name))))


def nearest(word: str, known: Sequence[str]) -> str | None:
    """The known word that a typing mistake most likely meant, if any is near."""
    matches = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return matches[0] if matches else None


def _read(recipe: type[Recipe], name: str, arguments: Sequence[str]) -> tuple[Recipe, list[str]]:
    shown = _without_none(recipe)
    value, unknown = tyro.cli(shown, prog=f"vitrail {name}", args=arguments, config=_MARKERS, return_unknown_args=True)
    fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    return recipe(**fields), unknown


def _without_none(recipe: type[Recipe]) -> Any:
    """The recipe, its help without "(default: None)" and "(default: )": where that is the default, the text says what
    it means.
    """
    kind = cast(Any, recipe)
    hints = get_type_hints(kind, include_extras=True)
    silent = [
        (
            field.name,
            Annotated[hints[field.name], tyro.conf.arg(help_behavior_hint="")],
            dataclasses.field(default=field.default, kw_only=field.kw_only),
        )
        for field in dataclasses.fields(kind)
        if field.default in (None, ()) or get_origin(hints[field.name]) is tuple
    ]
    shown = dataclasses.make_dataclass(recipe.__name__, silent, bases=(recipe,), frozen=True)
    shown.__doc__ = recipe.__doc__
    return shown


def _not_known(word: str, recipe: type[object], name: str) -> str:
    if not word.startswith("-"):
        return f"unexpected word '{word}' after 'vitrail {name}': options start with --, see vitrail {name} --help"
    option = word.partition("=")[0]
    near = nearest(option, option_names(recipe, name))
    remedy = f"did you mean {near}?" if near else f"see vitrail {name} --help"
    return f"'vitrail {name}' has no option {option}: {remedy}"


def _one_sentence(panel: str, name: str) -> str:
    """What tyro shows as a panel (title, rule, reason, rule, help) as one sentence: the reason and the remedy."""
    parts = re.split(r"^ *-{5,} *$", panel, flags=re.MULTILINE)
    reason = " ".join(parts[1].split()) if len(parts) > 1 else ""
    text = reason.replace(" (required)", "").rstrip(".") or "the options can't be read"
    return f"{text[0].lower()}{text[1:]}: see vitrail {name} --help"
