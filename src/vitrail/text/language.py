"""Language models from one stack of blocks: GPT-2 (Radford et al. 2019) and BERT (Devlin et al. 2019) by configuration.

A *causal* model lets each token see those before it and says what comes next; it can write. A model that isn't lets
every token see all others and says what stands where a token was hidden; it can fill in.

==============  ==============================  ==============================================================
what            GPT-2                           BERT
==============  ==============================  ==============================================================
sees            what comes before               everything
blocks          pre-norm, GELU by tanh          post-norm, GELU
at the entry    nothing                         token types, a norm
at the end      a norm                          a map, GELU and a norm before the output ("transform")
output          tied                            tied, with a bias
==============  ==============================  ==============================================================

Where we differ: without feed-forward networks (``feed_forward=False``) blocks are attention alone, as in the circuits
that Elhage et al. (2021) take apart; BERT's next-sentence head is left out, as RoBERTa does (Liu et al. 2019, 4.2).
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from vitrail.errors import ConfigError
from vitrail.nn.blocks import Activation, BlockConfig, EncoderBlock, activate, make_norm
from vitrail.nn.cache import GrowingKeyValues
from vitrail.nn.dropout import drop


@dataclass(frozen=True)
class LanguageConfig:
    """The shape of a language model."""

    vocabulary: int
    """Tokens that there are."""
    dim: int = 768
    """Width of the residual stream."""
    layers: int = 12
    """Blocks."""
    heads: int = 12
    """Attention heads of each block."""
    hidden: int = 3072
    """Width of the feed-forward networks between their two maps."""
    feed_forward: bool = True
    """Whether blocks have feed-forward networks; without, they are attention alone."""
    causal: bool = True
    """Each token sees those before it (True) or all (False)."""
    norm_first: bool = True
    """Pre-norm blocks (True) or post-norm (False)."""
    eps: float = 1e-5
    """What the norms add to the variance."""
    activation: Activation = "gelu_tanh"
    """Of the feed-forward networks and of the transform."""
    max_length: int = 1024
    """Learned positions that there are: no text may have more tokens."""
    token_types: int = 0
    """Kinds of segment that tokens may belong to (0: their kind isn't told)."""
    entry_norm: bool = False
    """A norm on what enters the first block."""
    final_norm: bool = True
    """A norm on what leaves the last block."""
    transform: bool = False
    """A map, the activation and a norm before the output."""
    output_bias: bool = False
    """A learned number a token on the logits."""
    dropout: float = 0.1
    """On what each branch adds to the residual stream, while training."""
    entry_dropout: float = 0.1
    """On what enters the first block."""
    attention_dropout: float = 0.1
    """On the attention weights."""
    pad: int = 0
    """The token that fills up short texts."""
    end: int = 1
    """The token that stands between texts; what a causal model writes begins after it."""

    def __post_init__(self) -> None:
        for name in ("vocabulary", "dim", "layers", "heads", "hidden", "max_length"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}, and must be 1 or more.")
        if self.dim % self.heads:
            raise ConfigError(
                f"a width of {self.dim} can't be split into {self.heads} heads: choose heads that divide it."
            )
        for name in ("pad", "end"):
            if not 0 <= getattr(self, name) < self.vocabulary:
                raise ConfigError(
                    f"the {name} token is {getattr(self, name)}, and the vocabulary ends at {self.vocabulary - 1}: "
                    "give the vocabulary's own."
                )

    @property
    def block(self) -> BlockConfig:
        """The shape of one block."""
        return BlockConfig(
            self.dim,
            self.heads,
            self.hidden,
            norm_first=self.norm_first,
            activation=self.activation,
            eps=self.eps,
            dropout=self.dropout,
            attention_dropout=self.attention_dropout,
        )


class Transform(nn.Module):
    """What BERT's head does before its output: a map, the activation, a norm."""

    def __init__(self, config: LanguageConfig) -> None:
        super().__init__()
        self.activation: Activation = config.activation
        self.map = nn.Linear(config.dim, config.dim)
        self.norm = make_norm("layer", config.dim, config.eps)

    def forward(self, x: Float[Tensor, "... d"]) -> Float[Tensor, "... d"]:
        """Each position on its own."""
        y: Tensor = self.norm(activate(self.map(x), self.activation))
        return y


class WrittenState:
    """What a causal model remembers of the tokens so far, which may be a tree (``vitrail.text.transformer``).

    Attributes:
        layers: of each layer, keys and values of all tokens.
    """

    def __init__(self, layers: int) -> None:
        self.layers = [GrowingKeyValues() for _ in range(layers)]

    def take(self, rows: Int64[Tensor, " b"]) -> None:
        """Go on with some of the texts only, in this order."""
        for layer in self.layers:
            layer.take(rows)


class LanguageModel(nn.Module):
    """Tokens → logits: of the token after each (causal), or of the token at each place (not causal)."""

    def __init__(self, config: LanguageConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocabulary, config.dim)
        self.positions = nn.Embedding(config.max_length, config.dim)
        self.types = nn.Embedding(config.token_types, config.dim) if config.token_types else None
        self.entry_norm = make_norm("layer", config.dim, config.eps) if config.entry_norm else nn.Identity()
        self.blocks = nn.ModuleList(
            EncoderBlock(config.block, feed_forward=config.feed_forward) for _ in range(config.layers)
        )
        self.final_norm = make_norm("layer", config.dim, config.eps) if config.final_norm else nn.Identity()
        self.transform = Transform(config) if config.transform else nn.Identity()
        self.output_bias = nn.Parameter(torch.zeros(config.vocabulary)) if config.output_bias else None
        _initialise(self)

    def forward(
        self,
        tokens: Int64[Tensor, "b n"],
        mask: Bool[Tensor, "b n"] | None = None,
        types: Int64[Tensor, "b n"] | None = None,
    ) -> Float[Tensor, "b n v"]:
        """Logits of each place.

        Args:
            tokens: any.
            mask: True = a token, False = padding, which nothing looks at.
            types: the kind of each token's segment; 0 unless given.
        """
        return self.logits(self.encode(tokens, mask, types))

    def encode(
        self,
        tokens: Int64[Tensor, "b n"],
        mask: Bool[Tensor, "b n"] | None = None,
        types: Int64[Tensor, "b n"] | None = None,
    ) -> Float[Tensor, "b n d"]:
        """Tokens as the last block leaves them; arguments as in ``forward``.

        Raises:
            ConfigError: more tokens than positions.
        """
        places = self._places(tokens.shape[1], tokens.device)
        x = self._enter(tokens, places, types)
        seen = None if mask is None else mask[:, None, None, :]
        for block in self.blocks:
            x = block(x, mask=seen, causal=self.config.causal)
        encoded: Tensor = self.final_norm(x)
        return encoded

    def logits(self, x: Float[Tensor, "... d"]) -> Float[Tensor, "... v"]:
        """Logits over the vocabulary from what ``encode`` gives, or from some places of it."""
        return F.linear(self.transform(x), self.embedding.weight, self.output_bias)

    def begin(self, tokens: Int64[Tensor, "b n"]) -> WrittenState:
        """Read how texts begin, to go on token by token (``step``); there may be nothing to read.

        Raises:
            ConfigError: a model that isn't causal, which can't write.
        """
        if not self.config.causal:
            raise ConfigError(
                "this model sees what comes after a token as well, so that it can't write: let it fill in what is "
                "hidden, or train one with --objective causal."
            )
        state = WrittenState(self.config.layers)
        if tokens.shape[1]:
            x = self._enter(tokens, self._places(tokens.shape[1], tokens.device))
            for block, layer in zip(self.blocks, state.layers, strict=True):
                x = block(x, causal=True, cache=layer)
        return state

    def step(
        self,
        tokens: Int64[Tensor, "b w"],
        state: WrittenState,
        seen: Bool[Tensor, "b w k"],
        places: Int64[Tensor, " b"],
    ) -> Float[Tensor, "b w v"]:
        """Logits of what may follow each of ``w`` tokens, which stand at one place, in branches of their own.

        Args:
            tokens: the latest of each branch.
            state: of the texts; it is changed.
            seen: which of all tokens remembered, these included, lie on each one's branch.
            places: each text's position of these tokens.

        Raises:
            ConfigError: a place beyond the learned positions.
        """
        self._places(int(places.max()) + 1, tokens.device)
        x = self._enter(tokens, places[:, None])
        for block, layer in zip(self.blocks, state.layers, strict=True):
            x = block(x, mask=seen[:, None], cache=layer)
        return self.logits(self.final_norm(x))

    def no_weight_decay(self) -> set[str]:
        """Tables that are looked up row by row: a row that no text asks for would only shrink."""
        return {"positions.weight", "types.weight"}

    def _enter(self, tokens: Tensor, places: Tensor, types: Tensor | None = None) -> Float[Tensor, "b n d"]:
        x = self.embedding(tokens) + self.positions(places)
        if self.types is not None:
            x = x + self.types(torch.zeros_like(tokens) if types is None else types)
        return drop(self.entry_norm(x), self.config.entry_dropout if self.training else 0.0)

    def _places(self, count: int, device: torch.device) -> Int64[Tensor, " n"]:
        if count > self.config.max_length:
            raise ConfigError(
                f"a text of {count:,} tokens is longer than the {self.config.max_length:,} positions of this model: "
                "cut it, or train one with a larger --length."
            )
        return torch.arange(count, device=device)


def _initialise(model: LanguageModel) -> None:
    """Normal of deviation 0.02, biases 0; what pre-norm blocks add to the stream shrinks with their number.

    GPT-2's section 2.3: weights of residual layers are scaled by 1/√N, N the number of residual layers.
    """
    config = model.config
    for name, module in model.named_modules():
        if isinstance(module, nn.Embedding | nn.Linear):
            adds = config.norm_first and name.endswith(("attention.out", "feed_forward.down"))
            branches = config.layers * (2 if config.feed_forward else 1)
            nn.init.normal_(module.weight, std=0.02 * (branches**-0.5 if adds else 1.0))
        if isinstance(module, nn.Linear):
            nn.init.zeros_(module.bias)
