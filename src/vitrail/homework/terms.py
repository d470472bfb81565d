"""What can be asked of each exercise: options without torch, so that ``--help`` is quick."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vitrail.errors import ConfigError


@dataclass(frozen=True)
class StudentOptions:
    """What is done with a student's own code."""

    check: Path | None = None
    """Your own code, a .py file: each of its functions is tried beside ours, and the first tensor that differs named.
    This runs the file, with all that it does: only name one that you trust."""
    blank: Path | None = None
    """Write the exercise's skeleton to this .py file: names, signatures, shapes, nothing done yet."""

    def require_one_job(self, others: bool) -> None:
        """Refuse what can't be done in one go.

        Raises:
            ConfigError: --check or --blank beside another job.
        """
        if (self.check is not None) + (self.blank is not None) + others > 1:
            raise ConfigError("--check and --blank are jobs of their own: give one of them, and nothing else to do.")


@dataclass(frozen=True)
class MAEHomework(StudentOptions):
    """Do the Masked Autoencoder exercise: its checks, autograder.pt; or check your own code.

    The file's accuracies come from the runs you name, or from --train; what is missing is said and left out.
    """

    reference: Path | None = None
    """The course's test_reference.pt: our functions are compared with its numbers."""
    autograder: Path | None = None
    """The course's autograder_student.pt: our functions' results for it are written to --output."""
    output: Path = Path("autograder.pt")
    """File to hand in; an older one is replaced."""
    vit: Path | None = None
    """Run of a 'vitrail train vit' from scratch: its test accuracy is vit_acc."""
    linear: Path | None = None
    """Run of a 'vitrail train mae': the test accuracy of a linear probe on it is mae_linear_acc."""
    finetune: Path | None = None
    """Run of a 'vitrail train vit --init': its test accuracy is mae_finetune_acc."""
    train: bool = False
    """Train all three on --data, in the folder --run; what is trained already is not trained again."""
    data: str | None = None
    """Of --train: labelled images with a test part, as for 'vitrail train vit'."""
    run: Path = Path("runs/homework-mae")
    """Of --train: folder for its three runs."""
    preset: str = "course"
    """Of --train: shape of the models."""
    epochs: int = 10
    """Of --train: passes over the images, of the ViT from scratch."""
    pretrain_epochs: int = 20
    """Of --train: passes of the masked autoencoder."""
    finetune_epochs: int = 20
    """Of --train: passes of fine-tuning."""
    batch_size: int = 128
    """Of --train: images in one step."""
    seed: int = 0
    """Of --train: seed of everything random."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Of accuracies. "auto": a GPU if there is one."""

    def __post_init__(self) -> None:
        named = any(run is not None for run in (self.vit, self.linear, self.finetune))
        work = self.reference is not None or self.autograder is not None or self.train or named
        self.require_one_job(work)
        if not (work or self.check or self.blank):
            raise ConfigError(
                "there is nothing to do: give --reference and --autograder with the course's files, --check with your "
                "own code, or --blank for a skeleton."
            )
        if (self.train or named) and self.autograder is None:
            raise ConfigError("accuracies are written beside results: give --autograder with the course's file.")
        if self.train and self.data is None:
            raise ConfigError("--train needs images: give --data, as for 'vitrail train vit'.")
        if self.train and named:
            raise ConfigError("--train and runs that are there already are two ways to one figure: give one of them.")


@dataclass(frozen=True)
class SummarizationHomework(StudentOptions):
    """Do the summarization exercise: its checks, submission_log.json; or check your own code."""

    output: Path = Path("submission_log.json")
    """File to hand in; a copy of it is called submission_logs.json, for the course names both."""
    curves: Path | None = None
    """Folder of a training, Vitrail's or Seq2SeqTrainer's with TensorBoard's files: draw its losses beside --output."""

    def __post_init__(self) -> None:
        self.require_one_job(self.curves is not None)
