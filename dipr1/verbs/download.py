"""Fetch a data set, check local data, or draw scenes."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from dipr1.artifacts.made import Input, made_by, write_made
from dipr1.artifacts.writing import output_folder, whole
from dipr1.datasets import formats
from dipr1.datasets.handover import note, write_note
from dipr1.datasets.options import SCENES, Files, Scenes, Style, code_of_download, misfit
from dipr1.datasets.sources import SOURCES
from dipr1.errors import UserError
from dipr1.options import Section, add_options, options
from dipr1.progress import progress
from dipr1.provenance import file_digest

ARCHIVES = "data/archives"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of ``dipr1 download``."""
    parser.add_argument(
        "--format",
        choices=[SCENES, *formats.NAMES],
        help="`scenes` generates; others check local files, or say what --url holds (default that"
        " of --source, else scenes)",
    )
    parser.add_argument("--output", required=True, type=output_folder, help="folder to write")
    add_options(parser, Scenes)
    add_options(parser, Files)
    parser.add_argument(
        "--archives",
        help=f"folder where archives are kept, or put by hand (default {ARCHIVES})",
    )
    parser.add_argument("--dataset", help="name of the data set, for all that is made of it")
    parser.add_argument("--split", help="name of the split, likewise")
    parser.epilog = f"Known sources: {', '.join(SOURCES)}."


def run(args: argparse.Namespace) -> None:
    """Write the folder, whole or not at all.

    Raises:
        UserError: flags that are missing, out of bounds or do not go together, a file that does
            not exist, or one that cannot be fetched.
    """
    files = options(args, Files)
    format_name, store = _format(args, files), Path(args.archives or ARCHIVES)
    chosen = options(args, Scenes) if format_name == SCENES else files
    code = code_of_download(format_name, files)
    # by name, so that nothing that reads real data depends on how scenes are drawn
    maker = import_module(f"dipr1.{code['maker']}")
    with whole(args.output) as part:
        if format_name == SCENES:
            content = _drawn(maker.write_scenes, chosen, part)
        elif files.source or files.url:
            content = maker.fetched(format_name, files, store, part)
        else:
            content = maker.local(format_name, files.annotations, files.images)
        write_note(part, content)
        made = made_by(
            "download",
            {"format": format_name} | chosen.model_dump(exclude={"annotations", "images"}),
            _inputs(content, store),
            code=code,
            dataset=args.dataset,
            split=args.split,
        )
        write_made(part, "download", made)
    print(f"{args.output}: {content['num_images']} images")


def _format(args: argparse.Namespace, files: Files) -> str:
    """The format's name, once it is sure that the flags go together."""
    given = [name for name in Files.model_fields if name in vars(args)]
    if given and not (args.format or files.source):
        raise UserError(f"--format: needed with {Files.flag(given[0])}")
    format_name = args.format or (SOURCES[files.source].format if files.source else SCENES)
    option, fault = misfit(format_name, files, vars(args))
    if not fault and args.archives and not (files.source or files.url):
        option, fault = "archives", "means nothing without a source or a url; leave it out"
    if fault:
        raise UserError(f"{Section.flag(option)}: {fault}")
    return format_name


def _drawn(write_scenes: Callable, scenes: Scenes, folder: Path) -> dict[str, Any]:
    """Draw scenes; returns the folder's note."""
    look = {name: getattr(scenes, name) for name in Style.model_fields}
    steps = progress(range(scenes.num_images), desc="drawing scenes")
    write_scenes(
        folder,
        num_images=scenes.num_images,
        seed=scenes.seed,
        wrong_labels=scenes.wrong_labels,
        **look,
        on_progress=lambda _: next(steps, None),
    )
    next(steps, None)  # closes the bar
    annotations, images = str(folder / "annotations.json"), str(folder / "images")
    drawn = {"scenes": scenes.model_dump(exclude={"num_images"})}
    seen = file_digest(images)
    return note("coco", annotations, images, scenes.num_images, seen, below=folder) | drawn


def _inputs(content: dict[str, Any], store: Path) -> list[Input]:
    """What the folder was made from: archives, or annotations that lie elsewhere."""
    if "source" in content:
        files = content["source"]["files"]
        return [Input(str(store / file["name"]), file["sha256"]) for file in files]
    return [] if content["inside"] else [Input(content["annotations"], content["sha256"])]
