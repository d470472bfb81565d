"""The Masked Autoencoder exercise once more, in plain PyTorch and loops, and files of the course's form made of it.

Nothing of Vitrail is used here: what agrees with it was written twice.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

EPS = 0.05


def patchify(images: Tensor, p: int = 4) -> Tensor:
    return torch.stack(
        [
            torch.stack(
                [
                    torch.cat([image[c, y : y + p, x : x + p].reshape(-1) for c in range(image.shape[0])])
                    for y in range(0, image.shape[1], p)
                    for x in range(0, image.shape[2], p)
                ]
            )
            for image in images
        ]
    )


def unpatchify(patches: Tensor, p: int = 4) -> Tensor:
    side, channels = int(patches.shape[1] ** 0.5), patches.shape[2] // p**2
    images = torch.empty(len(patches), channels, side * p, side * p)
    for b, sequence in enumerate(patches):
        for place, patch in enumerate(sequence):
            y, x = place // side * p, place % side * p
            images[b, :, y : y + p, x : x + p] = patch.reshape(channels, p, p)
    return images


def index_sequence(x: Tensor, ids: Tensor) -> Tensor:
    return torch.stack([torch.stack([row[place] for place in places]) for row, places in zip(x, ids, strict=True)])


def random_masking(x: Tensor, keep: int, ids_shuffle: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    kept = torch.stack([row[places[:keep]] for row, places in zip(x, ids_shuffle, strict=True)])
    mask, restore = torch.ones(ids_shuffle.shape), torch.empty_like(ids_shuffle)
    for b, places in enumerate(ids_shuffle.tolist()):
        for rank, place in enumerate(places):
            restore[b, place] = rank
            if rank < keep:
                mask[b, place] = 0
    return kept, mask, restore


def restore_masked(kept: Tensor, masked: Tensor, ids_restore: Tensor) -> Tensor:
    return index_sequence(torch.cat([kept, masked], 1), ids_restore)


class Transformer(nn.Module):
    def __init__(self, d: int = 256, heads: int = 4, layers: int = 4, hidden: int = 1024) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(d, heads, hidden, 0.0, nn.functional.gelu, batch_first=True)
        self.transformer = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.transformer(x)


def head(d: int, classes: int) -> nn.Sequential:
    return nn.Sequential(nn.LayerNorm(d), nn.Linear(d, classes))


class ClassificationViT(nn.Module):
    def __init__(self, classes: int) -> None:
        super().__init__()
        self.transformer = Transformer()
        self.cls_token = nn.Parameter(torch.randn(1, 1, 256))
        self.position_encoding = nn.Parameter(torch.randn(1, 65, 256))
        self.patch_projection = nn.Linear(48, 256)
        self.output_head = head(256, classes)

    def forward(self, images: Tensor) -> Tensor:
        x = self.patch_projection(patchify(images))
        x = torch.cat([self.cls_token.repeat(len(x), 1, 1), x], 1) + self.position_encoding
        return self.output_head(self.transformer(x)[:, 0])


class MaskedAutoEncoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.decoder = Transformer(), Transformer(128, layers=2)
        self.cls_token = nn.Parameter(torch.randn(1, 1, 256))
        self.encoder_position_encoding = nn.Parameter(torch.randn(1, 64, 256))
        self.decoder_position_encoding = nn.Parameter(torch.randn(1, 64, 128))
        self.masked_tokens = nn.Parameter(torch.randn(1, 1, 128))
        self.encoder_input_projection = nn.Linear(48, 256)
        self.decoder_input_projection = nn.Linear(256, 128)
        self.decoder_output_projection = nn.Linear(128, 48)

    def forward_encoder(self, images: Tensor, ids_shuffle: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = self.encoder_input_projection(patchify(images)) + self.encoder_position_encoding
        kept, mask, restore = random_masking(x, 16, ids_shuffle)
        return self.encoder(torch.cat([self.cls_token.repeat(len(x), 1, 1), kept], 1)), mask, restore

    def forward_decoder(self, embeddings: Tensor, ids_restore: Tensor) -> Tensor:
        x = self.decoder_input_projection(embeddings)
        masked = self.masked_tokens.repeat(len(x), 48, 1)
        places = restore_masked(x[:, 1:], masked, ids_restore) + self.decoder_position_encoding
        return self.decoder_output_projection(self.decoder(torch.cat([x[:, :1], places], 1)))[:, 1:]

    def forward_encoder_representation(self, images: Tensor) -> Tensor:
        x = self.encoder_input_projection(patchify(images)) + self.encoder_position_encoding
        return self.encoder(torch.cat([self.cls_token.repeat(len(x), 1, 1), x], 1))


class ClassificationMAE(nn.Module):
    def __init__(self, classes: int) -> None:
        super().__init__()
        self.mae, self.output_head = MaskedAutoEncoder(), head(256, classes)

    def forward(self, images: Tensor) -> Tensor:
        return self.output_head(self.mae.forward_encoder_representation(images)[:, 0])


def course_file(seed: int) -> dict[str, dict[str, Any]]:
    """{input, output, weights} as the course's test_reference.pt has them."""
    torch.manual_seed(seed)
    models = {
        "ClassificationViT": ClassificationViT(10),
        "MaskedAutoEncoder": MaskedAutoEncoder(),
        "ClassificationMAE": ClassificationMAE(10),
    }
    for model in models.values():
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(EPS * torch.randn_like(parameter))
    vit, mae, classifier = models["ClassificationViT"], models["MaskedAutoEncoder"], models["ClassificationMAE"]
    images, x = torch.randn(2, 3, 32, 32), torch.randn(3, 7, 5)
    order, shuffle = torch.rand(3, 7).argsort(1), torch.rand(2, 64).argsort(1)
    kept, mask, restore = random_masking(x, 4, order)
    masked = torch.randn(3, 3, 5)
    with torch.no_grad():
        encoded = mae.forward_encoder(images, shuffle)
        calls = {
            "patchify": (images, patchify(images)),
            "unpatchify": (torch.randn(2, 9, 48), None),
            "ClassificationViT.forward": (images, vit(images)),
            "random_masking": ((x, order), (kept, mask, restore)),
            "restore_masked": ((kept, masked, restore), restore_masked(kept, masked, restore)),
            "MaskedAutoEncoder.forward_encoder": ((images, shuffle), encoded),
            "MaskedAutoEncoder.forward_decoder": (
                (encoded[0], encoded[2]),
                mae.forward_decoder(encoded[0], encoded[2]),
            ),
            "MaskedAutoEncoder.forward_encoder_representation": (images, mae.forward_encoder_representation(images)),
            "ClassificationMAE.forward": (images, classifier(images)),
        }
        calls["unpatchify"] = (calls["unpatchify"][0], unpatchify(calls["unpatchify"][0]))
    return {
        "input": {name: given for name, (given, _) in calls.items()},
        "output": {name: result for name, (_, result) in calls.items()},
        "weights": {name: dict(model.state_dict()) for name, model in models.items()},
    }


def write_course_files(folder: Path) -> None:
    """``test_reference.pt`` and ``autograder_student.pt``, of different inputs and weights."""
    torch.save(course_file(0), folder / "test_reference.pt")
    student = course_file(1)
    torch.save({"input": student["input"], "weights": student["weights"]}, folder / "autograder_student.pt")
