"""``vitrail export RUN --to LIBRARY``."""

import shlex
from collections.abc import Sequence

from vitrail.cli.ending import Ending
from vitrail.cli.options import parse
from vitrail.cli.screen import Screen
from vitrail.recipes.export import ExportRecipe, run

OPENERS = {
    "huggingface": "from transformers import AutoModel; print(AutoModel.from_pretrained({path!r}))",
    "timm": "from safetensors.torch import load_file; print(*load_file({path!r}))",
    "ctranslate2": "import ctranslate2; print(ctranslate2.Translator({path!r}).compute_type)",
    "mae": "import torch; print(*torch.load({path!r}, weights_only=True)['model'])",
}
"""A look at what was written, for each library."""


def read(arguments: Sequence[str]) -> ExportRecipe:
    """The recipe that the flags describe."""
    return parse(ExportRecipe, "export", arguments)


def command(arguments: Sequence[str], screen: Screen) -> Ending:
    """Write a run's weights for another library."""
    recipe = read(arguments)
    path = run(recipe, screen.report)
    return Ending((path,), _python(OPENERS[recipe.to].format(path=str(path))))


def _python(program: str) -> str:
    """The command that runs a program, easy to read where no character of it means something to the shell."""
    return f"python -c {shlex.quote(program)}" if set(program) & set('"$`\\!') else f'python -c "{program}"'
