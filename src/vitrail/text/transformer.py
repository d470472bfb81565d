"""The encoder-decoder Transformer (Vaswani et al. 2017): the course's model, BART and T5 by configuration.

A source is read once, all tokens seeing each other; a target is written token by token, each seeing those before it
and the whole source. One matrix turns tokens into vectors on both sides and, where tied, vectors back into logits.

==============  =================================  ==================================  ================================
what            the course (and Vaswani)           BART (Lewis et al. 2020)            T5 (Raffel et al. 2020)
==============  =================================  ==================================  ================================
blocks          post-norm, ReLU                    post-norm, GELU                     pre-norm, RMSNorm, no biases
positions       one learned table for both sides   a learned table a side              bias on the logits, by distance
at the entry    a norm, one for both sides         a norm a side                       nothing
output          tied, with a bias                  tied, with a bias that stays 0      tied and scaled (1.0), own (1.1)
==============  =================================  ==================================  ================================

Where we differ from Vaswani et al.: positions are learned, embeddings aren't scaled unless asked.
"""

import copy
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from vitrail.errors import ConfigError
from vitrail.nn.blocks import Activation, BlockConfig, DecoderBlock, EncoderBlock, Norm, make_norm
from vitrail.nn.cache import GrowingKeyValues, KeyValues
from vitrail.nn.dropout import drop
from vitrail.nn.few_rows import FewRowsLinear, for_few_rows
from vitrail.nn.relative import RelativeBias


@dataclass(frozen=True)
class TransformerConfig:
    """The shape of an encoder-decoder Transformer."""

    vocabulary: int
    """Tokens that there are."""
    dim: int = 512
    """Width of the residual stream."""
    encoder_layers: int = 4
    """Blocks of the encoder."""
    decoder_layers: int = 4
    """Blocks of the decoder."""
    heads: int = 8
    """Attention heads of each block."""
    hidden: int = 2048
    """Width of the feed-forward networks between their two maps."""
    head_dim: int | None = None
    """Width of a head (default: dim / heads)."""
    norm_first: bool = False
    """Pre-norm blocks (True) or post-norm (False)."""
    norm: Norm = "layer"
    """LayerNorm or RMSNorm."""
    eps: float = 1e-5
    """What the norms add to the variance."""
    activation: Activation = "relu"
    """Of the feed-forward networks."""
    bias: bool = True
    """Whether the linear maps inside the blocks have biases."""
    scale_attention: bool = True
    """Divide the attention's logits by the root of a head's width."""
    positions: Literal["learned", "relative"] = "learned"
    """A learned vector a position, or a learned number a head and distance."""
    max_length: int = 1024
    """Learned positions that there are: no text may have more tokens."""
    buckets: int = 32
    """Relative distances that are told apart."""
    max_distance: int = 128
    """Relative distance, in tokens, from which on all are alike."""
    one_entry: bool = True
    """Encoder and decoder share their learned positions and the norm at their entry."""
    entry_norm: bool = True
    """A norm on what enters the first block."""
    final_norm: bool = False
    """A norm on what leaves the last block, of each side."""
    scale_embedding: bool = False
    """Multiply token embeddings by the root of the width."""
    tied: bool = True
    """The output is the transposed embedding; otherwise a matrix of its own."""
    scale_output: bool = False
    """Divide what the output reads by the root of the width (T5 1.0)."""
    output_bias: bool = True
    """A learned number a token on the logits."""
    dropout: float = 0.1
    """On what each branch adds to the residual stream, while training."""
    entry_dropout: float = 0.0
    """On what enters the first block."""
    attention_dropout: float = 0.0
    """On the attention weights."""
    hidden_dropout: float = 0.0
    """Inside the feed-forward networks."""
    pad: int = 0
    """The token that fills up short texts; nothing looks at it."""
    start: int = 1
    """The token that a target is begun with."""
    end: int = 1
    """The token that ends a text."""

    def __post_init__(self) -> None:
        for name in ("vocabulary", "dim", "encoder_layers", "decoder_layers", "heads", "hidden", "max_length"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}, and must be 1 or more.")
        if self.head_dim is None and self.dim % self.heads:
            raise ConfigError(
                f"a width of {self.dim} can't be split into {self.heads} heads: choose heads that divide it."
            )
        for name in ("pad", "start", "end"):
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
            norm=self.norm,
            activation=self.activation,
            eps=self.eps,
            bias=self.bias,
            head_dim=self.head_dim,
            scale=None if self.scale_attention else 1.0,
            dropout=self.dropout,
            attention_dropout=self.attention_dropout,
            hidden_dropout=self.hidden_dropout,
        )


class Entry(nn.Module):
    """What comes before the first block of a side: token embeddings get their positions and a norm."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.scale = config.dim**0.5 if config.scale_embedding else 1.0
        self.dropout = config.entry_dropout
        self.positions = nn.Embedding(config.max_length, config.dim) if config.positions == "learned" else None
        self.norm = make_norm(config.norm, config.dim, config.eps) if config.entry_norm else nn.Identity()

    def forward(self, embedded: Float[Tensor, "b n d"], places: Int64[Tensor, " n"]) -> Float[Tensor, "b n d"]:
        """Embeddings of tokens at these positions, as the first block reads them."""
        x = embedded * self.scale if self.scale != 1 else embedded
        if self.positions is not None:
            x = x + self.positions(places)
        return drop(self.norm(x), self.dropout if self.training else 0.0)


class DecoderState:
    """What a decoder remembers between tokens: the source's keys and values, those written so far, and where.

    The tokens written so far need not be one text: they may be a tree (the beams of a search), whose every branch
    sees itself only. So a search never copies a cache; it says who descends from whom.

    Attributes:
        memory: of each layer, of the source.
        memory_mask: bool ``[b 1 1 s]``, True = a token of the source; None if all are.
        layers: of each layer, of all tokens written.
        places: int64 ``[k]``, the positions of the tokens written.
    """

    def __init__(self, memory: list[KeyValues], memory_mask: Bool[Tensor, "b 1 1 s"] | None) -> None:
        self.memory, self.memory_mask = memory, memory_mask
        self.layers = [GrowingKeyValues() for _ in memory]
        self.places = torch.empty(0, dtype=torch.int64, device=memory[0].keys.device)

    def take(self, rows: Int64[Tensor, " b"]) -> None:
        """Go on with some of the sources only, in this order."""
        self.memory = [layer.take(rows) for layer in self.memory]
        self.memory_mask = None if self.memory_mask is None else self.memory_mask[rows]
        for layer in self.layers:
            layer.take(rows)


class Transformer(nn.Module):
    """Tokens of a source and of a target's beginning → logits of the target's next tokens."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocabulary, config.dim)
        self.encoder_entry = Entry(config)
        self.decoder_entry = None if config.one_entry else Entry(config)
        relative = config.positions == "relative"
        shape = (config.heads, config.buckets, config.max_distance)
        self.encoder_bias = RelativeBias(*shape, both_ways=True) if relative else None
        self.decoder_bias = RelativeBias(*shape, both_ways=False) if relative else None
        self.encoder = nn.ModuleList(EncoderBlock(config.block) for _ in range(config.encoder_layers))
        self.decoder = nn.ModuleList(DecoderBlock(config.block) for _ in range(config.decoder_layers))
        self.encoder_norm = _final_norm(config)
        self.decoder_norm = _final_norm(config)
        self.output: nn.Module | None = None
        if not config.tied:
            self.output = nn.Linear(config.dim, config.vocabulary, bias=False)
        self.output_bias = nn.Parameter(torch.zeros(config.vocabulary)) if config.output_bias else None
        initialise(self)

    def forward(
        self, source: Int64[Tensor, "b s"], target: Int64[Tensor, "b n"], source_mask: Bool[Tensor, "b s"] | None = None
    ) -> Float[Tensor, "b n v"]:
        """Logits of the token after each one of the target.

        Args:
            source: tokens.
            target: tokens, beginning with the start token.
            source_mask: True = a token; all but the pad token unless given.
        """
        mask = source != self.config.pad if source_mask is None else source_mask
        return self.logits(self.decode(target, self.encode(source, mask), mask))

    def encode(self, source: Int64[Tensor, "b s"], mask: Bool[Tensor, "b s"] | None) -> Float[Tensor, "b s d"]:
        """The source as its last block leaves it; ``mask``: True = a token, None = all are.

        Raises:
            ConfigError: a source longer than the learned positions.
        """
        places = self._places(0, source.shape[1], source.device)
        x = self.encoder_entry(self.embedding(source), places)
        seen = None if mask is None else mask[:, None, None, :]
        if self.encoder_bias is not None:
            bias = self.encoder_bias(places, places).to(x.dtype)
            seen = bias if seen is None else bias.masked_fill(~seen, float("-inf"))
        for block in self.encoder:
            x = block(x, mask=seen)
        encoded: Tensor = self.encoder_norm(x)
        return encoded

    def decode(
        self, target: Int64[Tensor, "b n"], memory: Float[Tensor, "b s d"], memory_mask: Bool[Tensor, "b s"]
    ) -> Float[Tensor, "b n d"]:
        """The target as its last block leaves it, each token seeing those before it and the whole source."""
        places = self._places(0, target.shape[1], target.device)
        x = self._entry_of_decoder(self.embedding(target), places)
        bias = None if self.decoder_bias is None else self.decoder_bias(places, places).to(x.dtype)
        for block in self.decoder:
            x = block(x, memory, mask=bias, causal=True, memory_mask=memory_mask[:, None, None, :])
        decoded: Tensor = self.decoder_norm(x)
        return decoded

    def logits(self, x: Float[Tensor, "b n d"]) -> Float[Tensor, "b n v"]:
        """Logits over the vocabulary from what ``decode`` gives."""
        if self.config.scale_output:
            x = x * self.config.dim**-0.5
        if self.output is None:
            return F.linear(x, self.embedding.weight, self.output_bias)
        logits: Tensor = self.output(x)
        return logits if self.output_bias is None else logits + self.output_bias

    def begin(self, source: Int64[Tensor, "b s"], mask: Bool[Tensor, "b s"]) -> DecoderState:
        """Read a source, to write about it token by token (``step``); ``mask``: True = a token."""
        some = None if mask.all() else mask  # without a mask, attention takes fewer steps
        memory = self.encode(source, some)
        layers = [block.cross_attention.project(memory).for_few_queries() for block in self._decoder_blocks()]
        return DecoderState(layers, None if some is None else some[:, None, None, :])

    def step(
        self, tokens: Int64[Tensor, "b w"], state: DecoderState, seen: Bool[Tensor, "b w k"], place: int
    ) -> Float[Tensor, "b w v"]:
        """Logits of what may follow each of ``w`` tokens, which all stand at the same place, in branches of their own.

        Args:
            tokens: the latest of each branch.
            state: of the sources; it is changed.
            seen: which of all tokens written, these included, lie on each one's branch.
            place: the tokens' position in the target.

        Raises:
            ConfigError: a place beyond the learned positions.
        """
        width = tokens.shape[1]
        here = self._places(place, place + 1, tokens.device)
        state.places = torch.cat([state.places, here.expand(width)])
        x = self._entry_of_decoder(self.embedding(tokens), here)
        mask: Tensor = seen[:, None]
        if self.decoder_bias is not None:
            mask = self.decoder_bias(here, state.places).to(x.dtype).masked_fill(~mask, float("-inf"))
        for block, memory, layer in zip(self.decoder, state.memory, state.layers, strict=True):
            x = block(x, memory, mask=mask, memory_mask=state.memory_mask, cache=layer)
        return self.logits(self.decoder_norm(x))

    def for_writing(self) -> "Transformer":
        """A copy that writes the same faster, on a processor in float32: its decoder is laid out for few rows.

        It shares everything else, and knows nothing of what is learned later; elsewhere it is the model itself.
        """
        weight = self.embedding.weight
        if weight.device.type != "cpu" or weight.dtype != torch.float32:
            return self
        shared = {id(tensor): tensor for tensor in (*self.parameters(), *self.buffers())}
        copied = copy.deepcopy(self, shared)
        copied.decoder = nn.ModuleList(for_few_rows(block, leave=("kv",)) for block in self.decoder)
        out = self.output.weight if isinstance(self.output, nn.Linear) else weight
        copied.output = FewRowsLinear(out, self.output_bias)
        copied.output_bias = None
        return copied

    def no_weight_decay(self) -> set[str]:
        """Tables that are looked up row by row: a row that no text asks for would only shrink."""
        return {name for name, _ in self.named_parameters() if "positions" in name or "bias.table" in name}

    def _decoder_blocks(self) -> list[DecoderBlock]:
        return [block for block in self.decoder if isinstance(block, DecoderBlock)]

    def _entry_of_decoder(self, embedded: Tensor, places: Tensor) -> Tensor:
        entry = self.encoder_entry if self.decoder_entry is None else self.decoder_entry
        entered: Tensor = entry(embedded, places)
        return entered

    def _places(self, first: int, end: int, device: torch.device) -> Int64[Tensor, " n"]:
        if self.config.positions == "learned" and end > self.config.max_length:
            raise ConfigError(
                f"a text of {end:,} tokens is longer than the {self.config.max_length:,} positions of this model: cut "
                "it, or train one with a larger max_length."
            )
        return torch.arange(first, end, device=device)


def initialise(model: Transformer) -> None:
    """Random weights, biases 0: normal of deviation 0.02 as BART begins; as T5 begins where logits aren't scaled.

    T5 keeps the scale that its logits lack in the weights: a map's deviation is the root of what it reads, inverted,
    and that of queries a head's width less. Embeddings are normal, which a scaled output undoes.
    """
    config, std = model.config, 0.02
    for module in model.modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=std if config.scale_attention else module.in_features**-0.5)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Embedding):
            as_t5 = not config.scale_attention and (
                module is not model.embedding or config.scale_output or not config.tied
            )
            nn.init.normal_(module.weight, std=1.0 if as_t5 else std)
    if not config.scale_attention:
        for name, parameter in model.named_parameters():
            if name.endswith((".qkv.weight", ".q.weight")):
                parts = 3 if name.endswith(".qkv.weight") else 1
                with torch.no_grad():
                    queries = parameter.chunk(parts)[0]
                    queries.mul_((config.head_dim or config.dim // config.heads) ** -0.5)


def _final_norm(config: TransformerConfig) -> nn.Module:
    return make_norm(config.norm, config.dim, config.eps) if config.final_norm else nn.Identity()
