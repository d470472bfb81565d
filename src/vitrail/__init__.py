"""Vitrail: train, look inside and measure the models of four landmark deep-learning papers.

>>> import vitrail as vt
>>> summary = vt.train("mae", data="digits", epochs=5)  # the options of `vitrail train mae`, as keywords
>>> run = vt.load(summary.folder)  # run.embed(images), run.reconstruct(images)
>>> trace = vt.attend("bert-base-uncased", "I wanted to have a party", "I bought a cake for it.")  # any model, any run
>>> trace.save("party.safetensors")  # vt.load_trace reads it; vt.head_scores(trace) says what each of its heads does
>>> vt.show(trace)  # in a notebook: every head, and what is looked at is in the widget's .selection
>>> vt.to_html(trace, "party.html")  # one file that shows every head, without a server; `vitrail view` serves the same
>>> people = vt.Gallery("club", "runs/faces")  # people.enroll("Ada", photographs), people.identify(photograph)

Nothing heavy is imported here: a public name is fetched when it is first used.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vitrail import errors, train
    from vitrail.capture import record_attention
    from vitrail.recipes.attend import attend
    from vitrail.recipes.galleries import open_gallery as Gallery
    from vitrail.recipes.opening import load
    from vitrail.trace import head_scores, load_trace
    from vitrail.viewer.notebook import show
    from vitrail.viewer.onefile import to_html

__all__ = [
    "Gallery",
    "attend",
    "errors",
    "head_scores",
    "load",
    "load_trace",
    "record_attention",
    "show",
    "to_html",
    "train",
]

_HOMES = {
    "attend": ("vitrail.recipes.attend", "attend"),
    "Gallery": ("vitrail.recipes.galleries", "open_gallery"),
    "head_scores": ("vitrail.trace.tables", "head_scores"),
    "load": ("vitrail.recipes.opening", "load"),
    "load_trace": ("vitrail.trace.file", "load_trace"),
    "record_attention": ("vitrail.capture.recorder", "record_attention"),
    "show": ("vitrail.viewer.notebook", "show"),
    "to_html": ("vitrail.viewer.onefile", "to_html"),
}


class _Package(ModuleType):
    """This package; its ``train`` is both the room with the training loop and the function ``vt.train(...)``."""

    def __setattr__(self, name: str, value: object) -> None:
        # Importing the room (by whoever comes first) sets it as an attribute of the package: this makes it callable.
        if name == "train" and isinstance(value, ModuleType):
            value.__class__ = _TrainRoom
        super().__setattr__(name, value)


class _TrainRoom(ModuleType):
    """The room ``vitrail.train``, which can be called."""

    def __call__(self, kind: str, **options: Any) -> Any:
        """Train a model: ``vt.train("mae", data="digits")`` is ``vitrail train mae --data digits``."""
        return import_module("vitrail.recipes.named").train(kind, **options)


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        module, attribute = _HOMES[name]
        return getattr(import_module(module), attribute)
    if name in __all__:
        return import_module(f"vitrail.{name}")
    raise AttributeError(f"module 'vitrail' has no attribute {name!r}; the public names are {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


sys.modules[__name__].__class__ = _Package
