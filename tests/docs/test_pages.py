"""The pages say what is so: every command in them parses or runs, every link leads somewhere, every snippet works."""

import importlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vitrail.cli import main
from vitrail.cli.entry import pick
from vitrail.data import docstrings, documents, glyphs
from vitrail.recipes.presets import MAE

sys.path.append(str(Path(__file__).parents[1] / "gallery"))

from gallery_faces import portrait

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
OUTSIDE = {"cd", "cp", "git", "pip", "python3", "source", ".venv/bin/pip"}
"""Words that begin a command which isn't ours."""
LAUNCHERS = {"torchrun": "--", "accelerate": "--module"}
"""What starts several processes, and after which word our command begins (else torchrun takes --run for its own)."""


def commands_in(text: str, where: str, first: int) -> list[tuple[str, list[str]]]:
    """Every command of a bash block: where it stands, and its words."""
    import shlex

    lines = text.replace("\\\n", "  ").splitlines()
    found = ((f"{where}:{first + offset}", shlex.split(line, comments=True)) for offset, line in enumerate(lines))
    return [(place, words) for place, words in found if words]


def blocks_of(page: Path, *kinds: str) -> list[tuple[str, str, int]]:
    """A page's blocks of code of these kinds: the kind, what is in it, and the number of its first line."""
    text = page.read_text(encoding="utf-8")
    found = re.finditer(rf"^```({'|'.join(kinds)})\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [(block[1], block[2], text[: block.start()].count("\n") + 2) for block in found]


def commands_of(page: Path) -> list[tuple[str, list[str]]]:
    """Every command of a page."""
    where = str(page.relative_to(ROOT))
    return [case for _, text, first in blocks_of(page, "bash") for case in commands_in(text, where, first)]


def ours(words: list[str]) -> list[str] | None:
    """The words after ``vitrail``, if the command is ours."""
    if words[0] in LAUNCHERS:
        words = words[words.index(LAUNCHERS[words[0]]) + 1 :]
    return words[1:] if words[0] in ("vitrail", ".venv/bin/vitrail") else None


COMMANDS = [case for page in PAGES for case in commands_of(page)]


@pytest.mark.parametrize(("place", "words"), COMMANDS, ids=[place for place, _ in COMMANDS])
def test_every_command_is_one(place: str, words: list[str]) -> None:
    typed = ours(words)
    if typed is not None:
        if not typed[0].startswith("--"):
            command = pick(typed)
            arguments = typed[len(command.words) :]
            if "--help" not in arguments:
                importlib.import_module(command.module).read(arguments)
    elif words[0] == "make":
        targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        assert set(words[1:]) <= set(targets)
    elif words[:3] == [".venv/bin/python", "-m", "pytest"]:
        for path in words[3:]:
            assert (
                path.startswith("-")
                or (ROOT / path).exists()
                or words[words.index(path) - 1] in ("-k", "-m", "--timeout")
            )
    elif words[0].startswith(".venv/bin/python") or words[0] == "bash":
        assert (ROOT / words[1]).exists()
    else:
        assert words[0] in OUTSIDE, f"{place}: nobody knows whether {' '.join(words)} works"


def test_there_are_commands_in_the_readme() -> None:
    assert len(commands_of(ROOT / "README.md")) >= 8


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    targets = [target.partition("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in target]
    missing = [target for target in targets if target and not (page.parent / target).exists()]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_pages_are_no_wider_than_a_screen(page: Path) -> None:
    if page.name == "cli.md":
        return
    long = [line for line in page.read_text().splitlines() if len(line) > 140 and not line.startswith(("|", "!["))]
    assert long == []


SMALLER = {
    "train": ["--epochs", "1", "--batch-size", "32", "--dim", "16", "--heads", "2", "--depth", "1"],
    "train summarizer": ["--epochs", "1", "--test", "2", "--preset", "tiny", "--vocabulary", "300"],
    "train lm": ["--epochs", "1", "--vocabulary", "300", "--length", "32"],
    "summarize": ["--max-tokens", "5"],
    "train faces": ["--epochs", "1", "--batch-size", "40", "--image-size", "32"],
    "probe": ["--seeds", "1", "--labels-per-class", "5", "--epochs", "1"],
}
"""What makes a page's commands quick; the shape is left out where --init brings it."""


def quickly(typed: list[str]) -> list[str]:
    """The same command with less to do: of an option given twice, the last counts."""
    small = SMALLER.get(" ".join(typed[:2]), SMALLER.get(typed[0], []))
    return [*typed, *(small[:4] if "--init" in typed else small)]


def take_photos(folder: Path) -> None:
    """Forty small pictures of each of two kinds: brighter above, or brighter below."""
    rng = np.random.default_rng(0)
    for kind, slope in (("above", 1), ("below", -1)):
        (folder / kind).mkdir(parents=True)
        ramp = np.linspace(90, 0, 40)[::slope, None, None]
        for number in range(40):
            pixels = rng.integers(0, 160, (40, 48, 3)) + ramp
            Image.fromarray(pixels.astype(np.uint8)).save(folder / kind / f"{number}.png")


def take_portraits(folder: Path) -> None:
    """Drawn people: some to train on, more of Ada, one party, and a heap of photographs."""
    for person in range(30):
        (folder / "people" / f"p{person}").mkdir(parents=True)
        for number in range(5):
            portrait(folder / "people" / f"p{person}" / f"{number}.png", 100 + 4 * person, seed=100 * person + number)
    for place in ("ada", "photos-of-people"):
        (folder / place).mkdir()
        for number in range(1, 4):
            portrait(folder / place / f"{number}.jpg", 130, seed=number)
    portrait(folder / "party.jpg")


def write_texts(folder: Path) -> None:
    """Pairs to learn from, and documents to summarize."""
    words = ("house", "river", "cloud", "stone", "bread")
    rows = [
        {"document": f"A {words[number % 5]}, said {number} times.", "summary": f"About {words[number % 5]}."}
        for number in range(200)
    ]
    lines = [json.dumps(row) + "\n" for row in rows]
    (folder / "path" / "to" / "pairs.jsonl").write_text("".join(lines))
    (folder / "articles.jsonl").write_text("".join(lines[:3]))
    for name in ("README.md", "report.txt", "path/to/description.txt"):
        (folder / name).write_text("A river, said 3 times.")


RUN = [
    "README.md",
    *(f"docs/{name}.md" for name in ("index", "tour", "vision", "faces", "text", "attention", "viewer")),
]
ROOMS = [path for room in ("howto", "papers") for path in sorted((ROOT / "docs" / room).glob("*.md"))]
RUN += [str(path.relative_to(ROOT)) for path in ROOMS if blocks_of(path, "bash", "python")]
PYTHON_ONLY = ["docs/homework.md"]
"""Pages whose commands ask for files that only a course hands out."""


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the pages' commands read: photographs, people, texts."""
    folder = tmp_path_factory.mktemp("material")
    take_photos(folder / "path" / "to" / "photos")
    take_portraits(folder / "path" / "to")
    write_texts(folder)
    return folder


@pytest.fixture
def around(material: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the pages' commands find in the folder that they run in."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(material, tmp_path, dirs_exist_ok=True)
    shutil.copytree(ROOT / "docs" / "images", tmp_path / "docs" / "images")
    # A twelfth of the characters, which no other test may find in its cache.
    monkeypatch.setenv("VITRAIL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(glyphs, "identities", lambda part, all_of=glyphs.identities: all_of(part)[:12])
    monkeypatch.setattr(documents, "docstrings", lambda all_of=docstrings.docstrings: all_of()[:200])
    monkeypatch.setattr("vitrail.cli.view.wait", lambda: None)  # nobody is there to look, or to press Ctrl-C
    for room in ("cli.view", "viewer.notebook"):
        monkeypatch.setattr(f"vitrail.{room}.open_browser", lambda url: False)


@pytest.mark.timeout(600)  # a minute at rest
@pytest.mark.parametrize("page", [*RUN, *PYTHON_ONLY])
@pytest.mark.usefixtures("around")
def test_a_page_runs_from_top_to_bottom(page: str) -> None:
    """Its commands, only smaller, and its Python, as one who reads it would type them."""
    text = (ROOT / page).read_text(encoding="utf-8")
    if "runs/demo/summarizer" in text:
        assert main(quickly(["train", "summarizer", "--run", "runs/demo/summarizer"])) == 0
    if "runs/demo/faces" in text:
        assert main(quickly(["train", "faces", "--run", "runs/demo/faces", "--per-person", "8"])) == 0
    names: dict[str, object] = {"__name__": "page"}
    for kind, block, first in blocks_of(ROOT / page, "bash", "python"):
        if kind == "python":
            program = block.replace("epochs=20", 'epochs=1, run="runs/python"')
            exec(compile("\n" * (first - 1) + program, page, "exec"), names)
        elif page not in PYTHON_ONLY:
            run(commands_in(block, page, first))


def run(commands: list[tuple[str, list[str]]]) -> None:
    """Give these commands, but for those that aren't ours, take minutes, or start several processes."""
    for place, words in commands:
        typed = ours(words)
        if typed is not None and typed[0] not in ("demo", "--help") and words[0] not in LAUNCHERS:
            assert main(quickly(typed)) == 0, place


@pytest.mark.slow
@pytest.mark.usefixtures("around")
def test_two_processes_run_what_the_page_says() -> None:
    """What `torchrun` starts on one machine, smaller; several machines and GPUs there are none to try."""
    started = [words for _, words in commands_of(ROOT / "docs" / "howto" / "gpus.md") if "--nproc-per-node" in words]
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "--"]
    kinds = set()
    for number, words in enumerate(started):
        typed = ours(words)
        if typed is None or "--nnodes" in words:
            continue
        kinds.add(typed[1])
        command = [*launch, "vitrail", *quickly(typed), "--run", f"runs/{number}"]
        done = subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    assert kinds == {"mae", "faces", "summarizer", "lm"}


@pytest.mark.parametrize("name", ["digits", "fast", "course"])
def test_the_table_of_shapes_says_what_the_presets_are(name: str) -> None:
    text = (ROOT / "docs" / "vision.md").read_text(encoding="utf-8")
    row = next(line for line in text.splitlines() if line.startswith(f"| `{name}` |"))
    config = MAE[name](32, 4, 3)
    numbers = [int(number) for number in re.findall(r"(\d+) (?:wide|block|post-norm)", row)]
    assert numbers == [config.encoder.dim, config.encoder.depth, config.decoder_dim, config.decoder_depth]
