"""A stand-in for conda: what Snakemake calls of its command line, on rattler's solver.

The folder it is installed in has `bin/conda`, `bin/activate` and `conda-forge`, its only channel.
Like conda, it hands the `pip:` part of an environment to the pip that it has installed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

VERSION = "24.7.1"  # the oldest that Snakemake takes
CONDA = """#!/bin/sh
exec {python} {script} {folder} "$@"
"""
ACTIVATE = """
export CONDA_PREFIX="$1" PATH="$1/bin:$PATH"
"""


def install(folder: Path) -> None:
    """Write the commands into `folder`; its channel is made by `channel.py`."""
    (folder / "bin").mkdir()
    words = {"python": sys.executable, "script": Path(__file__), "folder": folder}
    command = CONDA.format(**{name: shlex.quote(str(word)) for name, word in words.items()})
    (folder / "bin" / "conda").write_text(command)
    (folder / "bin" / "conda").chmod(0o755)
    (folder / "bin" / "activate").write_text(ACTIVATE)


def create(folder: Path, file: Path, prefix: Path) -> None:
    """``conda env create``."""
    import yaml

    environment = yaml.safe_load(file.read_text())
    if unknown := environment.keys() - {"name", "channels", "dependencies"}:
        sys.exit(f"EnvironmentSectionNotValid: {', '.join(unknown)}")
    parts = environment["dependencies"]
    conda = [part for part in parts if isinstance(part, str)]
    asyncio.run(put_packages(folder, environment["channels"], conda, prefix))
    for part in parts:
        if isinstance(part, dict):
            put_with_pip(part["pip"], file, prefix)


async def put_packages(folder: Path, channels: list[str], specs: list[str], prefix: Path) -> None:
    """Solve and install what comes from the channels."""
    import rattler

    config = rattler.ChannelConfig(channel_alias=f"{folder.as_uri()}/")
    records = await rattler.solve(
        [rattler.Channel(name, config) for name in channels],
        specs,
        platforms=[str(rattler.Subdir.current()), "noarch"],
        virtual_packages=rattler.VirtualPackage.detect(),
    )
    await rattler.install(records, prefix, cache_dir=folder / "pkgs", show_progress=False)


def put_with_pip(requirements: list[str], file: Path, prefix: Path) -> None:
    """Install requirements; relative paths in them begin where the environment's file lies."""
    wanted = file.with_suffix(".requirements.txt")
    wanted.write_text("\n".join(requirements))
    command = [prefix / "bin" / "python", "-m", "pip", "install", "--quiet", "-r", wanted]
    outside = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    environment = {name: value for name, value in os.environ.items() if name not in outside}
    if subprocess.run(command, cwd=file.parent, env=environment).returncode:
        sys.exit("CondaEnvException: Pip failed")


def main(folder: Path, words: list[str]) -> None:
    """Do what a command line says; one that Snakemake does not use is an error."""
    if words == ["--version"]:
        print("conda", VERSION)
    elif words == ["info", "--json"]:
        print(json.dumps({"conda_prefix": str(folder), "platform": "linux-64"}))
    elif words == ["config", "--get", "channel_priority", "--json"]:
        print(json.dumps({"get": {"channel_priority": "strict"}}))
    elif words == ["clean", "-y", "--tarballs"]:
        pass  # the channel lies on this machine
    elif words[:2] == ["env", "create"]:
        flags = argparse.ArgumentParser(allow_abbrev=False)
        flags.add_argument("--quiet", "--no-default-packages", action="store_true")
        flags.add_argument("--file", type=Path, required=True)
        flags.add_argument("--prefix", type=Path, required=True)
        given = flags.parse_args(words[2:])
        create(folder, given.file, given.prefix)
    else:
        sys.exit(f"not in this stand-in for conda: {shlex.join(words)}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
