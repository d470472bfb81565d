"""Whether a head walks along what it reads: cross-attention whose place moves on as the queries do.

The soft alignments of translation look like this (Bahdanau et al. 2015, figure 3), and attention that is made monotone
does (Raffel et al. 2017). Found in the thumbnails of a digest, so that it costs no matrix. The line is the one of
Theil (1950) and Sen (1968) through the strongest key of each query: half of the queries may look elsewhere, at an end
token say, and it still stands.
"""

import numpy as np
from jaxtyping import Float64, UInt8

BAND = 0.1
"""How far from the line counts as on it, as a share of the keys."""
RISE = 0.25
"""A line that passes fewer keys than this share of them stands still."""
LEAST = 8
"""Through fewer queries, or over fewer keys, there is a line whatever a head does."""


def aligned(thumbnails: UInt8[np.ndarray, "h t u"]) -> Float64[np.ndarray, " h"]:
    """The share of attention within a tenth of the keys of a rising line; 0 where none rises, NaN where none can.

    Args:
        thumbnails: of a digest, from queries to keys.
    """
    heads, rows, columns = thumbnails.shape
    if min(rows, columns) < LEAST:
        return np.full(heads, np.nan)
    mass = (thumbnails / 255) ** 2
    before, after = np.triu_indices(rows, 1)
    found = np.zeros(heads)
    for head in range(heads):
        peaks = mass[head].argmax(axis=1)
        slope = float(np.median((peaks[after] - peaks[before]) / (after - before)))
        if slope * (rows - 1) < RISE * columns:
            continue
        middle = slope * np.arange(rows) + np.median(peaks - slope * np.arange(rows))
        near = np.abs(np.arange(columns)[None, :] - middle[:, None]) <= BAND * columns
        found[head] = mass[head][near].sum() / mass[head].sum()
    return found


def aligned_if_uniform(columns: int) -> float:
    """What uniform attention has around any line, at most."""
    return (2 * int(BAND * columns) + 1) / columns
