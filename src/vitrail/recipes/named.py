"""Recipes by name, with their options as keywords: what ``vt.train("mae", data="digits")`` calls."""

import dataclasses
from difflib import get_close_matches
from typing import Any, TypeVar

from vitrail.errors import ConfigError
from vitrail.recipes import faces, language, mae, summarizer, vit
from vitrail.recipes.events import Report, ignore
from vitrail.recipes.training import RunSummary

Recipe = TypeVar("Recipe")


def train(kind: str, *, report: Report = ignore, **options: Any) -> RunSummary:
    """Train a model as ``vitrail train KIND`` does.

    Args:
        kind: "vit", "mae", "faces", "summarizer" or "lm".
        report: is handed events while the run goes on.
        options: the fields of ``ViTRecipe``, ``MAERecipe``, ``FacesRecipe``, ``SummarizerRecipe`` or
            ``LanguageRecipe``.

    Raises:
        ConfigError: no such kind, or no such option; the nearest is named.
    """
    match kind:
        case "vit":
            return vit.run(_recipe(vit.ViTRecipe, options), report)
        case "mae":
            return mae.run(_recipe(mae.MAERecipe, options), report)
        case "faces":
            return faces.run(_recipe(faces.FacesRecipe, options), report)
        case "summarizer":
            return summarizer.run(_recipe(summarizer.SummarizerRecipe, options), report)
        case "lm":
            return language.run(_recipe(language.LanguageRecipe, options), report)
    raise ConfigError(f"there is nothing called {kind!r} to train: choose vit, mae, faces, summarizer or lm.")


def _recipe(recipe: type[Recipe], options: dict[str, Any]) -> Recipe:
    known = [field.name for field in dataclasses.fields(recipe)]  # type: ignore[arg-type]
    for name in options:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            remedy = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}."
            raise ConfigError(f"{recipe.__name__} has no option {name!r}: {remedy}")
    return recipe(**options)
