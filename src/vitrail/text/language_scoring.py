"""How well a language model knows texts, in nats a token: what comes next, what was hidden, what one token alone is.

A causal model is asked for every token, each after a good part of what is before it (passages overlap). A model that
fills in has no such chain. It is asked as in training, with 15% of the tokens hidden at once; and with one token hidden
at a time, which is its pseudo-likelihood (Salazar et al. 2020, section 2), sampled, for each token costs a pass.
"""

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from vitrail.nn.randomness import RowRandom
from vitrail.text.batches import IGNORED
from vitrail.text.language import LanguageModel
from vitrail.text.language_objective import LanguageObjective, MaskedObjective
from vitrail.text.passages import Stream, cut, windows

TOKENS = 8192
"""Tokens that go through a model at once."""


@torch.inference_mode()
def loss_on(objective: LanguageObjective, stream: Stream, length: int) -> dict[str, float]:
    """The training loss over a stream and the share of tokens guessed right; hidden tokens are always the same.

    The model is in evaluation mode.
    """
    total = count = right = 0.0
    device, rows = objective.module.embedding.weight.device, max(1, TOKENS // length)
    for number, batch in enumerate(windows(stream, length, 0, rows, device)):
        loss, asked, sums = objective.loss(batch, RowRandom(0, number, batch.rows, batch.total))
        total, count, right = total + float(loss), count + int(asked), right + float(sums["accuracy"])
    count = max(count, 1)
    return {
        "nats_per_token": total / count,
        "perplexity": float(np.exp(min(total / count, 700))),
        "accuracy": right / count,
    }


@torch.inference_mode()
def causal_nats(model: LanguageModel, stream: Stream, length: int, overlap: int) -> Float[np.ndarray, " n"]:
    """Of each token of a stream but the first, given up to ``length`` tokens before it, and ``overlap`` at least.

    The first ``overlap`` tokens of the stream have fewer before them.
    """
    found = []
    for batch in windows(stream, length, overlap, max(1, TOKENS // length), model.embedding.weight.device):
        asked = batch.following != IGNORED
        found.append(_nats(model.logits(model.encode(batch.tokens)[asked]), batch.following[asked]))
    return np.concatenate(found)


@torch.inference_mode()
def nats_between(
    objective: MaskedObjective, stream: Stream, places: Int[np.ndarray, " k"], length: int
) -> Float[np.ndarray, " k"]:
    """Of single tokens, each hidden alone in the middle of a passage, or as near to it as the stream's ends allow."""
    model, found = objective.module, []
    length = min(length, len(stream))
    for chosen in _parts(places, max(1, TOKENS // length)):
        begins = np.clip(chosen - length // 2, 0, len(stream) - length)
        tokens = cut(stream, begins, length, model.embedding.weight.device).tokens
        rows, hidden = torch.arange(len(chosen)), torch.from_numpy(chosen - begins)
        right = tokens[rows, hidden]
        shown = tokens.clone()
        shown[rows, hidden] = objective.mask
        found.append(_nats(model.logits(model.encode(shown)[rows, hidden]), right))
    return np.concatenate(found) if found else np.empty(0)


def _nats(logits: Tensor, right: Tensor) -> Float[np.ndarray, " n"]:
    chances: Tensor = logits.float().log_softmax(-1).gather(1, right[:, None])[:, 0]
    return -chances.double().cpu().numpy()


def _parts(places: Int[np.ndarray, " k"], size: int) -> Iterator[Int[np.ndarray, " k"]]:
    for begin in range(0, len(places), size):
        yield places[begin : begin + size]
