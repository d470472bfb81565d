"""What a source of examples is: a folder, a table or an embedded set, before anything is decoded."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Example:
    """One image as it is stored.

    Attributes:
        name: names it in an error, for instance ``cat/3.png`` or ``row 17 of train.parquet``.
        image: the file's bytes, its path, or pixels ``[H W]``.
        label: as it stands in the source; None means a missing label where the source is labelled.
    """

    name: str
    image: bytes | Path | NDArray[np.uint8]
    label: object


@dataclass(frozen=True)
class Reading:
    """One pass over a source.

    Attributes:
        labelled: whether the examples' labels mean anything.
        classes: the names that the source declares, in order (whole-number labels count into them), or None.
        examples: every example, in an order that never changes.
    """

    labelled: bool
    classes: tuple[str, ...] | None
    examples: Iterator[Example]


@dataclass(frozen=True)
class Source:
    """Where the examples of one split come from; nothing is opened until ``read`` is called.

    Attributes:
        where: what an error calls it.
        identity: with the files' content, decides what the examples are.
        files: the files that it reads, if any.
        read: starts a pass.
        identities: whether the classes of train and test are different ones, on purpose (people, characters).
    """

    where: str
    identity: str
    files: tuple[Path, ...]
    read: Callable[[], Reading]
    identities: bool = False
