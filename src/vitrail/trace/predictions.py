"""What a model says at each position, and what it would say after each of its layers (the logit lens).

The lens (nostalgebraist 2020; Belrose et al. 2023) takes the residual stream as it leaves a layer's block past the
layers that are left, straight to what the model does at its end: the last norm, the output. Row by row one sees where a
prediction comes about. The last layer's row is the model's own.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float, Int

from vitrail.errors import TraceError
from vitrail.trace.shapes import require_shape

Predicted = Literal["next token", "token", "class"]
PREDICTED: tuple[str, ...] = get_args(Predicted)


@dataclass(frozen=True, eq=False)
class Predictions:
    """The likeliest tokens or classes, of each position of a stream's queries; of the whole input where ``n`` is 1."""

    of: Predicted
    """The token after each position, the token at each position, or a class."""
    texts: tuple[str, ...]
    """What occurs among the likeliest, each once, as people read it."""
    ids: Int[np.ndarray, " texts"]
    """The number of each in the model's vocabulary, or of its class."""
    choices: Int[np.ndarray, "n best"]
    """The likeliest first: which of ``texts``."""
    probabilities: Float[np.ndarray, "n best"]
    """Of each choice, among all there are."""
    lens: Int[np.ndarray, "layers n best"] | None = None
    """The same after each layer's block, where that could be had."""
    lens_probabilities: Float[np.ndarray, "layers n best"] | None = None

    def likeliest(self, position: int = 0, layer: int | None = None) -> list[tuple[str, float]]:
        """Texts and probabilities at a position, the likeliest first; after a layer's block where one is given.

        Raises:
            TraceError: no such position or layer, or a trace without the lens.
        """
        choices, probabilities = self.choices, self.probabilities
        if layer is not None:
            if self.lens is None or self.lens_probabilities is None:
                raise TraceError("these predictions have no logit lens: capture again, or ask for no layer.")
            if not -len(self.lens) <= layer < len(self.lens):
                raise TraceError(f"there is no layer {layer}: the logit lens has {len(self.lens)}, counted from 0.")
            choices, probabilities = self.lens[layer], self.lens_probabilities[layer]
        if not -len(choices) <= position < len(choices):
            raise TraceError(f"there is no position {position}: predictions are of {len(choices)}, counted from 0.")
        chances = probabilities[position]
        return [(self.texts[choice], float(chance)) for choice, chance in zip(choices[position], chances, strict=True)]

    def check(self, layers: int, queries: int, where: str) -> None:
        """Refuse predictions that contradict themselves or the stream ``where``.

        Raises:
            TraceError: an unknown kind, another shape than the stream's, or a choice that isn't among the texts.
        """
        if self.of not in PREDICTED:
            raise TraceError(f"{where} has predictions of {self.of!r}: they are of one of {', '.join(PREDICTED)}.")
        require_shape(self.ids, (len(self.texts),), f"{where} has numbers of what is predicted")
        require_shape(self.choices, (None, None), f"{where} has choices")
        if len(self.choices) not in (1, queries):
            raise TraceError(
                f"{where} has predictions at {len(self.choices)} positions: they are at {queries}, or 1 for all."
            )
        require_shape(self.probabilities, self.choices.shape, f"{where} has probabilities")
        if (self.lens is None) != (self.lens_probabilities is None):
            raise TraceError(f"{where} has half of a logit lens: choices and probabilities go together.")
        if self.lens is not None:
            require_shape(self.lens, (layers, len(self.choices), None), f"{where} has a logit lens")
            require_shape(self.lens_probabilities, self.lens.shape, f"{where} has probabilities of a logit lens")
        for found in (self.choices, self.lens):
            if found is not None and not ((found >= 0) & (found < len(self.texts))).all():
                raise TraceError(f"{where} has a choice that isn't among its {len(self.texts)} texts: name one there.")
