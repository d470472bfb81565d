"""The networks of face studies: trained once, each in a folder that says how it differs, found there by the next."""

from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vitrail.recipes import faces
from vitrail.recipes.events import Note, Report, ignore
from vitrail.recipes.faces import FacesRecipe
from vitrail.recipes.galleries import require_faces
from vitrail.recipes.runs import open_run
from vitrail.studies.terms import Axes, Curve, Finding, Stopped, Study, StudyRecipe

if TYPE_CHECKING:
    from vitrail.data import ImageSet
    from vitrail.recipes.runs import Run

SMALL = FacesRecipe(
    network="vit",
    patch_size=8,
    dim=128,
    depth=2,
    heads=4,
    mlp_dim=256,
    epochs=6,
    batch_size=240,
    per_person=8,
    optimizer="muon",
    lr=2e-3,
    muon_lr=1e-2,
    warmup_epochs=0.5,
)
"""Half a minute of one processor core on glyphs. With Muon, VAL at FAR 0.01 is 64% after 4 epochs; with AdamW 29%."""
SHAPE = ("preset", "patch_size", "dim", "depth", "heads", "mlp_dim", "pool", "stem", "image_size", "channels")
QUICK = 8
"""A quick study trains for a share of one in so many."""


FACE_OPTIONS = ("data", "run", "epochs", "seeds", "device", "precision")
"""Of a recipe that are for the training of face networks."""
NOTE = "percent, ± standard error over test people and seeds; differences with 95% intervals"


def face_study(
    question: str, run: Callable[[StudyRecipe, Report], Finding], axes: Axes, paper: tuple[Curve, ...] = ()
) -> Study:
    """A study of face networks, whose findings are told apart by their data."""
    return Study(question, run, axes, lambda recipe: short_name(data_of(recipe)), FACE_OPTIONS, NOTE, paper, seen)


def seen(recipe: StudyRecipe) -> tuple[str, ...] | None:
    """For the viewer: the network that was measured, or the usual one among those that were trained."""
    folder = recipe.run or _folder(recipe, "plain", recipe.seed)
    return (str(folder),) if folder.exists() else None


def data_of(recipe: StudyRecipe) -> str:
    """The data that a study is about."""
    if recipe.data is not None or recipe.run is None:
        return recipe.data or SMALL.data
    return open_run(recipe.run).data


def short_name(data: str) -> str:
    """Data as they are called in files and figures: the last part of a path without its suffix."""
    return Path(data).stem if Path(data).exists() else data.replace("/", "-")


def options(recipe: StudyRecipe) -> FacesRecipe:
    """How the study's networks are trained, but for what it asks about."""
    found = SMALL
    if recipe.run is not None:
        known = {field.name for field in fields(FacesRecipe)}
        stored = {name: _stored(name, value) for name, value in open_run(recipe.run).options.items() if name in known}
        found = FacesRecipe(**stored)
    epochs = recipe.epochs or found.epochs
    return replace(
        found,
        data=data_of(recipe),
        run=None,
        epochs=max(1, epochs // QUICK) if recipe.quick else epochs,
        evaluate_every=0,
        validation=0.0,
        device=recipe.device,
        precision=recipe.precision,
    )


def network(recipe: StudyRecipe, seed: int, report: Report, name: str = "", **changes: Any) -> "Run":
    """The study's network with some changes to its options: trained, or found.

    Args:
        recipe: the study.
        seed: of the training.
        report: told what happens.
        name: names the folder, if not the changes.
        changes: options of ``FacesRecipe``.

    Raises:
        Stopped: the training was interrupted.
        VitrailError: what training raises.
    """
    usual = options(recipe)
    changes = {name: value for name, value in changes.items() if value != getattr(usual, name)}
    named = name or "-".join(f"{option}-{value}" for option, value in changes.items()) or "plain"
    folder = _folder(recipe, named, seed)
    wanted = replace(usual, **changes, seed=seed, run=folder)
    wanted = as_long(wanted, usual)
    report(Note(f"network {folder.name}"))
    if not faces.train(wanted, report).finished:
        raise Stopped
    return open_run(folder)


def _folder(recipe: StudyRecipe, named: str, seed: int) -> Path:
    return recipe.work / short_name(data_of(recipe)) / f"{named}-seed-{seed}{'-quick' * recipe.quick}"


def given_or_plain(recipe: StudyRecipe, report: Report) -> "Run":
    """The run that was named, or the study's network without changes."""
    return require_faces(recipe.run) if recipe.run is not None else network(recipe, recipe.seed, report)


def as_long(wanted: FacesRecipe, usual: FacesRecipe) -> FacesRecipe:
    """With as many steps as the full set takes in the usual epochs, where only a part of it is trained on."""
    if wanted.people_share == wanted.images_share == 1:
        return wanted
    full, part = (len(training_images(recipe)) // recipe.batch_size for recipe in (usual, wanted))
    scale = full / max(1, part)
    return replace(wanted, epochs=max(1, round(usual.epochs * scale)), warmup_epochs=usual.warmup_epochs * scale)


def training_images(recipe: FacesRecipe) -> "ImageSet":
    """What a network is trained on."""
    start = None if recipe.init is None else open_run(recipe.init)
    return faces.open_people(faces.settle(recipe, start), start, ignore).train


def without_shape() -> dict[str, Any]:
    """Changes that leave the shape to a start."""
    return {**dict.fromkeys(SHAPE), "network": FacesRecipe.network}


def _stored(name: str, value: Any) -> Any:
    """An option as the recipe has it; ``config.json`` knows neither paths nor tuples."""
    if name in ("run", "init", "harmonic_with") and value is not None:
        return Path(value)
    return tuple(value) if isinstance(value, list) else value
