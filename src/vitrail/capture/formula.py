"""Hearing attention that a model writes out itself: a product, a softmax, a product.

Every torch function is watched. The result of q kᵀ is followed through whatever is added, masked or divided until a
softmax over the last axis, and the weights until they multiply the values. Scale is what the product was multiplied by
before anything else happened to it; all the rest is found as a difference, the logits that the softmax saw minus
scale · q kᵀ, and is split into a mask (very negative) and a bias. Where the product can't be followed, the weights
alone are recorded.
"""

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from vitrail.capture.call import Call
from vitrail.capture.products import Pair, letters, matrices
from vitrail.capture.tracking import Tracker
from vitrail.errors import ModelError

PRODUCTS = {"matmul", "bmm", "__matmul__", "einsum", "baddbmm"}
SOFTMAX = {"softmax", "_softmax", "_safe_softmax"}
SCALINGS = {"mul", "mul_", "__mul__", "__rmul__", "__imul__", "multiply"}
DIVISIONS = {"div", "div_", "__truediv__", "__itruediv__", "true_divide", "divide"}
RESHAPES = {"view", "reshape", "unflatten", "flatten", "squeeze", "unsqueeze", "view_as"}
HEADS = ("num_attention_heads", "num_heads", "n_heads", "n_head", "heads")
"""What modules call the number of their heads."""
FORBIDDEN = -1e4
"""A logit lowered by this much or more is masked; what models use is -10000, the lowest finite number, or -inf."""


@dataclass(frozen=True)
class Product:
    """The result of q kᵀ on its way to a softmax."""

    q: Tensor
    k: Tensor
    scale: float
    pure: bool = True
    """Only multiplied by numbers so far."""


@dataclass(frozen=True)
class Weights:
    """What a softmax gave on its way to the values."""

    weights: Tensor
    logits: Tensor
    product: Product | None


class Formula:
    """Follows tensors from the queries to the heads' output."""

    def __init__(self, tracker: Tracker) -> None:
        self.tracker = tracker
        self._products: Any = WeakTensorKeyDictionary()
        self._weights: Any = WeakTensorKeyDictionary()

    def watch(self, name: str, result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Look at one torch function that has run; returns what goes on in its place."""
        if not isinstance(result, Tensor) or not result.is_floating_point():
            return result
        if name in PRODUCTS:
            return self._product(name, result, args, kwargs)
        if name in SOFTMAX:
            self._softmax(result, args, kwargs)
        else:
            self._follow(name, result, [*args, *kwargs.values()])
        return result

    def _product(self, name: str, result: Tensor, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
        pair = letters(args) if name == "einsum" else matrices(name, args, kwargs)
        if pair is None:
            return result
        found = self._weights.get(pair.left)
        if found is not None:
            return self._hear(found, pair, result)
        if any(isinstance(x, torch.nn.Parameter) for x in (pair.left, pair.right)) or result.ndim < 3:
            return result
        q, k = pair.q, pair.k
        if q is None or k is None or (*q.shape[:-1], k.shape[-2]) != tuple(result.shape):
            return result
        scale, pure = (float(kwargs.get("alpha", 1)), False) if name == "baddbmm" else (1.0, True)
        self._products[result] = Product(q, k, scale, pure)
        return result

    def _softmax(self, result: Tensor, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        logits = args[0] if args else kwargs["input"]
        dim = kwargs.get("dim", args[1] if len(args) > 1 else None)
        if result.ndim < 3 or dim not in (-1, result.ndim - 1):
            return
        product = self._products.get(logits)
        if product is not None or self.tracker.inside_attention:
            self._weights[result] = Weights(result, logits, product)

    def _follow(self, name: str, result: Tensor, given: list[Any]) -> None:
        for x in given:
            if not isinstance(x, Tensor):
                continue
            if (weights := self._weights.get(x)) is not None:
                if result.shape == x.shape:
                    self._weights[result] = weights
                elif name in RESHAPES and result.shape[-2:] == x.shape[-2:]:
                    # [b h q k] is what is kept, whichever of the softmax and the product sees it.
                    kept = weights.weights if weights.weights.ndim == 4 else result
                    self._weights[result] = replace(weights, weights=kept)
                return
            if (product := self._products.get(x)) is not None:
                if result.shape == x.shape:
                    self._products[result] = _scaled(name, product, [y for y in given if y is not x])
                elif result.shape[-2:] == x.shape[-2:] and result.numel() == x.numel() and name in RESHAPES:
                    self._products[result] = _reshaped(product, result)
                elif result.shape[-2:] == x.shape[-2:] and result.ndim >= x.ndim and name not in RESHAPES:
                    self._products[result] = replace(product, pure=False)
                return

    def _hear(self, found: Weights, pair: Pair, result: Tensor) -> Tensor:
        weights, v, product = found.weights, pair.v, found.product
        if v is None or v.shape[-2] != weights.shape[-1]:
            return result
        four = self._split_heads(weights)
        lead = four.shape[:2]
        if product is None:
            self.tracker.hear(Call("", "weights", four))
            return result
        q, k = (_led(x, found.logits.shape[:-2], lead) for x in (product.q, product.k))
        v = _led(v, weights.shape[:-2] if v.ndim == weights.ndim else v.shape[:-2], lead)
        mask, bias = _remainder(found.logits.reshape(four.shape), q, k, product.scale)
        straight = result.permute(pair.order)
        heads = self.tracker.on_path(straight.reshape(*lead, *straight.shape[-2:]))
        if self.tracker.edit is not None:
            heads = self._edited(q, k, v, four, heads)
        if self.tracker.edit is not None or self.tracker.graph:
            back = [pair.order.index(axis) for axis in range(result.ndim)]
            result = heads.reshape(straight.shape).permute(back)
        self.tracker.hear(Call("", "formula", four, q, k, v, heads, mask, scale=product.scale, bias=bias))
        return result

    def _edited(self, q: Tensor, k: Tensor, v: Tensor, weights: Tensor, heads: Tensor) -> Tensor:
        """The heads' output with the edit's changes; queries and keys have done their work by now."""
        edit, name = self.tracker.edit, self.tracker.name_next()
        assert edit is not None
        new_q, new_k, new_v = edit.inputs(name, q, k, v)
        if new_q is not q or new_k is not k:
            raise ModelError(
                f"{name} writes its attention out by hand, where queries and keys can't be exchanged any more; "
                "exchange values or heads instead"
            )
        return edit.output(name, heads if new_v is v else weights.to(v.dtype) @ new_v)

    def _split_heads(self, weights: Tensor) -> Tensor:
        """[b h q k] from what a model holds, which may be [(b h) q k]."""
        if weights.ndim != 3:
            return _four(weights)
        for name in HEADS:
            heads = getattr(self.tracker.current(), name, None)
            if isinstance(heads, int) and heads > 0 and len(weights) % heads == 0:
                return weights.reshape(-1, heads, *weights.shape[1:])
        return weights[:, None]


def _led(x: Tensor, own: tuple[int, ...], lead: tuple[int, ...]) -> Tensor:
    """A tensor whose first axes become [b h]."""
    return x.expand(*own, *x.shape[-2:]).reshape(*lead, *x.shape[-2:])


def _scaled(name: str, product: Product, others: list[Any]) -> Product:
    """The product after an operation that keeps its shape."""
    numbers = [float(x) for x in others if isinstance(x, int | float) or (isinstance(x, Tensor) and x.numel() == 1)]
    if product.pure and name in SCALINGS and len(numbers) == 1:
        return replace(product, scale=product.scale * numbers[0])
    if product.pure and name in DIVISIONS and len(numbers) == 1 and numbers[0]:
        return replace(product, scale=product.scale / numbers[0])
    return (
        product if name in ("to", "float", "type", "type_as", "contiguous", "clone") else replace(product, pure=False)
    )


def _reshaped(product: Product, result: Tensor) -> Product:
    lead = result.shape[:-2]
    q, k = (x.reshape(*lead, *x.shape[-2:]) for x in (product.q, product.k))
    return replace(product, q=q, k=k)


def _remainder(logits: Tensor, q: Tensor, k: Tensor, scale: float) -> tuple[Tensor | None, Tensor | None]:
    """What was added to scale · q kᵀ: a mask (True = may attend) and a bias, None where there is none."""
    with torch.no_grad():
        dtype = torch.promote_types(q.dtype, torch.float32)
        plain = (q.to(dtype) @ k.to(dtype).transpose(-1, -2)) * scale
        added = logits.to(dtype) - plain
        allowed = added > FORBIDDEN
        added = torch.where(allowed, added, 0.0)
        noise = 4e-6 if q.dtype == torch.float32 else 1e-12 if q.dtype == torch.float64 else 2e-2
        mask = None if bool(allowed.all()) else allowed
        return mask, None if float(added.abs().max()) <= noise * (1 + float(plain.abs().max())) else added


def _four(x: Tensor) -> Tensor:
    if x.ndim == 4:
        return x
    return x[:, None] if x.ndim == 3 else x.flatten(0, x.ndim - 4)
