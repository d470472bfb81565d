"""``attend``: a model and a text, two texts, an image, or a document and its summary → a trace.

Hugging Face models and folders are read here; how runs of our own are joined stands in the recipes, which hand
``trace_run`` their modules and axes.
"""

from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn

from vitrail.capture import huggingface
from vitrail.capture.asking import target_of
from vitrail.capture.gradients import Target
from vitrail.capture.pictures import IMAGE, seen_image
from vitrail.capture.predicting import vocabulary_of
from vitrail.capture.reading import read, write, writes
from vitrail.capture.tokens import Tokenizer
from vitrail.capture.tracing import describe, trace_run
from vitrail.capture.twins import Drawn, untrained_twin
from vitrail.capture.wishes import Wishes
from vitrail.errors import ConfigError, DataError
from vitrail.trace import Trace


def attend(
    model: nn.Module | str | Path,
    tokenizer: Tokenizer | None = None,
    text: str | None = None,
    pair: str | None = None,
    *,
    target: str | None = None,
    image: Any = None,
    processor: Any = None,
    gradient: Target | str | None = None,
    causal: bool | None = None,
    untrained: Drawn | None = None,
    seed: int = 0,
    wishes: Wishes | None = None,
) -> Trace:
    """Run a Hugging Face model on one example and keep what its attention did.

    Args:
        model: a model, or the folder or hub name of one (its tokenizer and processor are read with it).
        tokenizer: of Hugging Face, or a function from texts to an ``Axis``.
        text: what is read.
        pair: a second text that is read together with the first.
        target: of an encoder-decoder: what it is made to write; None lets it write and then traces that.
        image: what is seen: a path, a picture of Pillow, an array, or a tensor [c H W] as the model reads it.
        processor: makes numbers of an image.
        gradient: what gradients are of (``vitrail.capture.gradients``), or a word for it (``vitrail.capture.asking``).
        causal: switch looking ahead off (True) or on (False), where the model's config has that switch.
        untrained: "library" or "pytorch": the same model with random weights (``untrained``).
        seed: of random weights, and of patches that a masked autoencoder hides.
        wishes: what else to keep.

    Raises:
        DataError: an empty text, one that is too long, an image that doesn't fit.
        ModelError: there is no such model, or its attention can't be captured.
    """
    name, module = "", model
    if isinstance(model, str | Path):
        name = str(model)
        module, tokenizer, processor = huggingface.load(model, tokenizer, processor)
    if not isinstance(module, nn.Module):
        raise ConfigError(f"{type(model).__name__} is no model; give a module, or the folder or hub name of one")
    if untrained is not None:
        module = untrained_twin(module, untrained, seed)
    with ExitStack() as stack:
        stack.callback(module.train, module.training)
        module.eval()
        if causal is not None:
            stack.enter_context(huggingface.causality(module, causal))
        reading = read(module, tokenizer, text, pair, image, processor, seed)
        if writes(module):
            write(module, tokenizer, target, reading)
            if target is None and tokenizer is not None and hasattr(tokenizer, "decode"):
                target = tokenizer.decode(reading.tokens, skip_special_tokens=True)
        elif target is not None:
            raise ConfigError(f"{type(module).__name__} writes no target; leave it out, or give an encoder-decoder")
        vocabulary = vocabulary_of(module, tokenizer)
        if isinstance(gradient, str):
            gradient = target_of(gradient, vocabulary, reading.tokens)
        about = describe(
            module,
            **({"model": name} if name else {}),
            weights="trained" if untrained is None else f"untrained ({untrained})",
            texts=tuple(x for x in (text, pair, target) if x is not None),
            seed=None if untrained is None and reading.visible is None else seed,
            target=None if gradient is None else gradient.name,
        )
        pictures = {} if reading.pixels is None else {IMAGE: seen_image(reading.inputs["pixel_values"], processor)}
        try:
            return trace_run(
                module,
                partial(module, **reading.inputs),
                reading,
                provenance=about,
                images=pictures,
                streams=huggingface.stream_namer(module),
                target=gradient,
                vocabulary=vocabulary,
                wishes=wishes,
            )
        except (ValueError, IndexError) as error:
            raise DataError(f"{type(module).__name__} can't read this input ({error}); give one that fits") from error
