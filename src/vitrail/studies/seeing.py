"""Maps and hidden states of a BERT on texts of one length at once: where nothing else of a trace is asked for.

A trace keeps what maps are made of, checks it, and scores every head: three times the work of the model itself.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float32, Float64

from vitrail.capture import record_attention
from vitrail.capture.tokens import tokenized
from vitrail.errors import DataError
from vitrail.studies.bert import Bert
from vitrail.trace import Axis


class Seen(NamedTuple):
    """What a model made of a text, or of two read together.

    Attributes:
        axis: of its tokens.
        maps: attention weights of all layers.
        states: hidden states; the first is what enters the first layer.
    """

    axis: Axis
    maps: Float32[np.ndarray, "l h q k"]
    states: Float64[np.ndarray, "states n d"]


def see(bert: Bert, texts: Sequence[tuple[str, ...]]) -> list[Seen]:
    """Read texts, or twos of texts, that have equally many tokens.

    Raises:
        DataError: they have not.
    """
    axes = [tokenized(bert.tokenizer, *one) for one in texts]
    lengths = sorted({axis.length for axis in axes})
    if len(lengths) > 1:
        raise DataError(f"texts of {lengths[0]} and of {lengths[-1]} tokens can't be read at once: give each alone.")
    batch = bert.tokenizer(*(list(part) for part in zip(*texts, strict=True)), return_tensors="pt")
    with torch.no_grad(), record_attention(bert.model) as record:
        output = bert.model(**batch, output_hidden_states=True)
    maps = np.stack([call.weights.float().numpy() for call in record.calls], axis=1)
    states = np.stack([state.double().numpy() for state in output.hidden_states], axis=1)
    return [Seen(axis, maps[row], states[row]) for row, axis in enumerate(axes)]
