"""Write the summaries of documents that come in as a stream, and hand each on as soon as it is written."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import tee
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from vitrail.data.incoming import JSONL, ByteStream, Incoming, Manner, incoming
from vitrail.errors import ConfigError
from vitrail.recipes.events import Note, Report, ignore

if TYPE_CHECKING:
    from vitrail.recipes.text_runs import TextRun
    from vitrail.text import Decoding
    from vitrail.text.engines import Engine
    from vitrail.text.tokens import Tokens


@dataclass(frozen=True, kw_only=True)
class DecodingOptions:
    """How summaries are written."""

    beams: int = 4
    """Texts that are followed at a time; 1 is greedy decoding."""
    max_tokens: int | None = None
    """Tokens of a summary at most (default: as many as in training)."""
    min_tokens: int = 0
    """Tokens of a summary at least."""
    length_penalty: float = 1.0
    """A text's log-probability is divided by its number of tokens, to this power: more favours longer texts."""
    no_repeat_ngram: int = 3
    """No so many tokens in a row come twice in a summary (0: they may)."""
    sample: bool = False
    """Draw each token by chance instead of taking the likeliest; with --beams 1."""
    temperature: float = 1.0
    """Logits are divided by this before a draw: less makes likely tokens likelier."""
    top_k: int = 0
    """Draw among so many of the likeliest tokens (0: among all)."""
    top_p: float = 1.0
    """Draw among the fewest likeliest tokens whose probabilities reach this together."""

    def decoding(self, longest: int) -> "Decoding":
        """These options, with a default for the longest summary.

        Raises:
            ConfigError: options that can't be meant.
        """
        from vitrail.text import Decoding

        return Decoding(
            beams=self.beams,
            max_tokens=longest if self.max_tokens is None else self.max_tokens,
            min_tokens=self.min_tokens,
            length_penalty=self.length_penalty,
            no_repeat_ngram=self.no_repeat_ngram,
            sample=self.sample,
            temperature=self.temperature,
            top_k=self.top_k,
            top_p=self.top_p,
        )


@dataclass(frozen=True)
class SummarizeRecipe(DecodingOptions):
    """Summarize documents: files, folders of them, JSON lines, or standard input, where each line is a document."""

    run: str
    """Folder of a summarizer's run, or a folder or Hub name of a BART or T5."""
    files: tuple[str, ...]
    """Text files, .jsonl[.gz] files, folders of them; nothing, or -, for standard input."""
    read: Manner = "auto"
    """text: a file is a document; lines: each line is; jsonl: each line is an object that holds one; auto: by a file's
    name; standard input by its first line, lines or jsonl."""
    column: str | None = None
    """The field of a JSON object that holds the document (default: found by its usual names)."""
    output: Path | None = None
    """Write summaries into this file; .jsonl for objects (default: standard output)."""
    batch: int = 16
    """Documents that are summarized at a time."""
    stream: bool = False
    """Show each summary while it is written, one document at a time; with --beams 1."""
    engine: Literal["torch", "ctranslate2"] = "torch"
    """ctranslate2: several times as fast on a processor, where it is installed (pip install 'vitrail[fast]')."""
    quantization: Literal["float32", "int8"] = "int8"
    """Of --engine ctranslate2: how it keeps weights; float32 writes what torch does, int8 is the fastest."""
    precision: Literal["float32", "bf16"] = "float32"
    """Of --engine torch: bf16 is several times as fast where the processor multiplies it natively; some summaries
    differ."""
    seed: int = 0
    """Of what --sample draws."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """"auto": a GPU if there is one."""


@dataclass
class SummarizeSummary:
    """What summarizing gives back.

    Attributes:
        documents: how many there were.
        empty: how many of them had nothing in them, and have an empty summary.
        cut: how many were longer than the model reads, and were cut.
        longest: tokens that it reads.
    """

    documents: int
    empty: int
    cut: int
    longest: int


def run(
    recipe: SummarizeRecipe, put: Callable[[str], None], stream: ByteStream | None = None, report: Report = ignore
) -> SummarizeSummary:
    """Summarize all documents.

    Args:
        recipe: which, and how.
        put: is handed what is written, a line a document in their order, unless the recipe names a file.
        stream: standard input.
        report: is told what goes on.

    Raises:
        VitrailError: the run, an option or a document can't be used; what was put before stays, a file that the recipe
            names is left as it was.
    """
    from vitrail.recipes.text_engines import open_engine
    from vitrail.recipes.text_runs import open_text_run

    if recipe.batch < 1:
        raise ConfigError(f"{recipe.batch} documents at a time can't be meant: give --batch 1 or more.")
    if recipe.stream and recipe.beams > 1:
        raise ConfigError(
            f"--stream shows a text as it is written, and a beam search with {recipe.beams} beams knows none before "
            "its end: add --beams 1."
        )
    opened = open_text_run(recipe.run).to(recipe.device)
    engine = open_engine(opened, recipe.engine, recipe.quantization, recipe.precision, report)
    options = recipe.decoding(opened.longest_summary)
    if recipe.engine == "ctranslate2":
        from vitrail.text.ctranslate2_engine import differences

        options = replace(options, early_stopping=True)  # it looks no further than the last of the beams
        for difference in differences(options):
            report(Note(difference))
    sources = recipe.files or ("-",)
    documents = incoming(sources, recipe.read, recipe.column, stream)
    named = len(sources) > 1 or Path(sources[0]).is_dir()
    into_objects = recipe.output is not None and recipe.output.name.endswith(JSONL[0])
    found = SummarizeSummary(0, 0, 0, opened.longest_document)
    with _place(recipe.output, put) as write:
        hear = _Aloud(opened.tokens, write) if recipe.stream else None
        for document, summary in _written(opened, recipe, options, documents, found, engine, hear):
            found.documents += 1
            found.empty += not document.text.strip()
            line = _line(document, summary, named, into_objects)
            write((line if hear is None else hear.rest(line)) + "\n")
    report(Note(_in_words(found)))
    return found


def _written(
    opened: "TextRun",
    recipe: SummarizeRecipe,
    options: "Decoding",
    documents: Iterator[Incoming],
    found: SummarizeSummary,
    engine: "Engine",
    hear: "_Aloud | None",
) -> Iterator[tuple[Incoming, str]]:
    def cut(count: int) -> None:
        found.cut += count

    kept, read = tee(documents)  # holds no more than the documents under way
    texts = (document.text for document in read)
    batch = 1 if hear is not None else recipe.batch
    summaries = opened.summarize(texts, options, batch=batch, seed=recipe.seed, engine=engine, hear=hear, cut=cut)
    return zip(kept, summaries, strict=True)


class _Aloud:
    """Says a summary's words as soon as they are sure: a token may still change the last word before it."""

    def __init__(self, tokens: "Tokens", write: Callable[[str], None]) -> None:
        self._tokens, self._write = tokens, write
        self._written: list[int] = []
        self._said = ""

    def __call__(self, heard: list[tuple[int, int]]) -> None:
        self._written += [token for _, token in heard]
        sure = " ".join(self._tokens.decode(self._written).split()[:-1])
        if sure.startswith(self._said):
            self._write(sure[len(self._said) :])
            self._said = sure

    def rest(self, line: str) -> str:
        """What of a summary's line wasn't said yet; then the next one begins."""
        left = line.removeprefix(self._said)
        self._written, self._said = [], ""
        return left


@contextmanager
def _place(output: Path | None, put: Callable[[str], None]) -> Iterator[Callable[[str], None]]:
    """Where summaries go: to the caller, or into a file that is there when all of them are."""
    if output is None:
        yield put
        return
    from vitrail.files import output_errors, written_beside

    with output_errors(output):
        output.parent.mkdir(parents=True, exist_ok=True)
    with written_beside(output) as file:

        def write(text: str) -> None:
            file.write(text.encode(errors="backslashreplace"))

        yield write


def _line(document: Incoming, summary: str, named: bool, into_objects: bool) -> str:
    """A summary as a line: an object where its document came in one, or was asked for; else the bare text."""
    if document.record is not None:
        return json.dumps({**document.record, "summary": summary}, ensure_ascii=False)
    if into_objects:
        return json.dumps({"source": document.source, "summary": summary}, ensure_ascii=False)
    flat = " ".join(summary.split())
    return f"{document.source}: {flat}" if named else flat


def _in_words(found: SummarizeSummary) -> str:
    text = f"{found.documents:,} {'document' if found.documents == 1 else 'documents'} summarized"
    if found.empty:
        text += f"; {found.empty:,} had nothing in them"
    if found.cut:
        text += f"; {found.cut:,} were longer than {found.longest:,} tokens and were cut"
    return text
