"""What a decoder may write next, beyond what the model thinks likely: each rule in one place, for all decoders.

A rule looks at what was written so far and forbids tokens. They apply in the order of ``restrict``: no n-gram twice,
not the end too early, a given first token, a given last one; then, if asked for, the others share what is left.
"""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from vitrail.text.options import Decoding

NEVER = float("-inf")


def restrict(
    scores: Float[Tensor, "b w v"], written: Int64[Tensor, "b w n"], options: Decoding, end: int
) -> Float[Tensor, "b w v"]:
    """Scores in which forbidden tokens are -inf; the tensor given is changed.

    Args:
        scores: logits or log-probabilities of the next token.
        written: what was written so far, the start token included.
        options: the rules.
        end: the token that ends a text.
    """
    place = written.shape[2] - 1  # tokens written, the start token aside
    if options.no_repeat_ngram:
        _forbid_repetitions(scores, written, options.no_repeat_ngram)
    if place < options.min_tokens:
        scores[..., end] = NEVER
    if options.first is not None and place == 0:
        _force(scores, options.first)
    if options.last is not None and place == options.max_tokens - 1:
        _force(scores, options.last)
    return scores.log_softmax(-1) if options.renormalise else scores


def keep_likely(logits: Float[Tensor, "b v"], options: Decoding) -> Float[Tensor, "b v"]:
    """Logits for sampling: divided by the temperature; all but the likeliest -inf.

    First the ``top_k`` likeliest are kept, then of those the fewest whose probabilities reach ``top_p`` together
    (nucleus sampling: Holtzman et al. 2019, section 3.1).
    """
    logits = logits / options.temperature
    if options.top_k:
        least = logits.topk(min(options.top_k, logits.shape[-1])).values[..., -1:]
        logits = logits.masked_fill(logits < least, NEVER)
    if options.top_p < 1:
        ordered, order = logits.sort(descending=True)
        before = ordered.softmax(-1).cumsum(-1) - ordered.softmax(-1)
        dropped = (before >= options.top_p).scatter(-1, order, before >= options.top_p)
        logits = logits.masked_fill(dropped, NEVER)
    return logits


def _forbid_repetitions(scores: Float[Tensor, "b w v"], written: Int64[Tensor, "b w n"], size: int) -> None:
    """Forbid each token that would end an n-gram that was written before (Paulus et al. 2017, section 2.5)."""
    if written.shape[2] < size:
        return
    grams = written.unfold(2, size, 1)
    latest = written[:, :, None, written.shape[2] - size + 1 :]
    again = (grams[..., :-1] == latest).all(-1)
    ends = torch.where(again, grams[..., -1], -1)
    # A place beyond the vocabulary takes what isn't forbidden.
    v = scores.shape[-1]
    forbidden = torch.zeros(*scores.shape[:2], v + 1, dtype=torch.bool, device=scores.device)
    forbidden.scatter_(2, torch.where(again, ends, v), True)
    scores.masked_fill_(forbidden[..., :v], NEVER)


def _force(scores: Float[Tensor, "b w v"], token: int) -> None:
    scores.fill_(NEVER)
    scores[..., token] = 0
