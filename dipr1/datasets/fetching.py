"""Get a data set's files in place: fetch them, check local ones, or generate scenes (verb
``download``).

The folder that is written holds `source.json`, which tells ``dipr1 convert`` what to read. What is
fetched is kept as its makers packed it in the folder of archives, where an interrupted download
goes on. Most licences ask to be accepted, so such a set's archives are put there by hand. Either
way they are verified and unpacked.
"""

from __future__ import annotations

import argparse
import os
import shutil
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from dipr1.datasets.archives import unpack
from dipr1.datasets.formats import READERS
from dipr1.datasets.sources import SOURCES, Archive, Source
from dipr1.datasets.transfer import digest_of, fetch, verify
from dipr1.demo.scenes import write_scenes
from dipr1.errors import UserError
from dipr1.progress import progress, say
from dipr1.provenance import file_digest

ARCHIVES = "data/archives"


def _generate(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    if args.num_images < 1:
        raise UserError(f"--num-images: expected at least 1 but got {args.num_images}")
    if args.seed < 0:
        raise UserError(f"--seed: expected 0 or more but got {args.seed}")
    steps = progress(range(args.num_images), desc="drawing scenes")
    write_scenes(
        folder,
        num_images=args.num_images,
        seed=args.seed,
        style=args.style,
        on_progress=lambda _: next(steps, None),
    )
    next(steps, None)  # closes the bar
    return {
        "format": "coco",
        "annotations": "annotations.json",
        "images": "images",
        "inside": True,
        "sha256": file_digest(folder / "annotations.json"),
        "num_images": args.num_images,
        "scenes": {"style": args.style, "seed": args.seed},
    }


def _check_local(args: argparse.Namespace) -> dict[str, Any]:
    """Paths stay as given: relative ones are relative to the working directory."""
    for flag, path, exists in (
        ("--annotations", args.annotations, os.path.exists),
        ("--images", args.images, os.path.isdir),
    ):
        if path is None:
            raise UserError(f"{flag}: needed for format {args.format}")
        if not exists(path):
            kind = "file or folder" if exists is os.path.exists else "folder"
            raise UserError(
                f"{flag}: {path}: no such {kind};"
                " get the data set from its makers and name where it lies"
            )
    return _read(args.format, args.annotations, args.images)


def _read(format_name: str, annotations: str, images: str) -> dict[str, Any]:
    """What `source.json` says of a data set that lies there and can be read."""
    paths = [image.image for image in READERS[format_name].read(annotations, images).images]
    missing = [path for path in paths if not os.path.isfile(path)]
    if paths and len(missing) == len(paths):
        raise UserError(
            f"--images: {images}: none of the {len(paths)} images of {annotations} is"
            f" there; expected for example {missing[0]}"
        )
    if missing:
        print(f"{len(missing)} of {len(paths)} image files are missing and will be rejected")
    return {
        "format": format_name,
        "annotations": annotations,
        "images": images,
        "inside": False,
        "sha256": file_digest(annotations),
        "num_images": len(paths),
    }


# --- data sets that are fetched ---------------------------------------------------------------


def _fetch(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Take the set where the user put it unpacked, else get its archives and unpack them."""
    name, source = (args.source, _known(args)) if args.source else ("--url", _own(args))
    store = Path(args.archives)
    say(f"{source.title}: licence: {source.licence}")
    placed = store / name
    if args.source and placed.is_dir():
        annotations, images = (
            _located(placed, path) for path in (source.annotations, source.images)
        )
        return _read(source.format, str(annotations), str(images))
    archives = _collected(name, source, store)
    for path in archives.values():
        _add(path, folder, source)
    annotations, images = (_located(folder, path) for path in (source.annotations, source.images))
    found = _read(source.format, str(annotations), str(images))
    return found | {
        "annotations": annotations.relative_to(folder).as_posix(),
        "images": images.relative_to(folder).as_posix(),
        "inside": True,
        "source": {
            "name": name if args.source else args.url,
            "page": source.page,
            "licence": source.licence,
            "files": [
                {
                    "name": archive.name,
                    "size": path.stat().st_size,
                    "sha256": archive.sha256 or digest_of(path),
                }
                for archive, path in archives.items()
            ],
        },
    }


def _known(args: argparse.Namespace) -> Source:
    if args.url:
        raise UserError("--url: give it or --source, not both")
    if args.source not in SOURCES:
        raise UserError(f"--source: no {args.source!r}; there are {', '.join(SOURCES)}")
    source = SOURCES[args.source]
    if args.format not in (None, source.format):
        raise UserError(
            f"--format: {args.source} is of format {source.format} but got {args.format}"
        )
    return source


def _own(args: argparse.Namespace) -> Source:
    """The user's own archive as a source."""
    for flag in ("format", "annotations", "images"):
        if getattr(args, flag) in (None, "scenes"):
            raise UserError(f"--{flag}: needed with --url, to know what lies where in the archive")
    address = urlsplit(args.url)
    name = PurePosixPath(unquote(address.path)).name
    if address.scheme not in ("http", "https") or name in ("", ".."):
        raise UserError(f"--url: expected http(s)://host/.../file but got {args.url}")
    archive = Archive(name, args.url, sha256=args.sha256)
    return Source(
        name, args.format, args.annotations, args.images, (archive,), args.url, "not known"
    )


def _collected(name: str, source: Source, store: Path) -> dict[Archive, Path]:
    """Where the archives are, verified; first all that must be put by hand, then downloads."""
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
        if archive.url is None:
            verify(path, archive.size, archive.sha256)
        else:
            fetch(archive.url, path, size=archive.size, sha256=archive.sha256)
        paths[archive] = path
    return paths


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


def _located(folder: Path, path: str) -> Path:
    """`path` in the folder or one folder below, as the makers' archives differ in that."""
    places = [folder / path, *sorted(folder.glob(f"*/{path}"))]
    found = next((place for place in places if place.exists()), None)
    if found is None:
        raise UserError(f"{folder}: no {path} in it; unpack the whole data set there")
    return found
