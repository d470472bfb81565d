"""A model and an input → a trace of what every head attended to: Vitrail's own runs here, all others by ``capture``.

What a position is in our runs stands in ``attend_runs.py``.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from vitrail.errors import ConfigError
from vitrail.recipes.events import Note, Report, ignore

if TYPE_CHECKING:
    from vitrail.capture import Target, Wishes
    from vitrail.trace import Trace


@dataclass(frozen=True)
class AttendRecipe:
    """Keep what every head of a model attends to, on one input, as a trace: any run, or any Hugging Face model."""

    model: str
    """Folder of a run, or a folder or Hub name of a Hugging Face model."""
    texts: tuple[str, ...]
    """What is read: a text, or two that are read together; nothing with --image."""
    target: str | None = None
    """Of an encoder-decoder: what it is made to write (default: what it writes)."""
    image: Path | None = None
    """An image file, fitted to the model."""
    untrained: Literal["library", "pytorch"] | None = None
    """The same model with random weights instead: as its library, or as PyTorch begins."""
    causal: Literal["on", "off"] | None = None
    """Let a Hugging Face decoder look ahead (off), or keep an encoder from it (on)."""
    hidden: bool = False
    """Keep the residual stream after each block, too."""
    gradient: str | None = None
    """Keep gradients of this number: next, next:WORD, masked, masked:WORD, class, class:NAME, loss (of a masked
    autoencoder). A position may be named: next@4, counted from 0."""
    predictions: bool = False
    """Keep the likeliest tokens or classes at each position, and what they would be after each layer (logit lens)."""
    ablate: Literal["zero", "mean"] | None = None
    """Take away each head in turn, put zeros or its mean there, and keep how much the output (or --gradient's number)
    changes: the score "ablation". The model is run once for each head."""
    before_rotation: bool = False
    """Keep queries and keys before rotary positions, too (Llama and its kin)."""
    half: bool = False
    """Keep numbers in 16 bits: half as long, with an error that the trace says."""
    scores: bool = False
    """Show what each head does: its strongest role, and the evidence."""
    figures: Literal["png", "svg"] | None = None
    """Draw what it holds beside the trace: the atlas, scores, all heads, the clearest ones (alone: png)."""
    beside: Path | None = None
    """With --figures: another trace, of the untrained model say, whose atlas is drawn beside this one's."""
    seed: int = 0
    """Of random weights, and of patches that a masked autoencoder hides."""
    output: Path | None = None
    """The file to write (default: trace.safetensors in the run's folder, or here)."""

    def place(self) -> Path:
        """Where the trace goes."""
        if self.output is not None:
            return self.output
        folder = Path(self.model)
        own = folder.is_dir() and (folder / "config.json").is_file()
        return folder / "trace.safetensors" if own else Path("trace.safetensors")

    def drawn(self) -> Path:
        """Where figures go: a folder beside the trace, with its name."""
        place = self.place()
        return place.with_name(f"{place.stem}-figures")


def run(recipe: AttendRecipe, report: Report = ignore) -> tuple[Path, "Trace"]:
    """Capture and write a trace; its path, and itself.

    Raises:
        VitrailError: the model or the input can't be used, or its attention can't be captured.
    """
    from vitrail.capture import Wishes
    from vitrail.files import output_errors

    if not recipe.texts and recipe.image is None:
        raise ConfigError("there is nothing to attend to: give a text after the model, or an --image.")
    if len(recipe.texts) > 2:
        raise ConfigError(f"{len(recipe.texts)} texts can't be read together, only one or two: put quotes around each.")
    other = _other(recipe)
    causal = None if recipe.causal is None else recipe.causal == "on"
    trace = attend(
        recipe.model,
        *recipe.texts,
        target=recipe.target,
        image=recipe.image,
        untrained=recipe.untrained,
        causal=causal,
        seed=recipe.seed,
        gradient=recipe.gradient,
        wishes=Wishes(
            hidden=recipe.hidden,
            half=recipe.half,
            predictions=recipe.predictions,
            ablation=recipe.ablate,
            before_rotation=recipe.before_rotation,
        ),
    )
    path = recipe.place()
    with output_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    trace.save(path)
    for part in trace.parts:
        layers = len(part.layers)
        queries, keys = (len(trace.axis(axis).texts or ()) for axis in (part.queries, part.keys))
        report(Note(f"{part.name}: {layers} layers of {part.layers[0].heads} heads, {queries} x {keys} positions"))
    if "predictions" in trace.provenance.notes:
        report(Note(f"predictions: {trace.provenance.notes['predictions']}"))
    if recipe.figures is not None:
        from vitrail.viewer.figures import draw_all

        written = draw_all(trace, recipe.drawn(), recipe.figures, other)
        report(Note(f"{len(written)} figures: {', '.join(one.name for one in written)}"))
    return path, trace


def _other(recipe: AttendRecipe) -> "Trace | None":
    """The trace that is drawn beside the new one; read before anything is captured, for it may be missing."""
    from vitrail.trace import load_trace

    if recipe.beside is None:
        return None
    if recipe.figures is None:
        raise ConfigError(f"{recipe.beside} is to be drawn beside the new trace, and nothing is drawn: give --figures.")
    return load_trace(recipe.beside)


def attend(
    model: Any,
    text: str | None = None,
    pair: str | None = None,
    *,
    target: str | None = None,
    image: Any = None,
    tokenizer: Any = None,
    processor: Any = None,
    gradient: "Target | str | None" = None,
    causal: bool | None = None,
    untrained: Literal["library", "pytorch"] | None = None,
    seed: int = 0,
    wishes: "Wishes | None" = None,
) -> "Trace":
    """What a model attends to: ``vt.attend("runs/summarizer", "A long text ...")``.

    Args:
        model: the folder of a run, a folder or hub name of a Hugging Face model, or a module.
        text: what is read.
        pair: a second text, read together with the first.
        target: of an encoder-decoder: what it is made to write; None lets it write and then traces that.
        image: what is seen: a path, or as ``vitrail.capture.attend`` takes it.
        tokenizer: of a module, of Hugging Face or a function from texts to an ``Axis``.
        processor: of a module, makes numbers of an image.
        gradient: what gradients are of: "next", "next:WORD", "masked", "class:3", … (``vitrail.capture.asking``), or
            your own number (``vitrail.capture.gradients``).
        causal: of a Hugging Face model, switch looking ahead off (True) or on (False).
        untrained: the same model with random weights.
        seed: of random weights, and of hidden patches.
        wishes: what else to keep.

    Raises:
        VitrailError: the model or the input can't be used, or its attention can't be captured.
    """
    from vitrail import capture
    from vitrail.recipes.attend_runs import attend_run
    from vitrail.train import read_config

    folder = Path(model) if isinstance(model, str | Path) else None
    settings = read_config(folder) if folder is not None and (folder / "config.json").is_file() else {}
    if folder is None or "kind" not in settings:
        return capture.attend(
            model,
            tokenizer,
            text,
            pair,
            target=target,
            image=image,
            processor=processor,
            gradient=gradient,
            causal=causal,
            untrained=untrained,
            seed=seed,
            wishes=wishes,
        )
    foreign = {"tokenizer": tokenizer, "processor": processor, "causal": causal}
    given = [name for name, value in foreign.items() if value is not None]
    if given:
        raise ConfigError(f"{folder} is a run, and {' and '.join(given)} can't be given for one: leave that out.")
    return attend_run(folder, text, pair, target, image, gradient, untrained, seed, wishes)
