"""Texts written by CTranslate2 from a folder that ``to_ctranslate2`` wrote, under the options of our own decoding.

In float32 its texts are ours token by token (``tests/text/test_ctranslate2.py``), with what is said here:

- Lengths: as here, a text's log-probability is divided by its number of tokens, the end included, to the power of
  ``length_penalty``; ``max_tokens`` and ``min_tokens`` count alike. Its defaults (2 beams, a token at least, sources
  cut at 1,024 tokens) are never left to it.
- ``early_stopping``: it ends a search with as many ended texts as beams (True), or, with enough patience, at
  ``max_tokens`` ("never": dearer than ours, which sees that nothing can change any more). Without a length penalty it
  goes on until no text can be better, which is False, "never" and, for the best text, as good as either. False with a
  length penalty is refused: it doesn't look at the best text under way.
- Beam search with ``no_repeat_ngram`` or ``min_tokens``: it forbids tokens before it makes log-probabilities of
  logits, which is our ``renormalise``; without that, scores differ, and with them some texts. ``differences`` says so.
- ``no_repeat_ngram`` looks at what was written after the start token, ours at the start token too. For single tokens
  we forbid that; longer ones differ only in a text that holds the start token again without ending.
- ``first`` in a beam search: it counts no end right after a given token, so that is refused below two ``min_tokens``.
- ``last`` is refused. Draws are its own: the same distribution, other texts.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from vitrail.errors import ConfigError, ModelError
from vitrail.text.ctranslate2 import CONFIG, MARK, VOCABULARY, fingerprint_of, library
from vitrail.text.decoding import Hear
from vitrail.text.engines import Write
from vitrail.text.options import Decoding

NEARLY_NONE = 1e-30
"""A length penalty that changes no score, and yet isn't 0, for which CTranslate2 has a rule of its own."""

MANY = 4
"""Texts a thread from which on a batch is shared out."""

SEEDS = 2**32 - 1
"""From here on CTranslate2's seeds begin anew."""


class CTranslate2Engine:
    """CTranslate2 on the CPU.

    A source without a token beside its end has an empty text.

    Args:
        folder: that ``to_ctranslate2`` wrote.
        threads: in all (default: as many as PyTorch takes); a batch of at least ``MANY`` texts a thread is shared out
            among them, which takes three quarters of the time that they need together for one text after the other.

    Raises:
        ConfigError: CTranslate2 isn't installed.
        ModelError: the folder isn't one, or is damaged.
    """

    def __init__(self, folder: Path, threads: int | None = None) -> None:
        self._library = library()
        if fingerprint_of(folder) is None:
            raise ModelError(
                f"{folder} holds no whole model for CTranslate2 that was written here: write one with 'vitrail export "
                "RUN --to ctranslate2'."
            )
        settings = json.loads((folder / CONFIG).read_text())
        self._names: list[str] = json.loads((folder / VOCABULARY).read_text())
        self._places = {name: place for place, name in enumerate(self._names)}
        self._start: str = settings["decoder_start_token"]
        self._folder, self._threads = folder, threads or torch.get_num_threads()
        self._type = "int8" if settings[MARK]["quantization"] == "int8" else "float32"
        self._translator = self._open(1, self._threads)
        self._workers: Any = None

    def prepare(self, options: Decoding, *, seed: int = 0, hear: Hear | None = None) -> Write:
        """See ``Engine``; with ``hear`` sources are written one after the other."""
        if hear is not None and options.beams > 1:
            raise ConfigError(
                f"a search with {options.beams} beams knows no token before its end: follow texts as they are written "
                "with 1 beam."
            )
        asked = settings_of(options, len(self._names))
        if options.no_repeat_ngram == 1:
            asked["suppress_sequences"] = [[self._start]]
        first = None if options.first is None else [self._names[options.first]]
        # A thread draws from where it began, and each translator has its own.
        together = self._open(1, self._threads) if options.sample else self._translator

        def translate(sources: Sequence[Sequence[int]], callback: Any = None) -> list[list[int]]:
            if options.sample:
                self._library.set_random_seed(seed % SEEDS)
            named = [[self._names[token] for token in source] for source in sources]
            prefixes = None if first is None else [first] * len(sources)
            share = len(sources) // self._threads
            if self._threads > 1 and share >= MANY and not options.sample:
                translator, size = self._shared_out(), -(-len(sources) // self._threads)
            else:
                translator, size = together, 0
            try:
                found = translator.translate_batch(named, prefixes, callback=callback, max_batch_size=size, **asked)
            except RuntimeError as error:
                raise ConfigError(
                    f"CTranslate2 can't write these texts ({error}): cut documents and texts to the positions that the "
                    "model has."
                ) from error
            return [[self._places[name] for name in result.hypotheses[0]] for result in found]

        def write(sources: Sequence[Sequence[int]]) -> list[list[int]]:
            if hear is None:
                return translate(sources)
            # In a batch it numbers sources by an order of its own.
            return [translate([source], _told(hear, place))[0] for place, source in enumerate(sources)]

        return write

    def _shared_out(self) -> Any:
        if self._workers is None:
            self._workers = self._open(self._threads, 1)
        return self._workers

    def _open(self, workers: int, threads: int) -> Any:
        try:
            return self._library.Translator(
                str(self._folder),
                device="cpu",
                compute_type=self._type,
                inter_threads=workers,
                intra_threads=threads,
            )
        except (RuntimeError, ValueError) as error:
            raise ModelError(f"{self._folder} is damaged ({error}): take it away, and it is written anew.") from error


def settings_of(options: Decoding, vocabulary: int) -> dict[str, Any]:
    """Our options as arguments of ``Translator.translate_batch``, but for ``first``.

    Raises:
        ConfigError: an option that it can't follow.
    """
    if options.last is not None:
        raise ConfigError("CTranslate2 can't force the last token of a text: leave it out, or use the engine torch.")
    patience, penalty = 1.0, options.length_penalty
    if options.beams > 1:
        if options.first is not None and options.min_tokens < 2:
            raise ConfigError(
                "in a beam search CTranslate2 counts no end right after a given first token: set min_tokens to 2 or "
                "more, beams to 1, or use the engine torch."
            )
        if options.early_stopping is False and penalty > 0:
            raise ConfigError(
                "CTranslate2 ends a beam search with the last of its texts or at max_tokens, and never looks whether "
                "the best text under way falls behind: set early_stopping to True or 'never', or use the engine torch."
            )
        if options.early_stopping is True:
            penalty = penalty or NEARLY_NONE
        else:
            patience = options.max_tokens + 1.0  # more texts than can end
    return {
        "beam_size": options.beams,
        "patience": patience,
        "length_penalty": penalty,
        "max_input_length": 0,
        "max_decoding_length": options.max_tokens,
        "min_decoding_length": options.min_tokens,
        "no_repeat_ngram_size": options.no_repeat_ngram,
        "sampling_topk": min(options.top_k, vocabulary) if options.sample else 1,
        "sampling_topp": options.top_p if options.sample else 1.0,
        "sampling_temperature": options.temperature if options.sample else 1.0,
        "return_end_token": True,
    }


def differences(options: Decoding) -> list[str]:
    """What CTranslate2 does otherwise than our own decoding under options that it follows, a sentence each."""
    found = []
    if options.beams > 1 and (options.no_repeat_ngram or options.min_tokens) and not options.renormalise:
        found.append(
            "CTranslate2 gives the probability of forbidden tokens to the others, the engine torch only with "
            "renormalise: with several beams some texts differ."
        )
    if options.sample:
        found.append("CTranslate2 draws by itself: the same probabilities as with the engine torch, other texts.")
    return found


def _told(hear: Hear, source: int) -> Any:
    """What CTranslate2 calls after each token, and which tells it to go on."""

    def told(step: Any) -> bool:
        hear([(source, step.token_id)])
        return False

    return told
