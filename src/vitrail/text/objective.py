"""What an encoder-decoder is trained for: the next token of each target, given its source (Vaswani et al., section 5).

The loss is a sum over target tokens, which the loop divides by their number over all processes and micro-batches. Label
smoothing (section 5.4) spreads a share of the target over all tokens; the plain loss is told beside it.
"""

import torch

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
        logits = self.module(batch.source, batch.target, batch.source_mask).flatten(0, 1)
        labels = batch.labels.flatten()
        meant = labels != IGNORED
        logits, labels = logits[meant].float(), labels[meant]
        log_p = logits.log_softmax(-1)
        right = log_p.gather(1, labels[:, None])
        plain = -right.sum()
        loss = plain
        if self.label_smoothing:
            loss = (1 - self.label_smoothing) * plain - self.label_smoothing * log_p.mean(-1).sum()
        with torch.no_grad():
            best = (right[:, 0] >= log_p.amax(-1)).sum() if len(labels) else right.sum()
        return loss, meant.sum(), {"nats_per_token": plain.detach(), "accuracy": best.to(loss.dtype)}
