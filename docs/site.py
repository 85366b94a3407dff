"""Build the documentation as a site: `python docs/site.py`, or `make docs`.

The pages are those of this folder and the two of the repository's root that they link to, put
together in ``build/docs``. A link that leaves them leads to a file of the repository, which a site
does not have: its text, which is the path, stays. Zensical refuses links to pages and headings that
are not there; afterwards every link, picture and script of the built pages is looked up once more,
and none may be fetched from elsewhere.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).parents[1]
SHOWN = ("*.md", "*.png", "*.css")
FROM_ROOT = ("CONTRIBUTING.md", "CHANGELOG.md")
LINK = re.compile(r"\[([^\]]*)\]\(([^)#\s:]+)(#[^)]*)?\)")  # to a file of the repository


def main(root: Path = ROOT) -> None:
    """Build ``build/site`` of a repository.

    Raises:
        SystemExit: a link leads nowhere, or something would be fetched from elsewhere.
    """
    gather(root, root / "build/docs")
    shutil.rmtree(root / "build/site", ignore_errors=True)
    command = [sys.executable, "-m", "zensical", "build", "--strict", "--clean"]
    built = subprocess.run(command, cwd=root, capture_output=True, text=True)
    if built.returncode:
        raise SystemExit(f"{built.stdout}\n{built.stderr}")
    faults = sorted({fault for page in pages(root / "build/site") for fault in page.faults()})
    if faults:
        raise SystemExit("\n".join(faults))
    print(root / "build/site/index.html")


def gather(root: Path, folder: Path) -> None:
    """Copy the pages and pictures to a folder of their own, their links made to fit."""
    shutil.rmtree(folder, ignore_errors=True)
    sources = {path for form in SHOWN for path in (root / "docs").rglob(form)}
    places = {path: folder / path.relative_to(root / "docs") for path in sources}
    places |= {root / name: folder / name for name in FROM_ROOT}
    for source, place in places.items():
        place.parent.mkdir(parents=True, exist_ok=True)
        if source.suffix == ".md":
            place.write_text(fitted(source, places), encoding="utf-8")
        else:
            shutil.copy(source, place)


def fitted(source: Path, places: Mapping[Path, Path]) -> str:
    """A page whose links lead to where the pages are in the site; of other files the text is left.

    Raises:
        SystemExit: there is no such file in the repository.
    """

    def link(match: re.Match[str]) -> str:
        text, path, anchor = match.groups()
        target = (source.parent / path).resolve()
        if not target.exists():
            raise SystemExit(f"{source}: links to {path}, which is not there")
        if target not in places:
            return text
        return f"[{text}]({os.path.relpath(places[target], places[source].parent)}{anchor or ''})"

    return LINK.sub(link, source.read_text(encoding="utf-8"))


class Page(HTMLParser):
    """What a built page has: its links and the names that links can lead to."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.names: set[str] = set()
        self.links: list[tuple[str, str]] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """Note ids and what is linked to."""
        for key, value in attributes:
            if key in ("id", "name") and value:
                self.names.add(value)
            if key in ("href", "src") and value:
                self.links.append((tag, value))

    def faults(self) -> Iterator[str]:
        """Say of each link that leads nowhere, or fetches something from elsewhere."""
        for tag, link in self.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                if tag != "a":
                    yield f"{self.path}: <{tag}> fetches {link}"
                continue
            target = (self.path.parent / unquote(parts.path)).resolve() if parts.path else self.path
            if not target.is_file():
                yield f"{self.path}: {link} is not there"
            elif tag == "a" and parts.fragment and target.suffix == ".html":
                names = (self if target == self.path else Page(target)).names
                if unquote(parts.fragment) not in names:
                    yield f"{self.path}: {link} has no such heading"


def pages(site: Path) -> Iterator[Page]:
    """All pages of a site, but the one that a server shows where there is none."""
    for path in sorted(site.rglob("*.html")):
        if path.name != "404.html":
            yield Page(path)


if __name__ == "__main__":
    main()
