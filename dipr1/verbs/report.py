"""Write the page that compares the arms."""

from __future__ import annotations

import argparse
from pathlib import Path

import pyarrow as pa

from dipr1.artifacts.aligning import align
from dipr1.artifacts.annotations import ANNOTATIONS
from dipr1.artifacts.audit import AUDIT
from dipr1.artifacts.completions import COMPLETIONS
from dipr1.artifacts.made import arm_of, input_of, made_by, read_made, run_of, set_of
from dipr1.artifacts.rejects import REJECTS
from dipr1.artifacts.samples import SAMPLES
from dipr1.artifacts.variance import VARIANCE
from dipr1.artifacts.writing import output_file, whole
from dipr1.errors import UserError
from dipr1.options import add_options, options
from dipr1.progress import say
from dipr1.report.completions import shown_completions
from dipr1.report.crops import suspects
from dipr1.report.describing import describe
from dipr1.report.exports import summary, write_exports
from dipr1.report.figures import write_figures
from dipr1.report.options import Report
from dipr1.report.page import TITLE, render
from dipr1.report.results import Results, read_results, with_intervals
from dipr1.report.verdict import headline
from dipr1.report.viewer import EvaluationSet, Viewer, view

ANSWER_COLUMNS = ["image_id", "text", "boxes", "look_boxes", "confidence", "labels"]
# where it was looked again
ANSWER_COLUMNS += ["view", "windows", "crop_texts", "first_boxes", "first_confidence"]


# whether it is needed, and what it is
FILES = {
    "metrics": (
        True,
        "metrics artifacts of all arms, seeds and sets; the first set is the headline",
    ),
    "images": (False, "images artifacts of the same runs; without them the page has no intervals"),
    "predictions": (True, "samples artifacts of the same runs, one response per image"),
    "annotations": (True, "annotations of the evaluation sets and of any other split to describe"),
    "rejects": (False, "rejects artifacts: why records were rejected"),
    "variance": (False, "variance artifacts of the evaluation sets"),
    "audit": (False, "audit artifacts: likely label errors, of any split"),
    "training-logs": (
        False,
        "training_log.parquet of the trained policies; completions.parquet (show_every) is read"
        " where it lies beside one",
    ),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of ``dipr1 report``."""
    for name, (required, words) in FILES.items():
        parser.add_argument(
            f"--{name}",
            nargs="+" if required else "*",
            required=required,
            default=[],
            metavar="FILE",
            help=words,
        )
    parser.add_argument(
        "--trained-on", help="what the arms were trained on, for the page's second sentence"
    )
    parser.add_argument("--title", default=TITLE, help="the page's title (default: %(default)s)")
    parser.add_argument(
        "--output", required=True, type=output_file, help="the page to write, e.g. index.html"
    )
    add_options(parser, Report)


def run(args: argparse.Namespace) -> None:
    """Write the page and what lies beside it.

    Raises:
        UserError: a file is missing, is no artifact, or does not say what it is about.
    """
    chosen = options(args, Report)
    results = read_results(args.metrics, args.training_logs)
    annotations = {set_of(path): ANNOTATIONS.read(path) for path in args.annotations}
    rejects = {set_of(path): REJECTS.read(path) for path in args.rejects}
    audits = {set_of(path): AUDIT.read(path) for path in args.audit}
    for missing in (name for name in results.sets if name not in annotations):
        raise UserError(f"--annotations: those of {missing!r} are missing; give its file too")
    described = {name: describe(table, rejects.get(name)) for name, table in annotations.items()}
    viewer = Viewer()
    if chosen.num_images:
        sets = _evaluation_sets(args, results, annotations, audits)
        viewer = view(sets, headline(results).pair, chosen.num_images)
    planted = {set_of(path): _planted_in(path) for path in args.audit}
    label_errors = suspects(audits, chosen.num_suspects, planted) if chosen.num_suspects else {}
    # last, since it takes longest: by now every file is known to be there
    results = with_intervals(results, args.images, args.trained_on, chosen.resamples)
    page = render(
        results,
        viewer,
        label_errors,
        described,
        title=args.title,
        trained_on=args.trained_on,
        completions=shown_completions(_completions(args.training_logs, results)),
    )
    output = Path(args.output)
    with whole(output) as part:
        part.write_text(page, encoding="utf-8")
    with whole(output.with_name("summary.md")) as part:
        part.write_text(summary(results, args.title), encoding="utf-8")
    write_figures(results, output.with_name("figures"))
    if results.compared:
        made = made_by(
            "report",
            {"resamples": chosen.resamples, "trained_on": args.trained_on},
            [input_of(path) for path in (*args.images, *args.training_logs)],
        )
        write_exports(results.compared, output.parent, made)
    say(f"{output}: {len(results.arms)} arms, {len(page.encode()) / 1e6:.1f} MB")


def _planted_in(audit: str) -> float:
    """The share of the labels in which errors were planted, to judge the suspects by."""
    return (read_made(audit).options or {}).get("planted", 0.0)


def _completions(training_logs: list[str], results: Results) -> dict[str, pa.Table]:
    """The responses of the first seed of each arm that has some."""
    beside = (Path(log).with_name("completions.parquet") for log in training_logs)
    of_runs = {arm_of(path): path for path in beside if path.is_file()}
    first = [(arm, results.seeds(arm)[0]) for arm in results.arms]
    return {run[0]: COMPLETIONS.read(of_runs[run]) for run in first if run in of_runs}


def _evaluation_sets(
    args: argparse.Namespace,
    results: Results,
    annotations: dict[str, pa.Table],
    audits: dict[str, pa.Table],
) -> list[EvaluationSet]:
    """What the viewer shows of each set: the answers of the first seed of each arm."""
    predictions = {run_of(path): path for path in args.predictions}
    variance = {set_of(path): path for path in args.variance}
    of_set = {set_of(path): path for path in args.annotations}
    sets = []
    for name in results.sets:
        runs = {arm: (arm, results.seeds(arm)[0], name) for arm in results.arms}
        for arm, seed, _ in (run for run in runs.values() if run not in predictions):
            raise UserError(
                f"--predictions: those of arm {arm!r}, seed {seed} on {name!r} are missing;"
                " give their file too"
            )
        answers = {
            arm: align(
                annotations[name],
                SAMPLES.read(predictions[run], ANSWER_COLUMNS),
                of_set[name],
                predictions[run],
            )
            for arm, run in runs.items()
        }
        regions = VARIANCE.read(variance[name]) if name in variance else None
        sets.append(EvaluationSet(name, annotations[name], answers, regions, audits.get(name)))
    return sets
