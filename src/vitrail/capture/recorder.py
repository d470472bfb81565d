"""``record_attention``: hear every call of attention that a module makes, whoever wrote it.

Four listeners, in this order: Vitrail's own attention (its tap), Hugging Face's attention interface, PyTorch's
attention functions, and the formula written out. A module is the same afterwards, also after an exception: settings
restored, no hook left. What could not be heard is named in ``record.refused``.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from vitrail.capture.call import Call, Record
from vitrail.capture.formula import Formula
from vitrail.capture.functions import hear_fused, hear_multihead
from vitrail.capture.tracking import Edit, Tracker
from vitrail.errors import ModelError
from vitrail.nn.attention import AttentionRecord, MultiHeadAttention, attention


@contextmanager
def record_attention(
    module: nn.Module,
    *,
    each: Callable[[Call], None] | None = None,
    edit: Edit | None = None,
    graph: bool = False,
) -> Iterator[Record]:
    """Record every attention that ``module`` computes while the context is open.

    ::

        with record_attention(module) as record:
            module(x)
        record.weights["encoder.layer.0.attention.self"]  # float32 [b h q k]

    Args:
        module: any PyTorch module; its outputs stay what they are. Where the explicit formula takes the place of a
            fused kernel (our own models, Hugging Face's) they are those of its own explicit path, Hugging Face's to the
            bit, which float32 leaves about 1e-6 from the other one (``bench/reach.py``).
        each: handed every call as it comes, instead of keeping all: then one layer's weights are in memory at a time.
        edit: changes queries, keys, values or heads on their way.
        graph: keep what is recorded connected to the parameters, so that gradients can be asked for.

    Raises:
        ModelError: at the end, if the module ran and no attention was heard; or the module is compiled.
    """
    _refuse_compiled(module)
    record = Record()
    tracker = Tracker(module, record, each, edit, graph)
    with ExitStack() as stack:
        stack.callback(torch.backends.mha.set_fastpath_enabled, torch.backends.mha.get_fastpath_enabled())
        torch.backends.mha.set_fastpath_enabled(False)
        stack.callback(tracker.unhook)
        tracker.hook()
        _tap(tracker, stack)
        if "transformers" in type(module).__module__ or _holds_huggingface(module):
            from vitrail.capture.huggingface import through_interface

            stack.enter_context(through_interface(tracker))
        stack.enter_context(_Listener(tracker))
        yield record
    record.refused = tracker.missed()
    if not tracker.heard:
        raise ModelError(_nothing(module, record))


def _nothing(module: nn.Module, record: Record) -> str:
    name = type(module).__name__
    if not record.refused:
        return f"{name} computed no attention while it was recorded; give a model that has some, and run it inside"
    where, why = next(iter(record.refused.items()))
    more = f" (and {len(record.refused) - 1} more)" if len(record.refused) > 1 else ""
    return f"the attention of {name} can't be recorded: {why}, at {where}{more}; choose another model"


def _refuse_compiled(module: nn.Module) -> None:
    for name, part in module.named_modules():
        if isinstance(part, torch.jit.ScriptModule) or hasattr(part, "_orig_mod"):
            raise ModelError(
                f"{name or type(module).__name__} is compiled, and what runs in it can't be heard; give the module as "
                "it was before it was compiled"
            )


def _holds_huggingface(module: nn.Module) -> bool:
    return any(kind.__module__.startswith("transformers.") for part in module.modules() for kind in type(part).__mro__)


class _Listener(TorchFunctionMode):
    """Sees every torch function that is called."""

    def __init__(self, tracker: Tracker) -> None:
        super().__init__()
        self.tracker = tracker
        self.formula = Formula(tracker)

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        tracker = self.tracker
        if tracker.paused or isinstance(tracker.current(), MultiHeadAttention):
            return func(*args, **kwargs)
        if func is F.scaled_dot_product_attention:
            return hear_fused(tracker, func, args, kwargs)
        if func is F.multi_head_attention_forward:
            return hear_multihead(tracker, func, args, kwargs)
        return self.formula.watch(getattr(func, "__name__", ""), func(*args, **kwargs), args, kwargs)


def _tap(tracker: Tracker, stack: ExitStack) -> None:
    """Listen at Vitrail's own attention; a tap that somebody else has set still hears everything."""
    for module in tracker.root.modules():
        if isinstance(module, MultiHeadAttention):
            stack.callback(setattr, module, "tap", module.tap)
            module.tap = _listening(tracker, module)


def _listening(tracker: Tracker, module: MultiHeadAttention) -> Callable[[AttentionRecord], None]:
    others = module.tap

    def hear(heard: AttentionRecord) -> None:
        q, k, v, output, weights = heard.q, heard.k, heard.v, tracker.on_path(heard.output), heard.weights
        if tracker.edit is not None:
            name = tracker.name_next(module)
            q, k, v = tracker.edit.inputs(name, q, k, v)
            if any(new is not old for new, old in zip((q, k, v), (heard.q, heard.k, heard.v), strict=True)):
                again: list[AttentionRecord] = []
                output = attention(q, k, v, mask=heard.mask, scale=heard.scale, tap=again.append)
                weights = again[0].weights
            output = tracker.edit.output(name, output)
            if output is not heard.output:
                heard.output.copy_(output)  # what the module goes on with
        if others is not None:
            others(heard)
        mask, bias = _split(heard.mask)
        cross = not hasattr(module, "qkv")
        call = Call("", "vitrail", weights, q, k, v, heard.output, mask, False, heard.scale, bias, cross=cross)
        tracker.hear(call, module)

    return hear


def _split(mask: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
    """An additive mask as a boolean one (True = may attend) and a bias."""
    if mask is None or mask.dtype == torch.bool:
        return mask, None
    allowed = mask != float("-inf")
    return None if bool(allowed.all()) else allowed, torch.where(allowed, mask, 0.0)
