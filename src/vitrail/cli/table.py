"""The commands, as a static table: ``vitrail --help`` is read from here, so that it imports no command."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Command:
    """One command of ``vitrail``.

    Args:
        name: the word or words after ``vitrail``, as in ``train mae``.
        arguments: what follows them in the overview, beside the options.
        summary: what it does, in one line.
        module: where it lives; its ``command(arguments, screen)`` runs it and returns an ``Ending``.
        pipes: whether standard output is for its results alone; all else it says then goes to standard error.
    """

    name: str
    arguments: str
    summary: str
    module: str
    pipes: bool = False

    @property
    def words(self) -> list[str]:
        """The words that pick this command."""
        return self.name.split()


COMMANDS: tuple[Command, ...] = (
    Command("demo", "", "the main job on embedded data, offline, in about four minutes", "vitrail.cli.demo"),
    Command("train vit", "", "train a Vision Transformer on labelled images", "vitrail.cli.train_vit"),
    Command("train mae", "", "pretrain a Masked Autoencoder on images", "vitrail.cli.train_mae"),
    Command(
        "train faces", "", "train a network whose distances tell people apart (FaceNet)", "vitrail.cli.train_faces"
    ),
    Command("train summarizer", "", "train a Transformer that writes summaries", "vitrail.cli.train_summarizer"),
    Command("train lm", "", "train a language model that writes, or one that fills in", "vitrail.cli.train_lm"),
    Command(
        "summarize",
        "RUN [FILE...]",
        "write summaries of files, or of standard input, a line each",
        "vitrail.cli.summarize",
        pipes=True,
    ),
    Command(
        "attend",
        "MODEL TEXT [TEXT_B]",
        "keep what every head attends to, of any run or Hugging Face model",
        "vitrail.cli.attend",
    ),
    Command("view", "[RUN|TRACE|MODEL]... [TEXT]", "see every head in the browser", "vitrail.cli.view"),
    Command("faces embed", "RUN PHOTO...", "turn faces in photographs into vectors", "vitrail.cli.faces_embed"),
    Command("faces verify", "RUN PHOTO PHOTO", "are these two one person?", "vitrail.cli.faces_verify"),
    Command("faces enroll", "RUN NAME PHOTO...", "keep a person's faces in a gallery", "vitrail.cli.faces_enroll"),
    Command("faces identify", "RUN PHOTO...", "who of a gallery's people is it?", "vitrail.cli.faces_identify"),
    Command("faces forget", "NAME", "remove every trace of a person from a gallery", "vitrail.cli.faces_forget"),
    Command("faces people", "", "list who is in a gallery", "vitrail.cli.faces_people"),
    Command("faces cluster", "RUN PHOTO...", "put all faces together by person", "vitrail.cli.faces_cluster"),
    Command("faces networks", "", "weights and multiply-adds of FaceNet's networks", "vitrail.cli.faces_networks"),
    Command("probe", "RUN", "measure what an encoder learned: linear, attentive, kNN, finetune", "vitrail.cli.probe"),
    Command("evaluate", "RUN", "the field's own measures for a run, with intervals", "vitrail.cli.evaluate"),
    Command(
        "reconstruct", "RUN IMAGE...", "original | masked | reconstruction, as a picture", "vitrail.cli.reconstruct"
    ),
    Command("study", "NAME", "rerun one question's experiment, or all: tables, figures, a page", "vitrail.cli.study"),
    Command("homework mae", "", "the Masked Autoencoder exercise: checks, autograder.pt", "vitrail.cli.homework_mae"),
    Command(
        "homework summarization",
        "",
        "the summarization exercise: checks, submission_log.json",
        "vitrail.cli.homework_summarization",
    ),
    Command(
        "homework attention",
        "",
        "the exercise on attention: traces, and a page of views on them",
        "vitrail.cli.homework_attention",
    ),
    Command(
        "homework facenet",
        "",
        "the exercise on FaceNet: a page with what can be computed",
        "vitrail.cli.homework_facenet",
    ),
    Command("homework pack", "", "what is handed in, in one zip; what is missing is said", "vitrail.cli.homework_pack"),
    Command("export", "RUN", "hand the weights to Hugging Face, timm or another library", "vitrail.cli.export"),
)

GLOBAL_OPTIONS: tuple[tuple[str, str], ...] = (
    ("-h, --help", "this page; after a command, its options with units and defaults"),
    ("--version", "the version of Vitrail"),
    ("--debug", "after any command: show the full traceback of an error"),
)


def overview(commands: tuple[Command, ...] = COMMANDS) -> str:
    """The page that ``vitrail --help`` prints, or the part of it about some commands."""
    left = [f"vitrail {command.name} {command.arguments}".rstrip() for command in commands]
    width = max(len(entry) for entry in [*left, *(flag for flag, _ in GLOBAL_OPTIONS)])
    rows = [f"  {entry:<{width}}  {command.summary}" for entry, command in zip(left, commands, strict=True)]
    options = [f"  {flag:<{width}}  {text}" for flag, text in GLOBAL_OPTIONS]
    return "\n".join(
        [
            "Vitrail trains and measures vision transformers, masked autoencoders and face networks on your images,",
            "and Transformers that summarize your texts.",
            "",
            "commands:",
            *rows,
            "",
            "options:",
            *options,
            "",
            "Start with:  vitrail demo",
        ]
    )
