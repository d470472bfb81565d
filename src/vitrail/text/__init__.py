"""Texts: the encoder-decoder Transformer, and how it writes."""

from vitrail.text.decoding import Text, TransformerWriter, Writer, decode
from vitrail.text.options import Decoding
from vitrail.text.transformer import Transformer, TransformerConfig

__all__ = ["Decoding", "Text", "Transformer", "TransformerConfig", "TransformerWriter", "Writer", "decode"]
