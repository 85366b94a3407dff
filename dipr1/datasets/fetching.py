"""Get a data set's files in place: check local ones, or fetch, verify and unpack its archives.

What is fetched is kept as its makers packed it in the folder of archives, where an interrupted
download goes on and a broken file is fetched again. Most licences ask to be accepted, so such a
set's archives are put there by hand. Either way they are verified and unpacked.
"""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from dipr1.datasets import formats
from dipr1.datasets.archives import BrokenArchive, check_no_page, unpack
from dipr1.datasets.handover import note
from dipr1.datasets.options import Files
from dipr1.datasets.sizes import an_example
from dipr1.datasets.sources import SOURCES, Archive, Source
from dipr1.datasets.transfer import fetch, verify
from dipr1.errors import UserError
from dipr1.progress import final_names, say
from dipr1.provenance import file_digest, options_digest


def local(format_name: str, annotations: str, images: str) -> dict[str, Any]:
    """The note of a data set that lies on this machine.

    Raises:
        UserError: there is no such file or folder, or it cannot be read.
    """
    for flag, path, exists in (
        ("--annotations", annotations, os.path.exists),
        ("--images", images, os.path.isdir),
    ):
        if not exists(path):
            kind = "file or folder" if exists is os.path.exists else "folder"
            raise UserError(
                f"{flag}: {path}: no such {kind};"
                " get the data set from its makers and name where it lies"
            )
    return _checked(format_name, annotations, images)


def _checked(
    format_name: str, annotations: str, images: str, below: Path | None = None
) -> dict[str, Any]:
    """The note of a data set whose annotations can be read and whose images are there."""
    records = formats.read(format_name, annotations, images).images
    paths = [record.image for record in records]
    sizes = [_size(path) for path in paths]
    missing = [path for path, size in zip(paths, sizes, strict=True) if size is None]
    example = an_example(missing, images)
    if paths and len(missing) == len(paths):
        raise UserError(
            f"--images: {images}: none of the {len(paths)} images of {annotations} is there"
            + example
        )
    if missing:
        print(
            f"{len(missing)} of {len(paths)} image files are missing and will be rejected"
            + final_names(example)
        )
    named = ((path.removeprefix(images), size) for path, size in zip(paths, sizes, strict=True))
    seen = options_digest({"names and sizes": sorted(named, key=str)})
    return note(format_name, annotations, images, len(paths), seen, below=below)


def _size(path: str) -> int | None:
    """Of a file, in bytes; None where there is none."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) else None


def fetched(format_name: str, files: Files, store: Path, folder: Path) -> dict[str, Any]:
    """The note of a data set that is taken where the user put it unpacked, else unpacked.

    Args:
        format_name: of the data set.
        files: its known `source`, or the user's own `url`.
        store: folder of the archives.
        folder: where they are unpacked.

    Raises:
        UserError: an archive cannot be fetched, or has to be put into the store by hand.
    """
    source = SOURCES[files.source] if files.source else _own(format_name, files)
    name = files.source or files.url
    say(f"{source.title}: licence: {source.licence}")
    placed = store / name
    if files.source and placed.is_dir():
        return _checked(source.format, *_located(placed, source))
    archives = _unpacked(_collected(name, source, store), folder, source)
    return _checked(source.format, *_located(folder, source), below=folder) | {
        "source": {
            "name": name,
            "page": source.page,
            "licence": source.licence,
            "files": [
                {
                    "name": archive.name,
                    "size": path.stat().st_size,
                    "sha256": archive.sha256 or file_digest(path),
                }
                for archive, path in archives.items()
            ],
        },
    }


def _own(format_name: str, files: Files) -> Source:
    """The user's own archive as a source."""
    address = urlsplit(files.url)
    name = PurePosixPath(unquote(address.path)).name
    if name in ("", ".."):
        raise UserError(f"--url: expected http(s)://host/.../file but got {files.url}")
    archive = Archive(name, files.url, sha256=files.sha256)
    return Source(
        name, format_name, files.annotations, files.images, (archive,), files.url, "not known"
    )


def _unpacked(
    archives: dict[Archive, tuple[Path, bool]], folder: Path, source: Source
) -> dict[Archive, Path]:
    """Unpack the archives of :func:`_collected`; one that was there and is broken is fetched again,
    once."""
    for archive, (path, is_new) in archives.items():
        try:
            _add(path, folder, source)
        except BrokenArchive as fault:
            if is_new or archive.url is None:
                raise
            say(f"{str(fault).rpartition('; ')[0]}; fetching it again")
            fetch(archive.url, path, size=archive.size, sha256=archive.sha256, again=True)
            shutil.rmtree(folder, ignore_errors=True)  # half of it is there
            return _unpacked(archives | {archive: (path, True)}, folder, source)
    return {archive: path for archive, (path, _) in archives.items()}


def _collected(name: str, source: Source, store: Path) -> dict[Archive, tuple[Path, bool]]:
    """Where the archives are, verified, and whether they were fetched just now; first all that must
    be put by hand, then downloads."""
    missing = [
        archive.name
        for archive in source.archives
        if archive.url is None and not (store / archive.name).is_file()
    ]
    if missing or not source.archives:
        raise UserError(_by_hand(name, source, store, missing))
    paths = {}
    for archive in source.archives:
        path = store / archive.name
        paths[archive] = path, _has_fetched(archive, path)
    return paths


def _has_fetched(archive: Archive, path: Path) -> bool:
    if archive.url is not None:
        return fetch(archive.url, path, size=archive.size, sha256=archive.sha256)
    check_no_page(path)
    try:
        verify(path, archive.size, archive.sha256)
    except UserError as fault:
        raise UserError(f"{fault}; delete it and get it again from its makers") from None
    return False


def _by_hand(name: str, source: Source, store: Path, missing: list[str]) -> str:
    """One line: where to get which file, and where to put it."""
    unpacked = (
        f"the unpacked set into {store / name}, so that {store / name / source.annotations} and"
        f" {store / name / source.images} exist"
    )
    hint = f" ({source.hint})" if source.hint else ""
    if missing:
        ways = (
            f"get {', '.join(missing)} from {source.page} and put them into {store}, or {unpacked}"
        )
    else:
        ways = f"get it from {source.page} and put {unpacked}"
    return (
        f"--source {name}: {source.title} asks for its licence to be accepted or a login, so {ways}"
        f"{hint}; licence: {source.licence}"
    )


def _add(path: Path, folder: Path, source: Source) -> None:
    """Unpack what is needed of an archive; a bare annotation file is copied."""
    check_no_page(path)
    if path.suffix.lower() in (".odgt", ".json", ".txt", ".mat"):
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, folder / path.name)
        return
    say(f"unpacking {path}")
    wanted = [PurePosixPath(path).parts for path in (source.annotations, source.images)]

    def keep(name: PurePosixPath) -> bool:
        return any(
            name.parts[depth : depth + len(parts)] == parts for parts in wanted for depth in (0, 1)
        )

    if not unpack(path, folder, keep=keep):
        raise UserError(
            f"{path}: has neither {source.annotations} nor {source.images}; is it another version?"
        )


def _located(folder: Path, source: Source) -> list[str]:
    """Annotations and images in the folder or one folder below, as archives differ in that."""
    places = []
    for path in (source.annotations, source.images):
        candidates = [folder / path, *sorted(folder.glob(f"[!.]*/{path}"))]
        place = next((place for place in candidates if place.exists()), None)
        if place is None:
            raise UserError(f"{folder}: no {path} in it; unpack the whole data set there")
        places.append(str(place))
    return places
