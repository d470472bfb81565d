"""Tiny models of every kind, with random weights and inputs that fit them; every size is another prime where it can."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
import transformers as hf
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from torch import Tensor, nn

from vitrail.nn.blocks import BlockConfig, EncoderBlock
from vitrail.recipes.face_model import FaceTransformer
from vitrail.text.transformer import Transformer, TransformerConfig
from vitrail.vision.mae import MAEConfig, MaskedAutoencoder
from vitrail.vision.vit import ViT, ViTConfig


class TimmLikeAttention(nn.Module):
    """As timm writes it: one matrix for q, k and v, then PyTorch's fused function."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.num_heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        b, n, d = x.shape
        q, k, v = self.qkv(x).reshape(b, n, 3, self.num_heads, d // self.num_heads).permute(2, 0, 3, 1, 4).unbind(0)
        heads = F.scaled_dot_product_attention(q, k, v)
        return self.proj(heads.transpose(1, 2).reshape(b, n, d))


class WrittenOut(nn.Module):
    """Attention by hand, with a mask and a scale, as old models write it."""

    def __init__(self, dim: int, heads: int, masked: bool = True) -> None:
        super().__init__()
        self.num_heads, self.masked = heads, masked
        self.q, self.k, self.v = (nn.Linear(dim, dim) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        b, n, d = x.shape
        q, k, v = (f(x).view(b, n, self.num_heads, -1).transpose(1, 2) for f in (self.q, self.k, self.v))
        scores = torch.matmul(q, k.transpose(-1, -2)) / (d // self.num_heads) ** 0.5
        if self.masked:
            scores = scores.masked_fill(~torch.ones(n, n, dtype=torch.bool).tril(), torch.finfo(scores.dtype).min)
        weights = F.dropout(F.softmax(scores, dim=-1), 0.1, self.training)
        return torch.matmul(weights, v).transpose(1, 2).reshape(b, n, d)


def stacked(make: Callable[[], nn.Module]) -> nn.Module:
    """Two layers of it."""
    return nn.Sequential(make(), make())


VIT = ViTConfig(image_size=(10, 14), patch_size=2, channels=3, classes=5, dim=12, depth=2, heads=3, mlp_dim=17)


def vitrail_models() -> dict[str, tuple[nn.Module, tuple[Any, ...], int]]:
    """Name → model in evaluation, its inputs, and how many layers attend."""
    torch.manual_seed(0)
    x = torch.randn(2, 7, 12)
    images = torch.randn(2, 3, 10, 14)
    text = TransformerConfig(19, dim=12, encoder_layers=2, decoder_layers=3, heads=3, hidden=17, max_length=23)
    relative = TransformerConfig(
        19, dim=12, encoder_layers=2, decoder_layers=2, heads=3, hidden=17, positions="relative", buckets=8
    )
    tokens = (torch.randint(2, 19, (2, 11)), torch.randint(2, 19, (2, 5)))
    mae = MAEConfig(encoder=VIT, decoder_dim=20, decoder_depth=2, decoder_heads=5, decoder_mlp_dim=13)
    encoder = nn.TransformerEncoderLayer(12, 3, 17, batch_first=True)
    models: dict[str, tuple[nn.Module, tuple[Any, ...], int]] = {
        "block": (EncoderBlock(BlockConfig(12, 3, 17)), (x,), 1),
        "vit": (ViT(VIT), (images,), 2),
        "embedder": (FaceTransformer(replace(VIT, classes=0), 7), (images,), 2),
        "mae": (MaskedAutoencoder(mae), (images, torch.rand(2, 35)), 4),
        "seq2seq": (Transformer(text), tokens, 8),
        "relative": (Transformer(relative), tokens, 6),
        "timm-like": (stacked(lambda: TimmLikeAttention(12, 3)), (x,), 2),
        "written out": (stacked(lambda: WrittenOut(12, 3)), (x,), 2),
        "TransformerEncoder": (nn.TransformerEncoder(encoder, 2, enable_nested_tensor=False), (x,), 2),
        "MultiheadAttention": (nn.MultiheadAttention(12, 3, batch_first=True), (x, x, x), 1),
    }
    for model, _, _ in models.values():
        model.eval()
    return models


WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS += ["the", "dog", "ran", "to", "a", "cat", "play", "##ing", "was", "i", "going", "park"]
SMALL: dict[str, Any] = {
    "vocab_size": 17,
    "hidden_size": 12,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 19,
    "max_position_embeddings": 23,
    "initializer_range": 0.3,
}


def wordpiece() -> Any:
    """A tokenizer of Hugging Face that knows seventeen words, as BERT writes them."""
    tokenizer = Tokenizer(models.WordPiece({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    special = {f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep", "mask")}
    names = ["input_ids", "token_type_ids", "attention_mask"]
    return hf.PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_input_names=names, **special)


def bart() -> Any:
    """An encoder-decoder that writes."""
    torch.manual_seed(0)
    sizes = {
        f"{side}_{name}": size for side in ("encoder", "decoder") for name, size in (("layers", 2), ("ffn_dim", 19))
    }
    heads = {"encoder_attention_heads": 3, "decoder_attention_heads": 3}
    tokens = {"pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3, "decoder_start_token_id": 3}
    config = hf.BartConfig(
        vocab_size=17, d_model=12, max_position_embeddings=80, init_std=0.3, **sizes, **heads, **tokens
    )
    config.forced_eos_token_id = None
    return hf.BartForConditionalGeneration(config).eval()
