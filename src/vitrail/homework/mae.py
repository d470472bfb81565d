"""The Masked Autoencoder exercise: what its notebook calls, under its names.

They come by ``from vitrail.homework.mae import *``.

Patches, masks and attention are the library's own (``vitrail.vision``, ``vitrail.nn``). What is here are the course's
names, and its order of things: patches as ``(c p q)``, PyTorch's post-norm encoder layer, learned positions that the
CLS token of the autoencoder has none of. The weights' names and shapes are those of the course's reference files.
"""

from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float, Int64, Shaped
from torch import Tensor, nn

from vitrail.nn.attention import attention
from vitrail.vision import masking
from vitrail.vision import patches as cutting
from vitrail.vision.masking import take, visible_count

__all__ = [
    "ClassificationMAE",
    "ClassificationViT",
    "MaskedAutoEncoder",
    "Transformer",
    "index_sequence",
    "patchify",
    "random_masking",
    "restore_masked",
    "unpatchify",
]


def patchify(images: Shaped[Tensor, "b c H W"], patch_size: int = 4) -> Shaped[Tensor, "b N cpq"]:
    """Cut images into patches, row by row from the top left; a patch's numbers are ordered channel, row, column.

    Args:
        images: [b c H W], sides that patch_size divides.
        patch_size: side of a patch, in pixels.

    Returns:
        [b N (c p q)], N = H/patch_size · W/patch_size.
    """
    return cutting.patchify(images, patch_size, order="c p q")


def unpatchify(patches: Shaped[Tensor, "b N cpq"], patch_size: int = 4) -> Shaped[Tensor, "b c H W"]:
    """Put the patches of square images together again: the inverse of ``patchify``.

    Args:
        patches: [b N (c p q)], N a square number.
        patch_size: side of a patch, in pixels.

    Returns:
        [b c H W].
    """
    return cutting.unpatchify(patches, patch_size, order="c p q")


def index_sequence(x: Shaped[Tensor, "b n *d"], ids: Int64[Tensor, "b m"]) -> Shaped[Tensor, "b m *d"]:
    """The elements at ``ids``, each example by its own.

    Args:
        x: [b n] or [b n d].
        ids: [b m], places in 0 to n - 1.

    Returns:
        [b m] or [b m d]: its element i is ``x[ids[i]]``.
    """
    return take(x[..., None], ids)[..., 0] if x.ndim == 2 else take(x, ids)


def random_masking(
    x: Float[Tensor, "b n d"], keep_length: int, ids_shuffle: Int64[Tensor, "b n"]
) -> tuple[Float[Tensor, "b keep d"], Float[Tensor, "b n"], Int64[Tensor, "b n"]]:
    """Keep the first ``keep_length`` patches of the order ``ids_shuffle``, hide the others.

    Args:
        x: patches [b n d].
        keep_length: how many stay visible.
        ids_shuffle: [b n], a permutation of 0 to n - 1 for each example.

    Returns:
        kept: [b keep d], in the order of the shuffle.
        mask: float [b n], 1 = hidden, 0 = visible, in the patches' own order.
        ids_restore: [b n], the inverse permutation: kept and hidden ones, joined and taken at ids_restore, are x.
    """
    # The library's function takes noise and keeps the lowest: each patch's place in the shuffle is such a noise.
    return masking.random_masking(x, keep_length, ids_shuffle.argsort(dim=1).float())


def restore_masked(
    kept_x: Float[Tensor, "b keep d"], masked_x: Float[Tensor, "b hidden d"], ids_restore: Int64[Tensor, "b n"]
) -> Float[Tensor, "b n d"]:
    """Put kept and hidden patches back into their places.

    Args:
        kept_x: [b keep d], in the order of the shuffle.
        masked_x: [b n-keep d], those that follow them there.
        ids_restore: [b n], as ``random_masking`` gives it.

    Returns:
        [b n d], in the patches' own order.
    """
    return index_sequence(torch.cat([kept_x, masked_x], dim=1), ids_restore)


class _SelfAttention(nn.Module):
    """Self-attention by the library's ``attention``; weights called as those of PyTorch's ``nn.MultiheadAttention``."""

    def __init__(self, embedding_dim: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * embedding_dim, embedding_dim))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * embedding_dim))
        self.out_proj = nn.Linear(embedding_dim, embedding_dim)
        nn.init.xavier_uniform_(self.in_proj_weight)
        nn.init.zeros_(self.out_proj.bias)

    def forward(self, x: Float[Tensor, "b n d"]) -> Float[Tensor, "b n d"]:
        qkv = F.linear(x, self.in_proj_weight, self.in_proj_bias)
        q, k, v = rearrange(qkv, "b n (parts h d) -> parts b h n d", parts=3, h=self.n_heads)
        out: Tensor = self.out_proj(rearrange(attention(q, k, v), "b h n d -> b n (h d)"))
        return out


class _EncoderLayer(nn.Module):
    """PyTorch's ``nn.TransformerEncoderLayer`` as the course has it: post-norm, GELU, no dropout."""

    def __init__(self, embedding_dim: int, n_heads: int, feedforward_dim: int) -> None:
        super().__init__()
        self.self_attn = _SelfAttention(embedding_dim, n_heads)
        self.linear1 = nn.Linear(embedding_dim, feedforward_dim)
        self.linear2 = nn.Linear(feedforward_dim, embedding_dim)
        self.norm1 = nn.LayerNorm(embedding_dim)
        self.norm2 = nn.LayerNorm(embedding_dim)

    def forward(self, x: Float[Tensor, "b n d"]) -> Float[Tensor, "b n d"]:
        x = self.norm1(x + self.self_attn(x))
        out: Tensor = self.norm2(x + self.linear2(F.gelu(self.linear1(x))))
        return out


class _Encoder(nn.Module):
    """Layers one after another, without a norm at the end."""

    def __init__(self, embedding_dim: int, n_heads: int, n_layers: int, feedforward_dim: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(_EncoderLayer(embedding_dim, n_heads, feedforward_dim) for _ in range(n_layers))

    def forward(self, x: Float[Tensor, "b n d"]) -> Float[Tensor, "b n d"]:
        for layer in self.layers:
            x = layer(x)
        return x


class Transformer(nn.Module):
    """A Transformer encoder of post-norm layers with GELU.

    Weights, for each layer i, under ``transformer.layers.{i}.``:

    - ``self_attn.in_proj_weight`` [3d d], ``self_attn.in_proj_bias`` [3d] (queries', keys', values' rows),
      ``self_attn.out_proj``: d to d
    - ``linear1``: d to feedforward_dim, ``linear2`` back
    - ``norm1``, ``norm2``: LayerNorm after the attention and after the feed-forward network
    """

    def __init__(
        self, embedding_dim: int = 256, n_heads: int = 4, n_layers: int = 4, feedforward_dim: int = 1024
    ) -> None:
        super().__init__()
        self.transformer = _Encoder(embedding_dim, n_heads, n_layers, feedforward_dim)

    def forward(self, x: Float[Tensor, "b n d"]) -> Float[Tensor, "b n d"]:
        """[b n d] → [b n d]."""
        encoded: Tensor = self.transformer(x)
        return encoded


class ClassificationViT(nn.Module):
    """A Vision Transformer that classifies square images of 3 · (num_patches · patch_size)² numbers.

    Weights: ``cls_token`` [1 1 d], ``position_encoding`` [1 num_patches²+1 d] (CLS first), ``patch_projection``: 3p² to
    d, ``transformer.transformer…``, ``output_head.0`` (LayerNorm) and ``output_head.1``: d to n_classes.
    """

    def __init__(self, n_classes: int, embedding_dim: int = 256, patch_size: int = 4, num_patches: int = 8) -> None:
        super().__init__()
        self.patch_size = patch_size
        self.transformer = Transformer(embedding_dim)
        self.cls_token = _table(1, embedding_dim)
        self.position_encoding = _table(num_patches**2 + 1, embedding_dim)
        self.patch_projection = nn.Linear(3 * patch_size**2, embedding_dim)
        self.output_head = _head(embedding_dim, n_classes)

    def forward(self, images: Float[Tensor, "b c H W"]) -> Float[Tensor, "b v"]:
        """Images [b 3 H W] → logits [b n_classes], from what the encoder makes of the CLS token."""
        x = _after(self.cls_token, self.patch_projection(patchify(images, self.patch_size))) + self.position_encoding
        logits: Tensor = self.output_head(self.transformer(x)[:, 0])
        return logits


class MaskedAutoEncoder(nn.Module):
    """A Masked Autoencoder of two ``Transformer``.

    Weights: ``cls_token`` [1 1 d], ``encoder_position_encoding`` [1 N d] and ``decoder_position_encoding`` [1 N e]
    (N = num_patches², no row for CLS), ``masked_tokens`` [1 1 e], ``encoder_input_projection``: 3p² to d,
    ``decoder_input_projection``: d to e, ``decoder_output_projection``: e to 3p², ``encoder.transformer…``,
    ``decoder.transformer…``.
    """

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        encoder_embedding_dim: int = 256,
        decoder_embedding_dim: int = 128,
        patch_size: int = 4,
        num_patches: int = 8,
        mask_ratio: float = 0.75,
    ) -> None:
        super().__init__()
        self.patch_size = patch_size
        self.num_patches = num_patches
        self.keep_length = visible_count(num_patches**2, mask_ratio)
        self.encoder = encoder
        self.decoder = decoder
        self.cls_token = _table(1, encoder_embedding_dim)
        self.encoder_position_encoding = _table(num_patches**2, encoder_embedding_dim)
        self.decoder_position_encoding = _table(num_patches**2, decoder_embedding_dim)
        self.masked_tokens = _table(1, decoder_embedding_dim)
        self.encoder_input_projection = nn.Linear(3 * patch_size**2, encoder_embedding_dim)
        self.decoder_input_projection = nn.Linear(encoder_embedding_dim, decoder_embedding_dim)
        self.decoder_output_projection = nn.Linear(decoder_embedding_dim, 3 * patch_size**2)

    def forward_encoder(
        self, images: Float[Tensor, "b c H W"], ids_shuffle: Int64[Tensor, "b N"] | None = None
    ) -> tuple[Float[Tensor, "b n d"], Float[Tensor, "b N"], Int64[Tensor, "b N"]]:
        """Encode what stays visible.

        Args:
            images: [b 3 H W].
            ids_shuffle: [b N], as ``random_masking`` takes it; drawn from PyTorch's global generator unless given.

        Returns:
            embeddings: [b 1+keep d], CLS first.
            mask: [b N], 1 = hidden, 0 = visible.
            ids_restore: [b N].
        """
        if ids_shuffle is None:
            ids_shuffle = torch.rand(len(images), self.num_patches**2, device=images.device).argsort(dim=1)
        kept, mask, ids_restore = random_masking(self._embedded(images), self.keep_length, ids_shuffle)
        return self.encoder(_after(self.cls_token, kept)), mask, ids_restore

    def forward_decoder(
        self, embeddings: Float[Tensor, "b n d"], ids_restore: Int64[Tensor, "b N"]
    ) -> Float[Tensor, "b N cpq"]:
        """Predict the patches.

        Args:
            embeddings: [b 1+keep d], as ``forward_encoder`` gives them.
            ids_restore: [b N].

        Returns:
            [b N (3 p q)]: of each patch, in its own order; CLS is read along and left out.
        """
        x = self.decoder_input_projection(embeddings)
        hidden = ids_restore.shape[1] + 1 - x.shape[1]
        restored = restore_masked(x[:, 1:], self.masked_tokens.expand(len(x), hidden, -1), ids_restore)
        tokens = torch.cat([x[:, :1], restored + self.decoder_position_encoding], dim=1)
        predicted: Tensor = self.decoder_output_projection(self.decoder(tokens)[:, 1:])
        return predicted

    def forward(self, images: Float[Tensor, "b c H W"]) -> tuple[Float[Tensor, "b N cpq"], Float[Tensor, "b N"]]:
        """Images [b 3 H W] → predicted patches [b N (3 p q)], and which were hidden [b N] (1 = hidden)."""
        embeddings, mask, ids_restore = self.forward_encoder(images)
        return self.forward_decoder(embeddings, ids_restore), mask

    def forward_encoder_representation(self, images: Float[Tensor, "b c H W"]) -> Float[Tensor, "b n d"]:
        """Images [b 3 H W] → what the encoder makes of all patches, none hidden: [b 1+N d], CLS first."""
        encoded: Tensor = self.encoder(_after(self.cls_token, self._embedded(images)))
        return encoded

    def _embedded(self, images: Float[Tensor, "b c H W"]) -> Float[Tensor, "b N d"]:
        embedded: Tensor = self.encoder_input_projection(patchify(images, self.patch_size))
        return embedded + self.encoder_position_encoding


class ClassificationMAE(nn.Module):
    """A classifier on what a Masked Autoencoder's encoder makes of the CLS token, nothing hidden.

    Args:
        n_classes: how many there are.
        mae: a ``MaskedAutoEncoder``.
        embedding_dim: width of its encoder.
        detach: whether only the head learns (a linear probe), and not the encoder.

    Weights: ``mae…``, ``output_head.0`` (LayerNorm) and ``output_head.1``: embedding_dim to n_classes.
    """

    def __init__(self, n_classes: int, mae: nn.Module, embedding_dim: int = 256, detach: bool = False) -> None:
        super().__init__()
        self.mae: Any = mae
        self.output_head = _head(embedding_dim, n_classes)
        self.detach = detach

    def forward(self, images: Float[Tensor, "b c H W"]) -> Float[Tensor, "b v"]:
        """Images [b 3 H W] → logits [b n_classes]."""
        encoded = self.mae.forward_encoder_representation(images)[:, 0]
        logits: Tensor = self.output_head(encoded.detach() if self.detach else encoded)
        return logits


def _table(rows: int, width: int) -> nn.Parameter:
    """A learned table [1 rows width], small at first."""
    return nn.Parameter(torch.randn(1, rows, width) * 0.02)


def _head(embedding_dim: int, n_classes: int) -> nn.Sequential:
    return nn.Sequential(nn.LayerNorm(embedding_dim), nn.Linear(embedding_dim, n_classes))


def _after(cls_token: Float[Tensor, "1 1 d"], x: Float[Tensor, "b n d"]) -> Float[Tensor, "b n1 d"]:
    """The CLS token, then ``x``."""
    return torch.cat([cls_token.expand(len(x), -1, -1), x], dim=1)
