"""What language models do with texts: a causal one goes on with how they begin, the other fills in what is hidden."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from vitrail.errors import ConfigError
from vitrail.text.decoding import Text, decode
from vitrail.text.language import LanguageModel
from vitrail.text.options import Decoding
from vitrail.text.tokens import Tokens


class LanguageWriter:
    """A causal model at work on some beginnings, as ``vitrail.text.decoding`` wants it.

    Of each beginning all but its last token are read at once; the first call of ``advance`` reads that one, whatever
    start token it is handed. Beginnings may be of unequal length: each text counts its own positions.

    Args:
        model: in evaluation mode.
        beginnings: tokens of each, none empty.
    """

    def __init__(self, model: LanguageModel, beginnings: Sequence[Sequence[int]]) -> None:
        if not all(beginnings):
            raise ConfigError(
                "there is nothing to go on from: begin each text with at least one token, such as the end."
            )
        self._model = model
        self.sources = len(beginnings)
        self.start = self.end = model.config.end
        self.pad = model.config.pad
        self.device = model.embedding.weight.device
        lengths = torch.tensor([len(text) - 1 for text in beginnings])
        read = torch.full((self.sources, int(lengths.max())), self.pad)
        for row, text in enumerate(beginnings):
            read[row, : len(text) - 1] = torch.tensor(text[:-1])
        self._state = model.begin(read.to(self.device))
        # What is filled up is seen by no token that is written.
        self._seen = (torch.arange(read.shape[1]) < lengths[:, None])[:, None].to(self.device)
        self._places = lengths.to(self.device)
        self._last: Tensor | None = torch.tensor([text[-1] for text in beginnings], device=self.device)

    def advance(self, tokens: Int64[Tensor, "b w"], parents: Int64[Tensor, "b w"]) -> Float[Tensor, "b w v"]:
        """See ``vitrail.text.decoding.Writer``."""
        if self._last is not None:
            tokens, self._last = self._last[:, None], None
        b, w = tokens.shape
        before = self._seen.gather(1, parents[:, :, None].expand(-1, -1, self._seen.shape[2]))
        itself = torch.eye(w, dtype=torch.bool, device=self.device).expand(b, w, w)
        self._seen = torch.cat([before, itself], 2)
        self._places = self._places + 1
        return self._model.step(tokens, self._state, self._seen, self._places - 1)

    def keep(self, rows: Int64[Tensor, " b"]) -> None:
        """See ``vitrail.text.decoding.Writer``."""
        self._state.take(rows)
        self._seen, self._places = self._seen[rows], self._places[rows]


def go_on(
    model: LanguageModel, tokens: Tokens, beginnings: Sequence[str], options: Decoding, *, seed: int = 0
) -> list[str]:
    """What a causal model writes after each beginning, without the beginning.

    Where a beginning leaves no room among the model's positions for ``options.max_tokens`` more, its end is kept. Rules
    of the options, such as no n-gram twice, are about what is written, not about the beginning.

    Args:
        model: in evaluation mode.
        tokens: that it was trained with.
        beginnings: texts; an empty one is the beginning of a new text.
        options: how to write.
        seed: of the draws, where the options ask for them.

    Raises:
        ConfigError: a model that isn't causal, or has no room for so many tokens.
    """
    room = model.config.max_length - options.max_tokens
    if room < 0:
        raise ConfigError(
            f"this model has {model.config.max_length:,} positions, and {options.max_tokens:,} tokens were asked for: "
            "ask for fewer."
        )
    if not beginnings:
        return []
    read = [[tokens.end, *text][-room - 1 :] for text in tokens.encode(beginnings)]
    draws = torch.Generator(model.embedding.weight.device).manual_seed(seed)
    with torch.inference_mode():
        found: list[list[Text]] = decode(LanguageWriter(model, read), options, draws)
    return [tokens.decode(texts[0].tokens) for texts in found]


@torch.inference_mode()
def fill_in(model: LanguageModel, tokens: Tokens, text: str, count: int = 5) -> list[list[tuple[str, float]]]:
    """What a masked model expects at each place of a text where the mask's name stands, such as ``<mask>``.

    Args:
        model: in evaluation mode.
        tokens: that it was trained with.
        text: with any number of masks.
        count: how many of the likeliest tokens.

    Returns:
        For each mask its likeliest tokens with their probabilities, each mask on its own.

    Raises:
        ConfigError: a model that doesn't fill in, or a text longer than its positions.
    """
    if model.config.causal or tokens.mask is None:
        raise ConfigError("only a model that was trained with --objective masked fills in what is hidden: take one.")
    shown = torch.tensor([[tokens.start, *tokens.encode([text])[0], tokens.end]], device=model.embedding.weight.device)
    likely = model(shown)[0][shown[0] == tokens.mask].softmax(-1).topk(min(count, model.config.vocabulary))
    return [
        [(tokens.decode([token]), chance) for token, chance in zip(row, chances, strict=True)]
        for row, chances in zip(likely.indices.tolist(), likely.values.tolist(), strict=True)
    ]
