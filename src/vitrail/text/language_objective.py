"""What language models are trained for: the next token (GPT-2), or tokens that were hidden (BERT, section 3.1, task 1).

Both losses are sums over the tokens asked for, which the loop divides by their number over all processes and
micro-batches. Which tokens are hidden is drawn by rows of the global batch, so that any number of processes and any
resumed run hide the same ones.

Where we differ from BERT: whether a token is chosen is its own draw, so that 15% is a mean (as in RoBERTa's and
transformers' code); the draw is another in every epoch.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Int64
from torch import Tensor

from vitrail.errors import ConfigError
from vitrail.nn.randomness import RowRandom
from vitrail.text.batches import IGNORED
from vitrail.text.language import LanguageModel
from vitrail.text.objective import token_sums
from vitrail.text.passages import PassageBatch
from vitrail.text.tokens import Tokens
from vitrail.train import LossSums

CHOSEN = 0.15
"""Share of tokens that a masked model is asked for."""
MASKED, CHANGED = 0.8, 0.1
"""Shares of these in whose place the mask stands, or any token; the rest stays as it is."""


class CausalObjective:
    """A model that learns which token comes next."""

    def __init__(self, module: LanguageModel) -> None:
        self.module = module

    def loss(self, batch: PassageBatch, random: RowRandom) -> LossSums:
        """See ``vitrail.train.Objective``; the count is of tokens asked for."""
        asked = batch.following != IGNORED
        return token_sums(self.module.logits(self.module.encode(batch.tokens)[asked]), batch.following[asked])


class MaskedObjective:
    """A model that learns which tokens were hidden.

    Args:
        module: the model.
        mask: the token that stands for a hidden one.
        special: tokens that are never hidden.
    """

    def __init__(self, module: LanguageModel, mask: int, special: Sequence[int]) -> None:
        self.module = module
        self.mask, self.special = mask, tuple(special)

    def loss(self, batch: PassageBatch, random: RowRandom) -> LossSums:
        """See ``vitrail.train.Objective``; the count is of tokens asked for."""
        shown, chosen = hide(batch.tokens, random, self.mask, self.special, self.module.config.vocabulary)
        return token_sums(self.module.logits(self.module.encode(shown)[chosen]), batch.tokens[chosen])


LanguageObjective = CausalObjective | MaskedObjective


def objective_for(module: LanguageModel, tokens: Tokens) -> LanguageObjective:
    """What this model is trained for.

    Raises:
        ConfigError: a model that fills in, with a tokenizer that has no mask.
    """
    if module.config.causal:
        return CausalObjective(module)
    if tokens.mask is None:
        raise ConfigError("the tokenizer has no token for a hidden one: take one with <mask> or [MASK].")
    return MaskedObjective(module, tokens.mask, (tokens.pad, tokens.start, tokens.end, tokens.mask))


def hide(
    tokens: Int64[Tensor, "b n"], random: RowRandom, mask: int, special: Sequence[int], vocabulary: int
) -> tuple[Int64[Tensor, "b n"], Bool[Tensor, "b n"]]:
    """Tokens as the model is shown them, and which of them it is asked for (True).

    Args:
        tokens: as they are.
        random: of these rows.
        mask: the token that stands for a hidden one.
        special: tokens that are never asked for.
        vocabulary: tokens that there are, any of which may take another's place.
    """
    n, device = tokens.shape[1], tokens.device
    ordinary = ~torch.isin(tokens, torch.tensor(special, device=device))
    chosen = (random.uniform("chosen", n).to(device) < CHOSEN) & ordinary
    fate = random.uniform("fate", n).to(device)
    others = random.integers("others", vocabulary, n).to(device)
    shown = torch.where(chosen & (fate < MASKED), mask, tokens)
    changed = chosen & (fate >= MASKED) & (fate < MASKED + CHANGED)
    return torch.where(changed, others, shown), chosen
