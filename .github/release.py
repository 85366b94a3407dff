"""Print what the changelog says of a release, and fail where its tag and the project disagree.

python .github/release.py v1.2.3
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def notes(tag: str, root: Path = ROOT) -> str:
    """The changelog's section of a tag.

    Raises:
        SystemExit: the tag is not `v` and the version, or version, citation and changelog disagree.
    """
    version = _found(r'^__version__ = "([^"]+)"', root / "dipr1" / "__init__.py")
    if tag != f"v{version}":
        sys.exit(f"{tag}: the version in dipr1/__init__.py is {version}; tag it v{version}")
    cited = _found(r"^version: (\S+)", root / "CITATION.cff")
    if cited != version:
        sys.exit(f"CITATION.cff: version {cited}, but {version} is released; change it")
    section = rf"^## \[{re.escape(version)}\].*?\n(.*?)(?=^## \[|\Z)"
    return _found(section, root / "CHANGELOG.md").strip()


def _found(pattern: str, path: Path) -> str:
    match = re.search(pattern, path.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    if match is None:
        sys.exit(f"{path.name}: nothing like {pattern!r} in it; write it before the tag")
    return match[1]


if __name__ == "__main__":
    print(notes(sys.argv[1]))
