"""What a captured attention is: the trace, its file, and the numbers that say what a head does; numpy only."""

from vitrail.trace.biases import Bias
from vitrail.trace.file import load_trace, save_trace
from vitrail.trace.finishing import finish, finish_layer
from vitrail.trace.layers import Digest, Errors, Layer
from vitrail.trace.masks import Mask
from vitrail.trace.model import Provenance, Stream, Trace
from vitrail.trace.positions import Axis, named

__all__ = [
    "Axis",
    "Bias",
    "Digest",
    "Errors",
    "Layer",
    "Mask",
    "Provenance",
    "Stream",
    "Trace",
    "finish",
    "finish_layer",
    "load_trace",
    "named",
    "save_trace",
]
