"""Train a network whose distances tell people apart: FaceNet (Schroff et al. 2015), or a ViT in place of its networks.

The objective is the triplet loss over the whole batch. One step is read in four files: this one, ``faces/batches.py``
(who meets in a batch), ``faces/caching.py`` (the batch through the network) and ``faces/triplets.py`` (the loss).
``harmonic.py`` beside this one is for embeddings that compare with those of an older network.

Where we differ from the paper: AdamW with warm-up in place of AdaGrad, batches that fit a small set, augmentation.
"""

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from vitrail.errors import ConfigError, ModelError
from vitrail.recipes.events import Note, Report, ignore
from vitrail.recipes.options import AugmentationOptions, ShapeOptions, TrainingOptions

if TYPE_CHECKING:
    from torch import nn

    from vitrail.data import ImageBatches, ImageSet
    from vitrail.recipes.face_model import FaceConfig
    from vitrail.recipes.harmonic import Older
    from vitrail.recipes.runs import Run
    from vitrail.recipes.training import Job, RunSummary, TrainingImages

Mining = Literal[
    "all", "semi-hard", "hardest-semi-hard", "hardest-semi-hard-unbounded", "hard", "hardest", "random-semi-hard"
]
"""As ``vitrail.faces.mining.Mining``, which comes with torch."""


@dataclass(frozen=True)
class FacesRecipe(ShapeOptions, AugmentationOptions, TrainingOptions):  # shown in --help from the last base on
    """Train a network whose distances tell people apart, on some images each of many people."""

    data: str = "glyphs"
    """Identities: glyphs (embedded: characters), a folder of person folders, a .parquet file or a folder of them, or a
    Hub name; nobody is both in the training and in the test part."""
    image_size: int | None = None
    """Resize images to this many pixels on a side (default: the network's own size, or the images' if smaller)."""
    channels: Literal[1, 3] | None = None
    """Read images in grey (1) or colour (3) (default: colour)."""
    validation: float = 0.0
    """Share of the training people held out to look at while training; the test people are used once, at the end."""
    epochs: int = 30
    """Times as many steps as the training images would fill batches."""
    batch_size: int = 360
    """Images in one step: as many people as fit beside --extra."""
    micro_batches: int = 1
    """Parts that a batch goes through the network in, to save memory; triplets are those of the whole batch."""
    network: Literal["nn1", "nn2", "nn3", "nn4", "nns1", "nns2", "vit"] = "nns2"
    """One of FaceNet's networks, or a Vision Transformer."""
    preset: str | None = None
    """Shape of a vit: digits, fast, course, tiny, small, base or large
    (default: digits for images under 16 pixels, fast under 128, else small)."""
    init: Path | None = None
    """Start from the encoder of this masked autoencoder's run, which makes the network a vit, or from this face
    network's run."""
    harmonic_with: Path | None = None
    """Make embeddings that compare with those of this older face network's run (FaceNet's harmonic embeddings), so that
    what it has embedded need not be embedded anew; give --init a new network that was trained by itself."""
    head_epochs: int = 5
    """With --harmonic-with and --init: epochs before the others, in which a fresh embedding layer is trained alone."""
    people_share: float = 1.0
    """Share of the training people to train on, drawn by the seed: what would more people bring?"""
    images_share: float = 1.0
    """Share of the training images of each person to train on, rounded up, drawn by the seed."""
    embedding_dim: int = 128
    """Numbers in an embedding."""
    margin: float = 0.2
    """By how much another person should be farther than the same, as a squared distance of unit vectors."""
    mining: Mining = "semi-hard"
    """Which negatives of a batch each pair of one person is compared with."""
    per_person: int = 12
    """Images of a person in a batch; who has fewer gives all."""
    extra: int = 0
    """Images in a batch that are random ones of other people."""
    draw: Literal["identities", "images"] = "identities"
    """How the people of a batch are drawn: all alike, or in proportion to the images that they can give."""
    patience: int = 200
    """Steps that all embeddings may be one and the same before the run is stopped as collapsed."""
    layer_decay: float = 1.0
    """Factor on the learning rate per layer of a vit, from the last towards the first (1: off)."""


def run(recipe: FacesRecipe, report: Report = ignore) -> "RunSummary":
    """Train, or go on with the run in the recipe's folder; test once at the end, on people that training never saw.

    Raises:
        VitrailError: an option, the data, the folder or the start can't be used, or the network collapsed; the text
            says what to do.
    """
    from vitrail.recipes.evaluate import EvaluateRecipe
    from vitrail.recipes.evaluate import run as evaluate

    trained = train(recipe, report)
    if not trained.finished:
        return trained
    tested = evaluate(EvaluateRecipe(trained.folder, device=recipe.device, precision=recipe.precision), report)
    return replace(trained, evaluation=tested.figures, pictures=tested.files)


def train(recipe: FacesRecipe, report: Report = ignore) -> "RunSummary":
    """As ``run``, but without the test at the end."""
    import torch

    from vitrail.nn.randomness import derive_seed
    from vitrail.recipes.harmonic import begin_anew, open_older
    from vitrail.recipes.runs import open_run
    from vitrail.recipes.training import RunSummary, carry_out, count_parameters

    start = None if recipe.init is None else open_run(recipe.init)
    recipe = settle(recipe, start)
    images = open_people(recipe, start, report)
    older = None if recipe.harmonic_with is None else open_older(recipe.harmonic_with, recipe, images, report)
    torch.manual_seed(derive_seed(recipe.seed, "start"))
    config = configure(recipe, images.train, start)
    model = build(config, start)
    job, parameters = plan(recipe, config, model, images, older), count_parameters(model)
    if older is not None and start is not None and not begin_anew(recipe, config, model, images, older, report):
        return RunSummary(job.folder, "faces", parameters, False, 0.0, {}, {}, ())
    finished, seconds, metrics = carry_out(job, recipe, report)
    return RunSummary(job.folder, "faces", parameters, finished, seconds, metrics, {}, ())


def settle(recipe: FacesRecipe, start: "Run | None") -> FacesRecipe:
    """The recipe with what follows from the rest of it: the network, and the size and channels of the images.

    Raises:
        ConfigError: options that contradict each other.
        ModelError: a shape beside a start that has one.
    """
    from vitrail.data import stored_shape
    from vitrail.recipes.face_model import FaceConfig, table_of

    if recipe.head_epochs < 0:
        raise ConfigError(f"{recipe.head_epochs} epochs of the embedding layer can't be meant: give 0 or more.")
    if start is not None:
        network = start.config.network if isinstance(start.config, FaceConfig) else "vit"
        if recipe.network not in (network, FacesRecipe.network):
            raise ConfigError(
                f"--init starts from a {network}, and --network is {recipe.network}: leave one of them out."
            )
        if recipe.preset is not None or recipe.shape():
            raise ModelError(
                f"a shape was asked for, but with --init it is that of {start.folder}: leave --preset and its changes "
                "out."
            )
        side, channels = min(start.image_size), start.channels
        recipe = replace(recipe, network=network)  # type: ignore[arg-type]
    elif recipe.network == "vit":
        side, channels = min(stored_shape(recipe.data)[1:]), 3
    else:
        if recipe.preset is not None or recipe.shape() or recipe.drop_path or recipe.layer_decay != 1:
            raise ConfigError(
                f"--network is {recipe.network}, and a preset, its changes, drop path and layer decay are for a vit: "
                "leave them out, or use --network vit."
            )
        # Enlarged images would tell nothing more; a network with a fixed size leaves no choice.
        table, stored = table_of(recipe.network), stored_shape(recipe.data)[1:]
        side, channels = min(table.image_size if table.fixed_size else (*table.image_size, *stored)), 3
    return replace(recipe, image_size=recipe.image_size or side, channels=recipe.channels or channels)


def open_people(recipe: FacesRecipe, start: "Run | None", report: Report) -> "TrainingImages":
    """The recipe's images, some people held out; the test part is opened too, so that a shared person shows at once.

    The same rows for every start, though in the size and channels of each.
    """
    from vitrail.data import hold_out_identities, keep_shares, load_images, require_identities, stored_shape
    from vitrail.recipes.training import TrainingImages

    def part(split: Literal["train", "test"]) -> "ImageSet":
        images = load_images(
            recipe.data,
            split,
            # Asking for the size that images have anyway would make another entry of the cache.
            image_size=None if stored_shape(recipe.data)[1:] == (recipe.image_size,) * 2 else recipe.image_size,
            channels=recipe.channels,
            corrupt=recipe.corrupt,
            report=lambda line: report(Note(line)),
            identities=True,
        )
        if start is not None:
            return start.feed(images)
        return images if recipe.network == "vit" else replace(images, mean=(0.5,) * 3, std=(0.5,) * 3)

    train = part("train")
    require_identities(part("test"))
    if train.skipped:
        report(Note(f"left out {len(train.skipped)} damaged images: {', '.join(train.skipped[:5])}"))
    validation = None
    if recipe.validation:
        train, validation = hold_out_identities(train, recipe.validation, recipe.seed)
    return TrainingImages(keep_shares(train, recipe.people_share, recipe.images_share, recipe.seed), validation)


def configure(recipe: FacesRecipe, images: "ImageSet", start: "Run | None") -> "FaceConfig":
    """The shape of the network."""
    from vitrail.recipes.face_model import FaceConfig
    from vitrail.recipes.presets import vit_config

    encoder = None
    if start is not None and isinstance(start.config, FaceConfig):
        encoder = start.config.encoder and replace(start.config.encoder, drop_path=recipe.drop_path)
    elif start is not None:
        encoder = replace(start.encoder.config, classes=0, final_norm=True, drop_path=recipe.drop_path)
    elif recipe.network == "vit":
        encoder = vit_config(recipe.preset, images.image_size, images.channels, 0, recipe)
    return FaceConfig(
        recipe.network, recipe.embedding_dim, images.image_size, 1 if images.channels == 1 else 3, encoder
    )


def build(config: "FaceConfig", start: "Run | None") -> "nn.Module":
    """The network before its first step."""
    from vitrail.recipes.face_model import FaceTransformer, build_network
    from vitrail.recipes.vit import classifier_from

    model = build_network(config)
    if start is not None and start.kind == "faces":
        fresh = model.state_dict()
        # Of another size, the embedding layer begins anew.
        own = {name: old for name, old in start.model.state_dict().items() if old.shape == fresh[name].shape}
        model.load_state_dict({**fresh, **own})
    elif start is not None:
        assert isinstance(model, FaceTransformer)
        assert config.encoder is not None
        learned = classifier_from(start.encoder, 0, drop_path=config.encoder.drop_path)
        model.encoder.load_state_dict(learned.state_dict())
    return model


def plan(
    recipe: FacesRecipe,
    config: "FaceConfig",
    model: "nn.Module",
    images: "TrainingImages",
    older: "Older | None" = None,
) -> "Job":
    """What is trained on whom, and how it is looked at."""
    from vitrail.faces.caching import triplet_objective
    from vitrail.faces.harmonic import harmonic_objective
    from vitrail.recipes.training import Job

    augmentation = recipe.augmentation()
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    if not 1 <= recipe.micro_batches * processes <= recipe.batch_size:
        raise ConfigError(
            f"a batch of {recipe.batch_size} can't be cut into {recipe.micro_batches} parts in each of {processes} "
            f"processes: take fewer --micro-batches."
        )
    validation = images.validation

    def batches(rank: int, processes: int) -> "ImageBatches":
        from vitrail.faces.batches import identity_batches
        from vitrail.train.precision import pick_device

        return identity_batches(
            images.train,
            recipe.batch_size,
            each=recipe.per_person,
            seed=recipe.seed,
            extra=recipe.extra,
            draw=recipe.draw,
            augmentation=augmentation,
            rank=rank,
            world_size=processes,
            device=pick_device(recipe.device),
        )

    def look(module: "nn.Module") -> dict[str, float]:
        from vitrail.recipes.evaluate_faces import quick_figures

        assert validation is not None
        return quick_figures(module, validation, recipe.device, recipe.precision)

    def draw(module: "nn.Module", path: Path) -> None:
        from vitrail.recipes.evaluate_faces import draw_distances

        draw_distances(module, images.train if validation is None else validation, path, recipe.device)

    chunk, patience = -(-recipe.batch_size // (processes * recipe.micro_batches)), recipe.patience
    margin, mining = recipe.margin, recipe.mining
    if older is None:
        objective = triplet_objective(model, margin=margin, mining=mining, chunk=chunk, patience=patience)
    else:
        objective = harmonic_objective(
            model, older.of_batch, margin=margin, mining=mining, chunk=chunk, patience=patience
        )
    return Job(
        "faces",
        config,
        objective,
        images.train,
        augmentation,
        recipe.folder("faces"),
        evaluate=None if validation is None else look,
        picture=draw,
        layer_decay=recipe.layer_decay,
        batches=batches,
        facts={} if older is None else {"harmonic": older.facts()},
    )
