"""Which target of the looking reward warns best of the errors of an answer?

    python benchmarks/targets.py --annotations ANNOTATIONS --variance VARIANCE \\
        --predictions PREDICTIONS [--crops CROPS --crops-variance VARIANCE]

The variance is measured on the same images as the predictions are of, and says nothing of them.
`gain` is judged where the variance has that column, or with the crops and their variance. Columns:
the probability that a region with an error has the higher value, of all regions and of people; the
targets of an image, thinned and at most four, and what they cover of it; the missed people and the
false boxes that lie in them, and both as expected if as large targets lay at random.
"""

from __future__ import annotations

import argparse

import numpy as np
import polars as pl

from dipr1.artifacts.aligning import align
from dipr1.artifacts.annotations import ANNOTATIONS, ANY_LABEL
from dipr1.artifacts.gain import with_gain
from dipr1.artifacts.samples import SAMPLES
from dipr1.artifacts.variance import VARIANCE
from dipr1.evaluation.answered import answered_images
from dipr1.evaluation.targets import Warned, warned


def row_of(target: str, found: Warned, num_images: int) -> str:
    """One target's row of the table."""
    errors = found.num_missed + found.num_false
    cells = (
        target,
        f"{found.auc:.3f}",
        f"{found.auc_of_objects:.3f}",
        f"{found.num_targets / max(num_images, 1):.1f}",
        f"{found.share:.1%}",
        f"{found.missed} of {found.num_missed} ({found.missed / max(found.num_missed, 1):.0%})",
        f"{found.false} of {found.num_false} ({found.false / max(found.num_false, 1):.0%})",
        f"{found.by_chance / max(errors, 1):.0%}",
    )
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Print one row per target."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--annotations", required=True, help="annotations artifact")
    parser.add_argument("--variance", required=True, help="variance artifact of these images")
    parser.add_argument("--predictions", required=True, help="predictions artifact of these images")
    parser.add_argument("--crops", help="crops artifact of these images")
    parser.add_argument("--crops-variance", help="variance artifact of the crops")
    parser.add_argument("--threshold", type=float, default=0.5, help="of a target's value")
    parser.add_argument("--max-regions", type=int, default=4, help="targets of an image")
    args = parser.parse_args()
    annotations, variance = ANNOTATIONS.read(args.annotations), VARIANCE.read(args.variance)
    predictions = SAMPLES.read(args.predictions)
    predictions = align(annotations, predictions, args.annotations, args.predictions)
    if args.crops:
        crops = pl.read_parquet(args.crops, columns=["image_id", "crop_of", "gt_index"]).to_arrow()
        variance = with_gain(variance, crops, VARIANCE.read(args.crops_variance))
    labels = annotations["labels"].combine_chunks().flatten().unique().to_pylist()
    asked = [sorted({*labels} - {ANY_LABEL})] * annotations.num_rows
    lengths = predictions["boxes"].combine_chunks().value_lengths().fill_null(0).to_pylist()
    scores = [np.zeros(length) for length in lengths]
    images = answered_images(annotations, predictions, scores, asked)
    header = "| target | AUC | of people | targets | cover | missed people | false boxes | chance |"
    print(header + "\n|" + "---|" * 8)
    for target in ("variance", "miss", "gain"):
        if target == "gain" and "gain" not in variance.column_names:
            continue
        found = warned(images, annotations, variance, target, args.threshold, args.max_regions)
        print(row_of(target, found, annotations.num_rows))


if __name__ == "__main__":
    main()
