"""What the site has beside docs/: pages that lie elsewhere in the repository, and links across that border.

Every page reads well where it lies, as a file beside the code. In the site some lie elsewhere, and what links to them
is led there.
"""

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
ELSEWHERE = {
    "CHANGELOG.md": "changes.md",
    "CONTRIBUTING.md": "contributing.md",
    "results/LOG.md": "results/log.md",
    "results/reach/README.md": "results/reach.md",
    **{
        figure.relative_to(ROOT).as_posix(): figure.relative_to(ROOT).as_posix()
        for figure in ROOT.glob("results/*/*.png")
    },
}
"""Files of the repository, and where the site has them."""
INSTEAD = {"README.md": "index.md"}
"""Files that the site has another page for."""

CODE = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<=\]\()(?!\w+:|#|/)([^)#\s]+)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Take in the pages and pictures that lie elsewhere."""
    for source, place in ELSEWHERE.items():
        files.append(File.generated(config, place, abs_src_path=str(ROOT / source)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Links by where things lie in the repository become links by where they lie in the site."""
    place = page.file.src_uri
    source = next((one for one, other in ELSEWHERE.items() if other == place), f"docs/{place}")

    def lead(link: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(source), link[0]))
        moved = {**ELSEWHERE, **INSTEAD}.get(target, target.removeprefix("docs/"))
        return posixpath.relpath(moved, posixpath.dirname(place) or ".")

    parts = CODE.split(markdown)
    # An error's words in a table, as a['b']['c'], are no link by reference.
    parts[::2] = [LINK.sub(lead, part).replace("']['", "'\\]\\['") for part in parts[::2]]
    return "".join(parts)
