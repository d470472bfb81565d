"""Encoder-decoder Transformers with a name: the course's, one for two cores, BART's and T5's.

Each is a function of the number of tokens; ``PRESETS`` lists them. Their exact parameter counts are a table in
``tests/text/test_presets.py``.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

from vitrail.text.transformer import TransformerConfig


def course(vocabulary: int) -> TransformerConfig:
    """The course's: 4 + 4 post-norm blocks 512 wide, 46.4 million parameters with T5's 32,100 tokens."""
    return TransformerConfig(vocabulary)


def tiny(vocabulary: int) -> TransformerConfig:
    """A size that learns in a minute what summaries look like: 2 + 2 pre-norm blocks 128 wide."""
    shape = TransformerConfig(vocabulary, dim=128, encoder_layers=2, decoder_layers=2, heads=4, hidden=512)
    return replace(shape, norm_first=True, final_norm=True)


def small(vocabulary: int) -> TransformerConfig:
    """A size that two cores train in an hour: 4 + 2 pre-norm blocks 256 wide."""
    shape = TransformerConfig(vocabulary, dim=256, encoder_layers=4, decoder_layers=2, heads=4, hidden=1024)
    return replace(shape, norm_first=True, final_norm=True)


def bart_base(vocabulary: int = 50_265) -> TransformerConfig:
    """BART base: 6 + 6 blocks 768 wide."""
    shape = TransformerConfig(
        vocabulary, dim=768, encoder_layers=6, decoder_layers=6, heads=12, hidden=3072, activation="gelu"
    )
    return replace(shape, one_entry=False, entry_dropout=0.1, pad=1, start=2, end=2)


def bart_large(vocabulary: int = 50_265) -> TransformerConfig:
    """BART large: 12 + 12 blocks 1024 wide."""
    shape = replace(bart_base(vocabulary), dim=1024, encoder_layers=12, decoder_layers=12, heads=16, hidden=4096)
    return shape


def t5_v1_1_small(vocabulary: int = 32_128) -> TransformerConfig:
    """T5 1.1 small: 8 + 8 blocks 512 wide with 6 heads of 64, gated GELU, an output of its own."""
    shape = replace(_t5(vocabulary), encoder_layers=8, decoder_layers=8, heads=6, hidden=1024, head_dim=64)
    return replace(shape, activation="geglu_tanh", tied=False, scale_output=False)


def t5_small(vocabulary: int = 32_128) -> TransformerConfig:
    """T5 1.0 small: 6 + 6 blocks 512 wide, ReLU, a tied output."""
    return replace(_t5(vocabulary), encoder_layers=6, decoder_layers=6)


def _t5(vocabulary: int) -> TransformerConfig:
    return TransformerConfig(
        vocabulary,
        norm_first=True,
        norm="rms",
        eps=1e-6,
        bias=False,
        scale_attention=False,
        positions="relative",
        entry_norm=False,
        final_norm=True,
        scale_output=True,
        output_bias=False,
        entry_dropout=0.1,
        hidden_dropout=0.1,
        attention_dropout=0.1,
        start=0,
    )


PRESETS: Mapping[str, Callable[[int], TransformerConfig]] = {
    "course": course,
    "small": small,
    "tiny": tiny,
    "bart_base": bart_base,
    "bart_large": bart_large,
    "t5_small": t5_small,
    "t5_v1_1_small": t5_v1_1_small,
}
"""Transformers by name."""
