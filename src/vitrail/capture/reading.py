"""From a text, two texts or an image to what a model's forward takes, and to what its positions are."""

import inspect
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vitrail.capture.pictures import patch_axis, pixel_tensor
from vitrail.capture.tokens import Tokenizer, of_ids, tokenized
from vitrail.capture.wishes import Side, plain_axes
from vitrail.errors import DataError, ModelError
from vitrail.trace import Axis

LONGEST_GENERATION = 64
"""Tokens that are written at most where a trace shows what a model writes itself."""


@dataclass
class Reading:
    """What a model reads, and what its positions are."""

    inputs: dict[str, Tensor] = field(default_factory=dict)
    source: Axis | None = None
    """The text, or the image's tokens, that an encoder reads (or the only stack)."""
    target: Axis | None = None
    """What a decoder writes."""
    pixels: tuple[int, int] | None = None
    patch: tuple[int, int] | None = None
    visible: np.ndarray | None = None
    """Of a masked autoencoder: the patches that its encoder sees."""
    hidden: np.ndarray | None = None

    @property
    def tokens(self) -> list[int]:
        """What is predicted at each position is after or at these: the target's, or the source's."""
        axis = self.target or self.source
        return [] if axis is None or axis.ids is None else [int(token) for token in axis.ids]

    def __call__(self, stream: str, side: Side, length: int) -> Axis:
        """The axis of a stream: what fits by name and length, or positions of which only the number is known."""
        wanted = [self.source, self.target]
        if "decoder" in stream or ("cross" in stream and side == "queries"):
            wanted.reverse()
        for axis in wanted:
            if axis is not None and axis.length == length:
                return axis
        if self.pixels is not None and self.patch is not None:
            seen = self.visible if stream == "encoder" else None
            name = "patches" if seen is None else "visible"
            found = patch_axis(length, self.pixels, self.patch, name=name, visible=seen, hidden=self.hidden)
            if found is not None:
                return found
        return plain_axes(stream, side, length)


def read(
    model: nn.Module,
    tokenizer: Tokenizer | None,
    text: str | None,
    pair: str | None = None,
    image: Any = None,
    processor: Any = None,
    seed: int = 0,
) -> Reading:
    """What a model reads; the arguments as in ``vitrail.capture.attend``.

    Raises:
        DataError: neither a text nor an image, an empty text, or one that is too long.
    """
    reading = Reading()
    if text is None and image is None:
        raise DataError("there is neither a text nor an image to attend to; give one")
    if text is not None:
        if tokenizer is None:
            raise DataError("a text needs the model's tokenizer to become numbers; give tokenizer=…")
        reading.source = tokenized(tokenizer, text, pair)
        _check_length(model, reading.source, tokenizer)
        reading.inputs["input_ids"] = torch.from_numpy(reading.source.ids).long()[None]
        if pair is not None and "token_type_ids" in getattr(tokenizer, "model_input_names", []):
            reading.inputs["token_type_ids"] = torch.tensor(tokenizer(text, pair)["token_type_ids"])[None]
    if image is not None:
        pixels = pixel_tensor(image, processor)
        reading.inputs["pixel_values"] = pixels
        reading.pixels = int(pixels.shape[-2]), int(pixels.shape[-1])
        reading.patch = _patch_of(model)
        if "noise" in _arguments(model) and reading.patch is not None:
            _hide(model, reading, seed)
    return reading


def _hide(model: Any, reading: Reading, seed: int) -> None:
    """Which patches a masked autoencoder sees: drawn here, so that the trace can say it."""
    assert reading.pixels is not None
    assert reading.patch is not None
    count = (reading.pixels[0] // reading.patch[0]) * (reading.pixels[1] // reading.patch[1])
    noise = torch.rand(1, count, generator=torch.Generator().manual_seed(seed))
    keep = int(count * (1 - model.config.mask_ratio))
    reading.visible = noise[0].argsort()[:keep].numpy()
    reading.hidden = np.ones(count, dtype=bool)
    reading.hidden[reading.visible] = False
    reading.inputs["noise"] = noise


def _arguments(model: nn.Module) -> set[str]:
    return set(inspect.signature(model.forward).parameters)


def _patch_of(model: nn.Module) -> tuple[int, int] | None:
    config = getattr(model, "config", None)
    for one in (getattr(config, "vision_config", None), getattr(config, "encoder", None), config):
        size = getattr(one, "patch_size", None)
        if size is not None:
            return (size, size) if isinstance(size, int) else (int(size[-2]), int(size[-1]))
    return None


def _check_length(model: nn.Module, axis: Axis, tokenizer: Any) -> None:
    """Refuse a text with more tokens than the model has places."""
    config = getattr(model, "config", None)
    config = getattr(config, "text_config", config)
    names = ("max_position_embeddings", "n_positions")
    limits = [x for name in names if isinstance(x := getattr(config, name, None), int) and x > 0]
    limits += [x for x in [getattr(tokenizer, "model_max_length", None)] if isinstance(x, int) and 0 < x < 10**9]
    if limits and axis.length > min(limits):
        raise DataError(
            f"the text has {axis.length:,} tokens and {type(model).__name__} has places for {min(limits):,}: shorten it"
        )


def writes(model: nn.Module) -> bool:
    """Whether a model has a decoder of its own that reads what it writes."""
    return bool(getattr(getattr(model, "config", None), "is_encoder_decoder", False)) and (
        "decoder_input_ids" in _arguments(model)
    )


def write(model: Any, tokenizer: Any, target: str | None, reading: Reading) -> None:
    """Add what the decoder reads: a given target after the start token, or what the model writes itself.

    Raises:
        DataError: an empty target, or no tokenizer.
        ModelError: no target, and a model without the head that writes.
    """
    if tokenizer is None:
        raise DataError("what a decoder writes needs the model's tokenizer to be read; give tokenizer=…")
    start = getattr(model.config, "decoder_start_token_id", None)
    if target is not None:
        if not target.strip():
            raise DataError("the target is empty: give at least one word, or None to let the model write")
        written = _target_ids(tokenizer, target)
        ids = [start if start is not None else written[0], *(written[:-1] if len(written) > 1 else written)]
    elif hasattr(model, "generate"):
        with torch.no_grad():
            out = model.generate(**reading.inputs, do_sample=False, num_beams=1, max_new_tokens=LONGEST_GENERATION)
        ids = out[0].tolist()
        ids = ids[:-1] if len(ids) > 1 else ids
    else:
        raise ModelError(
            f"{type(model).__name__} can't write by itself; give a target, or the model with its language-model head"
        )
    reading.target = of_ids(tokenizer, ids, "target")
    reading.inputs["decoder_input_ids"] = torch.tensor([ids])


def _target_ids(tokenizer: Any, target: str) -> list[int]:
    if hasattr(tokenizer, "convert_ids_to_tokens"):
        return list(tokenizer(text_target=target)["input_ids"])
    return [int(x) for x in tokenizer(target, None).ids]
