"""Build and pretrain the embedded tiny policy from nothing."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from dipr1.artifacts.writing import output_folder, whole
from dipr1.demo.pretraining import STAGES, pretrain
from dipr1.demo.tiny import save
from dipr1.resuming import held


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of ``dipr1 pretrain``."""
    parser.add_argument(
        "--output", required=True, type=output_folder, help="folder of the checkpoint"
    )
    parser.add_argument(
        "--checkpoints",
        required=True,
        type=Path,
        help="folder that it resumes from if interrupted",
    )
    parser.add_argument("--seed", metavar="N", type=int, default=0, help="seed (default 0)")
    parser.add_argument("--threads", metavar="N", type=int, default=2, help="threads (default 2)")
    parser.add_argument(
        "--scale", metavar="X", type=float, default=1, help="share of the steps to run, for a trial"
    )


def run(args: argparse.Namespace) -> None:
    """Run the stages that are not finished yet and save the policy."""
    import torch

    torch.set_num_threads(args.threads)
    stages = {name: stage.scaled(args.scale) for name, stage in STAGES.items()}
    with held(args.checkpoints):
        model, processor = pretrain(args.checkpoints, stages, seed=args.seed)
        with whole(args.output) as part:
            save(model, processor, part)
        shutil.rmtree(args.checkpoints)
