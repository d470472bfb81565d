"""A model and an input → a trace of what every head attended to: Vitrail's own runs here, all others by ``capture``.

What a position is, is said here for our runs: a token of the run's tokenizer, a patch of an image fitted to the model.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from vitrail.errors import ConfigError, DataError, ModelError
from vitrail.recipes.events import Note, Report, ignore

if TYPE_CHECKING:
    from vitrail.capture import Target, Wishes
    from vitrail.recipes.language_runs import LanguageRun
    from vitrail.recipes.runs import Run
    from vitrail.recipes.text_runs import TextRun
    from vitrail.text.tokens import Tokens
    from vitrail.trace import Axis, Trace


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
    half: bool = False
    """Keep numbers in 16 bits: half as long, with an error that the trace says."""
    scores: bool = False
    """Show what each head does: its strongest role, and the evidence."""
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


def run(recipe: AttendRecipe, report: Report = ignore) -> tuple[Path, "Trace"]:
    """Capture and write a trace; its path, and itself.

    Raises:
        VitrailError: the model or the input can't be used, or its attention can't be captured.
    """
    from vitrail.capture import Wishes
    from vitrail.train.files import output_errors

    if not recipe.texts and recipe.image is None:
        raise ConfigError("there is nothing to attend to: give a text after the model, or an --image.")
    if len(recipe.texts) > 2:
        raise ConfigError(f"{len(recipe.texts)} texts can't be read together, only one or two: put quotes around each.")
    causal = None if recipe.causal is None else recipe.causal == "on"
    trace = attend(
        recipe.model,
        *recipe.texts,
        target=recipe.target,
        image=recipe.image,
        untrained=recipe.untrained,
        causal=causal,
        seed=recipe.seed,
        wishes=Wishes(hidden=recipe.hidden, half=recipe.half),
    )
    path = recipe.place()
    with output_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    trace.save(path)
    for part in trace.parts:
        layers = len(part.layers)
        queries, keys = (len(trace.axis(axis).texts or ()) for axis in (part.queries, part.keys))
        report(Note(f"{part.name}: {layers} layers of {part.layers[0].heads} heads, {queries} x {keys} positions"))
    return path, trace


def attend(
    model: Any,
    text: str | None = None,
    pair: str | None = None,
    *,
    target: str | None = None,
    image: Any = None,
    tokenizer: Any = None,
    processor: Any = None,
    gradient: "Target | None" = None,
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
        gradient: what gradients are of (``vitrail.capture.gradients``); not of runs, so far.
        causal: of a Hugging Face model, switch looking ahead off (True) or on (False).
        untrained: the same model with random weights.
        seed: of random weights, and of hidden patches.
        wishes: what else to keep.

    Raises:
        VitrailError: the model or the input can't be used, or its attention can't be captured.
    """
    from vitrail import capture
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
    foreign = {"tokenizer": tokenizer, "processor": processor, "gradient": gradient, "causal": causal}
    given = [name for name, value in foreign.items() if value is not None]
    if given:
        raise ConfigError(f"{folder} is a run, and {' and '.join(given)} can't be given for one: leave that out.")
    return _of_run(folder, text, pair, target, image, untrained, seed, wishes)


def _of_run(
    folder: Path,
    text: str | None,
    pair: str | None,
    target: str | None,
    image: Any,
    untrained: Literal["library", "pytorch"] | None,
    seed: int,
    wishes: "Wishes | None",
) -> "Trace":
    from vitrail.capture import untrained_twin
    from vitrail.recipes.language_runs import LanguageRun
    from vitrail.recipes.opening import load
    from vitrail.recipes.text_runs import TextRun

    opened = load(folder)
    if untrained is not None:
        opened = dataclasses.replace(opened, model=untrained_twin(opened.model, untrained, seed).eval())
    known = {"model": str(folder), "weights": "trained" if untrained is None else f"untrained ({untrained})"}
    if isinstance(opened, TextRun | LanguageRun):
        if image is not None or text is None:
            raise ConfigError(f"{folder} is a run of kind {opened.kind}, which reads texts: give one, and no image.")
        if pair is not None:
            raise ConfigError(f"{folder} reads one text at a time: leave the second out.")
        if isinstance(opened, TextRun):
            return _summarizer(opened, text, target, known, wishes)
        if target is not None:
            raise ConfigError(f"{folder} is a language model, which has no target: leave it out.")
        return _language(opened, text, known, wishes)
    if image is None or text is not None:
        raise ConfigError(f"{folder} is a run of kind {opened.kind}, which sees images: give --image, and no text.")
    return _pictures(opened, image, seed, known, wishes)


def _summarizer(
    opened: "TextRun", text: str, target: str | None, known: dict[str, str], wishes: "Wishes | None"
) -> "Trace":
    """Encoder, decoder and cross-attention; the target is teacher-forced, so that all of it is one pass."""
    import torch

    from vitrail.capture.tracing import describe, trace_run
    from vitrail.text import Decoding
    from vitrail.text.engines import TorchEngine

    tokens = opened.tokens
    ids, source = _tokens_of(tokens, text, "source", [tokens.end])
    config = opened.model.config
    room = config.max_length if config.positions == "learned" else None
    _require_room(len(ids), room, opened.folder)
    if target is None:
        (written,) = TorchEngine(opened.model).prepare(Decoding(max_tokens=opened.longest_summary))([ids])
    else:
        written = tokens.encode([target])[0]
        _require_room(len(written) + 1, room, opened.folder)
    before = [tokens.start, *(written[:-1] if written[-1:] == [tokens.end] else written)]
    _, goal = _tokens_of(tokens, None, "target", before)
    axes = {"source": source, "target": goal}
    inputs = torch.tensor([ids]), torch.tensor([before])

    def axis(stream: str, side: Literal["queries", "keys"], length: int) -> "Axis":
        return axes["source" if stream == "encoder" or (stream == "cross" and side == "keys") else "target"]

    about = describe(opened.model, **known, texts=(text, tokens.decode(written)))
    return trace_run(opened.model, partial(opened.model, *inputs), axis, provenance=about, wishes=wishes)


def _language(opened: "LanguageRun", text: str, known: dict[str, str], wishes: "Wishes | None") -> "Trace":
    import torch

    from vitrail.capture.tracing import describe, trace_run

    ids, axis = _tokens_of(opened.tokens, text, "tokens", [])
    _require_room(len(ids), opened.model.config.max_length, opened.folder)
    about = describe(opened.model, **known, texts=(text,))
    return trace_run(
        opened.model, partial(opened.model, torch.tensor([ids])), lambda *_: axis, provenance=about, wishes=wishes
    )


def _tokens_of(tokens: "Tokens", text: str | None, name: str, added: Sequence[int]) -> tuple[list[int], "Axis"]:
    """A text's tokens and some after them, as numbers and as an axis."""
    import numpy as np

    from vitrail.trace import Axis

    ids = [*(tokens.encode([text])[0] if text is not None else []), *added]
    if text is not None and not text.strip():
        raise DataError("the text is empty: give at least one word to attend from.")
    special = {tokens.start, tokens.end, tokens.pad}
    read = [piece.replace("Ġ", " ").replace("▁", " ") for piece in tokens.texts(ids)]
    return ids, Axis(
        name,
        "tokens",
        len(ids),
        texts=tuple(read),
        ids=np.array(ids, dtype=np.int32),
        words=_words(read, [token in special for token in ids]),
        special=np.array([token in special for token in ids]),
    )


def _words(read: Sequence[str], special: Sequence[bool]) -> Any:
    """Which word each token is of: a leading space begins one."""
    import numpy as np

    found, word = [], -1
    for text, apart in zip(read, special, strict=True):
        word += not apart and (text.startswith(" ") or word < 0)
        found.append(-1 if apart else word)
    return np.array(found, dtype=np.int32)


def _require_room(length: int, room: int | None, where: Path) -> None:
    if room is not None and length > room:
        raise DataError(f"the text has {length:,} tokens, and {where} reads {room:,}: give a shorter one.")


def _pictures(opened: "Run", image: Any, seed: int, known: dict[str, str], wishes: "Wishes | None") -> "Trace":
    """An encoder on patches; of a masked autoencoder, on the visible ones, and its decoder on all."""
    import torch

    from vitrail.capture.pictures import IMAGE, patch_axis
    from vitrail.capture.tracing import describe, trace_run
    from vitrail.data.decode import open_image, to_array
    from vitrail.nn.randomness import RowRandom
    from vitrail.vision import MaskedAutoencoder, ViT
    from vitrail.vision.masking import mask_scores, split

    height, width = opened.image_size
    if height != width:
        raise ConfigError(f"{opened.folder} reads images of {height}x{width} pixels, and files are fitted to squares.")
    pixels = torch.tensor(to_array(open_image(Path(image), str(image)), opened.channels, height))[None]
    model = opened.model
    encoder = next((module for module in model.modules() if isinstance(module, ViT)), None)
    if encoder is None:
        raise ModelError(f"{opened.folder} is a network of convolutions, which attends to nothing: name another run.")
    patch = (height // encoder.config.grid[0], width // encoder.config.grid[1])
    inputs: tuple[torch.Tensor, ...] = (opened.normalise(pixels),)
    visible = hidden = order = None
    if isinstance(model, MaskedAutoencoder):
        noise = RowRandom(seed, 0, range(1), 1).uniform("mask", model.config.patches)
        parts = split(mask_scores(model.config.masking, noise, encoder.config.grid), model.keep)
        visible, hidden = parts.visible[0].numpy(), parts.mask[0].bool().numpy()
        order = torch.cat([parts.visible, parts.hidden], 1)[0].numpy()
        inputs = (*inputs, noise)

    def axis(stream: str, side: Literal["queries", "keys"], length: int) -> "Axis":
        own = visible
        if stream == "mae-decoder":
            assert order is not None
            assert visible is not None
            own = order if length >= len(order) else order[len(visible) :] if side == "queries" else visible
        found = patch_axis(length, (height, width), patch, name=f"{stream} {side} {length}", visible=own, hidden=hidden)
        assert found is not None
        return found

    seen = pixels[0].expand(3, -1, -1).permute(1, 2, 0).contiguous().numpy()
    return trace_run(
        model,
        partial(model, *inputs),
        axis,
        provenance=describe(model, **known, seed=None if visible is None else seed),
        images={IMAGE: seen},
        streams=lambda call: "mae-decoder" if call.layer.startswith("decoder") else "encoder",
        wishes=wishes,
    )
