"""Hearing Hugging Face models through their attention interface (transformers 5): the only file here that imports it.

Most modelling files ask ``AttentionInterface`` for a function by the name in their config and hand it queries, keys and
values after norms and rotary positions. While we listen, every config says "eager", so that ``AttentionMaskInterface``
gives the mask written out and code that asks for the name takes the plain path; and "eager" is ours: it calls the
module's own eager function, so that the weights are the model's to the bit, whatever that function does to its logits.
"""

import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vitrail.capture.call import LARGE, Call, of_heads
from vitrail.capture.streams import stream_of
from vitrail.capture.tracking import Tracker
from vitrail.errors import ModelError

EAGER = "eager"
_listening: list[Tracker] = []


@contextmanager
def through_interface(tracker: Tracker) -> Iterator[None]:
    """Hear the interface's calls by modules that the tracker knows; everybody else's go where they went."""
    from transformers import AttentionInterface

    configs = _configs(tracker.root)
    before = [config._attn_implementation_internal for config in configs]
    first = not _listening
    _listening.append(tracker)
    try:
        if first:
            AttentionInterface.register(EAGER, _hear)
        for config in configs:
            config._attn_implementation_internal = EAGER
        yield
    finally:
        for config, name in zip(configs, before, strict=True):
            config._attn_implementation_internal = name
        _listening.remove(tracker)
        if not _listening:
            AttentionInterface._global_mapping.pop(EAGER, None)


def _configs(root: nn.Module) -> list[Any]:
    """Every config that a part of the model reads, each once; those in configs included.

    ``set_attn_implementation`` misses parts that are no models of their own, such as ViTMAE's decoder.
    """
    from transformers import PreTrainedConfig

    found: dict[int, Any] = {}

    def add(config: object) -> None:
        if isinstance(config, PreTrainedConfig) and id(config) not in found:
            found[id(config)] = config
            for value in vars(config).values():
                add(value)

    for module in root.modules():
        for value in vars(module).values():
            add(value)
    return list(found.values())


def _hear(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None = None, **options: Any
) -> Any:
    kind: Any = type(module)
    own = _own_eager(kind)
    tracker = next((one for one in reversed(_listening) if id(module) in one.names), None)
    if tracker is None:
        return own(module, query, key, value, attention_mask, **options)
    if tracker.edit is not None:
        query, key, value = tracker.edit.inputs(tracker.name_next(module), query, key, value)
    tracker.paused += 1
    try:
        output, weights, *rest = _called(own, module, (query, key, value, attention_mask), options, tracker.graph)
    finally:
        tracker.paused -= 1
    heads = tracker.on_path(output.transpose(1, 2))
    if tracker.edit is not None:
        heads = tracker.edit.output(tracker.name_next(module), heads)
    if tracker.edit is not None or tracker.graph:
        output = heads.transpose(1, 2).contiguous()
    scale = options.get("scaling")
    call = Call(
        "",
        "interface",
        weights,
        query,
        key,
        value,
        heads,
        attention_mask,
        scale=float(query.shape[-1] ** -0.5 if scale is None else scale),
        bias=options.get("position_bias"),
        softcap=options.get("softcap"),
        sinks=_sinks(module, options, weights),
    )
    tracker.hear(call, module)
    return output, weights, *rest


def _called(
    own: Callable[..., Any], module: nn.Module, given: tuple[Any, ...], options: dict[str, Any], graph: bool
) -> Any:
    """Call the eager function: at once, or head by head where its several copies of the weights would be many."""
    query, key, value, mask = given
    heads, groups = query.shape[1], key.shape[1]
    plain = options.get("sinks", options.get("s_aux", getattr(module, "sinks", None))) is None and groups > 1
    size = query.shape[0] * heads * query.shape[2] * key.shape[2]
    if size <= LARGE or graph or not plain or heads % groups or torch.is_grad_enabled():
        return own(module, query, key, value, mask, **options)
    outputs, weights, bias = [], None, options.get("position_bias")
    for group in range(groups):
        one, many = slice(group, group + 1), slice(group * heads // groups, (group + 1) * heads // groups)
        mine = {**options, "position_bias": of_heads(bias, many)} if bias is not None else options
        output, found, *_ = own(module, query[:, many], key[:, one], value[:, one], of_heads(mask, many), **mine)
        outputs.append(output)
        if weights is None:
            weights = found.new_empty(found.shape[0], heads, *found.shape[2:])
        weights[:, many] = found
    return torch.cat(outputs, dim=2), weights


def _sinks(module: nn.Module, options: dict[str, Any], weights: Tensor) -> Tensor | None:
    """Logits that take a share of each row; none where rows sum to 1 (Granite gates the heads' output instead)."""
    if weights.numel() and bool((weights.detach().float().sum(-1) > 1 - 1e-4).all()):
        return None
    for found in (options.get("sinks"), options.get("s_aux"), getattr(module, "sinks", None)):
        if isinstance(found, Tensor):
            return found
    return None


@cache
def _own_eager(kind: Any) -> Callable[..., Any]:
    """The eager function that a class would have called: the one that its code names, from where it was written.

    Raises:
        ModelError: there is none.
    """
    for owner in kind.__mro__:
        for member in vars(owner).values():
            function = inspect.unwrap(member) if callable(member) else member
            code, names = getattr(function, "__code__", None), getattr(function, "__globals__", {})
            for name in code.co_names if code is not None else ():
                if name.endswith("eager_attention_forward") and name in names:
                    found: Callable[..., Any] = names[name]
                    return found
    for owner in kind.__mro__:
        found = getattr(sys.modules.get(owner.__module__), "eager_attention_forward", None)  # type: ignore[assignment]
        if found is not None:
            return found
    raise ModelError(f"{kind.__name__} has no eager attention to take weights from; choose another model")


def load(source: str | Path, tokenizer: Any = None, processor: Any = None) -> tuple[Any, Any, Any]:
    """A model as its config names it, its tokenizer, and its image processor; None for what it hasn't got.

    Raises:
        ModelError: there is no such model, or transformers doesn't know its kind.
    """
    import transformers

    try:
        config = transformers.AutoConfig.from_pretrained(source)
        kind = getattr(transformers, (config.architectures or [""])[0], transformers.AutoModel)
        with _no_progress():
            model = kind.from_pretrained(source, dtype="auto")
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(
            f"{source} is no folder and no name on the hub from which transformers can read a model; check the "
            "spelling and the connection"
        ) from error
    if tokenizer is None:
        tokenizer = _optional(transformers.AutoTokenizer, source)
    if processor is None and (hasattr(config, "image_size") or hasattr(config, "vision_config")):
        processor = _optional(transformers.AutoImageProcessor, source)
    return model.eval(), tokenizer, processor


@contextmanager
def _no_progress() -> Iterator[None]:
    """Without the bar that transformers draws while it loads weights: only the command line says anything."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def _optional(kind: Any, source: str | Path) -> Any:
    try:
        return kind.from_pretrained(source)
    except (OSError, ValueError, KeyError, ImportError):
        return None


@contextmanager
def causality(model: nn.Module, causal: bool) -> Iterator[None]:
    """Switch looking ahead off (``causal``) or on, by the configs' own switches; restored afterwards.

    Raises:
        ModelError: the model has no such switch.
    """
    before: list[tuple[Any, str, Any]] = []
    try:
        for config in _configs(model):
            for name in ("is_causal", "is_decoder"):
                if name == "is_causal" or hasattr(config, name):
                    before.append((config, name, vars(config).get(name, _MISSING)))
                    setattr(config, name, causal)
        if not before:
            raise ModelError(f"{type(model).__name__} has no config that says who sees what; pass the mask you mean")
        yield
    finally:
        for config, name, value in before:
            if value is _MISSING:
                delattr(config, name)
            else:
                setattr(config, name, value)


_MISSING = object()


def stream_namer(model: nn.Module) -> Callable[[Call], str]:
    """Which stream a call of this model belongs to; a masked autoencoder's decoder has a name of its own."""
    autoencoder = "mae" in str(getattr(getattr(model, "config", None), "model_type", ""))

    def name(call: Call) -> str:
        found = stream_of(call)
        return "mae-decoder" if autoencoder and found == "decoder" else found

    return name
