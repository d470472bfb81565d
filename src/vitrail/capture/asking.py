"""What gradients are of, in a word: ``next``, ``next:dog``, ``masked``, ``class:3``, ``loss``.

==================  ====================================================================================
word                the number
==================  ====================================================================================
next                log-probability of the likeliest token after the last position
next:WORD           that of a word (of its first token, where it has several)
masked              log-probability of the likeliest token at the first hidden position
masked:WORD         that of a word
class               the largest logit
class:NAME          that of a class, by its number or its name
loss                of a masked autoencoder: the mean squared error of hidden patches
==================  ====================================================================================

``next@4`` is after position 4 and ``masked@4`` at it, counted from 0 (from the end if negative).
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor

from vitrail.capture.gradients import Target, class_score, masked_token, next_token
from vitrail.capture.predicting import Vocabulary
from vitrail.errors import ConfigError

ASKED = re.compile(r"(next|masked|class|loss)(?:@(-?\d{1,9}))?(?::(.+))?", re.DOTALL)


def target_of(asked: str, vocabulary: Vocabulary | None, read: Sequence[int] = ()) -> Target:
    """The target that a word asks for.

    Args:
        asked: as in the table.
        vocabulary: what the model's output counts.
        read: the tokens that the model reads, or that its decoder does.

    Raises:
        ConfigError: no such target, or the model has no such output, token, class or position.
    """
    found = ASKED.fullmatch(asked)
    if found is None or (found[1] == "loss" and asked != "loss"):
        raise ConfigError(
            f"{asked!r} is nothing to take gradients of; ask for next, next:WORD, masked, masked:WORD, class, "
            "class:NAME or loss"
        )
    kind, place, word = found[1], None if found[2] is None else int(found[2]), found[3]
    if kind == "loss":
        return Target("mean squared error of hidden patches", _loss)
    wanted = "class" if kind == "class" else "token"
    if vocabulary is None or vocabulary.kind != wanted:
        raise ConfigError(
            f"this model's output isn't over {'classes' if wanted == 'class' else 'tokens'}, so {asked!r} has no "
            "gradients; ask for another target, or load the model with that head"
        )
    number = None if word is None else _number(vocabulary, word)
    named = None if number is None else repr(vocabulary.read([number])[0])
    if kind == "class":
        if place is not None:
            raise ConfigError(f"{asked!r} names a position, and a class is of the whole input; ask for class:NAME")
        target = class_score(number)
        return target if named is None else replace(target, name=f"logit of class {number} ({named[1:-1]})")
    if place is not None and not -len(read) <= place < len(read):
        raise ConfigError(f"there is no position {place}: the text has {len(read)} tokens, counted from 0")
    if kind == "next":
        where = "the last position" if place is None else f"position {place}"
        target = next_token(number, -1 if place is None else place)
        return replace(target, name=f"log-probability of {named or 'the likeliest token'} after {where}")
    place = _hidden(vocabulary, read) if place is None else place
    target = masked_token(place, number)
    return replace(target, name=f"log-probability of {named or 'the likeliest token'} at position {place}")


def _loss(output: Any) -> Tensor:
    found = getattr(output, "loss", None)
    if not isinstance(found, Tensor):
        raise ConfigError(
            "this model gives no loss, which only a masked autoencoder does; ask for next, masked or class"
        )
    return found


def _number(vocabulary: Vocabulary, word: str) -> int:
    found = vocabulary.find(word)
    if not found:
        what = "class" if vocabulary.kind == "class" else "token"
        raise ConfigError(f"there is no {what} {word!r} among this model's; name another one")
    return int(found[0])


def _hidden(vocabulary: Vocabulary, read: Sequence[int]) -> int:
    """The first position where a token is hidden."""
    mask = vocabulary.mask
    if mask is None or mask not in read:
        name = "" if mask is None else f" {vocabulary.read([mask])[0]}"
        raise ConfigError(f"the text hides no token behind a mask{name}; write one there, or ask for masked@POSITION")
    return list(read).index(mask)
