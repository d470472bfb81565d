"""Where images come from, and how they become batches."""

from vitrail.data.augment import Augmentation, augment
from vitrail.data.batches import ImageBatch, ImageBatches, in_order
from vitrail.data.identities import hold_out_identities, keep_shares, require_identities
from vitrail.data.images import ImageSet, hold_out, load_images, require_labels, stored_format, stored_shape
from vitrail.data.lfw import IndexPairs, NamedPairs, index_pairs, read_pairs
from vitrail.data.pixels import denormalise, normalise

__all__ = [
    "Augmentation",
    "ImageBatch",
    "ImageBatches",
    "ImageSet",
    "IndexPairs",
    "NamedPairs",
    "augment",
    "denormalise",
    "hold_out",
    "hold_out_identities",
    "in_order",
    "index_pairs",
    "keep_shares",
    "load_images",
    "normalise",
    "read_pairs",
    "require_identities",
    "require_labels",
    "stored_format",
    "stored_shape",
]
