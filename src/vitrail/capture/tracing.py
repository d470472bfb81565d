"""One example through a model, and what its attention did as a trace.

``trace_run`` is what everything else here ends in: it is handed the module, a function that runs it, and one that says
what positions are. A layer's weights are let go as soon as it has been taken in, so that one layer's are in memory at a
time; only gradients need all.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
import torch
from torch import nn

from vitrail.capture.call import Call
from vitrail.capture.comparing import output_difference, sampled
from vitrail.capture.gradients import Target, output_gradients
from vitrail.capture.interventions import divergence_from, head_effects
from vitrail.capture.keeping import Keeping
from vitrail.capture.predicting import Vocabulary, predict
from vitrail.capture.recorder import record_attention
from vitrail.capture.residual import Residuals, residuals
from vitrail.capture.rotation import projections
from vitrail.capture.streams import stream_of
from vitrail.capture.wishes import Axes, Wishes, plain_axes
from vitrail.errors import ModelError
from vitrail.trace import Provenance, Stream, Trace, named

APART, APART_IN_HALF = 1e-3, 0.1
"""A difference of outputs, relative to the largest number, that rounding doesn't explain."""


def trace_run(
    module: nn.Module,
    run: Callable[[], Any],
    axes: Axes = plain_axes,
    *,
    provenance: Provenance | None = None,
    images: Mapping[str, np.ndarray] | None = None,
    streams: Callable[[Call], str] = stream_of,
    target: Target | None = None,
    measure: Target | None = None,
    vocabulary: Vocabulary | None = None,
    wishes: Wishes | None = None,
) -> Trace:
    """Run a module on one example and keep what its attention did.

    Args:
        module: what is listened to.
        run: calls it, with one example without padding.
        axes: what the positions of each stream are.
        provenance: where the trace comes from; the module's class, precision and the versions unless given.
        images: what patches were cut from, uint8 [H W 3].
        streams: which stream a call belongs to.
        target: from what ``run`` gives to the number that gradients are of.
        measure: the number whose change is a head's effect, where effects are wished for: that of gradients unless
            given, and where there is none either, how far the output's distribution moves.
        vocabulary: what the output counts, for predictions.
        wishes: what else to keep.

    Raises:
        ModelError: no attention was heard, or some of it can't be captured.
    """
    wishes = wishes or Wishes()
    plain, drawn = None, torch.get_rng_state()
    if wishes.check:
        with torch.no_grad():
            plain = sampled(run())
        torch.set_rng_state(drawn)  # what is drawn while recording is the same
    with ExitStack() as stack:
        stream = stack.enter_context(residuals(module)) if wishes.hidden or wishes.predictions else Residuals()
        projected = stack.enter_context(projections(module)) if wishes.before_rotation else {}
        keeping = Keeping(module, axes, streams, wishes, projected)
        if target is None:
            stack.enter_context(torch.no_grad())
            with record_attention(module, each=keeping.take) as record:
                output = run()
        else:
            stack.enter_context(torch.enable_grad())
            with record_attention(module, graph=True) as record:
                output = run()
            for call, g in zip(record.calls, output_gradients(target(output), record), strict=True):
                keeping.take(call.detached(), g)
    refused = {**record.refused, **keeping.refused}
    if refused and not wishes.partial:
        raise ModelError(_refusal(module, refused))
    about = provenance or describe(module)
    if refused:
        about = replace(about, notes={**about.notes, "refused": "; ".join(f"{k}: {v}" for k, v in refused.items())})
    if plain is not None:
        apart = output_difference(plain, sampled(output))
        if apart > (APART if about.precision == "float32" else APART_IN_HALF) and not wishes.partial:
            raise ModelError(
                f"{type(module).__name__} gave another output (by {apart:.1g}) while it was recorded, because its "
                "plain attention isn't what its fused one is; load it with attn_implementation='eager', or pass "
                "partial=True"
            )
        about = replace(about, notes={**about.notes, "output difference": f"{apart:.1e}"})
    parts, notes = keeping.parts(stream), dict(about.notes)
    if wishes.predictions:
        try:
            parts = predict(module, run, output, parts, stream, vocabulary)
        except ModelError as error:
            notes["predictions"] = f"none: {error}"
    if wishes.ablation is not None:
        measure = measure or target
        number = measure or divergence_from(output)
        parts = _with_scores(parts, "ablation", head_effects(module, run, number, wishes.ablation))
        notes["ablation"] = f"{wishes.ablation}: {'' if measure is None else 'change of the '}{number.name}"
    return Trace(named(keeping.axes.values()), parts, replace(about, notes=notes), dict(images or {}))


def _with_scores(parts: Sequence[Stream], name: str, scores: Mapping[str, np.ndarray]) -> tuple[Stream, ...]:
    """The streams with one more score of every head in their digests; uniform attention has none."""
    return tuple(
        replace(
            part,
            layers=tuple(
                replace(
                    layer,
                    digest=replace(
                        layer.digest,
                        scores={**layer.digest.scores, name: scores[layer.name].astype(np.float32)},
                        uniform={**layer.digest.uniform, name: float("nan")},
                        counts={**layer.digest.counts, name: layer.size[0]},
                    ),
                )
                if layer.digest is not None and layer.name in scores
                else layer
                for layer in part.layers
            ),
        )
        for part in parts
    )


def _refusal(module: nn.Module, refused: Mapping[str, str]) -> str:
    where, why = next(iter(refused.items()))
    more = f" (and {len(refused) - 1} more)" if len(refused) > 1 else ""
    return (
        f"not all attention of {type(module).__name__} can be captured: {where or 'the model itself'}{more}: {why}; "
        "pass partial=True to leave it out and have it named in the trace"
    )


def describe(module: nn.Module, **known: Any) -> Provenance:
    """Where a trace of this module comes from; what is known better is given by name."""
    precision = next((str(x.dtype).removeprefix("torch.") for x in module.parameters()), "float32")
    versions = {}
    for package in ("vitrail", "torch", "transformers"):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    config = getattr(module, "config", None)
    fields: dict[str, Any] = {
        "model": getattr(config, "_name_or_path", "") or type(module).__name__,
        "revision": getattr(config, "_commit_hash", None),
        "precision": precision,
        "versions": versions,
    }
    return Provenance(**{**fields, **known})
