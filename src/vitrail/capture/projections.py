"""How much a value weighs once it is written to the residual stream: |v W_O|, head by head (Kobayashi et al. 2020)."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

OUTPUT_NAMES = (
    "out",
    "out_proj",
    "o_proj",
    "c_proj",
    "proj",
    "o",
    "dense",
    "to_out",
    "out_lin",
    "attn_out",
    "wo",
    "output",
)


def output_matrix(root: nn.Module, path: str, inputs: int) -> Float[Tensor, "m inputs"] | None:
    """The map from all heads' outputs to the residual stream, or None where it can't be told which one it is.

    It is a linear map that reads as many numbers as the heads give: in the attention's own module or in one beside it
    (BERT keeps it in ``attention.output.dense``).

    Args:
        root: the whole model.
        path: of the module that attends.
        inputs: heads times width of a value.
    """
    places = [path] if path else [""]
    if path:
        places.append(path.rpartition(".")[0])
    for place in places:
        module = root.get_submodule(place)
        depth = 1 if place == path else 2
        for name, part in module.named_modules():
            last = name.rpartition(".")[2]
            found = _matrix(part) if name.count(".") < depth and last in OUTPUT_NAMES else None
            if found is not None and found.shape[1] == inputs:
                return found
    return None


def _matrix(part: nn.Module) -> Tensor | None:
    weight = getattr(part, "weight", None)
    if not isinstance(weight, Tensor) or weight.ndim != 2:
        return None
    weight = _fetched(part, weight)
    if weight is None:
        return None
    # GPT-2's Conv1D holds the transpose of what a linear map does.
    return weight.T if type(part).__name__ == "Conv1D" else weight if isinstance(part, nn.Linear) else None


def _fetched(part: nn.Module, weight: Tensor) -> Tensor | None:
    """The weight itself where Accelerate keeps it on the disk between calls, and a stand-in without numbers here."""
    if not weight.is_meta:
        return weight
    kept = getattr(getattr(part, "_hf_hook", None), "weights_map", None)
    if kept is None or "weight" not in kept:
        return None
    found: Tensor = kept["weight"]
    return found


def projected_norms(
    v: Float[Tensor, "hkv k dv"], matrix: Float[Tensor, "m inputs"], heads: int
) -> Float[np.ndarray, "h k"]:
    """|v W_O| of each head and key."""
    width, matrix = v.shape[-1], matrix.to(v.device)
    norms = []
    with torch.no_grad():
        for head in range(heads):
            mine = matrix[:, head * width : (head + 1) * width].float()
            norms.append((v[head // (heads // len(v))].float() @ mine.T).norm(dim=-1))
        found: np.ndarray = torch.stack(norms).cpu().numpy()
    return found
