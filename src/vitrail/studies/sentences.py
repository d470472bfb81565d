"""English sentences without a network: from the docstrings of the installed packages (``vitrail.data.docstrings``)."""

import hashlib
import re
from collections.abc import Sequence

import numpy as np

from vitrail.data.docstrings import docstrings
from vitrail.errors import DataError

PLAIN = re.compile(r"[A-Z][A-Za-z ,;:'()\-]*\.")
"""Words and punctuation alone: no code, no numbers, no markup."""
WORDS = range(8, 31)
"""Words that a sentence may have."""
LEAST = 5
"""Words that a summary has at least."""


def pairs_of_sentences(count: int, seed: int) -> list[tuple[str, str]]:
    """Summaries of docstrings, and the first sentence below each; drawn at random, none twice.

    Raises:
        DataError: there are fewer.
    """
    found: dict[str, str] = {}
    for document, summary in docstrings():
        first = re.split(r"(?<=\.)\s", " ".join(document.split("\n\n")[0].split()), maxsplit=1)[0]
        plain = PLAIN.fullmatch(first) and PLAIN.fullmatch(summary)
        if plain and len(first.split()) in WORDS and len(summary.split()) >= LEAST:
            found.setdefault(first, summary)
    if len(found) < count:
        raise DataError(
            f"the docstrings of the installed packages hold {len(found):,} plain sentences, and {count:,} were asked "
            "for: ask for fewer."
        )
    known = list(found.items())
    return [(known[place][1], known[place][0]) for place in np.random.default_rng(seed).permutation(len(known))[:count]]


def fingerprint(pairs: Sequence[tuple[str, str]]) -> str:
    """The same for the same sentences in the same order."""
    return hashlib.blake2b("\0".join("\0".join(pair) for pair in pairs).encode(), digest_size=8).hexdigest()
