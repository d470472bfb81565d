"""What turns encoded documents into encoded texts: our own decoding over PyTorch, or another library's.

An engine is handed tokens and hands tokens back, so that cutting, batching and tokenizers are one for all
(``summarizing``). CTranslate2's is in ``ctranslate2_engine``.
"""

import copy
from collections.abc import Callable, Sequence
from typing import Literal, Protocol

import torch

from vitrail.text.decoding import Hear, TransformerWriter, decode
from vitrail.text.options import Decoding
from vitrail.text.transformer import Transformer

Precision = Literal["float32", "bf16"]

Write = Callable[[Sequence[Sequence[int]]], list[list[int]]]
"""A batch of sources, tokens with their end, to the best text about each: without the start token; the end token is
the last one, unless there was no room for it."""


class Engine(Protocol):
    """Writes texts about sources."""

    def prepare(self, options: Decoding, *, seed: int = 0, hear: Hear | None = None) -> Write:
        """What writes batch after batch.

        Args:
            options: how.
            seed: of the draws, which go on from batch to batch.
            hear: told of each token as it is written; sources are numbered within their batch.

        Raises:
            ConfigError: options that this engine can't follow.
        """


class TorchEngine:
    """Our own decoding (``decode``), on the device that the model is on.

    Args:
        model: in evaluation mode; it is left as it is, and what it learns later isn't known here.
        precision: "bf16" computes with a rounded copy of the weights: several times as fast where the processor
            multiplies bf16 natively; some texts differ.
    """

    def __init__(self, model: Transformer, precision: Precision = "float32") -> None:
        self._model = model.for_writing() if precision == "float32" else copy.deepcopy(model).to(torch.bfloat16)

    def prepare(self, options: Decoding, *, seed: int = 0, hear: Hear | None = None) -> Write:
        """See ``Engine``; all options are followed."""
        device = self._model.embedding.weight.device
        draws = torch.Generator(device).manual_seed(seed)

        def write(sources: Sequence[Sequence[int]]) -> list[list[int]]:
            longest = max(len(source) for source in sources)
            padded = torch.full((len(sources), longest), self._model.config.pad)
            mask = torch.zeros_like(padded, dtype=torch.bool)
            for row, source in enumerate(sources):
                padded[row, : len(source)] = torch.tensor(source)
                mask[row, : len(source)] = True
            with torch.inference_mode():
                writer = TransformerWriter(self._model, padded.to(device), mask.to(device))
                return [texts[0].tokens for texts in decode(writer, options, draws, hear)]

        return write
