"""How good a summarizer is, on texts that training never saw: its loss per token, ROUGE, and how it writes.

Beside its summaries stand, scored on the same documents, the document's first sentence and the sentence that says most
of it. ``summaries.jsonl`` holds every summary; ``examples.md`` the best, the middle and the worst beside the authors'.
"""

import json
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from vitrail.data.documents import Documents, load_documents
from vitrail.errors import ConfigError
from vitrail.nn.randomness import RowRandom, derive_seed
from vitrail.recipes.events import Note, Report
from vitrail.recipes.results import write_bytes
from vitrail.recipes.text_runs import TextRun
from vitrail.text import Decoding, Transformer
from vitrail.text.batches import TokenPairs, collate, make_pairs, plan_by_tokens
from vitrail.text.objective import SummaryObjective
from vitrail.text.rouge import central, difference, interval, lead, manner, rouge_scores
from vitrail.text.summarizing import summarize
from vitrail.text.tokens import Tokens

if TYPE_CHECKING:
    from vitrail.recipes.evaluate import EvaluateRecipe

EXAMPLES = 10
"""Summaries in ``examples.md``."""


def evaluate(opened: TextRun, recipe: "EvaluateRecipe", report: Report) -> tuple[dict[str, Any], tuple[Path, ...]]:
    """A summarizer's figures on its test texts, and the files written.

    Raises:
        VitrailError: the data or what it is compared with can't be used.
    """
    name = recipe.data or opened.data
    if name is None:
        raise ConfigError(f"{opened.folder} wasn't trained here, so that its texts aren't known: name some by --data.")
    opened = opened.to(recipe.device)
    columns = recipe.columns or (opened.options.get("columns") if recipe.data is None else None)
    texts = load_documents(name, "test", None if columns is None else (columns[0], columns[1]))
    if recipe.documents is not None and recipe.documents < len(texts):
        texts = texts.subset(sorted(random.Random(0).sample(range(len(texts)), recipe.documents)))
    report(Note(f"summarizing {len(texts):,} test documents of {texts.name}"))
    options = Decoding(
        beams=recipe.beams,
        max_tokens=opened.longest_summary,
        length_penalty=recipe.length_penalty,
        no_repeat_ngram=recipe.no_repeat_ngram,
    )
    written = list(opened.summarize(texts.documents, options))
    scored = rouge_scores(written, texts.summaries)
    tokens = opened.tokens
    encoded = tokens.encode(texts.documents), tokens.encode(texts.summaries)
    pairs = make_pairs(*encoded, tokens.end, opened.longest_document, opened.longest_summary)
    figures: dict[str, Any] = {
        "data": texts.name,
        "fingerprint": texts.fingerprint,
        "documents": len(texts),
        **loss_on(opened.model, pairs, tokens, 8192, texts),
        **_figures(written, texts, scored),
        "decoding": asdict(options),
    }
    if recipe.beside is not None:
        figures["beside"] = _beside(recipe.beside, texts, scored)
    lines = [
        json.dumps({"document": document, "summary": summary, "reference": reference}, ensure_ascii=False)
        for document, summary, reference in zip(texts.documents, written, texts.summaries, strict=True)
    ]
    files = (
        write_bytes(opened.folder / "examples.md", _examples(written, texts, scored["rougeL"]).encode()),
        write_bytes(opened.folder / "summaries.jsonl", ("\n".join(lines) + "\n").encode(errors="backslashreplace")),
    )
    return figures, files


def loss_on(model: Transformer, pairs: TokenPairs, tokens: Tokens, budget: int, texts: Documents) -> dict[str, float]:
    """Nats per target token over all pairs, without label smoothing, the perplexity that this is, and nats a character.

    The last can be compared across tokenizers, as long as no summary was cut. The model is in evaluation mode.
    """
    objective, device = SummaryObjective(model), model.embedding.weight.device
    largest = max(len(source) + len(target) for source, target in zip(pairs.sources, pairs.targets, strict=True))
    total, count = 0.0, 0
    with torch.inference_mode():
        for rows in plan_by_tokens(pairs, max(budget, largest), 0, 0).batches:
            batch = collate(pairs, rows, pad=tokens.pad, start=tokens.start, device=device)
            loss, number, _ = objective.loss(batch, RowRandom(0, 0, batch.rows, batch.total))
            total, count = total + float(loss), count + int(number)
    characters = sum(len(summary) for summary in texts.summaries)
    return {
        "nats_per_token": total / count,
        "perplexity": math.exp(min(total / count, 700)),
        "nats_per_character": total / characters,
    }


def samples(
    model: Transformer, tokens: Tokens, texts: Documents, count: int, longest_document: int, longest_summary: int
) -> str:
    """Summaries of some documents beside the authors' own, as Markdown; the model is in evaluation mode."""
    rows = random.Random(derive_seed(0, "samples")).sample(range(len(texts)), min(count, len(texts)))
    options = Decoding(beams=1, max_tokens=longest_summary)
    written = list(summarize(model, tokens, [texts.documents[row] for row in rows], options, longest_document))
    return "\n".join(
        _example(texts.documents[row], text, texts.summaries[row]) for row, text in zip(rows, written, strict=True)
    )


def _figures(written: Sequence[str], texts: Documents, scored: Mapping[str, np.ndarray[Any, Any]]) -> dict[str, Any]:
    baselines: dict[str, Sequence[str]] = {
        "first sentence": [lead(document) for document in texts.documents],
        "central sentence": [central(document) for document in texts.documents],
    }
    rouge = {"summaries": scored, **{name: rouge_scores(of, texts.summaries) for name, of in baselines.items()}}
    return {
        "rouge": {
            name: {kind: asdict(interval(100 * values)) for kind, values in scores.items()}
            for name, scores in rouge.items()
        },
        "manner": {
            name: asdict(manner(of, texts.documents))
            for name, of in {"summaries": written, **baselines, "authors": texts.summaries}.items()
        },
    }


def _beside(folder: Path, texts: Documents, ours: Mapping[str, np.ndarray[Any, Any]]) -> dict[str, Any]:
    """By how much our summaries score more than another run's of the same documents."""
    path = folder / "summaries.jsonl"
    try:
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        theirs = [row["summary"] for row in rows]
        documents = [row["document"] for row in rows]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path} can't be read: run 'vitrail evaluate {folder}' first.") from error
    if documents != list(texts.documents):
        raise ConfigError(
            f"{path} holds summaries of other documents than {texts.name} has: evaluate both runs on the same --data."
        )
    found = rouge_scores(theirs, texts.summaries)
    return {"run": str(folder), **{kind: asdict(difference(100 * ours[kind], 100 * found[kind])) for kind in ours}}


def _examples(written: Sequence[str], texts: Documents, scores: np.ndarray[Any, Any]) -> str:
    """The best, the middle and the worst, and some by chance."""
    order = np.argsort(-scores, kind="stable")
    named = {"Best": order[0], "Middle": order[len(order) // 2], "Worst": order[-1]}
    chance = random.Random(0).sample(range(len(texts)), min(EXAMPLES - len(named), len(texts)))
    rows = [*named.items(), *(("By chance", row) for row in chance)]
    return "\n".join(
        f"## {name}: ROUGE-L {100 * scores[row]:.1f}\n\n"
        + _example(texts.documents[row], written[row], texts.summaries[row])
        for name, row in rows
    )


def _example(document: str, written: str, reference: str) -> str:
    return f"**Written:** {_one_line(written)}\n\n**The author's:** {_one_line(reference)}\n\n{_quoted(document)}\n"


def _one_line(text: str) -> str:
    return " ".join(text.split()) or "(nothing)"


def _quoted(text: str, longest: int = 1200) -> str:
    shown = text if len(text) <= longest else text[:longest] + " …"
    return "\n".join(f"> {line}" for line in shown.splitlines())
