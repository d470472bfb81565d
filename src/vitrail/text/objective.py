"""What an encoder-decoder is trained for: the next token of each target, given its source (Vaswani et al., section 5).

The loss is a sum over target tokens, which the loop divides by their number over all processes and micro-batches. Label
smoothing (section 5.4) spreads a share of the target over all tokens; the plain loss is told beside it.
"""

import torch
import torch.nn.functional as F

from vitrail.nn.randomness import RowRandom
from vitrail.text.batches import IGNORED, TextBatch
from vitrail.text.transformer import Transformer
from vitrail.train import LossSums


class SummaryObjective:
    """A Transformer that learns to continue summaries.

    Args:
        module: the model.
        label_smoothing: share of a target that is spread over all tokens.
    """

    def __init__(self, module: Transformer, label_smoothing: float = 0.0) -> None:
        self.module = module
        self.label_smoothing = label_smoothing

    def loss(self, batch: TextBatch, random: RowRandom) -> LossSums:
        """See ``vitrail.train.Objective``; the count is of target tokens."""
        logits = self.module(batch.source, batch.target, batch.source_mask).flatten(0, 1).float()
        labels = batch.labels.flatten()
        loss = F.cross_entropy(
            logits, labels, ignore_index=IGNORED, reduction="sum", label_smoothing=self.label_smoothing
        )
        with torch.no_grad():
            plain = loss.detach() if not self.label_smoothing else _plain(logits, labels)
            right = (logits.argmax(-1) == labels).sum()
        count = (labels != IGNORED).sum()
        return loss, count, {"nats_per_token": plain, "accuracy": right.to(loss.dtype)}


def _plain(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return F.cross_entropy(logits, labels, ignore_index=IGNORED, reduction="sum")
