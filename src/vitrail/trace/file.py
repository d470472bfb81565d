"""The trace as one ``.safetensors`` file."""

from os import PathLike
from pathlib import Path

from vitrail.trace.model import Trace


def save_trace(trace: Trace, path: str | PathLike[str]) -> Path:
    """Write a trace."""
    raise NotImplementedError
