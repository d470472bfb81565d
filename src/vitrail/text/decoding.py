"""Writing a text token by token: greedy decoding, sampling and beam search, over whatever says what may come next.

That is a ``Writer``: a Transformer with its caches (``TransformerWriter``), or a table of probabilities in a test. A
search hands it the latest token of each branch and from which branch that descends; the writer answers with the logits
of what may follow. So a search never copies a cache, and sources that are done leave the batch.

Beam search is Hugging Face's, whose results are met token by token (``tests/text/test_decoding_parity.py``): of twice
as many continuations as beams those that end a text are put aside if they are among the best ``beams`` ones, and the
best that don't are followed; texts put aside are ranked by log-probability / tokens^length_penalty.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from vitrail.errors import ConfigError
from vitrail.text.constraints import NEVER, keep_likely, restrict
from vitrail.text.options import Decoding
from vitrail.text.transformer import DecoderState, Transformer

Hear = Callable[[list[tuple[int, int]]], None]
"""Told after each step: (source, token) of everything that was written."""


class Writer(Protocol):
    """Says what may come next in the texts about ``sources`` sources."""

    sources: int
    start: int
    end: int
    pad: int
    device: torch.device

    def advance(self, tokens: Int64[Tensor, "b w"], parents: Int64[Tensor, "b w"]) -> Float[Tensor, "b w v"]:
        """Logits of what may follow each of ``w`` branches' latest tokens.

        Args:
            tokens: the latest token of each branch; at first the start token.
            parents: which of the previous call's branches each goes on with; at first 0.
        """

    def keep(self, rows: Int64[Tensor, " b"]) -> None:
        """Go on with these of the present sources only."""


class TransformerWriter:
    """A Transformer at work on some sources.

    Args:
        model: in evaluation mode.
        source: tokens.
        mask: True = a token; all but the pad token unless given.
    """

    def __init__(
        self, model: Transformer, source: Int64[Tensor, "b s"], mask: Bool[Tensor, "b s"] | None = None
    ) -> None:
        self._model = model
        self.sources = len(source)
        config = model.config
        self.start, self.end, self.pad = config.start, config.end, config.pad
        self.device = source.device
        self._state: DecoderState = model.begin(source, source != config.pad if mask is None else mask)
        self._seen = torch.zeros(self.sources, 1, 0, dtype=torch.bool, device=source.device)
        self._place = 0

    def advance(self, tokens: Int64[Tensor, "b w"], parents: Int64[Tensor, "b w"]) -> Float[Tensor, "b w v"]:
        """See ``Writer``."""
        b, w = tokens.shape
        before = self._seen.gather(1, parents[:, :, None].expand(-1, -1, self._seen.shape[2]))
        itself = torch.eye(w, dtype=torch.bool, device=tokens.device).expand(b, w, w)
        self._seen = torch.cat([before, itself], 2)
        self._place += 1
        return self._model.step(tokens, self._state, self._seen, self._place - 1)

    def keep(self, rows: Int64[Tensor, " b"]) -> None:
        """See ``Writer``."""
        self._state.take(rows)
        self._seen = self._seen[rows]


@dataclass(frozen=True)
class Text:
    """One text that was written.

    Attributes:
        tokens: without the start token; the end token is the last one, unless there was no room for it.
        score: log-probability / tokens^length_penalty; of a greedy or sampled text, its log-probability.
    """

    tokens: list[int]
    score: float


@torch.no_grad()
def decode(
    writer: Writer, options: Decoding, generator: torch.Generator | None = None, hear: Hear | None = None
) -> list[list[Text]]:
    """Write a text about each source.

    Args:
        writer: fresh.
        options: how.
        generator: of the draws, where they are by chance.
        hear: told of each token as it is written; a beam search knows none before its end.

    Returns:
        For each source its texts, best first: one, or of a beam search as many as beams.

    Raises:
        ConfigError: options that can't be meant together.
    """
    if options.beams > 1:
        if hear is not None:
            raise ConfigError(
                f"a search with {options.beams} beams knows no token before its end: follow texts as they are written "
                "with 1 beam."
            )
        return BeamSearch(writer, options).run()
    return _follow(writer, options, generator, hear)


def _follow(
    writer: Writer, options: Decoding, generator: torch.Generator | None, hear: Hear | None
) -> list[list[Text]]:
    """One token after the other, each the likeliest or drawn."""
    sources = list(range(writer.sources))
    texts: list[list[int]] = [[] for _ in sources]
    scores = torch.zeros(len(sources), dtype=torch.float64)
    written = torch.full((len(sources), 1, 1), writer.start, device=writer.device)
    parents = torch.zeros_like(written[:, :, 0])
    done = torch.zeros_like(parents[:, 0], dtype=torch.bool)
    for _ in range(options.max_tokens):
        logits = writer.advance(written[:, :, -1], parents).float()
        likely = restrict(logits.log_softmax(-1) if options.sample else logits, written, options, writer.end)[:, 0]
        if options.sample:
            chosen = torch.multinomial(keep_likely(likely, options).softmax(-1), 1, generator=generator)[:, 0]
        else:
            chosen = likely.argmax(-1)
        gained = logits[:, 0].log_softmax(-1).gather(1, chosen[:, None])[:, 0]
        news = []
        for row, token in enumerate(chosen.tolist()):
            if not done[row]:
                texts[sources[row]].append(token)
                scores[sources[row]] += gained[row]
                news.append((sources[row], token))
        if hear is not None:
            hear(news)
        done |= chosen == writer.end
        if done.all():
            break
        written = torch.cat([written, chosen[:, None, None]], 2)
        if 2 * int(done.sum()) >= len(done):
            rows = (~done).nonzero()[:, 0]
            writer.keep(rows)
            written, parents, done = written[rows], parents[rows], done[rows]
            sources = [sources[row] for row in rows.tolist()]
    return [[Text(tokens, score)] for tokens, score in zip(texts, scores.tolist(), strict=True)]


class BeamSearch:
    """The state of a beam search over several sources; ``run`` does it all.

    Args:
        writer: fresh.
        options: with two beams or more.
    """

    def __init__(self, writer: Writer, options: Decoding) -> None:
        self._writer, self._options = writer, options
        b, w, place = writer.sources, options.beams, writer.device
        self._sources = torch.arange(b)
        self._written = torch.full((b, 1, 1), writer.start, device=place)
        self._running = torch.zeros(b, 1, device=place)  # log-probabilities of the branches under way, best first
        self._parents = torch.zeros(b, 1, dtype=torch.int64, device=place)
        self._open = torch.ones(b, dtype=torch.bool, device=place)  # whether a source's ended texts may still improve
        self._ended = torch.full((b, w), NEVER, device=place)  # scores of the best ended texts, best first
        self._tokens = torch.full((b, w, options.max_tokens), writer.pad, device=place)
        self._lengths = torch.zeros(b, w, dtype=torch.int64, device=place)
        self._found: list[list[Text]] = [[] for _ in range(b)]

    def run(self) -> list[list[Text]]:
        """The texts of each source, best first."""
        for count in range(1, self._options.max_tokens + 1):
            self._advance(count)
            if not self._open.any():
                break
            if 2 * int((~self._open).sum()) >= len(self._open):
                self._leave_out()
        self._collect(torch.arange(len(self._sources)))
        return self._found

    def _advance(self, count: int) -> None:
        """Write the ``count``-th token of every branch."""
        options, w = self._options, self._options.beams
        logits = self._writer.advance(self._written[:, :, -1], self._parents).float()
        scores = restrict(logits.log_softmax(-1), self._written, options, self._writer.end)
        v = scores.shape[-1]
        total = (scores + self._running[:, :, None]).flatten(1)
        best, place = total.topk(min(2 * w, total.shape[1]))
        branch, token = place // v, place % v
        ends = token == self._writer.end if count < options.max_tokens else torch.ones_like(token, dtype=torch.bool)
        self._put_aside(best, branch, token, ends, count)
        # The best that go on, in their order; a text that ended is not followed.
        going = best.masked_fill(ends, NEVER)
        self._running, chosen = going.topk(min(w, going.shape[1]))
        self._parents, token = branch.gather(1, chosen), token.gather(1, chosen)
        kept = self._written.gather(1, self._parents[:, :, None].expand(-1, -1, count))
        self._written = torch.cat([kept, token[:, :, None]], 2)
        self._close(count)

    def _put_aside(self, best: Tensor, branch: Tensor, token: Tensor, ends: Tensor, count: int) -> None:
        """Rank the texts that end now among those that ended before."""
        options, w = self._options, self._options.beams
        if not ends[:, :w].any():
            return
        closed = ~self._open[:, None]
        score = (best / count**options.length_penalty)[:, :w].masked_fill(~ends[:, :w] | closed, NEVER)
        texts = self._written.gather(1, branch[:, :w, None].expand(-1, -1, count))[:, :, 1:]
        texts = torch.cat([texts, token[:, :w, None]], 2)
        room = self._tokens.new_full((*texts.shape[:2], options.max_tokens), self._writer.pad)
        room[:, :, :count] = texts
        self._ended, order = torch.cat([self._ended, score], 1).topk(w)
        every = torch.cat([self._tokens, room], 1)
        self._tokens = every.gather(1, order[:, :, None].expand(-1, -1, options.max_tokens))
        lengths = torch.cat([self._lengths, torch.full_like(token[:, :w], count)], 1)
        self._lengths = lengths.gather(1, order)

    def _close(self, count: int) -> None:
        """Find the sources whose ended texts can't improve any more (``Decoding.early_stopping``)."""
        options = self._options
        full = self._ended[:, -1] > NEVER
        if options.early_stopping is True:
            self._open &= ~full
        tokens = options.max_tokens if options.early_stopping == "never" and options.length_penalty > 0 else count
        hope = self._running[:, 0] / tokens**options.length_penalty
        self._open &= ~full | (hope > self._ended[:, -1])

    def _leave_out(self) -> None:
        """Collect the texts of the sources that are done, and go on without them."""
        self._collect((~self._open).nonzero()[:, 0])
        rows = self._open.nonzero()[:, 0]
        self._writer.keep(rows)
        self._sources = self._sources[rows.cpu()]
        for name in ("_written", "_running", "_parents", "_open", "_ended", "_tokens", "_lengths"):
            setattr(self, name, getattr(self, name)[rows])

    def _collect(self, rows: Int64[Tensor, " b"]) -> None:
        for row in rows.tolist():
            self._found[int(self._sources[row])] = [
                Text(tokens[:length].tolist(), float(score))
                for tokens, length, score in zip(self._tokens[row], self._lengths[row], self._ended[row], strict=True)
                if score > NEVER
            ]
