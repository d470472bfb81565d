"""What a captured attention is: the trace, its file, and the numbers that say what a head does; numpy only."""

from vitrail.trace.biases import Bias
from vitrail.trace.comparing import Comparison, align, compare_maps, jensen_shannon, word_cosines, word_states
from vitrail.trace.file import load_trace, save_trace
from vitrail.trace.finishing import finish, finish_layer
from vitrail.trace.flow import flow, rollout
from vitrail.trace.importance import gradient_x_attention, head_importance, norm_weighted
from vitrail.trace.layers import Digest, Errors, Layer
from vitrail.trace.masks import Mask
from vitrail.trace.model import Provenance, Stream, Trace
from vitrail.trace.positions import Axis, named
from vitrail.trace.predictions import Predictions
from vitrail.trace.roles import label_heads
from vitrail.trace.scores import SCORES, Places, score_heads
from vitrail.trace.tables import head_scores
from vitrail.trace.words import word_weights, words_of

__all__ = [
    "SCORES",
    "Axis",
    "Bias",
    "Comparison",
    "Digest",
    "Errors",
    "Layer",
    "Mask",
    "Places",
    "Predictions",
    "Provenance",
    "Stream",
    "Trace",
    "align",
    "compare_maps",
    "finish",
    "finish_layer",
    "flow",
    "gradient_x_attention",
    "head_importance",
    "head_scores",
    "jensen_shannon",
    "label_heads",
    "load_trace",
    "named",
    "norm_weighted",
    "rollout",
    "save_trace",
    "score_heads",
    "word_cosines",
    "word_states",
    "word_weights",
    "words_of",
]
