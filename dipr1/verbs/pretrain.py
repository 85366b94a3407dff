"""Build the embedded tiny policy from nothing."""

from __future__ import annotations

import argparse
from pathlib import Path

from dipr1.artifacts.writing import whole
from dipr1.demo import tiny
from dipr1.demo.pretraining import STEPS, _run_stage
from dipr1.progress import say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of ``dipr1 pretrain``."""
    parser.add_argument("--output", required=True, type=Path, help="folder of the checkpoint")
    parser.add_argument("--checkpoints", required=True, type=Path, help="folder to resume from")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--scale", type=float, default=1.0, help="share of the steps to run (for a trial)"
    )


def run(args: argparse.Namespace) -> None:
    """Run the stages that are not finished yet and save the policy."""
    import torch

    torch.set_num_threads(args.threads)
    args.checkpoints.mkdir(parents=True, exist_ok=True)
    processor = tiny.build_processor()
    model = tiny.build_model(processor.tokenizer, args.seed)
    say(f"{sum(p.numel() for p in model.parameters()):,} parameters")
    head = torch.nn.Linear(tiny.HIDDEN, 5)
    for stage in STEPS:
        _run_stage(stage, model, head, processor, args)
    with whole(args.output) as part:
        tiny.save(model.to(torch.bfloat16), processor, part)
