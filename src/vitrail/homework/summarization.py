"""The summarization exercise: what its notebook calls, under its names.

They come by ``from vitrail.homework.summarization import *``.

Attention is the library's own (``vitrail.nn``). What is here are the course's names and its ways: byte masks in which 1
is padding, a cache of past layer *inputs* (the library keeps projected keys and values, which is several times as
quick), targets begun with the end token, -100 where labels are padded. Post-norm, learned positions and one norm at the
entry, shared by both sides; ``lm_head`` is tied to ``emb_word`` and has a bias of its own.

It is trained by Hugging Face's ``Seq2SeqTrainer``; how its checkpoints survive tied weights is told in ``Transformer``.
"""

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float, Int64, Shaped
from torch import Tensor, nn

from vitrail.errors import ConfigError
from vitrail.nn.attention import attention
from vitrail.nn.blocks import Residual

__all__ = ["MultiheadAttention", "Transformer", "TransformerLayer", "scaled_dot_product_attention"]

IGNORED = -100
"""Stands in labels where there is no token to predict."""


def scaled_dot_product_attention(
    q: Float[Tensor, "n q d"],
    k: Float[Tensor, "n k d"],
    v: Float[Tensor, "n k dv"],
    key_padding_mask: Shaped[Tensor, "n k"] | None = None,
    causal: bool = False,
) -> Float[Tensor, "n q dv"]:
    """softmax(q kᵀ / √d) v (Attention Is All You Need, equation 1).

    Args:
        q: queries [n q d].
        k: keys [n k d].
        v: values [n k dv].
        key_padding_mask: bytes [n k], 1 = padding, which no query sees.
        causal: a query sees no key after its own position; the last query is aligned with the last key.

    Returns:
        [n q dv].
    """
    return attention(q[:, None], k[:, None], v[:, None], mask=_seen(key_padding_mask), causal=causal)[:, 0]


class MultiheadAttention(nn.Module):
    """Attention with several heads; d_model / n_heads numbers each.

    Weights: ``q_proj``, ``k_proj``, ``v_proj``, ``o_proj``: linear maps d_model to d_model.
    """

    def __init__(self, d_model: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.q_proj = nn.Linear(d_model, d_model)
        self.k_proj = nn.Linear(d_model, d_model)
        self.v_proj = nn.Linear(d_model, d_model)
        self.o_proj = nn.Linear(d_model, d_model)

    def forward(
        self,
        q: Float[Tensor, "b q d"],
        k: Float[Tensor, "b k d"],
        v: Float[Tensor, "b k d"],
        key_padding_mask: Shaped[Tensor, "b k"] | None = None,
        causal: bool = False,
    ) -> Float[Tensor, "b q d"]:
        """Queries from [b q d], keys and values from [b k d] → [b q d]; masks: see ``scaled_dot_product_attention``."""
        queries, keys, values = (
            rearrange(project(x), "b n (h d) -> b h n d", h=self.n_heads)
            for project, x in ((self.q_proj, q), (self.k_proj, k), (self.v_proj, v))
        )
        heads = attention(queries, keys, values, mask=_seen(key_padding_mask), causal=causal)
        out: Tensor = self.o_proj(rearrange(heads, "b h n d -> b n (h d)"))
        return out


class TransformerLayer(nn.Module):
    """A post-norm layer: self-attention (causal in a decoder), cross-attention in a decoder, a network with ReLU.

    Weights: ``self_attn``, ``self_attn_ln``; in a decoder ``cross_attn``, ``cross_attn_ln``; ``fc1``: d_model to d_ffn,
    ``fc2`` back, ``ffn_ln``. Dropout of ``p_drop`` is on what each part adds to the stream.
    """

    def __init__(self, is_decoder: bool, d_model: int, n_heads: int, d_ffn: int, p_drop: float) -> None:
        super().__init__()
        self.is_decoder = is_decoder
        self.self_attn = MultiheadAttention(d_model, n_heads)
        self.self_attn_ln = nn.LayerNorm(d_model)
        if is_decoder:
            self.cross_attn = MultiheadAttention(d_model, n_heads)
            self.cross_attn_ln = nn.LayerNorm(d_model)
        self.fc1 = nn.Linear(d_model, d_ffn)
        self.fc2 = nn.Linear(d_ffn, d_model)
        self.ffn_ln = nn.LayerNorm(d_model)
        self.residual = Residual(p_drop)

    def forward(
        self,
        x: Float[Tensor, "b n d"],
        padding_mask: Shaped[Tensor, "b k"] | None,
        encoder_out: Float[Tensor, "b s d"] | None = None,
        encoder_padding_mask: Shaped[Tensor, "b s"] | None = None,
        use_cache: bool = False,
        past_kv: Float[Tensor, "b i d"] | None = None,
    ) -> Float[Tensor, "b n d"] | tuple[Float[Tensor, "b n d"], Float[Tensor, "b k d"]]:
        """[b n d] → [b n d].

        Args:
            x: the stream; with a cache only the newest position, [b 1 d].
            padding_mask: bytes over all positions so far, 1 = padding; None if there is none.
            encoder_out: [b s d], what a decoder's cross-attention reads.
            encoder_padding_mask: bytes [b s], 1 = padding.
            use_cache: also return what the next position's call needs.
            past_kv: this layer's inputs before ``x``, [b i-1 d]; None at the first position.

        Returns:
            The stream after the layer; with ``use_cache`` (that, this layer's inputs so far [b i d]).
        """
        inputs = x if past_kv is None else torch.cat([past_kv, x], dim=1)
        x = self.self_attn_ln(self.residual(x, self.self_attn(x, inputs, inputs, padding_mask, causal=self.is_decoder)))
        if self.is_decoder:
            if encoder_out is None:
                raise ConfigError("a decoder layer reads what an encoder made, and got none: give encoder_out.")
            read = self.cross_attn(x, encoder_out, encoder_out, encoder_padding_mask)
            x = self.cross_attn_ln(self.residual(x, read))
        x = self.ffn_ln(self.residual(x, self.fc2(F.relu(self.fc1(x)))))
        return (x, inputs) if use_cache else x


class Seq2SeqOutput(NamedTuple):
    """What ``Seq2SeqTrainer`` takes from a model: the loss first (None without labels), then the logits [b n v]."""

    loss: Tensor | None
    logits: Tensor


class Transformer(nn.Module):
    """An encoder-decoder of ``n_layers`` layers a side.

    Weights: ``emb_word`` [n_words d], ``emb_pos`` [max_len d] and ``emb_ln`` for both sides, ``encoder_layers``,
    ``decoder_layers``, and ``lm_head`` with the weight of ``emb_word`` and a bias of its own.

    The tied weight stands under both names in a state dict, as PyTorch has it, but there the second is a copy: a
    safetensors file, in which ``Seq2SeqTrainer`` keeps a checkpoint, refuses two names for one memory.
    """

    def __init__(
        self,
        n_words: int,
        pad_id: int,
        eos_id: int,
        max_len: int,
        n_layers: int,
        d_model: int,
        n_heads: int,
        d_ffn: int,
        p_drop: float,
    ) -> None:
        super().__init__()
        self.pad_id = pad_id
        self.eos_id = eos_id
        self.max_len = max_len
        self.emb_word = nn.Embedding(n_words, d_model)
        self.emb_pos = nn.Embedding(max_len, d_model)
        self.emb_ln = nn.LayerNorm(d_model)
        self.encoder_layers = nn.ModuleList(
            TransformerLayer(False, d_model, n_heads, d_ffn, p_drop) for _ in range(n_layers)
        )
        self.decoder_layers = nn.ModuleList(
            TransformerLayer(True, d_model, n_heads, d_ffn, p_drop) for _ in range(n_layers)
        )
        self.lm_head = nn.Linear(d_model, n_words)
        self.lm_head.weight = self.emb_word.weight
        self.register_state_dict_post_hook(_untie)  # type: ignore[no-untyped-call]
        self.apply(_initialise)

    def make_positions(self, input_ids: Int64[Tensor, "b n"]) -> Int64[Tensor, "b n"]:
        """The position of each token, [b n]: 0, 1, 2, … in every row, padding counted like any token.

        Raises:
            ConfigError: the text is longer than ``max_len``.
        """
        length = input_ids.shape[1]
        if length > self.max_len:
            raise ConfigError(
                f"a text of {length:,} tokens is longer than the {self.max_len:,} positions of this model: cut it, or "
                "make the model with a larger max_len."
            )
        return torch.arange(length, device=input_ids.device).expand_as(input_ids)

    def forward(
        self,
        input_ids: Int64[Tensor, "b s"],
        attention_mask: Shaped[Tensor, "b s"],
        labels: Int64[Tensor, "b n"],
    ) -> Seq2SeqOutput:
        """Read documents, and predict their summaries' every token from those before it.

        Args:
            input_ids: documents, [b s].
            attention_mask: [b s], 1 = a token, 0 = padding, as tokenizers give it (the layers take the opposite).
            labels: summaries, [b n]; -100 where they are padded.

        Returns:
            ``loss``: mean cross-entropy over the tokens of the labels; ``logits`` [b n n_words].
        """
        padding = attention_mask == 0
        encoded = self._embed(input_ids)
        for layer in self.encoder_layers:
            encoded = layer(encoded, padding)
        # Moved on by one, behind the end token. Padding comes last there, so that causality alone hides it.
        before = torch.full_like(labels, self.eos_id)
        before[:, 1:] = labels[:, :-1].masked_fill(labels[:, :-1] == IGNORED, self.pad_id)
        decoded = self._embed(before)
        for layer in self.decoder_layers:
            decoded = layer(decoded, None, encoded, padding)
        logits: Tensor = self.lm_head(decoded)
        loss = F.cross_entropy(logits.flatten(0, 1).float(), labels.flatten(), ignore_index=IGNORED)
        return Seq2SeqOutput(loss, logits)

    def _embed(self, tokens: Int64[Tensor, "b n"]) -> Float[Tensor, "b n d"]:
        embedded: Tensor = self.emb_ln(self.emb_word(tokens) + self.emb_pos(self.make_positions(tokens)))
        return embedded


def _seen(key_padding_mask: Tensor | None) -> Tensor | None:
    """The library's mask, True = may be seen, [b 1 1 k], of the course's bytes, 1 = padding."""
    return None if key_padding_mask is None else (key_padding_mask == 0)[:, None, None, :]


def _initialise(module: nn.Module) -> None:
    """Normal weights of deviation 0.02, biases 0, as BART begins: a tied output starts near a uniform guess."""
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=0.02)
    if isinstance(module, nn.Linear):
        nn.init.zeros_(module.bias)


def _untie(module: nn.Module, state: dict[str, Any], prefix: str, metadata: dict[str, Any]) -> None:
    """Give the tied weight memory of its own in a state dict."""
    name = f"{prefix}lm_head.weight"
    state[name] = state[name].clone()
