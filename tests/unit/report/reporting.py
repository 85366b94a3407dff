"""The verb `report` on a made-up experiment: everything that the workflow hands to it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa

from dipr1.artifacts.annotations import ANNOTATIONS
from dipr1.artifacts.audit import AUDIT
from dipr1.artifacts.made import read_made
from dipr1.artifacts.samples import SAMPLES
from dipr1.cli import main
from dipr1.evaluation.comparison import Compared
from dipr1.policies.looking_again import Seen, lies_inside, merge_by_agreement
from dipr1.report.results import FIGURES, Results
from tests.unit.experiment import files, made_of_set

SETS = (("crowdscenes.validation", "street"), ("crowdscenes_ood.validation", "night"))
ARMS = ("base", "sft", "dipr1")
FLAGS = ("--num-images", "6", "--num-suspects", "6", "--resamples", "100")
FLAGS += ("--trained-on", "crowdscenes.train")
HOSTILE = "</script><script>window.hacked = 1</script><img src=x onerror='window.hacked = 2'>"
KINDS = {1: "missing_label", 3: "unsupported_label", 5: "loose_label", 6: "uncertain"}


def set_files(folder: Path, kind: str) -> dict[str, str]:
    return {".".join(Path(name).with_suffix("").parts[-2:]): name for name in files(folder, kind)}


def metric_files(folder: Path) -> list[str]:
    return [name for name in files(folder, "metrics") if not name.endswith(".images.parquet")]


def image_files(folder: Path) -> list[str]:
    return [name for name in files(folder, "metrics") if name.endswith(".images.parquet")]


def evaluate_all(folder: Path) -> None:
    for predictions in files(folder, "predictions"):
        of_set = {
            kind: set_files(folder, kind)[Path(predictions).stem]
            for kind in ("annotations", "prompts", "variance")
        }
        flags = [word for kind, name in of_set.items() for word in (f"--{kind}", name)]
        output = predictions.replace("/predictions/", "/metrics/")
        flags += ["--images-output", output.replace(".parquet", ".images.parquet")]
        assert main(["evaluate", "--predictions", predictions, *flags, "--output", output]) == 0


def write_audit(folder: Path, kinds: dict[int, str]) -> None:
    """Call the first object of some images suspicious, by row of the annotations."""
    for dataset, name in set_files(folder, "annotations").items():
        table = ANNOTATIONS.read(name).to_pylist()
        rows = []
        for rank, (row, kind) in enumerate(kinds.items()):
            x1, y1, x2, y2 = box = next(iter(table[row]["boxes"]), [5, 5, 40, 60])
            rows.append(
                {
                    "rank": rank,
                    "image_id": table[row]["image_id"],
                    "image": table[row]["image"],
                    "kind": kind,
                    "region": 0,
                    "box": box,
                    "hull": [x1, y1, x2 + 9, y2],
                    "suggested_box": None if kind == "unsupported_label" else [x1, y1, x2 + 9, y2],
                    "support": 0.0 if kind == "unsupported_label" else 0.875,
                    "uncertainty": 0.6,
                    "score": 0.9 - rank / 10,
                }
            )
        path = folder / f"results/audit/{dataset.replace('.', '/')}.parquet"
        AUDIT.write(pa.Table.from_pylist(rows, AUDIT.schema), path, made_of_set(dataset))


def look_again(folder: Path, arm: str) -> None:
    """Write the answers of `ARM+own`: every arm's image is looked at again where one is missed.

    The window shows the upper left of the image, and whoever lies wholly in it is found there.
    """
    for name in files(folder, "predictions"):
        path, made = Path(name), read_made(Path(name))
        if made.arm != arm:
            continue
        annotations = ANNOTATIONS.read(set_files(folder, "annotations")[path.stem]).to_pylist()
        pairs = zip(annotations, SAMPLES.read(name).to_pylist(), strict=True)
        rows = [_looked_again(*pair) for pair in pairs]
        table = pa.Table.from_pylist(rows, SAMPLES.schema_with([*rows[0]]))
        again = f"{arm}+own"
        output = folder / f"results/predictions/{again}/seed{made.seed}/{path.name}"
        SAMPLES.write(table, output, replace(made, arm=again))


def _looked_again(image: dict, answer: dict) -> dict:
    window = np.array([0.0, 0.0, 120.0, 144.0])
    size = image["width"], image["height"]
    people = np.reshape([*image["boxes"]], (-1, 4))[~np.array(image["ignore"], bool)]
    shown = people[lies_inside(people, window, size)]
    first = Seen.of(
        answer["boxes"] or [], answer["confidence"], labels=["person"] * len(answer["confidence"])
    )
    crop = Seen.of(shown, np.full(len(shown), 0.5), labels=["person"] * len(shown), view=1)
    merged = merge_by_agreement(first, [crop], window[None], size)
    return answer | {
        "boxes": merged.boxes.tolist(),
        "confidence": merged.confidence.tolist(),
        "num_tokens": 2 * answer["num_tokens"],
        "labels": merged.labels.tolist(),
        "view": merged.view.tolist(),
        "windows": [window.tolist()],
        "num_crops": 1,
        "crop_texts": [HOSTILE],
        "first_boxes": answer["boxes"],
        "first_confidence": answer["confidence"],
    }


def report(folder: Path, *flags: str, **other: list[str]) -> int:
    annotations = files(folder, "annotations")
    kinds = {
        "metrics": metric_files(folder),
        "images": image_files(folder),
        "predictions": files(folder, "predictions"),
        "annotations": [name for name in annotations if not name.endswith(".rejects.parquet")],
        "rejects": [name for name in annotations if name.endswith(".rejects.parquet")],
        "variance": files(folder, "variance"),
        "audit": files(folder, "audit"),
        "training-logs": files(folder, "policies"),
    }
    kinds |= {name.replace("_", "-"): names for name, names in other.items()}
    words = [word for name, names in kinds.items() for word in (f"--{name}", *names)]
    return main(["report", *words, "--output", str(folder / "page/index.html"), *flags])


def results_of(values: dict[str, float | None], rows: list[Compared] = (), **sets) -> Results:
    """One seed of each arm, AP on the set `d.s` and on others."""
    figures = [
        (arm, 0, name, "AP", ap)
        for name, of_set in ({"d.s": values} | sets).items()
        for arm, ap in of_set.items()
    ]
    return Results(pl.DataFrame(figures, FIGURES, orient="row"), compared=list(rows))
