"""What an encoder-decoder is trained for: the next token of each target, given its source (Vaswani et al., section 5).

The loss is a sum over target tokens, which the loop divides by their number over all processes and micro-batches. Label
smoothing (section 5.4) spreads a share of the target over all tokens; the plain loss is told beside it.
"""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

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
        return token_sums(logits[meant], labels[meant], self.label_smoothing)


def token_sums(logits: Float[Tensor, "n v"], labels: Int64[Tensor, " n"], label_smoothing: float = 0.0) -> LossSums:
    """Sums over tokens: the loss, their number, and the plain loss and how many are likeliest.

    Args:
        logits: of each token, in any precision.
        labels: the tokens.
        label_smoothing: share of a target that is spread over all tokens.
    """
    log_p = logits.float().log_softmax(-1)
    right = log_p.gather(1, labels[:, None])
    plain = -right.sum()
    loss = plain
    if label_smoothing:
        loss = (1 - label_smoothing) * plain - label_smoothing * log_p.mean(-1).sum()
    with torch.no_grad():
        best = (right[:, 0] >= log_p.amax(-1)).sum() if len(labels) else right.sum()
    count = torch.tensor(len(labels), device=logits.device)
    return loss, count, {"nats_per_token": plain.detach(), "accuracy": best.to(loss.dtype)}
