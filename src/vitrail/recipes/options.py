"""The options that recipes share: about images, about augmentation, about a model's shape, about training.

Plain frozen dataclasses without torch, so that ``--help`` is quick; a recipe inherits what it offers.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from vitrail.errors import ConfigError

if TYPE_CHECKING:
    from vitrail.data import Augmentation
    from vitrail.train import TrainConfig


@dataclass(frozen=True)
class AugmentationOptions:
    """What is done to training images (``vitrail.data.Augmentation`` says how)."""

    crop_padding: int = 0
    """Pad each side by this many pixels and cut out the old size at a random place (0: off)."""
    flip: bool = False
    """Mirror half of the images, left to right; not for digits or letters."""
    random_resized_crop: tuple[float, float] | None = None
    """Cut out a box with a share of the area in this range and enlarge it to the old size."""
    color: float = 0.0
    """Multiply brightness, contrast and saturation each by a factor in 1 ± this."""
    cutout: int = 0
    """Cover a square with sides of this many pixels (0: off)."""

    def augmentation(self, mixup: float = 0.0, cutmix: float = 0.0) -> "Augmentation":
        """The augmentation these options name, with mixing where labels are mixed too."""
        from vitrail.data import Augmentation

        return Augmentation(
            self.crop_padding, self.flip, self.random_resized_crop, self.color, self.cutout, mixup, cutmix
        )


@dataclass(frozen=True)
class ShapeOptions:
    """Changes to a preset's shape; None keeps the preset's."""

    patch_size: int | None = None
    """Side of a patch, in pixels (default: the preset's for images of 32 pixels and more, else a quarter of them)."""
    dim: int | None = None
    """Width of the encoder (default: the preset's)."""
    depth: int | None = None
    """Blocks of the encoder (default: the preset's)."""
    heads: int | None = None
    """Attention heads of each encoder block (default: the preset's)."""
    mlp_dim: int | None = None
    """Width inside the encoder's feed-forward networks (default: the preset's)."""
    pool: Literal["cls", "mean"] | None = None
    """What stands for the image: the CLS token or the mean of the patches (default: the preset's)."""
    stem: Literal["patch", "conv"] | None = None
    """How a patch becomes a vector: a linear map or two convolutions (default: the preset's)."""
    drop_path: float = 0.0
    """Stochastic depth of the last block while training, rising linearly from 0 at the first."""

    def shape(self) -> dict[str, Any]:
        """The fields of ``ViTConfig`` that were asked for."""
        names = ("patch_size", "dim", "depth", "heads", "mlp_dim", "pool", "stem")
        return {name: value for name in names if (value := getattr(self, name)) is not None}


@dataclass(frozen=True)
class ImageOptions:
    """Which images are read, and where the run is kept."""

    data: str = "digits"
    """Images: digits (embedded), a folder of class folders, a .parquet file or a folder of them, or a Hub name."""
    run: Path | None = None
    """Folder of the run; an unfinished run there goes on (default: runs/ with the model's and the data's names)."""
    image_size: int | None = None
    """Resize images to this many pixels on a side (default: their own size)."""
    channels: Literal[1, 3] | None = None
    """Read images in grey (1) or colour (3) (default: as they are)."""
    corrupt: Literal["refuse", "skip"] = "refuse"
    """Stop at an image that can't be read, or leave it out."""
    validation: float = 0.0
    """Share of the training images held out to look at while training; the test set is used once, at the end."""

    def folder(self, kind: str) -> Path:
        """Where the run is kept."""
        return run_folder(self.run, kind, self.data)


@dataclass(frozen=True)
class LoopOptions:
    """How a model is trained."""

    epochs: int = 10
    """Passes over the training data."""
    batch_size: int = 128
    """Examples in one optimizer step."""
    micro_batches: int = 1
    """Parts that a batch is cut into, to save memory."""
    lr: float = 1e-3
    """Highest learning rate of AdamW."""
    optimizer: Literal["adamw", "muon"] = "adamw"
    """"muon": Muon for the matrices inside blocks, AdamW for everything else."""
    muon_lr: float | None = None
    """Highest learning rate of Muon (default: the same as lr)."""
    weight_decay: float = 0.05
    """Decoupled weight decay of matrices."""
    warmup_epochs: float = 1.0
    """Epochs over which the learning rate rises linearly from 0."""
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    """How the learning rate falls after that, to 0 at the last step."""
    clip: float = 1.0
    """Largest allowed norm of the whole gradient (0: off)."""
    ema: float = 0.0
    """Decay of an average of the weights, which is then what is kept (0: off)."""
    evaluate_every: int = 1
    """Epochs between looks at held-out examples and pictures (0: only at the end)."""
    save_every: int = 500
    """Steps between checkpoints (0: only at the end)."""
    seed: int = 0
    """Seed of everything random in the run."""
    precision: Literal["auto", "float32", "bf16"] = "auto"
    """"auto": bf16 where the processor multiplies bf16 matrices natively, else float32."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """"auto": a GPU if there is one."""
    sharding: Literal["ddp", "fsdp"] = "ddp"
    """With several processes (torchrun): a full model on each, or its parts spread over them."""

    def train_config(self, steps_per_epoch: int, layer_decay: float = 1.0) -> "TrainConfig":
        """The loop's configuration, with epochs turned into steps."""
        from vitrail.train import TrainConfig

        if self.epochs < 1:
            raise ConfigError(f"{self.epochs} epochs train nothing: give --epochs 1 or more.")
        if self.warmup_epochs < 0:
            raise ConfigError(f"a warm-up of {self.warmup_epochs} epochs can't be meant: give 0 or more.")
        steps = self.epochs * steps_per_epoch
        return TrainConfig(
            steps=steps,
            batch_size=self.batch_size,
            micro_batches=self.micro_batches,
            lr=self.lr,
            optimizer=self.optimizer,
            muon_lr=self.muon_lr,
            weight_decay=self.weight_decay,
            warmup_steps=min(round(self.warmup_epochs * steps_per_epoch), steps // 2),
            schedule=self.schedule,
            layer_decay=layer_decay,
            clip=self.clip,
            ema=self.ema,
            precision=self.precision,
            device=self.device,
            sharding=self.sharding,
            seed=self.seed,
            log_every=max(1, min(50, steps_per_epoch)),
            save_every=self.save_every,
            evaluate_every=self.evaluate_every * steps_per_epoch,
        )


@dataclass(frozen=True)
class TraceOptions:
    """What is kept of how attention is learned."""

    trace_every: int = 0
    """Steps between traces of one held-out example, kept in traces/ for 'vitrail view' to scrub through (0: none)."""


@dataclass(frozen=True)
class TrainingOptions(LoopOptions, ImageOptions):
    """How a model is trained on images."""


@dataclass(frozen=True)
class TokenizerOptions:
    """How texts become tokens."""

    tokenizer: Literal["bpe", "unigram"] = "bpe"
    """Kind of tokenizer that is made for the texts."""
    vocabulary: int = 8000
    """Tokens of that tokenizer, at most."""


def run_folder(run: Path | None, kind: str, data: str) -> Path:
    """Where a run is kept: as asked for, else in ``runs/`` under the model's and the data's names."""
    if run is not None:
        return Path(run)
    name = Path(data).stem if Path(data).exists() else data.replace("/", "-")
    return Path("runs") / f"{kind}-{name or 'data'}"
