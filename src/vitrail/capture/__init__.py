"""What a model's attention does, from any PyTorch module: queries, keys, values, masks, weights, gradients."""

from vitrail.capture.attend import attend
from vitrail.capture.call import Call, Record
from vitrail.capture.gradients import Target, class_score, masked_token, next_token, part_gradients, weight_gradients
from vitrail.capture.predicting import Vocabulary
from vitrail.capture.recorder import record_attention
from vitrail.capture.tracing import trace_run
from vitrail.capture.twins import untrained_twin
from vitrail.capture.wishes import Axes, Wishes

__all__ = [
    "Axes",
    "Call",
    "Record",
    "Target",
    "Vocabulary",
    "Wishes",
    "attend",
    "class_score",
    "masked_token",
    "next_token",
    "part_gradients",
    "record_attention",
    "trace_run",
    "untrained_twin",
    "weight_gradients",
]
