"""What one image costs: multiply-adds of a forward pass, counted from the configuration alone.

Counted are the products of matrices: linear maps, convolutions, queries with keys, weights with values. Norms,
activations, softmax and additions are left out, as is usual. ``tests/vision/test_presets.py`` compares the counts with
PyTorch's own counter. Training costs three times as much (a backward pass is two forward passes).
"""

from dataclasses import dataclass

from vitrail.nn.blocks import GATED, Activation
from vitrail.vision.mae import MAEConfig
from vitrail.vision.masking import visible_count
from vitrail.vision.patches import pair
from vitrail.vision.vit import ViTConfig, stem_width


@dataclass(frozen=True)
class MultiplyAdds:
    """Multiply-adds of one image's forward pass, by part of the model."""

    stem: int
    """From pixels to patch vectors."""
    blocks: int
    """The encoder's attention blocks."""
    decoder: int
    """The whole decoder of a masked autoencoder: embedding, blocks, prediction; 0 without one."""
    head: int
    """The classifier; 0 without one."""

    @property
    def total(self) -> int:
        """All of it."""
        return self.stem + self.blocks + self.decoder + self.head


def multiply_adds(config: ViTConfig | MAEConfig) -> MultiplyAdds:
    """Count one image's forward pass; a masked autoencoder hides its configured share of patches."""
    if isinstance(config, ViTConfig):
        return MultiplyAdds(_stem(config), _encoder(config, config.patches), 0, config.dim * config.classes)
    encoder = config.encoder
    keep = visible_count(config.patches, config.mask_ratio)
    return MultiplyAdds(_stem(encoder), _encoder(encoder, keep), _decoder(config, keep), 0)


def _stem(config: ViTConfig) -> int:
    """Linear: every number of every patch to every output; convolutional: every output pixel sees its window."""
    p, q = pair(config.patch_size)
    if config.stem == "patch":
        return config.patches * p * q * config.channels * config.dim
    width = stem_width(config.dim)
    # The first convolution keeps every pixel; pooling then leaves the second one four a patch.
    return config.patches * (p * q * 9 * config.channels * width + 4 * 9 * width * config.dim)


def _encoder(config: ViTConfig, patches: int) -> int:
    tokens = patches + config.class_token
    block = _attention(tokens, tokens, config.dim) + _feed_forward(
        tokens, config.dim, config.mlp_dim, config.activation
    )
    return config.depth * block


def _decoder(config: MAEConfig, keep: int) -> int:
    encoder, dim, places = config.encoder, config.decoder_dim, config.patches
    memory = keep + encoder.class_token
    if config.decoder == "self":
        queries, keys, predicted = places + encoder.class_token, places + encoder.class_token, places
    else:
        queries, keys, predicted = places - keep, memory, places - keep
    p, q = pair(encoder.patch_size)
    block = _attention(queries, keys, dim) + _feed_forward(queries, dim, config.decoder_mlp_dim, encoder.activation)
    prediction = predicted * dim * p * q * encoder.channels
    return memory * encoder.dim * dim + config.decoder_depth * block + prediction


def _attention(queries: int, keys: int, dim: int) -> int:
    """Projections of queries and outputs, of keys and values; queries times keys, weights times values."""
    return 2 * queries * dim * dim + 2 * keys * dim * dim + 2 * queries * keys * dim


def _feed_forward(tokens: int, dim: int, hidden: int, activation: Activation) -> int:
    return tokens * dim * hidden * (3 if activation in GATED else 2)
