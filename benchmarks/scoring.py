"""How much average precision each way of scoring boxes gives, on a finished run.

    python benchmarks/scoring.py config.yaml [--samples sft consistency/sft/*.parquet ...]

Reads the predictions, annotations, prompts and samples of an experiment and prints a Markdown
section: per set, arm and score the ranked metrics, and what AP50 gains or loses against
`confidence` on the same images (paired bootstrap over images). `consistency` needs samples of the
arm's own policy: those of the base policy are found, others are given with --samples.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from dipr1.artifacts import artifact_named
from dipr1.artifacts.aligning import align
from dipr1.artifacts.samples import SAMPLES
from dipr1.config import load
from dipr1.errors import UserError
from dipr1.evaluation.evaluated import Images
from dipr1.evaluation.intervals import copies, percentile_interval
from dipr1.evaluation.measuring import values_of
from dipr1.evaluation.per_image import per_image
from dipr1.evaluation.scoring import SCORES, columns_read
from dipr1.places import Places

SHOWN = ("AP", "AP50", "AP75", "AP_crowdhuman", "MR", "JI")
REFERENCE = "confidence"


def main() -> None:
    """Print one table per set."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config", type=Path, help="configuration file of the experiment")
    parser.add_argument(
        "--samples", nargs="+", action="append", default=[], metavar=("ARM", "FILE"),
        help="an arm and samples artifacts of its policy, of all sets",
    )  # fmt: skip
    parser.add_argument("--resamples", type=int, default=1000)
    args = parser.parse_args()
    given = {arm: files for arm, *files in args.samples}
    start, places = time.process_time(), Places(load(args.config))
    print(
        f"## Scores of boxes\n\n{os.cpu_count()} cores, Python {platform.python_version()},"
        f" numpy {np.__version__}, pyarrow {pa.__version__};"
        f" {args.resamples} resamples of the images, 95 % intervals."
    )
    runs = sorted(Path(places.own).glob("predictions/*/seed*/*.parquet"))
    for name in dict.fromkeys(path.stem for path in runs):
        print(f"\n### {name}\n")
        print(f"| arm | seed | score | {' | '.join(SHOWN)} | AP50 against {REFERENCE} |")
        print("|---|---|---|" + "---|" * (len(SHOWN) + 1))
        for path in (path for path in runs if path.stem == name):
            arm, seed = path.parts[-3], path.parts[-2].removeprefix("seed")
            samples = _samples(places, name, arm, given)
            for line in _lines(places, path, samples, args.resamples):
                print(f"| {arm} | {seed} | {line} |")
    print(f"\n{time.process_time() - start:.0f} s of CPU.")


def _samples(places: Places, name: str, arm: str, given: dict[str, list[str]]) -> pa.Table | None:
    """The samples of an arm's own policy; None where there are none."""
    files: Sequence[Path | str] = given.get(arm, [])
    if arm == "base" and not files:
        files = [Path(places.path("samples", *name.split(".")))]
    if not files:
        return None
    return pa.concat_tables(SAMPLES.read(file, ["image_id", "boxes"]) for file in files)


def _lines(places: Places, path: Path, samples: pa.Table | None, resamples: int) -> list[str]:
    """One row per score that the files allow."""
    annotations, prompts = (
        artifact_named(kind).read(places.path(kind, *path.stem.split(".")))
        for kind in ("annotations", "prompts")
    )
    prompts = align(annotations, prompts, "annotations", "prompts")
    weights = copies(annotations.num_rows, resamples, np.random.default_rng(0))
    values, resampled = {}, {}
    for score in SCORES:
        if score == "consistency" and samples is None:
            continue
        try:
            predictions = SAMPLES.read(path, columns_read(score))
        except UserError:  # of an earlier version, without the column of this score
            continue
        predictions = align(annotations, predictions, "annotations", str(path))
        images = Images(per_image(annotations, prompts, predictions, score=score, samples=samples))
        values[score] = values_of(images, SHOWN)[:, 0]
        resampled[score] = values_of(images, ["AP50"], weights)[0]
    at = SHOWN.index("AP50")
    lines = []
    for score, figures in values.items():
        low, high = percentile_interval(resampled[score] - resampled[REFERENCE])
        gain = f"{figures[at] - values[REFERENCE][at]:+.3f} [{low:+.3f}, {high:+.3f}]"
        gain = "" if score == REFERENCE else gain
        lines.append(f"{score} | {' | '.join(f'{value:.3f}' for value in figures)} | {gain}")
    return lines


if __name__ == "__main__":
    main()
