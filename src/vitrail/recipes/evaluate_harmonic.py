"""Two generations of embeddings compared with each other: v1-v1, v1-v2, v2-v2 (FaceNet, appendix, figure 8)."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int64
from torch import Tensor

from vitrail.data import ImageSet, require_identities
from vitrail.errors import ConfigError, DataError
from vitrail.faces.calibration import RATES
from vitrail.faces.pairs import KEEP, AllPairs, compare_all
from vitrail.recipes.events import Note, Report
from vitrail.recipes.face_measures import curve_figures, people_of
from vitrail.recipes.galleries import require_faces
from vitrail.recipes.inference import embeddings_of, inferring
from vitrail.recipes.runs import open_run

if TYPE_CHECKING:
    from vitrail.recipes.evaluate import EvaluateRecipe
    from vitrail.recipes.runs import Run

COMPARISONS = ("v1-v1", "v1-v2", "v2-v2")


def older_of(opened: "Run", recipe: "EvaluateRecipe", report: Report) -> "Run | None":
    """The network v1 to compare with: the one that was named, else that which the run was trained for, if still there.

    Raises:
        ModelError: the one that was named is no face network.
    """
    if recipe.harmonic_with is not None:
        return require_faces(recipe.harmonic_with)
    if opened.harmonic_with is None:
        return None
    folder = Path(opened.options["harmonic_with"])
    if (folder / "config.json").is_file() and (older := open_run(folder)).model_fingerprint == opened.harmonic_with:
        return older
    report(Note(f"{folder} no longer holds the network that this one is harmonic with: name it by --harmonic-with"))
    return None


def embed_people(older: "Run", images: ImageSet, recipe: "EvaluateRecipe", report: Report) -> Float[Tensor, "n d"]:
    """The same test images by another network, in the size that it reads.

    Raises:
        DataError: it can't read some of them.
    """
    seen = people_of(older, images.name, report)
    if not np.array_equal(require_identities(seen), require_identities(images)):
        raise DataError(
            f"in the size that {older.folder} reads, other test images of {images.name} are damaged than in the new "
            "network's: remove damaged images."
        )
    with inferring(older.model, recipe.device, "float32") as place:
        return embeddings_of(older.model, seen, place, flip=recipe.mirror).clone()


def compare_generations(
    new: Float[Tensor, "n d"], old: Float[Tensor, "n d"], labels: Int64[Tensor, " n"]
) -> dict[str, AllPairs]:
    """The three comparisons of the paper's mixed ROC: of v1 with itself, of v1 with v2, of v2 with itself.

    Raises:
        ConfigError: the two embed in different numbers of dimensions.
    """
    if old.shape[1] != new.shape[1]:
        raise ConfigError(
            f"the two networks embed in {old.shape[1]} and {new.shape[1]} numbers, which can't be compared: name "
            "networks with embeddings of one size."
        )
    keep = max(KEEP, int(1.5 * max(RATES) * len(labels) ** 2))
    return {
        "v1-v1": compare_all(old, labels, keep=keep),
        "v1-v2": compare_all(old, labels, others=new, keep=keep),
        "v2-v2": compare_all(new, labels, keep=keep),
    }


def mixed_figures(opened: "Run", older: "Run", mixed: Mapping[str, AllPairs]) -> dict[str, Any]:
    """The figures of each comparison.

    Also what v2's own thresholds accept of v1-v2: a gallery that holds both kinds has one threshold.
    """
    found = {name: curve_figures(compared) for name, compared in mixed.items()}
    curve, accepted = mixed["v1-v2"].roc(), {}
    for far, at in found["v2-v2"]["val_at_far"].items():
        last = int((curve.thresholds <= at["threshold"]).sum()) - 1
        accepted[far] = {"val": float(curve.val[last]), "far": float(curve.far[last])}
    return {
        "with": str(older.folder),
        "fingerprint": older.model_fingerprint,
        "trained_for_it": older.model_fingerprint == opened.harmonic_with,
        **found,
        "v1-v2_at_thresholds_of_v2": accepted,
    }
