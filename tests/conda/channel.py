"""A conda channel in a folder, with the running Python and its pip as the only packages.

The package of Python is what `python -m venv` makes: links to this Python, and no library.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import io
import json
import platform
import shutil
import sys
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

SUBDIR = {"x86_64": "linux-64", "aarch64": "linux-aarch64"}[platform.machine()]
MINOR = f"{sys.version_info.major}.{sys.version_info.minor}"
PACKAGES = f"lib/python{MINOR}/site-packages"


def make_channel(folder: Path) -> None:
    """Write the channel into `folder`, so that Python can be asked for with pip or without."""
    for subdir in (SUBDIR, "noarch"):
        (folder / subdir).mkdir(parents=True)
    pip = importlib.metadata.version("pip")
    records = dict(
        [
            _package(folder, "python", platform.python_version(), [], _put_python),
            _package(folder, "pip", pip, [f"python {MINOR}.*"], _put_pip),
        ]
    )
    for subdir, packages in ((SUBDIR, records), ("noarch", {})):
        index = {"info": {"subdir": subdir}, "packages": packages, "packages.conda": {}}
        (folder / subdir / "repodata.json").write_text(json.dumps(index))


def _put_python(prefix: Path) -> None:
    base = Path(sys._base_executable).resolve()
    (prefix / "bin").mkdir()
    for name in ("python", "python3", f"python{MINOR}"):
        (prefix / "bin" / name).symlink_to(base)
    (prefix / "pyvenv.cfg").write_text(f"home = {base.parent}\n")
    (prefix / PACKAGES).mkdir(parents=True)
    (prefix / PACKAGES / "README.txt").write_text("packages\n")


def _put_pip(prefix: Path) -> None:
    for file in importlib.metadata.files("pip"):
        if ".." not in file.parts and "__pycache__" not in file.parts:
            target = prefix / PACKAGES / file
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file.locate(), target)


def _package(
    channel: Path, name: str, version: str, depends: list[str], put: Callable[[Path], None]
) -> tuple[str, dict]:
    """Write a package of what `put` puts into a prefix; its file's name and its record."""
    path = channel / SUBDIR / f"{name}-{version}-0.tar.bz2"
    about = {"name": name, "version": version, "build": "0", "build_number": 0}
    about |= {"depends": depends, "subdir": SUBDIR}
    with tempfile.TemporaryDirectory() as folder, tarfile.open(path, "w:bz2") as archive:
        prefix = Path(folder)
        put(prefix)
        files = sorted(file for file in prefix.rglob("*") if file.is_symlink() or file.is_file())
        names = [file.relative_to(prefix).as_posix() for file in files]
        _add(archive, "info/index.json", about)
        listed = [_listed(prefix, name) for name in names]
        _add(archive, "info/paths.json", {"paths_version": 1, "paths": listed})
        for name in names:
            archive.add(prefix / name, name)
    written = path.read_bytes()
    sums = {kind: hashlib.new(kind, written).hexdigest() for kind in ("md5", "sha256")}
    return path.name, about | sums | {"size": len(written)}


def _add(archive: tarfile.TarFile, name: str, value: dict) -> None:
    text = json.dumps(value).encode()
    entry = tarfile.TarInfo(name)
    entry.size = len(text)
    archive.addfile(entry, io.BytesIO(text))


def _listed(prefix: Path, name: str) -> dict:
    file = prefix / name
    content = b"" if file.is_symlink() else file.read_bytes()
    return {
        "_path": name,
        "path_type": "softlink" if file.is_symlink() else "hardlink",
        "sha256": hashlib.sha256(content).hexdigest(),
        "size_in_bytes": len(content),
    }
