"""Publish a trained policy on the Hugging Face hub: its files, and its card with its metrics.

Log in with `hf auth login` first. Logs, answers and pictures of the training stay here.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from dipr1.artifacts.made import read_made
from dipr1.errors import UserError
from dipr1.policies.families import policy_folder
from dipr1.publishing import measured, published_card, push, pushed_files
from dipr1.training.card import FILE


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of ``dipr1 push``."""
    parser.add_argument("policy", metavar="POLICY", help="folder that `train` or `--merge` wrote")
    parser.add_argument("--to", required=True, metavar="ORG/NAME", help="repository on the hub")
    parser.add_argument(
        "--metrics", type=Path, help="comparison artifact that the policy's arm is in"
    )
    parser.add_argument("--base", metavar="ORG/NAME", help="what the hub calls the base")
    parser.add_argument(
        "--license", metavar="ID", help="licence of the policy, as the hub names it"
    )
    parser.add_argument(
        "--private", action="store_true", help="nobody else sees the repository, if it is a new one"
    )


def run(args: argparse.Namespace) -> None:
    """Push it, in one commit.

    Raises:
        UserError: it was not trained by us, the comparison does not know it, an adapter's base has
            no name that others know, nobody is logged in, or the hub refuses it.
    """
    if args.to.count("/") != 1:
        raise UserError(
            f"--to {args.to}: expected ORG/NAME, your name or your organisation's first"
        )
    folder = policy_folder(args.policy)
    rows = measured(args.metrics, read_made(folder, "arm").arm) if args.metrics else []
    about = {"base_model": args.base, "license": args.license}
    about = {name: value for name, value in about.items() if value}
    files = dict(pushed_files(folder, args.base))
    files[FILE] = published_card(folder, args.to, rows, about).encode()
    print(f"{push(args.to, files, private=args.private)}: {len(files)} files")
