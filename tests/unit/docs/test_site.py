"""The site of the documentation: it is built from a copy, and refuses links that lead nowhere."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from docs.site import Page, fitted, main

pytest.importorskip("zensical", reason="pip install 'dipr1[docs]'")


@pytest.fixture
def copy(root, tmp_path) -> Path:
    """A repository of what the site is made of."""
    shutil.copytree(root / "docs", tmp_path / "docs")
    for name in ("mkdocs.yml", "CONTRIBUTING.md", "CHANGELOG.md"):
        shutil.copy(root / name, tmp_path)
    for name in ("README.md", "dipr1", "tests", "workflow"):  # what pages link to, or show
        (tmp_path / name).symlink_to(root / name)
    return tmp_path


def test_the_site_is_built_and_has_the_docstrings(copy):
    main(copy)
    python = (copy / "build/site/python.html").read_text("utf-8")
    assert "Ask a policy to find all that is of some labels." in python
    assert "dipr1.boxes.union_area" in python
    assert (copy / "build/site/start/slurm.html").is_file()


@pytest.mark.parametrize(
    "link", ["[x](nowhere.md)", "[x](method.md#no-such-heading)", "[x](../dipr1/nothing.py)"]
)
def test_a_link_that_leads_nowhere_is_refused(copy, link):
    with (copy / "docs/tiny.md").open("a") as page:
        page.write(f"\n{link}\n")
    with pytest.raises(SystemExit, match=r"tiny\.md"):
        main(copy)


def test_links_out_of_the_docs_become_text_or_pages(tmp_path):
    pages = {tmp_path / "docs/start/a.md": "", tmp_path / "CHANGELOG.md": "", tmp_path / "b.py": ""}
    for path in pages:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("[code](../../b.py), [changes](../../CHANGELOG.md#new), [a](https://a.b/c)")
    places = {
        tmp_path / "docs/start/a.md": tmp_path / "site/start/a.md",
        tmp_path / "CHANGELOG.md": tmp_path / "site/CHANGELOG.md",
    }
    assert fitted(tmp_path / "docs/start/a.md", places) == (
        "code, [changes](../CHANGELOG.md#new), [a](https://a.b/c)"
    )


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('<script src="https://cdn.example/x.js"></script>', "fetches https://cdn.example/x.js"),
        ('<a href="none.html">x</a>', "none.html is not there"),
        ('<a href="#none">x</a>', "#none has no such heading"),
    ],
)
def test_a_built_page_is_read_once_more(tmp_path, text, fault):
    path = tmp_path / "page.html"
    path.write_text(f'<h1 id="one">One</h1><a href="#one">up</a>{text}')
    (found,) = Page(path).faults()
    assert found.endswith(fault)
