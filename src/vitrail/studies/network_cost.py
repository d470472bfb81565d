"""What do FaceNet's networks cost, beside ResNet-50? (FaceNet, section 3.3, tables 1 to 3)

Weights and multiply-adds are counted as built, beside the figures that the paper prints; what it calls FLOPS are
multiply-adds, and its weights leave biases out. How long an image takes is measured on one core in float32, with all
networks taking turns: alone, as one who asks for one face waits for it, and in a batch, as an archive is embedded. Time
isn't multiply-adds: weights must come from memory once a batch, and norms and pooling count nothing.

The layers of NNS1 and NNS2 were never published: ours are a design to their budget, and say nothing about theirs.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vitrail.faces.networks import FaceNetwork
from vitrail.faces.sizes import RESNET_50, NetworkSize, network_sizes
from vitrail.faces.tables import TABLES
from vitrail.nn.cost import count_weights, multiply_adds
from vitrail.recipes.events import Note, Report
from vitrail.recipes.intervals import mean_interval
from vitrail.studies.drawing import in_parts
from vitrail.studies.measuring import UNTOLD
from vitrail.studies.network_cost_figure import draw
from vitrail.studies.resnet import resnet50
from vitrail.studies.tables import over_seeds
from vitrail.studies.terms import Finding, Study, StudyRecipe
from vitrail.studies.timing import Prepare, processor, ratios, side_by_side

ROUNDS, QUICK_ROUNDS = 10, 3
BATCHES, QUICK_BATCHES = (1, 8), (1, 2)
"""Images that go through a network together."""
SCALE = RESNET_50.name
VAL: Mapping[str, tuple[float, float]] = {
    "NN1": (87.9, 1.9),
    "NN2": (89.4, 1.6),
    "NN3": (88.3, 1.7),
    "NN4": (82.0, 2.3),
    "NNS1": (82.4, 2.4),
    "NNS2": (51.9, 2.9),
}
"""Table 3 of the paper: percent VAL at a FAR of 0.001, and standard error; NNS1 and NNS2 are the paper's own layers."""


def run(recipe: StudyRecipe, report: Report) -> Finding:
    """Count all networks, and let them take turns."""
    rounds, batches = (QUICK_ROUNDS, QUICK_BATCHES) if recipe.quick else (ROUNDS, BATCHES)
    sizes = [*network_sizes()[:-1], _counted(RESNET_50)]
    times = timed(sizes, batches, rounds, report)
    share = {
        size.name: {batch: ratios(times[size.name, batch], times[SCALE, batch]) for batch in batches} for size in sizes
    }
    rows = [
        (
            size.name,
            "x".join(map(str, size.image_size)),
            f"{size.weights / 1e6:.1f} M",
            _millions(size.paper_weights),
            f"{size.multiply_adds / 1e6:,.0f} M",
            _millions(size.paper_multiply_adds),
            *(f"{1e3 * float(np.median(times[size.name, batch])) / batch:.1f}" for batch in batches),
            *(over_seeds(share[size.name][batch]) for batch in batches),
        )
        for size in sizes
    ]
    many = batches[-1]
    return Finding(
        (
            "network",
            "image",
            "weights",
            "the paper's",
            "multiply-adds",
            "the paper's",
            "ms, alone",
            f"ms, of {many}",
            f"x {SCALE}'s, alone",
            f"x {SCALE}'s, of {many}",
        ),
        tuple(rows),
        _words(sizes, times, share, batches),
        (),
        {
            "processor": processor(),
            "rounds": rounds,
            "batches": list(batches),
            "networks": {
                size.name: {
                    "image": list(size.image_size),
                    "weights": size.weights,
                    "paper_weights": size.paper_weights,
                    "multiply_adds": size.multiply_adds,
                    "paper_multiply_adds": size.paper_multiply_adds,
                    "layers": size.layers,
                    "paper_val": VAL.get(size.name),
                    "times": {
                        str(batch): {
                            "ms_an_image": _rounded(1e3 * time / batch for time in times[size.name, batch]),
                            "beside_resnet": _rounded(share[size.name][batch]),
                        }
                        for batch in batches
                    },
                }
                for size in sizes
            },
        },
    )


def timed(
    sizes: Sequence[NetworkSize], batches: Sequence[int], rounds: int, report: Report
) -> dict[tuple[str, int], list[float]]:
    """Processor seconds of a pass of each network, by its name and the images of a batch, one a round."""
    layers: dict[str, Callable[[], nn.Module]] = {table.name: partial(FaceNetwork, table) for table in TABLES}
    layers[SCALE] = resnet50
    report(Note(f"building {', '.join(layers)}"))
    ways: dict[tuple[str, int], Prepare] = {}
    random = torch.Generator().manual_seed(0)
    for size in sizes:
        # All read their images channels-last, which is the faster order on a processor.
        network = layers[size.name]().eval()
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        for batch in batches:
            images = torch.rand(batch, 3, *size.image_size, generator=random).mul_(2).sub_(1)
            ways[size.name, batch] = _turn(network, images.contiguous(memory_format=torch.channels_last))
    with torch.inference_mode():
        report(Note("all once, untimed"))
        side_by_side(ways, 1)
        report(Note(f"{rounds} rounds of {' and '.join(map(str, batches))} images"))
        return side_by_side(ways, rounds)


def _turn(network: nn.Module, images: Tensor) -> Prepare:
    return lambda: lambda: network(images)


def _counted(scale: NetworkSize) -> NetworkSize:
    """ResNet-50 counted as the others are: without biases and batch norms, of an image of its size."""
    with torch.device("meta"):
        network = resnet50()
    found = multiply_adds(network, torch.empty(1, 3, *scale.image_size)).total
    return NetworkSize(scale.name, scale.image_size, count_weights(network), found, layers=scale.layers)


def _words(
    sizes: Sequence[NetworkSize],
    times: Mapping[tuple[str, int], Sequence[float]],
    share: Mapping[str, Mapping[int, Sequence[float]]],
    batches: Sequence[int],
) -> tuple[str, ...]:
    by_name, many = {size.name: size for size in sizes}, batches[-1]
    nn1, nn2, scale = by_name["NN1"], by_name["NN2"], by_name[SCALE]
    words = [
        f"NN1 and NN2 have as many multiply-adds ({nn1.multiply_adds / 1e9:.2f} and {nn2.multiply_adds / 1e9:.2f} "
        f"billion), and NN1 {nn1.weights / nn2.weights:.1f} times as many weights, nearly all in its fully connected "
        f"layers; {SCALE} has {scale.multiply_adds / nn2.multiply_adds:.2f} times the multiply-adds of NN2 and "
        f"{scale.weights / nn2.weights:.2f} times its weights",
    ]
    for one, other in (("NN1", "NN2"), ("NN2", SCALE)):
        told = [f"{_of(batch)} {_beside(times[one, batch], times[other, batch])}" for batch in batches]
        words.append(f"the time of {one} beside that of {other}: {', '.join(told)}")
    smallest = by_name["NNS2"]
    each = float(np.mean(share["NNS2"][many])) * scale.multiply_adds / smallest.multiply_adds
    return (
        *words,
        f"a multiply-add of NNS2 takes {each:.1f} times as long as one of {SCALE} {_of(many)}: norms, pooling and "
        "copies count nothing, and take their time",
        "this shows what the paper's tables come to, and that equal multiply-adds aren't equal time",
        "it can't show how these networks would do on a phone or on a GPU, nor in half precision; on a shared machine, "
        "milliseconds are worth less than their ratios",
    )


def _beside(one: Sequence[float], other: Sequence[float]) -> str:
    """How many times as long, with its interval over rounds."""
    found = ratios(one, other)
    _, interval = mean_interval(found)
    untold = interval is not None and interval[0] <= 1 <= interval[1]
    told = UNTOLD if untold else f"{float(np.mean(found)):.2f} times"
    return f"{told} ({interval[0]:.2f} to {interval[1]:.2f})" if interval is not None else told


def _of(batch: int) -> str:
    return "alone" if batch == 1 else f"in a batch of {batch}"


def _millions(figure: int | None) -> str:
    return "-" if figure is None else f"{figure / 1e6:,.4g} M"


def _rounded(values: Any) -> list[float]:
    return [round(float(value), 4) for value in values]


STUDY = Study(
    "What do FaceNet's networks cost, beside ResNet-50?",
    run,
    in_parts(draw, (11.0, 4.2)),
    lambda _: "one core",
    (),
    "weights without biases; processor time an image in float32 on one thread of a shared machine, whose ratios within "
    "a round (means, 95% intervals over rounds) are what can be told",
)
