"""What a model says at each position, and what it would say after each of its layers: the logit lens.

For the lens the model is run once more, and its last block leaves behind what an earlier one did: whatever the model
does after its blocks (norms, maps, scales, caps) is done to that, without our knowing what it is. The states of many
layers go through together, as a batch.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from vitrail.capture.gradients import logits_of
from vitrail.capture.keeping import blocks_of
from vitrail.capture.residual import Residuals, left_as
from vitrail.capture.tokens import ids_of, read_tokens
from vitrail.errors import ModelError
from vitrail.trace import Layer, Predictions, Stream

BEST = 5
"""How many of the likeliest are kept."""
LARGE = 2**25
"""Logits that are made at a time."""


@dataclass(frozen=True)
class Vocabulary:
    """What the numbers of a model's output stand for."""

    kind: Literal["token", "class"]
    read: Callable[[Sequence[int]], Sequence[str]]
    """From numbers to what people read."""
    find: Callable[[str], Sequence[int]]
    """From what people write to numbers: those of a word's pieces, or that of a class; none where there is none."""
    mask: int | None = None
    """The token that stands for a hidden one."""


def vocabulary_of(model: Any, tokenizer: Any) -> Vocabulary | None:
    """What the output of a Hugging Face model counts: tokens, or classes; None where it is neither."""
    config = getattr(model, "config", None)
    head = getattr(model, "get_output_embeddings", lambda: None)()
    if head is not None and hasattr(tokenizer, "convert_ids_to_tokens"):
        mask = getattr(tokenizer, "mask_token_id", None)
        return Vocabulary("token", partial(read_tokens, tokenizer), partial(ids_of, tokenizer), mask)
    if head is not None:
        return Vocabulary("token", lambda ids: [str(token) for token in ids], _as_number)
    names = getattr(config, "id2label", None)
    if not names or "Classification" not in type(model).__name__:
        return None
    return classes([str(names.get(place, place)) for place in range(max(names) + 1)])


def classes(names: Sequence[str]) -> Vocabulary:
    """Classes of these names, which may be called by their numbers as well."""

    def find(name: str) -> list[int]:
        return [names.index(name)] if name in names else [x for x in _as_number(name) if x < len(names)]

    return Vocabulary("class", lambda found: [names[place] for place in found], find)


def _as_number(text: str) -> list[int]:
    return [int(text)] if text.isdecimal() and len(text) < 10 else []


def predict(
    module: nn.Module,
    run: Callable[[], Any],
    output: Any,
    parts: Sequence[Stream],
    stream: Residuals,
    vocabulary: Vocabulary | None,
) -> tuple[Stream, ...]:
    """The streams, one of them with predictions.

    Args:
        module: the model, in evaluation.
        run: calls it.
        output: what it gave.
        parts: the streams of that run.
        stream: what left each block then.
        vocabulary: what its output counts.

    Raises:
        ModelError: the output is none over tokens or classes.
    """
    if vocabulary is None:
        raise ModelError(f"{type(module).__name__} says nothing about tokens or classes; load it with its head")
    rows = _rows(logits_of(output)[0].detach())
    place = _place(parts, len(rows), vocabulary.kind)
    layers = parts[place].layers
    lens = _lens(module, run, layers, stream, tuple(rows.shape))
    found = [_likeliest(rows), *(lens or [])]
    ids, choices = np.unique(np.stack([numbers for numbers, _ in found]), return_inverse=True)
    choices = choices.reshape(len(found), *found[0][0].shape).astype(np.int32)
    chances = np.stack([chance for _, chance in found])
    predictions = Predictions(
        of="class" if vocabulary.kind == "class" else "next token" if _looks_back(layers[-1]) else "token",
        texts=tuple(vocabulary.read(ids.tolist())),
        ids=ids.astype(np.int32),
        choices=choices[0],
        probabilities=chances[0],
        lens=None if lens is None else choices[1:],
        lens_probabilities=None if lens is None else chances[1:],
    )
    return (*parts[:place], replace(parts[place], predictions=predictions), *parts[place + 1 :])


def _rows(logits: Tensor) -> Tensor:
    """[n v]; n is 1 where logits are of the whole input."""
    if logits.ndim not in (1, 2):
        raise ModelError(f"logits of shape {list(logits.shape)} an example are none of positions; nothing to predict")
    return logits if logits.ndim == 2 else logits[None]


def _place(parts: Sequence[Stream], positions: int, kind: str) -> int:
    """Which stream's queries the predictions are of: the last that attends to itself and has as many."""
    for place in reversed(range(len(parts))):
        part = parts[place]
        if part.name.endswith("cross"):
            continue
        if part.layers[-1].size[0] == positions or (kind == "class" and positions == 1):
            return place
    raise ModelError(f"the output is of {positions} positions, and no stream has as many; nothing is kept of it")


def _looks_back(layer: Layer) -> bool:
    queries, keys = layer.size
    return queries != keys or not np.triu(layer.mask.expand(queries, keys), 1).any()


def _likeliest(rows: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Numbers and probabilities [n best]."""
    best = rows.float().softmax(-1).topk(min(BEST, rows.shape[-1]))
    return best.indices.cpu().numpy(), best.values.cpu().numpy()


def _lens(
    module: nn.Module, run: Callable[[], Any], layers: Sequence[Layer], stream: Residuals, shape: tuple[int, ...]
) -> list[tuple[np.ndarray, np.ndarray]] | None:
    """The likeliest after each layer's block; None where a layer stands in no block that could be followed."""
    blocks = blocks_of(module, layers)
    states = [stream.after(block, layer.name) for block, layer in zip(blocks, layers, strict=True)]
    last = blocks[-1]
    known = [state for state in states if state is not None]
    if last is None or len(known) < len(states) or len({state.shape for state in known}) > 1:
        return None
    found: list[tuple[np.ndarray, np.ndarray]] = []
    together = max(1, LARGE // (shape[0] * shape[1]))
    while len(found) < len(known):
        some = torch.from_numpy(np.stack(known[len(found) : len(found) + together]))
        logits = _after(module.get_submodule(last), run, some, len(stream.left[last]))
        if logits is None or (len(logits), *_rows(logits[0]).shape) != (len(some), *shape):
            if together == 1:
                return None
            together = 1  # what comes after the blocks counts on one example
            continue
        found += [_likeliest(_rows(one)) for one in logits]
    return found


def _after(block: nn.Module, run: Callable[[], Any], states: Tensor, call: int) -> Tensor | None:
    try:
        with torch.no_grad(), left_as(block, states, call):
            return logits_of(run())
    except (RuntimeError, ValueError, IndexError, TypeError):  # it holds on to there being one example
        return None
