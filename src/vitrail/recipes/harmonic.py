"""Train a network v2 whose embeddings compare with those of an older one, v1 (FaceNet, appendix: harmonic embeddings).

The loss and the order of training are those of ``faces/harmonic.py``. What v1 says of the training images is made once,
from the images as they are, in v1's own size: that is what would lie in a gallery. v2 sees them augmented. So v1 may be
of any kind and size; only the numbers in an embedding must be as many.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float
from torch import Tensor, nn

from vitrail.errors import ConfigError, DataError
from vitrail.faces.harmonic import PHASES, begin
from vitrail.faces.networks import FaceEmbedder, FaceNetwork
from vitrail.nn.randomness import derive_seed
from vitrail.recipes.events import Note, Report
from vitrail.recipes.faces import FacesRecipe, open_people, plan
from vitrail.recipes.galleries import require_faces
from vitrail.recipes.inference import embeddings_of, inferring
from vitrail.recipes.training import TrainingImages, carry_out

if TYPE_CHECKING:
    from pathlib import Path

    from vitrail.data import ImageBatch
    from vitrail.recipes.face_model import FaceConfig
    from vitrail.recipes.runs import Run


@dataclass(frozen=True)
class Older:
    """The network v1, which stands still, and its embeddings of the training images, in their order."""

    run: "Run"
    embeddings: Float[Tensor, "n d"]

    def of_batch(self, batch: "ImageBatch") -> Float[Tensor, "b d"]:
        """v1's embeddings of a batch's images."""
        return self.embeddings[batch.indices].to(batch.images.device)

    def facts(self) -> dict[str, Any]:
        """As plain values for ``config.json``: its fingerprint decides what is learned, not where it lies."""
        return {"run": str(self.run.folder), "fingerprint": self.run.model_fingerprint}


def open_older(folder: "Path", recipe: FacesRecipe, images: TrainingImages, report: Report) -> Older:
    """Open v1 and embed v2's training images by it.

    Raises:
        ConfigError: it embeds in another number of dimensions.
        ModelError: it is no face network.
        DataError: v1 can't read some of the images that v2 reads.
    """
    run = require_faces(folder)
    numbers = run.config.embedding_dim  # type: ignore[union-attr]
    if numbers != recipe.embedding_dim:
        raise ConfigError(
            f"embeddings of {run.folder} have {numbers} numbers, and only as many can be compared with them: give "
            f"--embedding-dim {numbers}."
        )
    own = replace(recipe, image_size=min(run.image_size), channels=run.channels)
    seen = open_people(own, run, report).train
    assert images.train.labels is not None
    assert seen.labels is not None
    if not np.array_equal(seen.labels, images.train.labels):
        raise DataError(
            f"in the size that {run.folder} reads, other images of {seen.name} are damaged than in the new network's: "
            "remove damaged images."
        )
    report(Note(f"embedding {len(seen):,} training images by {run.folder}"))
    with inferring(run.model, recipe.device, "float32") as place:
        embeddings = embeddings_of(run.model, seen, place)
    return Older(run, embeddings.clone())


def begin_anew(
    recipe: FacesRecipe,
    config: "FaceConfig",
    model: nn.Module,
    images: TrainingImages,
    older: Older,
    report: Report,
) -> bool:
    """Give v2, which was trained by itself, a fresh embedding layer, and train that alone; then free all of v2.

    The training is a run of its own inside v2's, so that it goes on where it was cut off, or is found done.

    Returns:
        Whether it is finished.
    """
    assert isinstance(model, FaceNetwork | FaceEmbedder)
    alone, whole = PHASES
    seed = derive_seed(recipe.seed, "embedding layer")
    begin(alone, model, model.embedding.linear, seed)
    finished = True
    if recipe.head_epochs:
        # Muon is for the matrices inside blocks, none of which is trained here.
        first = replace(recipe, epochs=recipe.head_epochs, optimizer="adamw", muon_lr=None)
        job = plan(first, config, model, images, older)
        report(Note(f"first the embedding layer alone, for {recipe.head_epochs} epochs"))
        finished, _, _ = carry_out(replace(job, folder=job.folder / "embedding-layer"), first, report)
    begin(whole, model, model.embedding.linear, seed)
    return finished
