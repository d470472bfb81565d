"""Figures and pictures on their way into a run folder: whole or not there."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vitrail.files import output_errors, written_beside


def write_json(path: Path, figures: Mapping[str, Any]) -> Path:
    """Write figures for people and scripts to read.

    Raises:
        OutputError: the file can't be written.
    """
    return write_bytes(path, (json.dumps(figures, indent=2, ensure_ascii=False) + "\n").encode())


def write_bytes(path: Path, content: bytes) -> Path:
    """Write a file, and the folders above it; under torchrun, where every process measures the same, the first does.

    Raises:
        OutputError: the file can't be written.
    """
    if os.environ.get("RANK", "0") != "0":
        return path
    with output_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with written_beside(path) as file:
        file.write(content)
    return path
