"""A run of ours and an input → a trace: summarizers, language models, Vision Transformers, masked autoencoders.

What a position is, is said here: a token of the run's tokenizer, a patch of an image fitted to the model.
"""

import dataclasses
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from vitrail.capture import Target, Vocabulary, Wishes, untrained_twin
from vitrail.capture.asking import target_of
from vitrail.capture.pictures import IMAGE, patch_axis
from vitrail.capture.predicting import classes
from vitrail.capture.tracing import describe, trace_run
from vitrail.data.decode import open_image, to_array
from vitrail.errors import ConfigError, DataError, ModelError
from vitrail.nn.randomness import RowRandom
from vitrail.recipes.language_runs import LanguageRun
from vitrail.recipes.opening import load
from vitrail.recipes.runs import Run
from vitrail.recipes.text_runs import TextRun
from vitrail.text import Decoding
from vitrail.text.engines import TorchEngine
from vitrail.text.tokens import Tokens
from vitrail.trace import Axis, Trace
from vitrail.vision import MaskedAutoencoder, ViT
from vitrail.vision.masking import mask_scores, split

RECONSTRUCTION = "reconstruction"
"""Name of the image with hidden patches as a masked autoencoder fills them in, beside the original."""


def attend_run(
    folder: Path,
    text: str | None,
    pair: str | None,
    target: str | None,
    image: Any,
    gradient: Target | str | None,
    untrained: Literal["library", "pytorch"] | None,
    seed: int,
    wishes: Wishes | None,
) -> Trace:
    """A run and an input → a trace; the arguments as in ``vitrail.recipes.attend.attend``."""
    opened = load(folder)
    if untrained is not None:
        opened = dataclasses.replace(opened, model=untrained_twin(opened.model, untrained, seed).eval())
    weights = "trained" if untrained is None else f"untrained ({untrained})"
    return attend_opened(opened, weights, text, pair, target, image, gradient, seed, wishes)


def attend_opened(
    opened: Run | TextRun | LanguageRun,
    weights: str,
    text: str | None,
    pair: str | None,
    target: str | None,
    image: Any,
    gradient: Target | str | None,
    seed: int,
    wishes: Wishes | None,
) -> Trace:
    """As ``attend_run``, of a run that is open; ``weights`` says in words what its weights are.

    The image may also be pixels of the model's own size, uint8 ``[1 c H W]``.
    """
    folder, known = opened.folder, {"model": str(opened.folder), "weights": weights}
    if isinstance(opened, TextRun | LanguageRun):
        if image is not None or text is None:
            raise ConfigError(f"{folder} is a run of kind {opened.kind}, which reads texts: give one, and no image.")
        if pair is not None:
            raise ConfigError(f"{folder} reads one text at a time: leave the second out.")
        if isinstance(opened, TextRun):
            return _summarizer(opened, text, target, known, gradient, wishes)
        if target is not None:
            raise ConfigError(f"{folder} is a language model, which has no target: leave it out.")
        return _language(opened, text, known, gradient, wishes)
    if image is None or text is not None:
        raise ConfigError(f"{folder} is a run of kind {opened.kind}, which sees images: give --image, and no text.")
    return _pictures(opened, _pixels(opened, image), seed, known, gradient, wishes)


def _summarizer(
    opened: TextRun,
    text: str,
    target: str | None,
    known: dict[str, str],
    gradient: Target | str | None,
    wishes: Wishes | None,
) -> Trace:
    """Encoder, decoder and cross-attention; the target is teacher-forced, so that all of it is one pass."""
    tokens = opened.tokens
    ids, source = _tokens_of(tokens, text, "source", [tokens.end])
    config = opened.model.config
    room = config.max_length if config.positions == "learned" else None
    _require_room(len(ids), room, opened.folder)
    if target is None:
        (written,) = TorchEngine(opened.model).prepare(Decoding(max_tokens=opened.longest_summary))([ids])
    else:
        written = tokens.encode([target])[0]
        _require_room(len(written) + 1, room, opened.folder)
    before = [tokens.start, *(written[:-1] if written[-1:] == [tokens.end] else written)]
    _, goal = _tokens_of(tokens, None, "target", before)
    axes = {"source": source, "target": goal}
    inputs = torch.tensor([ids]), torch.tensor([before])

    def axis(stream: str, side: Literal["queries", "keys"], length: int) -> Axis:
        return axes["source" if stream == "encoder" or (stream == "cross" and side == "keys") else "target"]

    vocabulary = _vocabulary(tokens)
    asked = _asked(gradient, vocabulary, before)
    about = describe(opened.model, **known, **_name_of(asked), texts=(text, tokens.decode(written)))
    return trace_run(
        opened.model,
        partial(opened.model, *inputs),
        axis,
        provenance=about,
        target=asked,
        vocabulary=vocabulary,
        wishes=wishes,
    )


def _language(
    opened: LanguageRun,
    text: str,
    known: dict[str, str],
    gradient: Target | str | None,
    wishes: Wishes | None,
) -> Trace:
    """A text as the model reads it where it writes or fills in: after the token that stands between texts."""
    tokens, config = opened.tokens, opened.model.config
    ids, axis = _tokens_of(tokens, text, "tokens", [] if config.causal else [tokens.end], before=[tokens.start])
    _require_room(len(ids), config.max_length, opened.folder)
    vocabulary = _vocabulary(tokens)
    asked = _asked(gradient, vocabulary, ids)
    return trace_run(
        opened.model,
        partial(opened.model, torch.tensor([ids])),
        lambda *_: axis,
        provenance=describe(opened.model, **known, **_name_of(asked), texts=(text,)),
        target=asked,
        vocabulary=vocabulary,
        wishes=wishes,
    )


def _asked(gradient: Target | str | None, vocabulary: Vocabulary | None, read: Sequence[int] = ()) -> Target | None:
    """What gradients are of, also where a word was given for it."""
    return target_of(gradient, vocabulary, read) if isinstance(gradient, str) else gradient


def _name_of(asked: Target | None) -> dict[str, str]:
    return {} if asked is None else {"target": asked.name}


def _vocabulary(tokens: Tokens) -> Vocabulary:
    """What the logits of our text models are over."""

    def find(word: str) -> Sequence[int]:
        return min(tokens.encode([f" {word}", word]), key=len)  # inside a text a space stands before it

    return Vocabulary("token", partial(_readable, tokens), find, tokens.mask)


def _readable(tokens: Tokens, ids: Sequence[int]) -> list[str]:
    """Tokens as people read them: a space is a space."""
    return [piece.replace("Ġ", " ").replace("▁", " ") for piece in tokens.texts(ids)]


def _tokens_of(
    tokens: Tokens, text: str | None, name: str, added: Sequence[int], before: Sequence[int] = ()
) -> tuple[list[int], Axis]:
    """A text's tokens and some before and after them, as numbers and as an axis."""
    ids = [*before, *(tokens.encode([text])[0] if text is not None else []), *added]
    if text is not None and not text.strip():
        raise DataError("the text is empty: give at least one word to attend from.")
    special = {tokens.start, tokens.end, tokens.pad}
    read = _readable(tokens, ids)
    return ids, Axis(
        name,
        "tokens",
        len(ids),
        texts=tuple(read),
        ids=np.array(ids, dtype=np.int32),
        words=_words(read, [token in special for token in ids]),
        special=np.array([token in special for token in ids]),
    )


def _words(read: Sequence[str], special: Sequence[bool]) -> Any:
    """Which word each token is of: a leading space begins one."""
    found, word = [], -1
    for text, apart in zip(read, special, strict=True):
        word += not apart and (text.startswith(" ") or word < 0)
        found.append(-1 if apart else word)
    return np.array(found, dtype=np.int32)


def _require_room(length: int, room: int | None, where: Path) -> None:
    if room is not None and length > room:
        raise DataError(f"the text has {length:,} tokens, and {where} reads {room:,}: give a shorter one.")


def _pixels(opened: Run, image: Any) -> UInt8[Tensor, "1 c H W"]:
    """A file as the model reads it; an image that is one already, as it is."""
    if isinstance(image, Tensor):
        return image
    height, width = opened.image_size
    if height != width:
        raise ConfigError(f"{opened.folder} reads images of {height}x{width} pixels, and files are fitted to squares.")
    return torch.tensor(to_array(open_image(Path(image), str(image)), opened.channels, height))[None]


def _pictures(
    opened: Run,
    pixels: UInt8[Tensor, "1 c H W"],
    seed: int,
    known: dict[str, str],
    gradient: Target | str | None,
    wishes: Wishes | None,
) -> Trace:
    """An encoder on patches; of a masked autoencoder, on the visible ones, and its decoder on all."""
    height, width = opened.image_size
    model = opened.model
    encoder = next((module for module in model.modules() if isinstance(module, ViT)), None)
    if encoder is None:
        raise ModelError(f"{opened.folder} is a network of convolutions, which attends to nothing: name another run.")
    patch = (height // encoder.config.grid[0], width // encoder.config.grid[1])
    inputs: tuple[torch.Tensor, ...] = (opened.normalise(pixels),)
    visible = hidden = order = None
    if isinstance(model, MaskedAutoencoder):
        noise = RowRandom(seed, 0, range(1), 1).uniform("mask", model.config.patches)
        parts = split(mask_scores(model.config.masking, noise, encoder.config.grid), model.keep)
        visible, hidden = parts.visible[0].numpy(), parts.mask[0].bool().numpy()
        order = torch.cat([parts.visible, parts.hidden], 1)[0].numpy()
        inputs = (*inputs, noise)

    def axis(stream: str, side: Literal["queries", "keys"], length: int) -> Axis:
        own, name = visible, f"{stream} {length}"
        if stream == "mae-decoder":
            assert order is not None
            assert visible is not None
            own = order
            if length < len(order):  # a cross decoder: hidden patches ask visible ones
                own, name = (order[len(visible) :] if side == "queries" else visible), f"{stream} {side} {length}"
        found = patch_axis(length, (height, width), patch, name=name, visible=own, hidden=hidden)
        assert found is not None
        return found

    count = 0 if isinstance(model, MaskedAutoencoder) else encoder.config.classes
    names = opened.classes if len(opened.classes) == count else tuple(str(number) for number in range(count))
    vocabulary = classes(names) if count else None
    asked = _asked(gradient, vocabulary)
    images = {IMAGE: _shown(pixels)}
    if visible is not None:
        images[RECONSTRUCTION] = _shown(opened.reconstruct(pixels, seed).paste)
    return trace_run(
        model,
        partial(model, *inputs),
        axis,
        provenance=describe(model, **known, **_name_of(asked), seed=None if visible is None else seed),
        images=images,
        streams=lambda call: "mae-decoder" if call.layer.startswith("decoder") else "encoder",
        target=asked,
        measure=None if visible is None else asked or target_of("loss", None),
        vocabulary=vocabulary,
        wishes=wishes,
    )


def _shown(pixels: UInt8[Tensor, "1 c H W"]) -> UInt8[np.ndarray, "H W 3"]:
    """An image as a trace keeps it."""
    return pixels[0].expand(3, -1, -1).permute(1, 2, 0).contiguous().numpy()
