"""Every error that a person can cause, and nothing else.

::

    VitrailError
    ├── ConfigError            an option, a preset or a combination of them that can't be meant
    ├── DataError              a folder, a file, an image or a label that can't be used
    │   └── MissingDataError   nothing is there by that name
    ├── ModelError             weights or a model of another kind, shape or name
    │   └── MissingModelError  it would do, and isn't installed or downloaded
    ├── CheckpointError        a checkpoint that is damaged or belongs to another run
    ├── TrainingError          a run that can't go on
    │   ├── NonFiniteLossError the loss became NaN or infinite
    │   └── CollapseError      all embeddings became one
    ├── TraceError             a trace that is damaged or asked for what it doesn't hold
    ├── StudyError             studies that failed while the others went on
    ├── GalleryError           a gallery of another model, damaged or busy, or a person who isn't in it
    └── OutputError            a result that can't be written (no room, no permission)

Each message is one sentence that names what was found, what was expected, and the remedy.
The command line prints it and exits with 2; a library caller catches ``VitrailError``.
"""


class VitrailError(Exception):
    """The root of all errors a person can cause; its text is one sentence with the remedy."""


class ConfigError(VitrailError):
    """An option, a preset or a combination of options that can't be meant."""


class DataError(VitrailError):
    """A folder, a file, an image or a label that can't be used."""


class MissingDataError(DataError):
    """Data that aren't where they were looked for."""


class ModelError(VitrailError):
    """Weights or a model of another kind, shape or name than the one needed."""


class MissingModelError(ModelError):
    """A model that would do, and isn't installed or downloaded."""


class CheckpointError(VitrailError):
    """A checkpoint that is damaged or belongs to another run."""


class TrainingError(VitrailError):
    """A training run that can't go on."""


class NonFiniteLossError(TrainingError):
    """The loss became NaN or infinite; the text names the step and the batch."""


class CollapseError(TrainingError):
    """All embeddings became one and no gradient leads out of it; the text says what to change."""


class TraceError(VitrailError):
    """A trace that is damaged, contradicts itself, or is asked for what it doesn't hold."""


class StudyError(VitrailError):
    """Some of several studies failed; the text names them, and where the others are."""


class GalleryError(VitrailError):
    """A gallery of another model, damaged or busy, or a person who isn't in it."""


class OutputError(VitrailError):
    """A result that can't be written: no room, no permission, not a folder."""
