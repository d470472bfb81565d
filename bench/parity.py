"""Are our models the field's? The largest differences in float32, on random weights: outputs, loss and gradients.

    python bench/parity.py [--full]

Each reference model gets random weights, ``vitrail.vision.convert`` carries them over, both see the same images (and,
for a masked autoencoder, the same noise). Expected: every difference below 1e-5, every tensor the same after
there-and-back. ``--full`` adds ViT-B/16 at 224 pixels. Gradients are compared relative to their largest entry.

A difference of exactly 0 at small sizes is no mistake of this script: oneDNN convolves a patch pixel by pixel with the
colours innermost, the order in which our linear map sums; with oneDNN off, the same outputs differ by 1e-6.
"""

import argparse
import copy
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

import torch
import torch.nn.functional as F
from references import FacebookMAE, timm_vision_transformer
from torch import Tensor, nn

from vitrail.nn.renaming import carry_there
from vitrail.vision import MAEConfig, MaskedAutoencoder, ViT, ViTConfig
from vitrail.vision.convert import from_huggingface, from_mae, from_timm, huggingface_rules, to_mae, to_timm
from vitrail.vision.huggingface import published_name

os.environ.setdefault("HF_HUB_OFFLINE", "1")


@dataclass(frozen=True)
class Difference:
    """One comparison; ``exact`` says whether all weights there and back were the same to the bit."""

    reference: str
    output: float
    loss: float
    gradient: float
    exact: bool

    @property
    def largest(self) -> float:
        """The largest of the three."""
        return max(self.output, self.loss, self.gradient)


def randomise(module: nn.Module, seed: int = 0) -> nn.Module:
    """Weights that keep signals of order 1, and nothing left at 0 or 1 that could hide a mistake."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, x in module.named_parameters():
            noise = torch.randn(x.shape, generator=generator)
            if x.ndim == 1:
                x.copy_(("norm" in name and name.endswith("weight")) + 0.2 * noise)
            else:
                x.copy_(noise * (0.5 if x.shape[0] == 1 else x[0].numel() ** -0.5))
    return module


@dataclass(frozen=True)
class Naming:
    """How our weights are carried to a library's names, and what a name of its own module is among those."""

    there: Callable[[Any], dict[str, Tensor]]
    name: Callable[[str], str] = str


HUGGING_FACE = Naming(lambda model: carry_there(huggingface_rules(model.config), model), published_name)


def gradients_there(model: ViT | MaskedAutoencoder, there: Callable[[Any], dict[str, Tensor]]) -> dict[str, Tensor]:
    """Our gradients under their names: the rules are permutations, so they carry gradients too."""
    twin = copy.deepcopy(model)
    for own, parameter in zip(model.parameters(), twin.parameters(), strict=True):
        assert own.grad is not None
        parameter.data = own.grad
    return there(twin)


def gradient_difference(ours: ViT | MaskedAutoencoder, reference: nn.Module, naming: Naming) -> float:
    """Largest difference over all weights, each relative to the largest entry of its own gradient.

    But at least to a hundredth of the model's largest: a key's bias moves all of a row's logits alike, which softmax
    doesn't see, so that its gradient is nothing but rounding.
    """
    mine = gradients_there(ours, naming.there)
    theirs = {naming.name(name): x.grad for name, x in reference.named_parameters() if x.grad is not None}
    frozen = {naming.name(name) for name, x in reference.named_parameters() if not x.requires_grad}
    assert theirs.keys() | frozen == mine.keys()
    floor = 0.01 * max(float(x.abs().max()) for x in theirs.values())
    return max(far(mine[name], x) / max(floor, float(x.abs().max())) for name, x in theirs.items())


def far(one: Tensor, other: Tensor) -> float:
    """The largest difference."""
    assert one.shape == other.shape
    return float((one - other).detach().abs().max())


def there_and_back(ours: ViT | MaskedAutoencoder, reference: nn.Module, naming: Naming) -> bool:
    """Whether names and all tensors are those of the reference, to the bit."""
    theirs = {naming.name(name): x for name, x in reference.state_dict().items()}
    mine = naming.there(ours)
    return mine.keys() == theirs.keys() and all(torch.equal(x, theirs[name]) for name, x in mine.items())


def classifier(name: str, reference: nn.Module, ours: ViT, naming: Naming) -> Difference:
    """Compare two classifiers by logits, cross entropy and its gradients."""
    config = ours.config
    height, width = config.image_size if isinstance(config.image_size, tuple) else (config.image_size,) * 2
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(3, config.channels, height, width, generator=generator)
    labels = torch.randint(config.classes, (3,), generator=generator)
    theirs = reference(images)
    logits = theirs if isinstance(theirs, Tensor) else theirs.logits
    mine = ours(images)
    losses = F.cross_entropy(mine, labels), F.cross_entropy(logits, labels)
    for loss in losses:
        loss.backward()
    exact = there_and_back(ours, reference, naming)
    gradient = gradient_difference(ours, reference, naming)
    return Difference(name, far(mine, logits), far(*losses), gradient, exact)


def autoencoder(
    name: str, reference: nn.Module, run: Callable[[Tensor, Tensor], tuple[Tensor, Tensor, Tensor]],
    ours: MaskedAutoencoder, naming: Naming,
) -> Difference:  # fmt: skip
    """Compare two masked autoencoders by reconstruction, loss, its gradients; their masks must be the same."""
    encoder = ours.config.encoder
    height, width = encoder.image_size if isinstance(encoder.image_size, tuple) else (encoder.image_size,) * 2
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(3, encoder.channels, height, width, generator=generator)
    noise = torch.rand(3, ours.config.patches, generator=generator)
    loss, prediction, mask = run(images, noise)
    output = ours.train()(images, noise)
    assert torch.equal(output.mask, mask)
    loss.backward()
    output.loss.backward()
    with torch.no_grad():  # while training it predicts hidden places only
        everywhere = ours.eval()(images, noise).prediction
    exact = there_and_back(ours, reference, naming)
    gradient = gradient_difference(ours, reference, naming)
    return Difference(name, far(everywhere, prediction), far(output.loss, loss), gradient, exact)


def huggingface_vit(name: str = "HF ViTForImageClassification", eps: float = 1e-6, **sizes: Any) -> Difference:
    """Hugging Face's classifier, non-square unless told."""
    from transformers import ViTConfig as Settings
    from transformers import ViTForImageClassification

    chosen = {
        "image_size": [24, 40], "patch_size": 8, "num_channels": 3, "hidden_size": 84, "num_hidden_layers": 5,
        "num_attention_heads": 7, "intermediate_size": 155, "num_labels": 13, "hidden_act": "gelu",
    } | sizes  # fmt: skip
    reference = randomise(ViTForImageClassification(Settings(layer_norm_eps=eps, **chosen))).eval()
    ours = from_huggingface(reference)
    assert isinstance(ours, ViT)
    return classifier(name, reference, ours, HUGGING_FACE)


def huggingface_mae(norm_pix: bool, name: str = "HF ViTMAEForPreTraining", **sizes: Any) -> Difference:
    """Hugging Face's masked autoencoder."""
    from transformers import ViTMAEConfig, ViTMAEForPreTraining

    chosen = {
        "image_size": 28, "patch_size": 4, "num_channels": 5, "hidden_size": 84, "num_hidden_layers": 5,
        "num_attention_heads": 7, "intermediate_size": 155, "decoder_hidden_size": 44, "decoder_num_hidden_layers": 3,
        "decoder_num_attention_heads": 11, "decoder_intermediate_size": 71, "mask_ratio": 0.7, "layer_norm_eps": 1e-6,
    } | sizes  # fmt: skip
    reference = randomise(ViTMAEForPreTraining(ViTMAEConfig(norm_pix_loss=norm_pix, **chosen))).eval()
    ours = from_huggingface(reference)
    assert isinstance(ours, MaskedAutoencoder)

    def run(images: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        out = reference(images, noise=noise)
        return out.loss, out.logits, out.mask

    return autoencoder(f"{name}{', norm-pix' if norm_pix else ''}", reference, run, ours, HUGGING_FACE)


def timm_vit(pool: str, name: str = "timm VisionTransformer") -> Difference:
    """Timm's classifier, by CLS token or by the mean of the patches without one."""
    cls = pool == "cls"
    config = ViTConfig((24, 40), 8, 3, 13, 84, 5, 7, 168, pool="cls" if cls else "mean", class_token=cls)
    reference = timm_vision_transformer().VisionTransformer(
        img_size=(24, 40), patch_size=8, num_classes=13, embed_dim=84, depth=5, num_heads=7, mlp_ratio=2.0,
        global_pool="token" if cls else "avg", class_token=cls, fc_norm=False,
    )  # fmt: skip
    randomise(reference).eval()
    return classifier(f"{name}, {pool}", reference, from_timm(reference.state_dict(), config), Naming(to_timm))


def facebook_mae(norm_pix: bool) -> Difference:
    """facebookresearch/mae's names and operations."""
    encoder = ViTConfig(28, 4, 3, 0, 84, 5, 7, 168, positions="sincos")
    config = MAEConfig(encoder, 44, 3, 11, 88, mask_ratio=0.7, norm_pix=norm_pix)
    reference = FacebookMAE(28, 4, 3, 84, 5, 7, 44, 3, 11, 2.0, norm_pix)
    randomise(reference)
    ours = from_mae(reference.state_dict(), config)
    name = f"facebookresearch/mae{', norm-pix' if norm_pix else ''}"
    return autoencoder(name, reference, lambda images, noise: reference(images, noise, 0.7), ours, Naming(to_mae))


def comparisons() -> Iterator[Difference]:
    """All of them, at sizes that take a second."""
    yield huggingface_vit()
    yield huggingface_vit("HF ViTForImageClassification, tanh-gelu, eps 1e-12", 1e-12, hidden_act="gelu_pytorch_tanh")
    for norm_pix in (False, True):
        yield huggingface_mae(norm_pix)
    for pool in ("cls", "mean"):
        yield timm_vit(pool)
    for norm_pix in (False, True):
        yield facebook_mae(norm_pix)


def full() -> Iterator[Difference]:
    """Hugging Face's base sizes at 224 pixels."""
    base = {
        "image_size": 224, "patch_size": 16, "num_channels": 3, "hidden_size": 768, "num_hidden_layers": 12,
        "num_attention_heads": 12, "intermediate_size": 3072,
    }  # fmt: skip
    decoder = {
        "decoder_hidden_size": 512, "decoder_num_hidden_layers": 8, "decoder_num_attention_heads": 16,
        "decoder_intermediate_size": 2048, "mask_ratio": 0.75,
    }  # fmt: skip
    yield huggingface_vit("HF ViT-B/16 at 224", **base, num_labels=1000)
    yield huggingface_mae(True, "HF MAE ViT-B/16 at 224", **base, **decoder)


def main() -> None:
    """Print the table, then one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help="ViT-B/16 at 224 pixels too")
    chosen = parser.parse_args()
    print(f"{'reference':52} {'output':>9} {'loss':>9} {'gradient':>9}  there and back")
    found = []
    for row in chain(comparisons(), full() if chosen.full else ()):
        found.append(row)
        exact = "same bits" if row.exact else "DIFFERS"
        print(f"{row.reference:52} {row.output:9.1e} {row.loss:9.1e} {row.gradient:9.1e}  {exact}", flush=True)
    worst = max(row.largest for row in found)
    rows = {row.reference: [row.output, row.loss, row.gradient] for row in found}
    print(json.dumps({"bench": "parity", "worst": worst, "exact": all(row.exact for row in found), "rows": rows}))


if __name__ == "__main__":
    main()
