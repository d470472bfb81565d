"""The one place that turns a run folder into a model: ``open_run``.

A run folder holds ``config.json``, written before the first step, and ``model.safetensors``, the weights to use. The
configuration says all that is needed to build the model and to feed it: its kind and shape, the classes' names, and
the mean and standard deviation that its images were normalised by.
"""

import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, cast

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from vitrail.data import ImageSet, denormalise, normalise
from vitrail.errors import CheckpointError, ConfigError, ModelError
from vitrail.nn.randomness import RowRandom
from vitrail.recipes.face_model import FaceConfig, build_network
from vitrail.train import load_weights, read_config
from vitrail.vision import MAEConfig, MaskedAutoencoder, ViT, ViTConfig

Kind = Literal["vit", "mae", "faces"]

KINDS: Mapping[str, str] = {"vit": "a Vision Transformer", "mae": "a masked autoencoder", "faces": "a face network"}
"""Kinds of run, in words."""

ModelConfig = ViTConfig | MAEConfig | FaceConfig

FORMAT = 1
"""Of ``config.json``; raised when an old reader would misunderstand a new file."""


@dataclass(frozen=True)
class Reconstruction:
    """Images, what the model was shown of them and what it made of that.

    Attributes:
        original: uint8 ``[b c H W]``.
        predicted: the decoder's picture, uint8 ``[b c H W]``; only hidden patches are meant to be looked at.
        hidden: 1 = hidden, 0 = visible, float32 ``[b 1 H W]``, a pixel each.
        given: True where the mean and contrast of the hidden patches are the true ones (norm-pix), not predicted.
    """

    original: UInt8[Tensor, "b c H W"]
    predicted: UInt8[Tensor, "b c H W"]
    hidden: Float[Tensor, "b 1 H W"]
    given: bool

    @property
    def paste(self) -> UInt8[Tensor, "b c H W"]:
        """Visible patches as they were, hidden ones as predicted."""
        return torch.where(self.hidden.bool(), self.predicted, self.original)


@dataclass(frozen=True)
class Run:
    """A trained model and what it needs to be used.

    Attributes:
        folder: where it lies.
        kind: "vit", "mae" or "faces".
        config: the model's shape.
        model: in evaluation mode, on the CPU.
        data: what it was trained on, as the user typed it.
        fingerprint: of the training images.
        classes: names of what a ViT tells apart; those of the data otherwise (the people of a face network's training
            images); () without labels.
        mean: per channel, of pixels / 255; images are normalised by it.
        std: likewise.
        options: the recipe's options, as plain values.
        harmonic_with: of a face network trained so that its embeddings compare with an older one's: the older one's
            ``model_fingerprint``.
    """

    folder: Path
    kind: Kind
    config: ModelConfig
    model: nn.Module
    data: str
    fingerprint: str
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    options: Mapping[str, Any]
    harmonic_with: str | None = None

    @property
    def encoder(self) -> ViT:
        """The model without a decoder.

        Raises:
            ModelError: it is a face network, which has learned for another purpose.
        """
        if isinstance(self.model, ViT):
            return self.model
        if isinstance(self.model, MaskedAutoencoder):
            return self.model.encoder
        raise ModelError(
            f"{self.folder} holds {KINDS[self.kind]}, and this takes {KINDS['vit']} or {KINDS['mae']}: name the folder "
            "of a 'vitrail train vit' or 'vitrail train mae' run."
        )

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width of the images that the model reads."""
        size = (self.config.encoder if isinstance(self.config, MAEConfig) else self.config).image_size
        return (size, size) if isinstance(size, int) else size

    @property
    def channels(self) -> Literal[1, 3]:
        """Channels of the images that the model reads."""
        return cast(
            Literal[1, 3], (self.config.encoder if isinstance(self.config, MAEConfig) else self.config).channels
        )

    def autoencoder(self) -> MaskedAutoencoder:
        """The model as a masked autoencoder.

        Raises:
            ModelError: it is of another kind.
        """
        if not isinstance(self.model, MaskedAutoencoder):
            raise ModelError(
                f"{self.folder} holds {KINDS[self.kind]}, and only a masked autoencoder fills in hidden patches: name "
                "the folder of a 'vitrail train mae' run."
            )
        return self.model

    def normalise(self, images: UInt8[Tensor, "b c H W"]) -> Float[Tensor, "b c H W"]:
        """Pixels 0-255 as the model wants them."""
        return normalise(images, self.mean, self.std)

    @cached_property
    def model_fingerprint(self) -> str:
        """A hash of the model's shape and weights, and of how images are normalised for it.

        Only embeddings with the same one may be compared, all of them flipped or none.
        """
        facts = [dataclasses.asdict(self.config), self.mean, self.std]
        digest = hashlib.blake2b(json.dumps(facts).encode(), digest_size=16)
        for name, weights in sorted(self.model.state_dict().items()):
            digest.update(name.encode() + weights.contiguous().numpy().tobytes())
        return digest.hexdigest()

    def feed(self, images: ImageSet) -> ImageSet:
        """Other images with this run's statistics, so that batches of them suit the model.

        Raises:
            ModelError: they have another size or other channels.
        """
        found, expected = (images.channels, *images.image_size), (self.channels, *self.image_size)
        if found != expected:
            raise ModelError(
                f"{images.name} has images of {found[0]} channels and {found[1]}x{found[2]} pixels, and {self.folder} "
                f"reads {expected[0]} channels and {expected[1]}x{expected[2]}: name data of that shape."
            )
        return dataclasses.replace(images, mean=self.mean, std=self.std)

    @torch.inference_mode()
    def embed(
        self, images: UInt8[Tensor, "b c H W"], batch_size: int = 256, *, flip: bool = False
    ) -> Float[Tensor, "b d"]:
        """One vector an image, from the whole image; a face network's have length 1.

        Args:
            images: pixels 0-255 of the model's own size.
            batch_size: images that go through the model at once.
            flip: of a face network: the mean of what it makes of the image and of its mirror image, at length 1 again.
        """
        network = self.model if self.kind == "faces" else self.encoder.embed
        if flip and self.kind != "faces":
            raise ModelError(f"{self.folder} holds {KINDS[self.kind]}, and mirror images are for face networks only.")
        return torch.cat([embed_images(network, self.normalise(part), flip) for part in images.split(batch_size)])

    @torch.inference_mode()
    def reconstruct(self, images: UInt8[Tensor, "b c H W"], seed: int = 0) -> Reconstruction:
        """Hide patches and predict them; pixels 0-255 of the model's own size.

        Args:
            images: any number; the mask of each depends on the seed, its place and that number.
            seed: draws the masks.

        Raises:
            ModelError: the run is no masked autoencoder.
        """
        model = self.autoencoder()
        return reconstruct(model, self.normalise(images), images, self.mean, self.std, seed)


def reconstruct(
    model: MaskedAutoencoder,
    inputs: Float[Tensor, "b c H W"],
    images: UInt8[Tensor, "b c H W"],
    mean: tuple[float, ...],
    std: tuple[float, ...],
    seed: int,
) -> Reconstruction:
    """As ``Run.reconstruct``, for a model that is still being trained; ``inputs`` are the normalised images."""
    random = RowRandom(seed, 0, range(len(images)), len(images))
    output = model(inputs, random.uniform("mask", model.config.patches).to(inputs.device))
    predicted = denormalise(model.reconstruct(inputs, output), mean, std)
    hidden = model.pixel_mask(output.mask)
    return Reconstruction(images.cpu(), predicted.cpu(), hidden.cpu(), model.config.norm_pix)


def embed_images(
    network: Callable[[Tensor], Tensor], inputs: Float[Tensor, "b c H W"], flip: bool = False
) -> Float[Tensor, "b d"]:
    """As ``Run.embed``, for normalised images."""
    vectors = network(inputs)
    if not flip:
        return vectors
    return torch.nn.functional.normalize(vectors + network(inputs.flip(-1)), dim=1)


def describe(kind: Kind, model: ModelConfig, images: ImageSet, options: Mapping[str, Any]) -> dict[str, Any]:
    """What a recipe writes to ``config.json`` so that ``open_run`` can read it."""
    return {
        "format": FORMAT,
        "kind": kind,
        "model": dataclasses.asdict(model),
        "images": {
            "data": images.name,
            "fingerprint": images.fingerprint,
            "classes": list(images.classes),
            "mean": list(images.mean),
            "std": list(images.std),
        },
        "recipe": {name: str(value) if isinstance(value, Path) else value for name, value in options.items()},
    }


def open_run(path: str | Path) -> Run:
    """Open a run folder.

    Raises:
        ConfigError: the folder is missing, or is no run.
        ModelError: the run has no weights yet, or weights that don't fit its own configuration.
        CheckpointError: its configuration is damaged.
    """
    folder = Path(path)
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise ConfigError(f"{folder} {what}, and a run folder was expected: name one that 'vitrail train' wrote.")
    if not (folder / "config.json").is_file():
        raise ConfigError(
            f"{folder} is not a run folder, for it has no config.json: name one that 'vitrail train' wrote."
        )
    config = read_config(folder)
    if config.get("kind") not in KINDS or config.get("format") != FORMAT:
        raise ModelError(
            f"{folder} is a run of kind {config.get('kind')!r} (format {config.get('format')!r}), and this version "
            f"knows {', '.join(KINDS)} (format {FORMAT}): name such a run."
        )
    if not (folder / "model.safetensors").is_file():
        raise ModelError(
            f"{folder} has no model.safetensors, so its training has not saved anything yet: "
            f"let it go on with 'vitrail train {config['kind']} --run {folder}' first."
        )
    try:
        shape = model_config(config["kind"], config["model"])
        model = build_model(shape)
        images = config["images"]
        run = Run(
            folder,
            config["kind"],
            shape,
            model.eval(),
            images["data"],
            images["fingerprint"],
            tuple(images["classes"]),
            tuple(images["mean"]),
            tuple(images["std"]),
            config["recipe"],
            config.get("harmonic", {}).get("fingerprint"),
        )
    except (KeyError, TypeError) as error:
        raise CheckpointError(
            f"{folder / 'config.json'} lacks or garbles {error}: restore the file, or train the run anew."
        ) from error
    put_weights(model, load_weights(folder), folder)
    return run


def model_config(kind: Kind, fields: Mapping[str, Any]) -> ModelConfig:
    """A model's shape from the configuration's plain values (JSON has no tuples)."""
    fields = dict(_tuples(fields))
    if kind == "vit":
        return ViTConfig(**fields)
    if fields["encoder"] is not None:
        fields["encoder"] = ViTConfig(**fields["encoder"])
    return MAEConfig(**fields) if kind == "mae" else FaceConfig(**fields)


def build_model(config: ModelConfig) -> nn.Module:
    """An untrained model of this shape."""
    if isinstance(config, FaceConfig):
        return build_network(config)
    return ViT(config) if isinstance(config, ViTConfig) else MaskedAutoencoder(config)


def put_weights(model: nn.Module, weights: Mapping[str, Tensor], where: Path) -> None:
    """Fill a model, all of it.

    Raises:
        ModelError: a weight is missing, left over or of another shape; the first one is named.
    """
    own = model.state_dict()
    for name in sorted(own.keys() | weights.keys()):
        found = tuple(weights[name].shape) if name in weights else "nothing"
        wanted = tuple(own[name].shape) if name in own else "nothing"
        if found != wanted:
            raise ModelError(
                f"the weights in {where} don't fit its configuration: {name} is {found} there and {wanted} in the "
                "model; they belong to another run, so restore the right file or train anew."
            )
    model.load_state_dict(weights)


def _tuples(fields: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in fields.items():
        yield (
            name,
            dict(_tuples(value)) if isinstance(value, dict) else tuple(value) if isinstance(value, list) else value,
        )
