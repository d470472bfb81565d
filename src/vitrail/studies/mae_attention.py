"""What does a masked autoencoder look at? (its attention beside that of untrained twins)

The encoder attends among the patches that it sees; the decoder, of self-attention, among these and the mask tokens of
hidden ones. Of every head: how far it looks (Dosovitskiy et al. 2020, figure 11, here in patches), and how widely
(entropy); of the decoder, which share a hidden patch's attention gives to visible ones, where all that is known about
the image stands. Untrained twins of the same shape see the same patches.

Pictures are kept of images that come with the package only: what is found on others may be published, they may not.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float, Int64

from vitrail.capture import record_attention, untrained_twin
from vitrail.capture.pictures import patch_axis
from vitrail.data import ImageSet, in_order
from vitrail.data.embedded import EMBEDDED
from vitrail.nn.randomness import RowRandom, derive_seed
from vitrail.recipes.evaluate import images_of
from vitrail.recipes.events import Note, Report
from vitrail.recipes.inference import inferring
from vitrail.recipes.runs import open_run
from vitrail.studies.mae_attention_figure import draw
from vitrail.studies.masked import bounded, open_pictures, pretrained
from vitrail.studies.networks import short_name
from vitrail.studies.over_inputs import by_layer, cell, over, plain, told
from vitrail.studies.terms import Finding, Study, StudyRecipe
from vitrail.trace import Places
from vitrail.trace.scores import entropy, pixels
from vitrail.vision import patchify
from vitrail.vision.masking import mask_scores, split

if TYPE_CHECKING:
    from vitrail.recipes.runs import Run
    from vitrail.vision import MaskedAutoencoder

DATA = "glyphs"
IMAGES, QUICK_IMAGES = 128, 24
"""Test images that attention is recorded on."""
SHOWN = 3
"""Images in the figure."""


@dataclass(frozen=True, eq=False)
class Attention:
    """One layer of one model on some images.

    Attributes:
        name: "encoder 1", "decoder 2".
        keys: what a query may attend to.
        distance: how far a head looks, the mean over queries, in sides of a patch.
        entropy: how widely, in nats.
        visible: the share that hidden patches give to visible ones; None in the encoder, where nothing is hidden.
        distance_alike: of attending everywhere alike, an image.
        visible_alike: likewise.
        weights: all of them, of the images that are shown, the mean over heads.
    """

    name: str
    keys: int
    distance: Float[np.ndarray, "b h"]
    entropy: Float[np.ndarray, "b h"]
    visible: Float[np.ndarray, "b h"] | None
    distance_alike: Float[np.ndarray, " b"]
    visible_alike: float
    weights: Float[np.ndarray, "shown q k"]


@dataclass(frozen=True, eq=False)
class Masked:
    """Images, and what is hidden of them.

    Attributes:
        images: as they are stored.
        inputs: as a model reads them.
        noise: hides patches.
        order: each image's patches, the visible ones first.
        keep: how many these are.
    """

    images: ImageSet
    inputs: Float[torch.Tensor, "b c H W"]
    noise: Float[torch.Tensor, "b N"]
    order: Int64[np.ndarray, "b N"]
    keep: int


def run(recipe: StudyRecipe, report: Report) -> Finding:
    """Record a trained masked autoencoder and its untrained twins on the same images, hidden alike."""
    opened = _opened(recipe, report)
    model = opened.autoencoder()
    images = images_of(opened, recipe.data, "test", report)
    hidden = masked(model, bounded(images, QUICK_IMAGES if recipe.quick else IMAGES), recipe.seed)
    report(Note(f"attention of {opened.folder} on {len(hidden.images)} test images of {images.name}"))
    trained = attention(model, hidden, recipe)
    twins = []
    for seed in recipe.repetitions(3):
        report(Note(f"an untrained twin, seed {seed}"))
        twins.append(attention(untrained_twin(model, "library", derive_seed(seed, "twin")).eval(), hidden, recipe))
    shown = images.name in EMBEDDED and images.channels == 1
    return Finding(
        (
            *("layer", "distance", "untrained", "alike", "entropy", "untrained", "alike"),
            *("to visible", "untrained", "alike"),
        ),
        tuple(_row(layer, [twin[place] for twin in twins]) for place, layer in enumerate(trained)),
        _words(trained, twins, model, short_name(images.name)),
        (),
        {
            "data": short_name(images.name),
            "epochs": opened.options.get("epochs"),
            "images": len(hidden.images),
            "fingerprint": hidden.images.fingerprint,
            "twins": len(twins),
            "decoder": model.config.decoder,
            "mask_ratio": model.config.mask_ratio,
            "grid": list(model.config.encoder.grid),
            "layers": [_figures(layer, [twin[place] for twin in twins]) for place, layer in enumerate(trained)],
            "shown": _shown(opened, hidden, recipe.seed, trained, twins[0]) if shown else None,
        },
    )


def _opened(recipe: StudyRecipe, report: Report) -> "Run":
    """The run that was named, or the study's own masked autoencoder."""
    if recipe.run is not None:
        return open_run(recipe.run)
    return pretrained(recipe, open_pictures(recipe, DATA, report), recipe.seed, report)


def masked(model: "MaskedAutoencoder", images: ImageSet, seed: int) -> Masked:
    """Hide patches of images, as the model's training does."""
    (batch,) = in_order(images, len(images), labels=False)
    noise = RowRandom(seed, 0, range(len(images)), len(images)).uniform("mask", model.config.patches)
    parts = split(mask_scores(model.config.masking, noise, model.config.encoder.grid), model.keep)
    order = torch.cat([parts.visible, parts.hidden], dim=1)
    return Masked(images, batch.images, noise, order.numpy(), model.keep)


def attention(model: "MaskedAutoencoder", hidden: Masked, recipe: StudyRecipe) -> tuple[Attention, ...]:
    """Every layer's attention on the images, the encoder's first."""
    with inferring(model, recipe.device, "float32") as place, record_attention(model) as record:
        model(hidden.inputs.to(place), hidden.noise.to(place))
    counts: dict[str, int] = {}
    found = []
    for call in record.calls:
        part = "decoder" if call.layer.startswith("decoder") else "encoder"
        counts[part] = counts.get(part, 0) + 1
        weights = call.weights.float().cpu().numpy()
        found.append(_measured(f"{part} {counts[part]}", weights, hidden, model))
    return tuple(found)


def _measured(
    name: str, weights: Float[np.ndarray, "b h q k"], hidden: Masked, model: "MaskedAutoencoder"
) -> Attention:
    """A layer's figures, image by image, for each hides other patches."""
    queries, keys = weights.shape[2:]
    patches = model.config.patches
    # CLS stands before the patches, where a model has one and the layer reads it.
    extra = int(model.config.encoder.class_token)
    of_keys = slice(0, keys - extra)
    asked = patches if queries >= patches else queries
    of_queries = slice(patches - asked, patches) if name.startswith("decoder") else slice(0, queries - extra)
    distances, entropies, alike, shares = [], [], [], []
    hiding = name.startswith("decoder")
    for image, order in zip(weights, hidden.order, strict=True):
        at = Places(_axis(queries, order[of_queries], hidden, model), _axis(keys, order[of_keys], hidden, model))
        distances.append(np.nanmean(pixels(image, at), axis=1) / model.patch_size[0])
        entropies.append(np.nanmean(entropy(image, at), axis=1))
        everywhere = np.full((1, queries, keys), 1 / keys, np.float32)
        alike.append(float(np.nanmean(pixels(everywhere, at))) / model.patch_size[0])
        if hiding:
            rest = patches - hidden.keep
            shares.append(image[:, -rest:, : hidden.keep + extra].sum(-1).mean(-1))
    return Attention(
        name,
        keys,
        np.stack(distances).astype(np.float64),
        np.stack(entropies).astype(np.float64),
        np.stack(shares).astype(np.float64) if hiding else None,
        np.array(alike),
        (hidden.keep + extra) / keys,
        weights[shown_rows(len(weights))].mean(1),
    )


def shown_rows(images: int) -> list[int]:
    """The images in the figure: spread over all, whose classes stand in a row."""
    return [images * place // SHOWN for place in range(SHOWN)]


def _axis(length: int, places: np.ndarray, hidden: Masked, model: "MaskedAutoencoder") -> Any:
    found = patch_axis(length, hidden.images.image_size, model.patch_size, visible=places)
    assert found is not None
    return found


def _row(layer: Attention, twins: Sequence[Attention]) -> tuple[str, ...]:
    cells = [layer.name]
    for values, others, alike in _measures(layer, twins):
        if values is None:
            cells += ["-", "-", "-"]
        else:
            cells += [cell(over(values.mean(1))), f"{np.mean(others):.2f}", f"{alike:.2f}"]
    return tuple(cells)


def _measures(layer: Attention, twins: Sequence[Attention]) -> list[tuple[np.ndarray | None, list[np.ndarray], float]]:
    """Distance, entropy and share of a layer, those of the twins, and of attending everywhere alike."""
    shares = [twin.visible for twin in twins if twin.visible is not None]
    return [
        (layer.distance, [twin.distance for twin in twins], float(layer.distance_alike.mean())),
        (layer.entropy, [twin.entropy for twin in twins], float(np.log(layer.keys))),
        (layer.visible, shares, layer.visible_alike),
    ]


def _figures(layer: Attention, twins: Sequence[Attention]) -> dict[str, Any]:
    """As ``results.json`` has them: a figure a head."""
    found: dict[str, Any] = {"name": layer.name, "keys": layer.keys}
    for name, (values, others, alike) in zip(("distance", "entropy", "visible"), _measures(layer, twins), strict=True):
        if values is not None:
            found[name] = {
                "heads": plain(by_layer(values)),
                "mean": over(values.mean(1)).figures(),
                "untrained": [[round(float(one), 4) for one in other.mean(0)] for other in others],
                "beside_untrained": over(values.mean(1) - np.mean(others, axis=(0, 2))).figures(),
                "alike": round(alike, 4),
            }
    return found


def _words(
    trained: Sequence[Attention], twins: Sequence[Sequence[Attention]], model: "MaskedAutoencoder", name: str
) -> tuple[str, ...]:
    words = []
    for number, measure in enumerate(("how far it looks, in patches", "how widely, in nats")):
        apart = []
        for place, layer in enumerate(trained):
            values, others, _ = _measures(layer, [twin[place] for twin in twins])[number]
            assert values is not None
            apart.append(f"{layer.name} {told(over(values.mean(1) - np.mean(others, axis=(0, 2))))}")
        words.append(f"{measure}, beside untrained twins: {', '.join(apart)}")
    encoder = [layer for layer in trained if layer.visible is None]
    heads = [(float(of), layer.name, head) for layer in encoder for head, of in enumerate(layer.distance.mean(0))]
    nearest, furthest = min(heads), max(heads)
    everywhere = encoder[0].distance_alike.mean()
    words.append(
        f"the encoder's heads look from {nearest[0]:.1f} patches ({nearest[1]}, head {nearest[2]}) to "
        f"{furthest[0]:.1f} ({furthest[1]}, head {furthest[2]}) far; attending everywhere alike has {everywhere:.1f}"
    )
    for place, layer in enumerate(trained):
        if layer.visible is None or model.config.decoder == "cross":
            continue
        _, others, _ = _measures(layer, [twin[place] for twin in twins])[2]
        apart_by = over(layer.visible.mean(1) - np.mean(others, axis=(0, 2)))
        words.append(
            f"{layer.name}: hidden patches give visible ones {cell(over(layer.visible.mean(1)))} of their attention, "
            f"{told(apart_by)} beside untrained twins; attending everywhere alike gives {layer.visible_alike:.2f}"
        )
    if model.config.decoder == "cross":
        words.append("this decoder reads by cross-attention: hidden patches see visible ones alone, by construction")
    every = sum(layer.distance.shape[1] for layer in trained)
    near, narrow = (
        sum(_below(layer, [twin[place] for twin in twins], number) for place, layer in enumerate(trained))
        for number in range(2)
    )
    return (
        *words,
        f"this shows what training on {name} made of attention: {near} of {every} heads look nearer, and {narrow} at "
        "fewer patches, than every untrained head of their layer",
        "it can't show what is taken from there (attention is where it looks, not what it moves), nor that other "
        "masks, data or sizes give the same: it is one training",
    )


def _below(layer: Attention, twins: Sequence[Attention], number: int) -> int:
    """How many heads have less of a measure than every untrained one."""
    values, others, _ = _measures(layer, twins)[number]
    assert values is not None
    return int((values.mean(0) < np.min([other.mean(0) for other in others])).sum())


def _shown(
    opened: "Run", hidden: Masked, seed: int, trained: Sequence[Attention], twin: Sequence[Attention]
) -> dict[str, Any]:
    """A few images, what is made of them, and where two patches of each look; grey levels and attention as text."""
    model = opened.autoencoder()
    stored = torch.tensor(hidden.images.pixels)
    made = opened.reconstruct(stored, seed)  # of as many images, so that the same is hidden
    contrast = patchify(stored.float(), model.patch_size).std(-1).numpy()
    encoder, decoder = (
        [place for place, layer in enumerate(trained) if (layer.visible is None) == seen] for seen in (True, False)
    )
    pictures = []
    for number, row in enumerate(shown_rows(len(stored))):
        order = hidden.order[row]
        seen, unseen = order[: hidden.keep], order[hidden.keep :]
        # The patch of each kind with the most in it asks.
        asks = [int(of[contrast[row][of].argmax()]) for of in (seen, unseen)]
        pictures.append(
            {
                "original": _text(made.original[row, 0].numpy()),
                "filled": _text(made.paste[row, 0].numpy()),
                "visible": sorted(int(place) for place in seen),
                "asks": asks,
                "encoder": _map(trained[encoder[-1]], number, order, asks[0], model),
                "decoder": _map(trained[decoder[0]], number, order, asks[1], model),
                "untrained": _map(twin[decoder[0]], number, order, asks[1], model),
            }
        )
    return {"encoder": trained[encoder[-1]].name, "decoder": trained[decoder[0]].name, "pictures": pictures}


def _map(layer: Attention, number: int, order: np.ndarray, asks: int, model: "MaskedAutoencoder") -> str:
    """Where a patch looks, the mean over heads: a number a patch in thousandths, -1 where it can't."""
    weights = layer.weights[number]
    patches = len(order)
    extra = int(model.config.encoder.class_token)
    stands = int(np.flatnonzero(order == asks)[0])
    # Counted from the end: the last block of a decoder leaves CLS out of its queries, a cross decoder what is visible.
    query = stands - patches if layer.visible is not None else stands + extra
    found = np.full(patches, -1)
    of_keys = weights[query, extra:]
    found[order[: len(of_keys)]] = np.rint(1000 * of_keys).astype(int)
    return " ".join(map(str, found.tolist()))


def _text(image: np.ndarray) -> list[str]:
    """Grey levels, a line a row."""
    return [" ".join(map(str, row)) for row in image.tolist()]


def about(recipe: StudyRecipe) -> str:
    """The data, and the run if one was named."""
    if recipe.run is None:
        return short_name(recipe.data or DATA)
    opened = open_run(recipe.run)
    return f"{short_name(recipe.data or opened.data)}, {'/'.join(opened.folder.resolve().parts[-2:])}"


STUDY = Study(
    "What does a masked autoencoder look at?",
    run,
    draw,
    about,
    ("data", "run", "epochs", "seeds", "device", "precision"),
    "means over heads and test images, with 95% intervals over images; distance in patches, entropy in nats; alike: "
    "attending everywhere alike; to visible: the share of attention that hidden patches give to visible ones",
)
