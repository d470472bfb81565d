"""What a model's attention does, from any PyTorch module: queries, keys, values, masks, weights, gradients."""

from vitrail.capture.call import Call, Record
from vitrail.capture.recorder import record_attention

__all__ = ["Call", "Record", "record_attention"]
