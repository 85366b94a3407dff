"""Say before a training is paid for whether it can come to anything.

Looks at a few images of the split that is trained on: their files, the policy's frame, what the
base answers, and what every arm's rewards pay for it, for the truth and for boxes of other images.
Samples and statistics in the folder of results are used; else a few images are sampled. Exit code 1
says that a training would be pointless, or would teach something else than is meant.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dipr1.artifacts.aligning import by_image
from dipr1.artifacts.prompts import PROMPTS
from dipr1.artifacts.reward_columns import reward_columns
from dipr1.artifacts.samples import SAMPLES
from dipr1.artifacts.variance import VARIANCE
from dipr1.config import Config, load
from dipr1.errors import UserError
from dipr1.policies.load import load_policy, load_processor
from dipr1.policies.sampling import sample
from dipr1.progress import say
from dipr1.training import checking
from dipr1.training.checking import Finding
from dipr1.verbs.plan import add_config, trained_on

MOST_SAMPLED = 200  # images whose samples are looked at, where they are there


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``dipr1 check``."""
    add_config(parser)
    parser.add_argument(
        "--images", metavar="N", type=int, default=8, help="images that are looked at (default 8)"
    )
    parser.add_argument("--threads", metavar="N", type=int, help="CPU threads (default all)")


def run(args: argparse.Namespace) -> None:
    """Print a line for everything that is looked at.

    Raises:
        UserError: the configuration is wrong, there are no prompts yet, or a verdict is `wrong`.
    """
    config = load(args.config)
    prompts = read_prompts(config, args)
    few = spread(prompts, max(args.images, 1))
    findings = tell(checks_of_images(config, few))
    samples = sampled(config, args, few)
    answered = prompts.filter(pc.is_in(prompts["image_id"], samples["image_id"].unique()))
    answered = spread(answered, MOST_SAMPLED)
    findings += tell(checks_of_answers(config, args, answered, texts(answered, samples)))
    wrong = [finding.about for finding in findings if finding.verdict == "wrong"]
    if wrong:
        raise UserError(f"{args.config}: do not train yet: {'; '.join(wrong)} (see above)")


def tell(findings: list[Finding]) -> list[Finding]:
    """Print findings, and give them back."""
    for finding in findings:
        print(finding, flush=True)
    return findings


def read_prompts(config: Config, args: argparse.Namespace) -> pa.Table:
    """The prompts of the split that is trained on.

    Raises:
        UserError: they are not made yet, or none.
    """
    path = trained_on("prompts", config, args.results)
    if not path.is_file():
        raise UserError(
            f"{path}: not there yet; make it, which needs no GPU: snakemake --cores all"
            f" {path} --configfile {args.config}"
        )
    prompts = PROMPTS.read(path)
    if not prompts.num_rows:
        raise UserError(f"{path}: no image to train on")
    return prompts


def spread(table: pa.Table, most: int) -> pa.Table:
    """At most so many rows, evenly spread.

    >>> spread(pa.table({"row": [0, 1, 2, 3, 4]}), 2)["row"].to_pylist()
    [0, 4]
    """
    if table.num_rows <= most:
        return table
    rows = np.linspace(0, table.num_rows - 1, most).round().astype(np.int64)
    return table.take(pa.array(np.unique(rows)))


def checks_of_images(config: Config, few: pa.Table) -> list[Finding]:
    """What can be told of the images and of the truth alone."""
    processor = load_processor(config.policy.model, config.policy.bounds)
    rows = few.to_pylist()

    def num_tokens(text: str) -> int:
        return len(processor.tokenizer(text)["input_ids"]) + 1  # and what ends it

    findings = [checking.check_files(rows), checking.check_frames(rows, processor)]
    columns, training = reward_columns(few, None), config.training
    lengths = {(arm.form, arm.max_completion_length) for arm in rewarded(config).values()}
    for form, longest in sorted(lengths):
        findings.append(
            checking.check_lessons(
                columns, form, training.sft_think, num_tokens, longest, "max_completion_length"
            )
        )
    return findings


def rewarded(config: Config) -> dict[str, Any]:
    """The arms that learn from rewards."""
    return {name: arm for name, arm in config.arms.items() if arm.method == "grpo"}


def sampled(config: Config, args: argparse.Namespace, few: pa.Table) -> pa.Table:
    """The samples of the split that are there, else samples of a few images."""
    path = trained_on("samples", config, args.results)
    if path.is_file():
        say(f"reading the samples in {path}")
        return SAMPLES.read(path)
    say(f"no samples in {path}: sampling {few.num_rows} images")
    policy = config.policy
    with tempfile.TemporaryDirectory() as parts:
        return sample(
            few,
            lambda: load_policy(policy.model, policy.dtype, args.threads, policy.bounds),
            config.sample,
            seed=config.seeds[0],
            folder=Path(parts),
        )


def texts(prompts: pa.Table, samples: pa.Table) -> list[list[str]]:
    """The responses to each prompt."""
    rows, bounds = by_image(prompts, samples)
    all_texts = rows["text"].to_pylist()
    return [all_texts[a:b] for a, b in zip(bounds[:-1], bounds[1:], strict=True)]


def checks_of_answers(
    config: Config,
    args: argparse.Namespace,
    answered: pa.Table,
    answers: list[list[str]],
) -> list[Finding]:
    """What can be told of the base's responses, and of what rewards pay for them."""
    rows, measure = answered.to_pylist(), config.variance
    findings = [
        checking.check_readable(rows, answers, measure.least_readable),
        checking.check_answers_frame(rows, answers),
    ]
    path = trained_on("variance", config, args.results)
    if path.is_file():
        variance = VARIANCE.read(path)
        variance = variance.filter(pc.is_in(variance["image_id"], answered["image_id"]))
    else:
        variance = checking.variance_of(rows, answers, measure.match_iou, measure.v0)
    for name, arm in rewarded(config).items():
        # gain is measured on crops, after this
        target = "variance" if arm.looking_target == "gain" else arm.looking_target
        columns = reward_columns(answered, variance, target)
        findings += checking.check_rewards(name, arm, columns, answers)
    return findings
