"""Where images come from, and how they become batches."""

from vitrail.data.augment import Augmentation, augment
from vitrail.data.batches import ImageBatch, ImageBatches, in_order
from vitrail.data.images import ImageSet, hold_out, load_images, require_labels
from vitrail.data.pixels import denormalise, normalise

__all__ = [
    "Augmentation",
    "ImageBatch",
    "ImageBatches",
    "ImageSet",
    "augment",
    "denormalise",
    "hold_out",
    "in_order",
    "load_images",
    "normalise",
    "require_labels",
]
