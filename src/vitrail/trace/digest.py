"""What a first look at a layer needs, from its weights some rows at a time: every score, and thumbnails."""

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Float32

from vitrail.trace.layers import Digest, Layer
from vitrail.trace.recompute import part
from vitrail.trace.scores import SCORES, Places, score_queries

if TYPE_CHECKING:
    from vitrail.trace.positions import Axis

CELLS = 48
"""Rows and columns of a thumbnail, at most."""


class Digesting:
    """Takes a layer's weights rows by rows; beside its heads stands one that attends everywhere it may alike."""

    def __init__(self, layer: Layer, queries: "Axis", keys: "Axis") -> None:
        self.layer = layer
        self.at = Places(queries, keys)
        self.cells = min(CELLS, queries.length), min(CELLS, keys.length)
        self.sums = {name: np.zeros(layer.heads + 1) for name in SCORES}
        self.counts = {name: np.zeros(layer.heads + 1, np.int64) for name in SCORES}
        self.mass = np.zeros((layer.heads, *self.cells))
        self.gain = np.zeros(layer.heads)
        self.values = part(layer, "v") if layer.g is not None and layer.v is not None else None

    def add(self, weights: Float32[np.ndarray, "h q k"], rows: slice) -> None:
        """Take the weights of some queries, of all heads."""
        together = np.concatenate([weights, self._uniform(rows)])
        for name, found in score_queries(together, self.at, rows).items():
            known = np.isfinite(found)
            self.sums[name] += np.where(known, found, 0).sum(axis=1, dtype=np.float64)
            self.counts[name] += known.sum(axis=1)
        if self.layer.g is not None and self.values is not None:
            outputs = weights @ self.values
            self.gain += np.einsum("hqd,hqd->h", outputs, self.layer.g[:, rows], dtype=np.float64)
        cells, columns = self.cells
        queries, keys = self.layer.size
        pooled = np.add.reduceat(weights, -(-np.arange(columns) * keys // columns), axis=2)
        cell = np.arange(queries)[rows] * cells // queries
        for head in range(self.layer.heads):
            np.add.at(self.mass[head], cell, pooled[head])

    def finish(self) -> Digest:
        """The digest of all rows that were taken."""
        heads = self.layer.heads
        means = {
            name: np.where(self.counts[name] > 0, self.sums[name] / np.maximum(self.counts[name], 1), np.nan)
            for name in SCORES
        }
        scores = {name: mean[:heads].astype(np.float32) for name, mean in means.items()}
        counts = {name: int(count[:heads].max()) for name, count in self.counts.items()}
        uniform = {name: float(mean[heads]) for name, mean in means.items()}
        if self.values is not None:
            scores["importance"] = np.abs(self.gain).astype(np.float32)
            counts["importance"], uniform["importance"] = self.layer.size[0], float("nan")
        cells, queries = self.cells[0], self.layer.size[0]
        share = self.mass / np.bincount(np.arange(queries) * cells // queries, minlength=cells)[:, None]
        thumbnails = np.rint(255 * np.sqrt(np.clip(share, 0, 1))).astype(np.uint8)
        return Digest(scores, uniform, counts, thumbnails)

    def _uniform(self, rows: slice) -> Float[np.ndarray, "1 q k"]:
        """The same weight wherever a query may look; the mean over heads where their masks differ."""
        allowed = self.layer.mask.expand(*self.layer.size, rows)
        weights = allowed / np.maximum(allowed.sum(axis=-1, keepdims=True), 1, dtype=np.float32)
        found: np.ndarray = weights.mean(axis=0) if weights.ndim == 3 else weights
        return found[None].astype(np.float32)
