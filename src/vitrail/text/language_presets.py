"""Language models with a name: two for two cores, GPT-2 and BERT base.

Each is a function of the number of tokens; ``PRESETS`` lists them. Their exact parameter counts, beside those of
transformers' own models, are in ``tests/text/test_language_presets.py``.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

from vitrail.text.language import LanguageConfig


def gpt_small(vocabulary: int) -> LanguageConfig:
    """A size that two cores train in an hour: 6 pre-norm blocks 256 wide, as GPT-2's."""
    return LanguageConfig(vocabulary, dim=256, layers=6, heads=4, hidden=1024, max_length=256)


def bert_small(vocabulary: int) -> LanguageConfig:
    """The same width and depth as BERT's: post-norm blocks, token types, a transform before the output."""
    return replace(bert_base(vocabulary), dim=256, layers=6, heads=4, hidden=1024, max_length=256)


def gpt2(vocabulary: int = 50_257) -> LanguageConfig:
    """GPT-2's smallest: 12 blocks 768 wide, 124.4 million parameters."""
    return LanguageConfig(vocabulary, pad=vocabulary - 1, end=vocabulary - 1)


def bert_base(vocabulary: int = 30_522) -> LanguageConfig:
    """BERT base with its masked-language-model head: 12 blocks 768 wide, 109.5 million parameters."""
    return LanguageConfig(
        vocabulary,
        causal=False,
        norm_first=False,
        eps=1e-12,
        activation="gelu",
        max_length=512,
        token_types=2,
        entry_norm=True,
        final_norm=False,
        transform=True,
        output_bias=True,
    )


PRESETS: Mapping[str, Callable[[int], LanguageConfig]] = {
    "gpt_small": gpt_small,
    "bert_small": bert_small,
    "gpt2": gpt2,
    "bert_base": bert_base,
}
"""Language models by name."""
