"""Training by name, from Python: what stands behind ``vt.train``."""

import dataclasses
from collections.abc import Iterable
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Any

from vitrail.errors import ConfigError
from vitrail.recipes.events import Report, ignore
from vitrail.recipes.training import RunSummary

RECIPES = {"vit": "ViTRecipe", "mae": "MAERecipe"}
"""What can be trained: the recipe's module in this room, and its class."""


def train(kind: str, report: Report = ignore, **options: Any) -> RunSummary:
    """Train a model, or go on with the unfinished run in the same folder.

    Args:
        kind: "vit" or "mae".
        report: called with every event (``vitrail.recipes.events``); nothing is printed.
        **options: the options of ``vitrail train KIND``, with underscores.

    Raises:
        ConfigError: no such kind or option (the nearest is named), and whatever the recipe refuses.
    """
    if kind not in RECIPES:
        raise ConfigError(f"there is no recipe called {kind!r}, only {', '.join(RECIPES)}: {_remedy(kind, RECIPES)}")
    module = import_module(f"vitrail.recipes.{kind}")
    recipe = getattr(module, RECIPES[kind])
    known = [field.name for field in dataclasses.fields(recipe)]
    for name in options:
        if name not in known:
            raise ConfigError(f"the recipe {kind!r} has no option {name!r}: {_remedy(name, known)}")
    if isinstance(options.get("run"), str):
        options["run"] = Path(options["run"])
    summary: RunSummary = module.run(recipe(**options), report)
    return summary


def _remedy(word: str, known: Iterable[str]) -> str:
    near = get_close_matches(word, list(known), n=1)
    return f"did you mean {near[0]!r}?" if near else "see docs/cli.md for what there is"
