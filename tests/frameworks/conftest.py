"""What `dipr1 export` wrote, and the programs it is for, each in an environment of its own.

The environments lie in `.venv-frameworks`, or where DIPR1_FRAMEWORKS says. Those of trainers see
the packages of the environment that the tests run in, torch among them, and hold what they want in
another version. What cannot be installed is skipped, with pip's last words.
"""

from __future__ import annotations

import json
import os
import shutil
import site
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

collect_ignore = ["loaders"]
LOADERS = Path(__file__).parent / "loaders"
POLICY = Path("dipr1", "demo", "checkpoint")
NUM_IMAGES = 6
ON_OURS = "import site; site.addsitedir({!r})\n"


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Path:
    """A folder with artifacts of built-in scenes and all that is exported from them.

    A person whom all samples find is taken out of the labels that are audited, so that a box is
    suggested.
    """
    folder = tmp_path_factory.mktemp("exported")

    def dipr1(*words: str) -> str:
        command = [sys.executable, "-m", "dipr1.cli", *words]
        return subprocess.run(
            command, cwd=folder, check=True, stdout=subprocess.PIPE, text=True
        ).stdout

    def export(source: str, name: str, output: str, *flags: str) -> str:
        return dipr1("export", f"{source}.parquet", "--format", name, "--output", output, *flags)

    dipr1("download", "--format", "scenes", "--num-images", str(NUM_IMAGES), "--output", "scenes")
    made = ("--output", "labels.parquet", "--prompts", "prompts.parquet")
    dipr1("convert", "--source", "scenes", *made)
    dipr1("sample", "prompts.parquet", "--num-samples", "6", "--output", "samples.parquet")
    dipr1("predict", "prompts.parquet", "--output", "predictions.parquet")
    of_labels = ("--annotations", "labels.parquet")
    dipr1("variance", "samples.parquet", *of_labels, "--output", "variance.parquet")
    without_the_surest(folder)
    audited = ("--annotations", "audited.parquet")
    dipr1("audit", "samples.parquet", *audited, "--output", "audit.parquet")

    taught = ("--variance", "variance.parquet", "--shown", "shown")
    export("prompts", "swift", "swift.jsonl", *taught)
    export("prompts", "verl", "verl.parquet", *taught)
    export("prompts", "easyr1", "easyr1.jsonl", *taught)
    wide_policy(root, folder / "wide")
    seen = ("--policy", "wide", "--frame", "absolute", "--min-pixels", "640000")
    made = ("--output", "again.parquet", "--prompts", "wide.parquet")
    dipr1("convert", "--source", "scenes", *seen, *made)
    taught = ("--variance", "variance.parquet", "--shown", "wide_shown")
    said = export("wide", "llamafactory", "llamafactory", *taught)
    (folder / "llamafactory.txt").write_text(said)
    export("labels", "coco", "coco.json")
    export("predictions", "coco-results", "results.json", "--labels", "person")
    export("labels", "yolo", "yolo")
    shutil.copytree(folder / "scenes" / "images", folder / "cvat" / "images")
    export("audit", "cvat", "cvat/annotations.xml", *audited)
    export("audit", "labelstudio", "labelstudio.json", *audited)
    fields = ("--audit", "audit.parquet", "--predictions", "predictions.parquet")
    export("audited", "fiftyone", "fiftyone", *fields)
    return folder


def wide_policy(root: Path, folder: Path) -> None:
    """A copy of the built-in policy that may see more pixels than LLaMA-Factory leaves."""
    shutil.copytree(root / POLICY, folder)
    config = json.loads((folder / "config.json").read_text())
    del config["dipr1_frame"]
    processor = json.loads((folder / "processor_config.json").read_text())
    processor["image_processor"]["size"] = {"shortest_edge": 1024, "longest_edge": 1_000_000}
    for name, content in (("config", config), ("processor_config", processor)):
        (folder / f"{name}.json").write_text(json.dumps(content))


def without_the_surest(folder: Path) -> None:
    """Write `audited.parquet`: the labels without the person who is found most often."""
    regions = pq.read_table(folder / "variance.parquet").to_pylist()
    surest = max(
        (one for one in regions if one["kind"] == "object"), key=lambda one: one["support"]
    )
    labels = pq.read_table(folder / "labels.parquet")
    rows = labels.to_pylist()
    row = next(row for row in rows if row["image_id"] == surest["image_id"])
    for name in ("boxes", "labels", "ignore", "visibility"):
        del row[name][surest["gt_index"]]
    pq.write_table(pa.Table.from_pylist(rows, labels.schema), folder / "audited.parquet")


Load = Callable[..., Any]


@pytest.fixture
def load(exported: Path, root: Path, tmp_path: Path) -> Load:
    """Call a script of `loaders/` with an environment's Python, and read what it found."""

    def call(name: str, *requirements: str, on_ours: bool = False) -> Any:
        python = environment(root, name, requirements, on_ours) if requirements else sys.executable
        output = tmp_path / "found.json"
        # -P: the scripts are called as what they import
        command = [python, "-P", LOADERS / f"{name}.py", exported, root / POLICY, output]
        ended = subprocess.run(
            command,
            cwd=exported,
            env=alone(tmp_path),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=900,
        )
        assert ended.returncode == 0, ended.stdout[-6000:]
        return json.loads(output.read_text(encoding="utf-8"))

    return call


def alone(folder: Path) -> dict[str, str]:
    """What a framework sees of the world: no hub, and a folder of its own for all it keeps."""
    kept = ("HOME", "HF_HOME", "MODELSCOPE_CACHE", "YOLO_CONFIG_DIR", "FIFTYONE_DATABASE_DIR")
    places = {name: str(folder / name.lower()) for name in kept}
    for place in places.values():
        os.makedirs(place, exist_ok=True)
    left = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    switches = {"HF_HUB_OFFLINE": "1", "FIFTYONE_DO_NOT_TRACK": "true", "USE_MODELSCOPE_HUB": "0"}
    return left | places | switches | {"FIFTYONE_DATABASE_VALIDATION": "false"}


def environment(root: Path, name: str, requirements: tuple[str, ...], on_ours: bool) -> Path:
    """The Python of an environment with these requirements; made where it is not there."""
    folder = Path(os.environ.get("DIPR1_FRAMEWORKS", root / ".venv-frameworks")) / name
    python, made_of = folder / "bin" / "python", folder / "requirements.txt"
    wanted = "".join(f"{one}\n" for one in (*requirements, f"# on ours: {on_ours}"))
    if made_of.is_file() and made_of.read_text() == wanted:
        return python
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    if on_ours:
        ours = next(place for place in site.getsitepackages() if place.startswith(sys.prefix))
        [theirs] = folder.glob("lib/python3*/site-packages")
        (theirs / "ours.pth").write_text(ON_OURS.format(ours))
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    ended = subprocess.run([*install, *requirements], capture_output=True, text=True)
    if ended.returncode:
        last = (ended.stderr.strip().splitlines() or ["pip said nothing"])[-1]
        pytest.skip(f"{' '.join(requirements)} cannot be installed here: {last}")
    made_of.write_text(wanted)
    return python
