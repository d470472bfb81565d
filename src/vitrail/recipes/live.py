"""Models that answer while somebody watches: loaded when first asked for, kept while there is room.

Runs of ours and Hugging Face models alike; what each can be asked (a text, two, an image, a text and what is made of
it) is read from its configuration, so that a page can list models that nobody has asked yet.
"""

import dataclasses
import hashlib
import tempfile
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from torch import nn

from vitrail.capture import Wishes, attend, huggingface, untrained_twin
from vitrail.capture.interventions import Ablate, run_edited
from vitrail.data.decode import open_image
from vitrail.errors import ConfigError, DataError, ModelError
from vitrail.recipes.attend_runs import attend_opened
from vitrail.recipes.live_effects import effect_in_words
from vitrail.recipes.opening import load
from vitrail.recipes.threads import one_thread
from vitrail.trace import Trace
from vitrail.train import read_config
from vitrail.viewer.live import LiveModel, Question, Without

if TYPE_CHECKING:
    from PIL.Image import Image

OPEN = 4
"""Models that are kept in memory; an untrained twin is one."""
READINGS = 64
"""Questions whose inputs are kept, so that a head can be taken away without asking anew."""
LONGEST = 20_000
"""Characters of a text: some 4,000 tokens; the weights of 12 heads are then a gigabyte."""
SHORT, LIGHT = 2_000, 50_000_000
"""Characters of a text and parameters of a model up to which one thread is quicker than several that others disturb."""
KINDS = {"vit": "image", "mae": "image", "faces": "image", "summarizer": "seq2seq", "lm": "text"}
"""Our runs' kinds, as a page asks them."""
HEADS = {
    "next": ("ForCausalLM", "LMHeadModel", "ForConditionalGeneration"),
    "masked": ("ForMaskedLM", "ForPreTraining"),
    "class": ("ForImageClassification", "ForSequenceClassification"),
}
"""What gradients can be of, by how Hugging Face calls models with such a head."""


@dataclass(frozen=True)
class _Open:
    """A model in memory: one of our runs, or of Hugging Face with its tokenizer and processor."""

    run: Any
    model: nn.Module
    tokenizer: Any
    processor: Any
    weights: str


@dataclass(frozen=True)
class _Reading:
    """What a model was last called with, and what its layers and positions are called."""

    run: Callable[[], Any]
    module: nn.Module
    calls: dict[str, tuple[str, ...]]
    """Stream → names of its layers' calls."""
    heads: dict[str, int]
    """Stream → heads of a layer."""
    texts: tuple[tuple[str, ...], ...]
    """Tokens of each axis."""
    causal: bool | None


class Models:
    """Models by folder or name, to be asked through ``viewer.live``."""

    def __init__(self, sources: Iterable[str]) -> None:
        self._sources: dict[str, str] = {}
        self._models: dict[str, LiveModel] = {}
        self._open: OrderedDict[tuple[str, bool], _Open] = OrderedDict()
        self._readings: OrderedDict[Question, _Reading] = OrderedDict()
        self._checked: set[tuple[str, bool]] = set()
        for source in sources:
            self.add(source)

    def add(self, source: str, name: str | None = None) -> LiveModel:
        """List a model, under a name or as it was typed; nothing of it is loaded but its configuration.

        Raises:
            ModelError: there is no such model.
        """
        identity = hashlib.blake2b(source.encode("utf-8", "replace"), digest_size=6).hexdigest()
        self._sources[identity] = source
        self._models[identity] = self._described(identity, source, name or source)
        return self._models[identity]

    @property
    def models(self) -> Sequence[LiveModel]:
        """Those that can be asked."""
        return tuple(self._models.values())

    def prepare(self, model: str) -> None:
        """Load a model before it is asked: the first answer then takes as long as the next."""
        self._opened(model, False)

    def attend(self, question: Question) -> Trace:
        """What a model attends to.

        Raises:
            VitrailError: the model can't be loaded, or not be asked this.
        """
        for text in (question.text, question.pair, question.target):
            if text is not None and len(text) > LONGEST:
                raise DataError(
                    f"a text of {len(text):,} characters is more than live models read: send at most {LONGEST:,}."
                )
        key = question.model, question.untrained
        opened = self._opened(*key)
        calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

        def hear(module: nn.Module, given: tuple[Any, ...], named: dict[str, Any]) -> None:
            calls[:] = [(given, named)]

        hook = opened.model.register_forward_pre_hook(hear, with_kwargs=True)
        try:
            # One answer that was compared with the model's own is enough: the next goes the same way, at half the cost.
            with _threads(opened.model, question):
                says = set(self._models[question.model].gradients) - {"loss"}
                trace = self._traced(opened, question, Wishes(check=key not in self._checked, predictions=bool(says)))
        finally:
            hook.remove()
        self._checked.add(key)
        if calls:
            given, named = calls[0]
            self._keep(question, trace, opened.model, partial(opened.model, *given, **named))
        return trace

    def ablate(self, question: Question, without: Without) -> tuple[float, str]:
        """How far the output moves without a head.

        Raises:
            ConfigError: there is no such head.
        """
        if question not in self._readings:
            self.attend(question)
        reading = self._readings[question]
        calls = reading.calls.get(without.stream, ())
        if without.layer >= len(calls) or without.head >= reading.heads[without.stream]:
            raise ConfigError(f"there is no head {without.layer}.{without.head} in {without.stream!r}: choose another.")
        edit = Ablate({calls[without.layer]: [without.head]}, without.kind)
        with _causality(reading.module, reading.causal), _threads(reading.module, question):
            before = run_edited(reading.module, reading.run, Ablate({}))
            after = run_edited(reading.module, reading.run, edit)
        return effect_in_words(before, after, f"{without.layer}.{without.head}", without.kind, reading.texts)

    def _traced(self, opened: _Open, question: Question, wishes: Wishes) -> Trace:
        texts = question.text or None, question.pair or None
        image = None if question.image is None else open_image(question.image, "that was sent", "send a JPEG or PNG")
        if opened.run is not None:
            if question.causal is not None:
                raise ConfigError("who sees what is built into a run of ours: leave that switch alone.")
            with _file_of(image) as path:
                return attend_opened(
                    opened.run, opened.weights, *texts, question.target, path, question.gradient, 0, wishes
                )
        trace = attend(
            opened.model,
            opened.tokenizer,
            *texts,
            target=question.target,
            image=None if image is None else image.convert("RGB"),
            processor=opened.processor,
            gradient=question.gradient,
            causal=question.causal,
            wishes=wishes,
        )
        seed = 0 if question.untrained else trace.provenance.seed
        name = self._models[question.model].name
        known = dataclasses.replace(trace.provenance, model=name, weights=opened.weights, seed=seed)
        return dataclasses.replace(trace, provenance=known)

    def _keep(self, question: Question, trace: Trace, module: nn.Module, run: Callable[[], Any]) -> None:
        calls = {part.name: tuple(layer.name for layer in part.layers) for part in trace.parts}
        heads = {part.name: part.layers[0].heads if part.layers else 0 for part in trace.parts}
        texts = tuple(axis.texts for axis in trace.axes.values() if axis.texts)
        self._readings[question] = _Reading(run, module, calls, heads, texts, question.causal)
        while len(self._readings) > READINGS:
            self._readings.popitem(last=False)

    def _opened(self, identity: str, untrained: bool) -> _Open:
        key = identity, untrained
        if key not in self._open:
            self._open[key] = _twin(self._opened(identity, False)) if untrained else _read(self._sources[identity])
        self._open.move_to_end(key)
        while len(self._open) > OPEN:
            gone = self._open.popitem(last=False)[1].model
            for question in [one for one, reading in self._readings.items() if reading.module is gone]:
                del self._readings[question]
        return self._open[key]

    def _described(self, identity: str, source: str, name: str) -> LiveModel:
        folder = Path(source)
        if not folder.is_dir():  # a name on the hub: only its loading says what it is
            opened: Any = self._opened(identity, False).model
            settings: dict[str, Any] = opened.config.to_dict()
        else:
            settings = read_config(folder)
        if "kind" in settings:
            if settings["kind"] not in KINDS:
                raise ModelError(f"{source} is a run of kind {settings['kind']!r}, which attends to nothing.")
            kind: Any = KINDS[settings["kind"]]
            return LiveModel(identity, name, kind, gradients=_gradients_of_run(settings))
        head = str((settings.get("architectures") or [""])[0])
        gradients = tuple(word for word, endings in HEADS.items() if any(ending in head for ending in endings))
        if settings.get("is_encoder_decoder"):
            return LiveModel(identity, name, "seq2seq", gradients=gradients)
        if "image_size" in settings and "vocab_size" not in settings:
            return LiveModel(identity, name, "image", gradients=gradients)
        pair = "type_vocab_size" in settings
        return LiveModel(identity, name, "text", pair=pair, causal=True, gradients=gradients)


def _gradients_of_run(settings: Mapping[str, Any]) -> tuple[str, ...]:
    """What gradients of one of our runs can be of."""
    kind, model = settings["kind"], settings.get("model", {})
    if kind == "vit":
        return ("class",) if model.get("classes") else ()
    if kind == "lm":
        return ("next",) if model.get("causal", True) else ("masked",)
    return {"mae": ("loss",), "summarizer": ("next",)}.get(kind, ())


def _read(source: str) -> _Open:
    folder = Path(source)
    if folder.is_dir() and "kind" in read_config(folder):
        run = load(folder)
        return _Open(run, run.model, None, None, "trained")
    model, tokenizer, processor = huggingface.load(source)
    return _Open(None, model, tokenizer, processor, "trained")


def _twin(opened: _Open) -> _Open:
    """The same model with random weights, as its library draws them, or as PyTorch where the library can't."""
    how: Literal["library", "pytorch"] = "library"
    try:
        model = untrained_twin(opened.model, how)
    except ModelError:
        how = "pytorch"
        model = untrained_twin(opened.model, how)
    run = None if opened.run is None else dataclasses.replace(opened.run, model=model.eval())
    return dataclasses.replace(opened, run=run, model=model.eval(), weights=f"untrained ({how})")


@contextmanager
def _file_of(image: "Image | None") -> Iterator[Path | None]:
    """An image as a file, which our runs read, until the block ends."""
    if image is None:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="vitrail-") as folder:
        path = Path(folder) / "image.png"
        image.save(path)
        yield path


def _threads(module: nn.Module, question: Question) -> AbstractContextManager[None]:
    """One thread where several would wait for each other longer than they would work."""
    text = f"{question.text}{question.pair}{question.target}"
    small = len(text) <= SHORT and sum(x.numel() for x in module.parameters()) <= LIGHT
    return one_thread() if small else nullcontext()


def _causality(module: nn.Module, causal: bool | None) -> AbstractContextManager[None]:
    return nullcontext() if causal is None else huggingface.causality(module, causal)
