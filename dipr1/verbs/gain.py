"""Add to the variance how much oftener objects are found on crops."""

from __future__ import annotations

import argparse

import pyarrow.compute as pc

from dipr1.artifacts.crops import CROPS
from dipr1.artifacts.gain import with_gain
from dipr1.artifacts.made import made_by
from dipr1.artifacts.variance import VARIANCE
from dipr1.artifacts.writing import output_file
from dipr1.progress import say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``dipr1 gain``."""
    parser.add_argument("variance", metavar="VARIANCE", help="variance artifact of whole images")
    parser.add_argument("--crops", required=True, help="crops artifact of the same images")
    parser.add_argument("--crops-variance", required=True, help="variance artifact of the crops")
    parser.add_argument(
        "--output", required=True, type=output_file, help="variance artifact to write, with gains"
    )


def run(args: argparse.Namespace) -> None:
    """Write the variance artifact with the column `gain`.

    Raises:
        UserError: the statistics of the crops are about other objects.
    """
    made = made_by("gain", {}, [args.variance, args.crops, args.crops_variance])
    crops = CROPS.read(args.crops, ["image_id", "crop_of", "gt_index"])
    gained = with_gain(VARIANCE.read(args.variance), crops, VARIANCE.read(args.crops_variance))
    VARIANCE.write(gained, args.output, made)
    num_gaining = pc.sum(pc.greater(gained["gain"], 0.0)).as_py() or 0
    num_objects = pc.count(gained["gt_index"]).as_py()
    say(f"{args.output}: {num_gaining} of {num_objects} objects are found oftener on a crop")
