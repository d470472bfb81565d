"""``model.safetensors``: the weights to use, in the format that every tool reads, with a checksum inside.

The header's metadata carries the SHA-256 of the whole file with that very digest blanked out, so that a flipped byte is
recognised, which safetensors itself doesn't (it sees only a file cut short).
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from vitrail.errors import CheckpointError
from vitrail.files import written_beside

WEIGHTS = "model.safetensors"

_DIGEST_KEY = "vitrail_sha256"
_BLANK = "0" * hashlib.sha256().digest_size * 2


def save_weights(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors as safetensors, with a checksum of the file inside it.

    Raises:
        OutputError: it can't be written; what was there is untouched.
    """
    from safetensors.torch import save

    seen: set[int] = set()
    separate: dict[str, Tensor] = {}
    for name, tensor in tensors.items():  # safetensors holds no two names for one memory
        plain = tensor.detach().cpu().contiguous()
        separate[name] = plain.clone() if plain.data_ptr() in seen else plain
        seen.add(plain.data_ptr())
    # One key alone: safetensors writes several in an order that changes from call to call.
    content = save(separate, {_DIGEST_KEY: _BLANK})
    place = content.index(_BLANK.encode())
    digest = hashlib.sha256(content).hexdigest().encode()
    with written_beside(path) as file:
        view = memoryview(content)
        file.write(view[:place])
        file.write(digest)
        file.write(view[place + len(_BLANK) :])


def load_weights(folder: Path) -> dict[str, Tensor]:
    """The weights to use of the run in ``folder``: the averaged ones where the run averages.

    Raises:
        CheckpointError: there are none, or they are damaged.
    """
    from safetensors.torch import load

    path = folder / WEIGHTS
    if not path.is_file():
        raise CheckpointError(
            f"{folder} has no {WEIGHTS}, but the weights of a trained run are needed: train it first."
        )
    content = path.read_bytes()
    if not _weights_are_whole(content):
        raise CheckpointError(
            f"{path} is damaged (its bytes don't match its checksum): "
            f"repeat the command that trained it, which writes them again from state.pt."
        )
    return load(content)


def weights_are_whole(folder: Path) -> bool:
    """Whether ``folder`` has a ``model.safetensors`` that is as it was written."""
    path = folder / WEIGHTS
    return path.is_file() and _weights_are_whole(path.read_bytes())


def _weights_are_whole(content: bytes) -> bool:
    try:
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        digest = bytes(header["__metadata__"][_DIGEST_KEY], "ascii")
    except (ValueError, KeyError, TypeError):
        return False
    place = content.find(digest)
    if len(digest) != len(_BLANK) or place < 0:
        return False
    whole = hashlib.sha256(content[:place])
    whole.update(_BLANK.encode())
    whole.update(memoryview(content)[place + len(_BLANK) :])
    return whole.hexdigest().encode() == digest
