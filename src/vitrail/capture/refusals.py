"""Why an attention can't be shown as one matrix of weights: the sentence for each kind.

What is matched is the class's name; the first that fits stands.
"""

import re

from torch import nn

REASONS = (
    (r"nystrom", "approximates its weights by a product of three smaller matrices and never has them"),
    (
        r"lsh|reformer|local(self)?attention$",
        "compares hashed or chunked positions only, never all queries with all keys",
    ),
    (r"longformer|ledencoder", "keeps its weights in bands of a window, not as one matrix of queries and keys"),
    (r"yoso|performer|fnet|hyena", "replaces the softmax by an estimate that has no weights"),
    (r"deform|pointsample", "samples a few places of a picture each; there is no weight between each query and key"),
    (r"linear|delta|rwkv|mamba|retention|lightning|gated|recurrent|ssm", "carries a state along, and no weights"),
    (r"channel|squeeze|spatial", "weighs channels or places, not pairs of positions"),
    (r"sparse|block", "looks at chosen blocks only and never has all weights at once"),
)


def reason_of(module: nn.Module) -> str:
    """Why a module that looks like attention could not be recorded."""
    name = type(module).__name__
    for pattern, reason in REASONS:
        if re.search(pattern, name, re.IGNORECASE):
            return f"{name} {reason}"
    return f"{name} ran without a softmax over positions between two products that could be followed"
