"""What the Masked Autoencoder exercise checks: the calls of its notebook, their tolerances, and inputs of our own."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor

from vitrail.homework import mae
from vitrail.homework.checking import Case, Weights, with_weights

CLASSES = 10
KEPT = 4
"""Patches that the call of ``random_masking`` keeps."""

EMBEDDINGS = ("embeddings", "mask", "ids_restore")


def _vit(subject: Any, weights: Weights) -> Any:
    return with_weights(subject.ClassificationViT(CLASSES), weights["ClassificationViT"])


def _autoencoder(subject: Any) -> Any:
    return subject.MaskedAutoEncoder(
        subject.Transformer(embedding_dim=256, n_layers=4), subject.Transformer(embedding_dim=128, n_layers=2)
    )


def _mae(subject: Any, weights: Weights) -> Any:
    return with_weights(_autoencoder(subject), weights["MaskedAutoEncoder"])


def _classifier(subject: Any, weights: Weights, *, detach: bool = False) -> Any:
    classifier = subject.ClassificationMAE(CLASSES, _autoencoder(subject), detach=detach)
    return with_weights(classifier, weights["ClassificationMAE"])


def _transformer(subject: Any, weights: Weights) -> Any:
    start = "transformer."
    own = {name.removeprefix(start): x for name, x in weights["ClassificationViT"].items() if name.startswith(start)}
    return with_weights(subject.Transformer(), own)


def _forward(subject: Any, inputs: Any, weights: Weights) -> Any:
    """``MaskedAutoEncoder.forward`` draws its own masks: here they are given to it."""
    images, ids_shuffle = inputs
    model = _mae(subject, weights)
    model.forward_encoder = partial(model.forward_encoder, ids_shuffle=ids_shuffle)
    return model(images)


def _detached(subject: Any, images: Tensor, weights: Weights) -> tuple[Tensor, Tensor]:
    """Whether the encoder gets gradients (1) or not (0), with ``detach`` and without."""
    found = []
    for detach in (True, False):
        classifier = _classifier(subject, weights, detach=detach)
        with torch.enable_grad():
            classifier(images).sum().backward()
        found.append(any(p.grad is not None and bool(p.grad.any()) for p in classifier.mae.parameters()))
    return torch.tensor(found[0], dtype=torch.float32), torch.tensor(found[1], dtype=torch.float32)


COURSE: tuple[Case, ...] = (
    Case("patchify", 1e-3, ("patches",), lambda s, x, w: s.patchify(x)),
    Case("unpatchify", 1e-3, ("images",), lambda s, x, w: s.unpatchify(x)),
    Case("ClassificationViT.forward", 1e-3, ("logits",), lambda s, x, w: _vit(s, w)(x)),
    Case("random_masking", 1e-3, ("kept", "mask", "ids_restore"), lambda s, x, w: s.random_masking(x[0], KEPT, x[1])),
    Case("restore_masked", 1e-3, ("restored",), lambda s, x, w: s.restore_masked(*x)),
    Case("MaskedAutoEncoder.forward_encoder", 8e-3, EMBEDDINGS, lambda s, x, w: _mae(s, w).forward_encoder(*x)),
    Case("MaskedAutoEncoder.forward_decoder", 3e-2, ("patches",), lambda s, x, w: _mae(s, w).forward_decoder(*x)),
    Case(
        "MaskedAutoEncoder.forward_encoder_representation",
        1e-2,
        ("embeddings",),
        lambda s, x, w: _mae(s, w).forward_encoder_representation(x),
    ),
    Case("ClassificationMAE.forward", 1e-3, ("logits",), lambda s, x, w: _classifier(s, w)(x)),
)
"""The checks of the course's notebook, in its order."""

FURTHER: tuple[Case, ...] = (
    Case("index_sequence", 1e-3, ("elements",), lambda s, x, w: s.index_sequence(*x)),
    Case("Transformer.forward", 8e-3, ("embeddings",), lambda s, x, w: _transformer(s, w)(x)),
    Case("MaskedAutoEncoder.forward", 3e-2, ("patches", "mask"), _forward),
    Case("ClassificationMAE.forward, detach", 1e-3, ("gradient with detach", "gradient without"), _detached),
)
"""What a student writes besides, and the course's files have no numbers of."""

CASES = (FURTHER[0], *COURSE[:2], FURTHER[1], *COURSE[2:7], FURTHER[2], *COURSE[7:], FURTHER[3])
"""All of them; what others build on comes first."""

INPUTS: Mapping[str, int] = {
    "random_masking": 2,
    "restore_masked": 3,
    "MaskedAutoEncoder.forward_encoder": 2,
    "MaskedAutoEncoder.forward_decoder": 2,
}
"""How many tensors a call of the course's takes, where it is more than one."""


def examples(seed: int = 0) -> tuple[dict[str, Any], Weights]:
    """Inputs and weights of our own for all cases, of the course's sizes; nothing in them is zero."""
    generator = torch.Generator().manual_seed(seed)
    draw = partial(torch.randn, generator=generator)
    images, embedded = draw(3, 3, 32, 32), draw(2, 7, 11)
    order = torch.rand(2, 7, generator=generator).argsort(dim=1)
    shuffle = torch.rand(3, 64, generator=generator).argsort(dim=1)
    inputs: dict[str, Any] = {
        "index_sequence": (embedded, order[:, :5]),
        "patchify": images,
        "unpatchify": draw(2, 49, 48),
        "Transformer.forward": draw(2, 7, 256),
        "ClassificationViT.forward": images,
        "random_masking": (embedded, order),
        "restore_masked": (embedded[:, :3], embedded[:, 3:], order),
        "MaskedAutoEncoder.forward_encoder": (images, shuffle),
        "MaskedAutoEncoder.forward_decoder": (draw(3, 17, 256), shuffle.argsort(dim=1)),
        "MaskedAutoEncoder.forward": (images, shuffle),
        "MaskedAutoEncoder.forward_encoder_representation": images,
        "ClassificationMAE.forward": images,
        "ClassificationMAE.forward, detach": images[:1],
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        models = {
            "ClassificationViT": mae.ClassificationViT(CLASSES),
            "MaskedAutoEncoder": _autoencoder(mae),
            "ClassificationMAE": mae.ClassificationMAE(CLASSES, _autoencoder(mae)),
        }
    weights = {
        name: {key: x + 0.05 * draw(*x.shape) for key, x in model.state_dict().items()}
        for name, model in models.items()
    }
    return inputs, weights
