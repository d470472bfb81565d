"""Which stream a call belongs to: encoder, decoder, cross, or a part with a name of its own.

A module's path says it, and what it attends to. A stack that is all there is, is called by what it does: a decoder if
its queries see nothing that comes after them, an encoder otherwise.
"""

import re

import torch

from vitrail.capture.call import Call

PARTS = (
    ("vision", r"vision|visual|image|pixel"),
    ("audio", r"audio|speech|sound"),
    ("text", r"text_(model|encoder|decoder)|language_model"),
)
"""Names of the parts of models that read several kinds of input."""


def stream_of(call: Call) -> str:
    """The stream's name, from the module's path alone where that says it."""
    path = call.layer.lower()
    part = next((name for name, pattern in PARTS if re.search(pattern, path)), None)
    if call.cross:
        kind = "cross"
    elif re.search(r"decoder", path):
        kind = "decoder"
    elif re.search(r"encoder", path):
        kind = "encoder"
    else:
        kind = "decoder" if looks_back_only(call) else "encoder"
    if part is None:
        return kind
    return part if kind in ("encoder", "decoder") else f"{part}-{kind}"


def looks_back_only(call: Call) -> bool:
    """Whether no query sees a key after its own position, and some query would have one."""
    queries, keys = call.weights.shape[-2:]
    if call.causal:
        return True
    if call.mask is None or queries != keys or queries == 1 or call.mask.shape[-2] == 1:
        return False
    allowed = call.mask if call.mask.dtype == torch.bool else call.mask > -1e4
    return not bool(allowed.triu(1).any())
