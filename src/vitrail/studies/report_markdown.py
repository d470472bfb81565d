"""docs/studies.md: each question with its answer and figure, from what is committed in ``results/``."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from textwrap import wrap
from typing import Any

from vitrail.studies.report_parts import PAPERS, Chapter, Part, Words
from vitrail.studies.running import FIGURE

WIDTH = 136
HEAD = """\
# Studies

*This page is generated from `results/` by `make docs`.*

The exercises' questions that an experiment can answer, each answered by one. Intervals are of 95%; where one covers
zero it says "too small to tell". All figures of a study are in `results/NAME/results.json`; tables of many are in
[the results](results.md).

One question again, or all of them, quickly (a share of the work; under ten minutes on two cores, offline) or in full:

```bash
vitrail study same-word --quick
vitrail study all --quick
vitrail study all
```

`all` goes on where it was interrupted: a study whose results are there, from the same command, versions and code, is
not repeated; one that fails is told in its place. Its page, `runs/studies/quick/report.html` (without `--quick`:
`results/report.html`), holds every figure and table, needs no other file, and prints well. To write only the page, of
what is there:

```bash
vitrail study report --quick
```
"""


def markdown(chapters: Sequence[Chapter], results: str = "../results") -> str:
    """The whole page.

    Args:
        chapters: what was found.
        results: where its folder is, seen from the page.
    """
    return "\n".join([HEAD, *(line for chapter in chapters for line in _chapter(chapter, results))])


def _chapter(chapter: Chapter, results: str) -> Iterator[str]:
    parts = [part for part in chapter.parts if part.found]
    if not parts:
        return
    yield f"## {chapter.title}\n"
    if chapter.title in PAPERS:
        yield f"{_wrapped(f'*{PAPERS[chapter.title]}*')}\n"
    for part in parts:
        yield from _part(part, results)


def _part(part: Part, results: str) -> Iterator[str]:
    yield f"### {part.question}\n"
    several = len(part.found) > 1
    for about, one in part.found.items():
        words = Words.of(one["words"])
        told = [*words.shown, *words.limits] or list(words.others)
        yield f"{_wrapped((f'On {about}: ' if several else '') + ' '.join(told))}\n"
    if part.figure is not None:
        yield f"![{part.question}]({Path(results).as_posix()}/{part.name}/{FIGURE})\n"
    yield "```bash"
    yield from [_made(one) for one in part.found.values() if "command" in one] or [f"vitrail study {part.name}"]
    yield "```\n"


def _made(one: Mapping[str, Any]) -> str:
    """The command, and when it was run, for how long."""
    before = "" if one["anew"] else " and the trainings, which were there"
    return f"{one['command']}    # {one['date']}, {one['seconds']:.0f} s{before}"


def _wrapped(text: str) -> str:
    return "\n".join(wrap(text, WIDTH, break_long_words=False, break_on_hyphens=False))
