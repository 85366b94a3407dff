"""Write the page that compares the arms."""

from __future__ import annotations

import argparse
from pathlib import Path

from dipr1.artifacts.annotations import ANNOTATIONS
from dipr1.artifacts.audit import AUDIT
from dipr1.artifacts.rejects import REJECTS
from dipr1.artifacts.writing import whole
from dipr1.options import add_options, options
from dipr1.progress import say
from dipr1.report.cards import describe
from dipr1.report.exports import write_exports
from dipr1.report.figures import write_figures
from dipr1.report.options import Report
from dipr1.report.page import TITLE, _annotations, _viewer, nouns, render, summary
from dipr1.report.results import read_results, set_of, with_intervals
from dipr1.report.suspects import suspects


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of ``dipr1 report``."""
    run_path = "results/{}/ARM/seedN/DATASET.SPLIT.parquet"
    set_path = "results/{}/DATASET/SPLIT.parquet"
    parser.add_argument(
        "--metrics",
        nargs="+",
        required=True,
        help=f"{run_path.format('metrics')} ...; the first set is the headline",
    )
    parser.add_argument(
        "--images",
        nargs="*",
        default=[],
        help="results/metrics/ARM/seedN/DATASET.SPLIT.images.parquet ...; without them the page"
        " has no intervals",
    )
    parser.add_argument(
        "--predictions", nargs="+", required=True, help=f"{run_path.format('predictions')} ..."
    )
    parser.add_argument(
        "--annotations",
        nargs="+",
        required=True,
        help=f"{set_path.format('annotations')} ...: of the evaluation sets, and of any other split"
        " that the page shall describe",
    )
    parser.add_argument(
        "--rejects",
        nargs="*",
        default=[],
        help="results/annotations/DATASET/SPLIT.rejects.parquet ...: why records were rejected",
    )
    parser.add_argument(
        "--variance", nargs="*", default=[], help=f"{set_path.format('variance')} ..."
    )
    parser.add_argument(
        "--audit",
        nargs="*",
        default=[],
        help=f"{set_path.format('audit')} ...: likely label errors, of any split",
    )
    parser.add_argument(
        "--training-logs",
        nargs="*",
        default=[],
        help="results/policies/ARM/seedN/training_log.parquet ...",
    )
    parser.add_argument(
        "--trained-on", help="what the arms were trained on, for the page's second sentence"
    )
    parser.add_argument("--title", default=TITLE, help="the page's title (default: %(default)s)")
    parser.add_argument("--output", required=True, help="the page to write, e.g. index.html")
    add_options(parser, Report)


def run(args: argparse.Namespace) -> None:
    """Write the page and what lies beside it.

    Raises:
        UserError: a file is missing, is no artifact, or its path does not tell what it is.
    """
    chosen = options(args, Report)
    results = read_results(args.metrics, args.training_logs)
    every = {set_of(path): ANNOTATIONS.read(path) for path in args.annotations}
    annotations = _annotations(results, every)
    rejects = {set_of(path): REJECTS.read(path) for path in args.rejects}
    described = {name: describe(table, rejects.get(name)) for name, table in every.items()}
    audits = {set_of(path): AUDIT.read(path) for path in args.audit}
    viewer = _viewer(results, args, annotations, audits, chosen.num_images)
    suspicious = suspects(audits, chosen.num_suspects) if chosen.num_suspects else {}
    # last, since it takes longest: by now every file is known to be there
    results = with_intervals(results, args.images, args.trained_on, chosen.resamples)
    page = render(
        results,
        viewer,
        suspicious,
        described,
        title=args.title,
        trained_on=args.trained_on,
        nouns=nouns(annotations.values()),
    )
    output = Path(args.output)
    with whole(output) as part:
        part.write_text(page, encoding="utf-8")
    with whole(output.with_name("summary.md")) as part:
        part.write_text(summary(results, args.title), encoding="utf-8")
    write_figures(results, output.with_name("figures"))
    if results.compared:
        write_exports(results.compared, output.parent)
    say(f"{output}: {len(results.arms)} arms, {len(page.encode()) / 1e6:.1f} MB")
