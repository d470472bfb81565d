"""How a text is decoded: one set of options for greedy decoding, beam search and sampling, each defined once."""

from dataclasses import dataclass
from typing import Literal

from vitrail.errors import ConfigError


@dataclass(frozen=True)
class Decoding:
    """How a text is decoded."""

    beams: int = 4
    """Texts that are followed at a time; 1 is greedy decoding."""
    max_tokens: int = 128
    """Tokens of a text at most, its end included."""
    min_tokens: int = 0
    """Tokens of a text at least, before its end."""
    length_penalty: float = 1.0
    """A text's log-probability is divided by its number of tokens, to this power: more favours longer texts."""
    early_stopping: bool | Literal["never"] = False
    """When a beam search ends, as soon as there are as many ended texts as beams. True: at once. False: if the best
    text under way, divided by the length it has, is worse than all of those. "never": if it would be worse at any
    length."""
    no_repeat_ngram: int = 0
    """No so many tokens in a row come twice in a text (0: they may)."""
    first: int | None = None
    """The token that every text begins with."""
    last: int | None = None
    """The token that is written where a text reaches max_tokens."""
    renormalise: bool = False
    """Whether the probability of forbidden tokens goes to the others: texts that the rules above narrow score higher,
    which only a beam search minds."""
    sample: bool = False
    """Draw each token by chance instead of taking the likeliest."""
    temperature: float = 1.0
    """Logits are divided by this before a draw: less makes likely tokens likelier."""
    top_k: int = 0
    """Draw among so many of the likeliest tokens (0: among all)."""
    top_p: float = 1.0
    """Draw among the fewest likeliest tokens whose probabilities reach this together."""

    def __post_init__(self) -> None:
        if self.beams < 1 or self.max_tokens < 1:
            raise ConfigError(
                f"{self.beams} beams and {self.max_tokens} tokens at most can't be meant: take 1 or more of each."
            )
        if not 0 <= self.min_tokens < self.max_tokens:
            raise ConfigError(
                f"a text can't have {self.min_tokens} tokens at least and {self.max_tokens} at most, its end included: "
                "take a min_tokens from 0 to below max_tokens."
            )
        if self.no_repeat_ngram < 0 or self.top_k < 0:
            raise ConfigError("no_repeat_ngram and top_k can't be negative: 0 turns them off.")
        if self.temperature <= 0 or not 0 < self.top_p <= 1:
            raise ConfigError(
                f"a temperature of {self.temperature:g} and a top_p of {self.top_p:g} can't be meant: the one is above "
                "0, the other above 0 and up to 1."
            )
        if self.sample and self.beams > 1:
            raise ConfigError(f"sampling follows one text, not {self.beams} beams: set beams to 1, or don't sample.")
