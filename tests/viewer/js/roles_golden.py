"""Digests of every kind that the rule of roles tells apart, and what Python names their heads, for node."""

import json
from pathlib import Path

import numpy as np

from vitrail.trace import Axis, Digest, Layer, Provenance, Stream, Trace, head_scores, label_heads, named
from vitrail.trace.scores import SCORES

HEADS, N, CELLS, TARGET = 41, 11, 9, 13
DRAW = np.random.default_rng(31)
SHARES = tuple(name for name in SCORES if name not in ("entropy", "broadness", "distance", "pixels"))


def digest(kind: str) -> Digest:
    """Scores of heads that do one thing or another; some say nothing, some over too few queries."""
    scores = {name: np.full(HEADS, np.nan, np.float32) for name in SCORES}
    uniform: dict[str, float] = {name: float("nan") for name in SCORES}
    counts = dict.fromkeys(SCORES, 0)
    for name in SHARES:
        if kind != "silent" and DRAW.random() < 0.9:
            uniform[name] = float(DRAW.choice([0.0625, 0.125, 0.3, 0.5]))
            counts[name] = int(DRAW.choice([7, 8, 1234]))
            scores[name] = DRAW.beta(0.5, 1.2, HEADS).astype(np.float32)
            scores[name][::7] = 0.625  # exact halves of a percent
    if kind == "cross":
        counts["self"] = 0
    scores["broadness"], uniform["broadness"], counts["broadness"] = numbers(4, 16), 16.0 if kind != "few" else 8.0, N
    if kind == "patches":
        scores["pixels"], uniform["pixels"], counts["pixels"] = numbers(3, 30), 18.25, N
        scores["broadness"][:] = 2.25
    rows, columns = (CELLS, CELLS + 4) if kind != "few" else (CELLS, 7)
    thumbnails = DRAW.integers(0, 60, (HEADS, rows, columns)).astype(np.uint8)
    for head in range(0, HEADS, 2):
        thumbnails[head, range(rows), np.minimum(columns - 1, np.arange(rows) * (1 + head % 3) // 2)] = 255
    return Digest(scores, uniform, counts, thumbnails)


def numbers(low: float, high: float) -> np.ndarray:
    return DRAW.uniform(low, high, HEADS).astype(np.float32)


def layer(queries: int, kind: str) -> Layer:
    q = DRAW.standard_normal((HEADS, queries, 2)).astype(np.float32)
    k = DRAW.standard_normal((HEADS, N, 2)).astype(np.float32)
    return Layer(kind, q, k, digest=digest(kind))


def write_roles(folder: Path) -> None:
    """roles.json: layers as the page reads them, and the roles of their heads."""
    source, target = Axis("source", "tokens", N), Axis("target", "tokens", TARGET)
    plain = Stream("self", "source", "source", tuple(layer(N, kind) for kind in ("text", "silent", "patches", "text")))
    cross = Stream("cross", "target", "source", tuple(layer(TARGET, kind) for kind in ("cross", "few", "cross")))
    trace = Trace(named([source, target]), (plain, cross), Provenance("a model"), {})
    scores, roles = head_scores(trace), label_heads(trace)
    found = []
    for part in trace.parts:
        for index, one in enumerate(part.layers):
            here = (roles.stream == part.name) & (roles.layer == index)
            expected = roles[here].drop(columns=["stream", "layer", "head"])
            found.append(
                {
                    "index": index,
                    "heads": HEADS,
                    "queries": one.size[0],
                    "queryAxis": part.queries,
                    "keyAxis": part.keys,
                    "digest": _listed(one.digest),
                    "aligned": scores[here]["aligned"].tolist() if part is cross else None,
                    "roles": json.loads(expected.to_json(orient="records", double_precision=15)),
                }
            )
    (folder / "roles.json").write_text(json.dumps({"layers": found}).replace("NaN", "null"))


def _listed(one: Digest | None) -> dict[str, object]:
    assert one is not None
    _, rows, columns = one.thumbnails.shape
    return {
        "names": list(one.scores),
        "scores": [np.asarray(values).astype(float).tolist() for values in one.scores.values()],
        "uniform": list(one.uniform.values()),
        "counts": list(one.counts.values()),
        "thumbnails": {"rows": rows, "columns": columns, "data": one.thumbnails.reshape(-1).tolist()},
    }
