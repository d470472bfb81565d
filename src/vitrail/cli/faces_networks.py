"""``vitrail faces networks``: how large FaceNet's networks are, beside what the paper says."""

from collections.abc import Sequence
from dataclasses import dataclass

from vitrail.cli.ending import Ending
from vitrail.cli.options import parse
from vitrail.cli.screen import Screen


@dataclass(frozen=True)
class NetworksRecipe:
    """Count weights and multiply-adds of FaceNet's networks, beside the paper's figures and ResNet-50."""

    embedding_dim: int = 128
    """Numbers in an embedding."""


def read(arguments: Sequence[str]) -> NetworksRecipe:
    """The recipe that the flags describe."""
    return parse(NetworksRecipe, "faces networks", arguments)


def command(arguments: Sequence[str], screen: Screen) -> Ending:
    """Show the table."""
    recipe = read(arguments)
    from vitrail.faces.sizes import network_sizes

    rows = [
        [
            size.name,
            f"{size.image_size[0]}x{size.image_size[1]}",
            f"{size.weights:,}",
            _rounded(size.paper_weights),
            f"{size.multiply_adds:,}",
            _rounded(size.paper_multiply_adds),
            size.layers,
        ]
        for size in network_sizes(recipe.embedding_dim)
    ]
    screen.table(["network", "image", "weights", "paper", "multiply-adds", "paper", "layers"], rows)
    screen.say("(weights without biases, as the paper counts them; multiply-adds of one image's forward pass)")
    return Ending((), "vitrail train faces --network nns2")


def _rounded(figure: int | None) -> str:
    return "-" if figure is None else f"{figure / 1e9:.1f}B" if figure >= 1e9 else f"{figure / 1e6:g}M"
