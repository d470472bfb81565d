"""How attention is learned: traces of one held-out example before the first step, every so many, and after the last.

The example is fixed and short, so that all traces of a run have the same positions and can be scrubbed through in the
viewer with the selection where it is. They are captured in float32 on the CPU, whatever the run computes in.
"""

import copy
import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vitrail.recipes.options import TraceOptions
from vitrail.train import Traces

if TYPE_CHECKING:
    from torch import nn

    from vitrail.recipes.runs import Kind, ModelConfig
    from vitrail.recipes.training import TrainingImages
    from vitrail.text.tokens import Tokens

TOKENS = 128
"""Of a text, at most: the map of such a head is seen whole on a screen."""
LEAST = 16
"""Fewer tokens show little; taken where there is no longer text."""
LOOKED_AT = 256
"""Texts among which one is chosen."""


def traces_of(options: TraceOptions, opened: "Callable[[nn.Module], Any]", **given: Any) -> Traces | None:
    """What ``train`` is to write down, if anything.

    Args:
        options: how often.
        opened: the module as a run that is open, for ``attend_runs.attend_opened``.
        given: the example: text, target, image; seed of what is hidden of it.

    Raises:
        ConfigError: no number of steps.
    """
    if not options.trace_every:
        return None

    def write(module: "nn.Module", step: int, path: Path) -> None:
        import torch

        from vitrail.capture import Wishes
        from vitrail.recipes.attend_runs import attend_opened

        example: dict[str, Any] = {"text": None, "target": None, "image": None, "seed": 0, **given}
        on_cpu = next(module.parameters()).device.type == "cpu"
        model = module if on_cpu else copy.deepcopy(module).cpu()
        with torch.autocast("cpu", enabled=False):
            trace = attend_opened(
                opened(model), "trained", pair=None, gradient=None, wishes=Wishes(predictions=True), **example
            )
        about = dataclasses.replace(trace.provenance, revision=f"step {step}", step=step)
        dataclasses.replace(trace, provenance=about).save(path)

    return Traces(options.trace_every, write)


def traces_of_images(
    options: TraceOptions, kind: "Kind", config: "ModelConfig", images: "TrainingImages", folder: Path, seed: int
) -> Traces | None:
    """Of the first held-out image; where none are held out, of the first to train on."""
    import numpy as np
    import torch

    from vitrail.recipes.runs import Run

    known = images.train
    shown = known if images.validation is None else images.validation
    given = known.name, known.fingerprint, known.classes, known.mean, known.std

    def opened(module: "nn.Module") -> Run:
        return Run(folder, kind, config, module, *given, {})

    return traces_of(options, opened, image=torch.from_numpy(np.array(shown.pixels[:1])), seed=seed)


def long_enough(tokens: "Tokens", texts: Sequence[str], most: int) -> int:
    """Which of some texts to look at: the first that isn't short, else the longest.

    Args:
        tokens: in which their lengths are counted.
        texts: at least one.
        most: tokens that will be read.
    """
    lengths = [len(text) for text in tokens.encode(texts[:LOOKED_AT])]
    wanted = min(LEAST, most)
    return next((place for place, length in enumerate(lengths) if length >= wanted), lengths.index(max(lengths)))


def shortened(tokens: "Tokens", text: str, most: int) -> str:
    """A text, cut to at most so many tokens, at least one."""
    (read,) = tokens.encode([text])
    cut = text
    for length in range(max(1, most), 0, -1):  # cut and read again, a text may have more tokens than it was cut to
        if len(tokens.encode([cut])[0]) <= most:
            break
        cut = tokens.decode(read[:length])
    return cut
