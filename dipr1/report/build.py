"""Write the page that compares the arms (verb ``report``).

The page needs nothing but itself: styles, drawings and pictures are inside, and there is no script.
Beside it, ``summary.md`` holds the tables as Markdown. The same inputs give the same bytes.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from dipr1.cli import add_options, options
from dipr1.config import Report
from dipr1.errors import UserError
from dipr1.progress import say
from dipr1.report.curves import DASHES, panels
from dipr1.report.metrics import GROUPS, METRICS, number, show
from dipr1.report.overlays import Shot, shots
from dipr1.report.results import BASE, Results, read_results, run_of, set_of
from dipr1.tables import read_table, whole

TITLE = "DIP-R1: think, look, answer in crowded scenes"
HEADLINE = "AP"


CARDS = (
    "AP50",
    "f1_50",
    "count_error",
    "reward_reasoning",
    "reward_looking",
    "reward_accuracy",
)


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
        "--predictions", nargs="+", required=True, help=f"{run_path.format('predictions')} ..."
    )
    parser.add_argument(
        "--annotations", nargs="+", required=True, help=f"{set_path.format('annotations')} ..."
    )
    parser.add_argument(
        "--variance", nargs="*", default=[], help=f"{set_path.format('variance')} ..."
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
    """Write the page and the summary.

    Raises:
        UserError: a file is missing, is no artifact, or its path does not tell what it is.
    """
    results = read_results(args.metrics, args.training_logs)
    annotations = _annotations(results, args.annotations)
    galleries = _galleries(results, args, annotations, options(args, Report).num_overlays)
    page = render(
        results,
        galleries,
        title=args.title,
        trained_on=args.trained_on,
        nouns=nouns(annotations.values()),
    )
    output = Path(args.output)
    with whole(output) as part:
        part.write_text(page, encoding="utf-8")
    with whole(output.with_name("summary.md")) as part:
        part.write_text(summary(results, args.title), encoding="utf-8")
    say(f"{output}: {len(results.arms)} arms, {len(page.encode()) / 1e6:.1f} MB")


def _annotations(results: Results, paths: Sequence[str]) -> dict[str, pa.Table]:
    """The annotations of each set."""
    path_of = {set_of(path): path for path in paths}
    for dataset in results.sets:
        if dataset not in path_of:
            raise UserError(f"--annotations: those of {dataset!r} are missing; give its file too")
    return {dataset: read_table(path_of[dataset], "annotations") for dataset in results.sets}


def nouns(annotations: Iterable[pa.Table]) -> dict[str, str]:
    """What one and many of the things to find are called."""
    labels = {
        label
        for table in annotations
        for label in table["labels"].combine_chunks().flatten().unique().to_pylist()
    }
    if labels <= {"person"}:
        return {"one": "person", "many": "people"}
    return {"one": "object", "many": "objects"}


def _galleries(
    results: Results, args: argparse.Namespace, annotations: dict[str, pa.Table], count: int
) -> dict[str, list[Shot]]:
    """Overlays of each set, by the first seed of each arm."""
    predictions = {run_of(path): path for path in args.predictions}
    variance = {set_of(path): path for path in args.variance}
    if count == 0:
        return {}
    galleries = {}
    for dataset in results.sets:
        tables: dict[str, pa.Table] = {}
        for arm in results.arms:
            key = (arm, results.seeds(arm)[0], dataset)
            if key not in predictions:
                raise UserError(
                    f"--predictions: those of arm {arm!r}, seed {key[1]} on {dataset!r} are"
                    " missing; give their file too"
                )
            tables[arm] = read_table(predictions[key], "samples")
        galleries[dataset] = shots(
            annotations[dataset],
            tables,
            read_table(variance[dataset], "variance") if dataset in variance else None,
            count,
        )
    return galleries


@dataclass(frozen=True)
class Headline:
    """The comparison in one sentence.

    Attributes:
        dataset: the set it is about.
        best: the arm with the best AP; None where AP is undefined everywhere.
        rival: what it is compared with: `base`, or where that is the best, the best other arm.
        pair: the two arms shown side by side, the rival first.
    """

    dataset: str
    best: str | None
    rival: str | None
    pair: list[str]


def headline(results: Results) -> Headline:
    """Which arm is best on the first set, and against what."""
    dataset = results.sets[0]
    best = next(iter(results.best(dataset, HEADLINE)), None)
    others = [arm for arm in results.arms if arm != best]
    others.sort(key=lambda arm: -(results.mean(arm, dataset, HEADLINE).value or 0.0))
    rival = BASE if BASE in others else next(iter(others), None)
    pair = [arm for arm in (rival, best) if arm is not None]
    return Headline(dataset, best, rival, [BASE, rival] if best == BASE and rival else pair)


def render(
    results: Results,
    galleries: dict[str, list[Shot]],
    *,
    title: str,
    trained_on: str | None,
    nouns: dict[str, str],
) -> str:
    """The page as HTML.

    Args:
        results: all figures.
        galleries: overlays by set; may be empty.
        title: of the page.
        trained_on: what the arms were trained on, in words.
        nouns: "one" and "many" of the things to find.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["metric"] = show
    environment.filters["number"] = number
    environment.filters["plural"] = plural
    environment.filters["named"] = lambda text: text.format(**nouns)
    head = headline(results)
    drawn = panels(results)
    return environment.get_template("page.html.j2").render(
        title=title,
        nouns=nouns,
        trained_on=trained_on,
        results=results,
        headline=head,
        headline_metric=METRICS[HEADLINE],
        cards=[METRICS[name] for name in CARDS],
        bars=_bars(results, head.dataset),
        groups=GROUPS,
        shown={name: _is_shown(results, name) for name in METRICS},
        num_seeds=max(len(results.seeds(arm)) for arm in results.arms),
        arms=[
            {
                "name": arm,
                "index": index,
                "dash": DASHES[index % len(DASHES)],
                "about": about(results, arm),
            }
            for index, arm in enumerate(results.arms)
        ],
        panels=[(panel, Markup(panel.svg)) for panel in drawn],
        galleries=galleries,
        pair_shot=_most_different(galleries.get(head.dataset, []), head.pair),
        has_variance=any("uncertain" in shot.layers for all in galleries.values() for shot in all),
        style=Markup((Path(__file__).parent / "page.css").read_text(encoding="utf-8")),
    )


def _is_shown(results: Results, name: str) -> bool:
    return any(
        results.mean(arm, dataset, name).value is not None
        for arm in results.arms
        for dataset in results.sets
    )


def _bars(results: Results, dataset: str) -> list[dict]:
    """Bars of the headline's metrics: one row per arm, the longest bar is the best arm."""
    charts = []
    for name in (HEADLINE, "f1_50"):
        means = [(arm, results.mean(arm, dataset, name)) for arm in results.arms]
        largest = max((mean.value or 0.0 for _, mean in means), default=0.0) or 1.0
        best = results.best(dataset, name)
        rows = [
            {
                "arm": arm,
                "index": index,
                "mean": mean,
                "percent": 100 * (mean.value or 0.0) / largest,
                "best": arm in best,
            }
            for index, (arm, mean) in enumerate(means)
        ]
        charts.append({"metric": METRICS[name], "rows": rows})
    return charts


def _most_different(gallery: list[Shot], pair: list[str]) -> Shot | None:
    """The image where the second arm of the pair gains most on the first."""
    if len(pair) < 2 or not gallery:
        return None

    def gain(shot: Shot) -> int:
        first, second = (shot.answer(arm) for arm in pair)
        return (second.num_hits - second.num_false) - (first.num_hits - first.num_false)

    return max(gallery, key=gain)


def about(results: Results, arm: str) -> str:
    """What was done to make an arm, as its training log tells."""
    updates, rewards = results.updates(arm), results.rewards(arm)
    if not updates:
        return "the policy that the others start from, not trained here"
    training = f"{plural(updates, 'update')}"
    if not rewards:
        return f"supervised fine-tuning on reference answers, {training}"
    named = " + ".join(rewards)
    return (
        f"GRPO reinforcement learning with the {named} reward{'s' * (len(rewards) > 1)}, {training}"
    )


def plural(count: float, noun: str, nouns: str | None = None) -> str:
    """A count with its noun.

    >>> plural(1, "image"), plural(1200, "image"), plural(2, "person", "people")
    ('1 image', '1,200 images', '2 people')
    """
    return f"{count:,.0f} {noun if count == 1 else nouns or noun + 's'}"


def summary(results: Results, title: str) -> str:
    """The tables as Markdown, the best value of each row in bold."""
    lines = [f"# {title}", ""]
    for dataset in results.sets:
        lines += [f"## {dataset}", "", "| metric | " + " | ".join(results.arms) + " |"]
        lines += ["|---|" + "---:|" * len(results.arms)]
        for name, metric in METRICS.items():
            if not _is_shown(results, name):
                continue
            best = results.best(dataset, name, higher=metric.better == "higher")
            cells = [show(results.mean(arm, dataset, name), metric) for arm in results.arms]
            if metric.better:
                cells = [
                    f"**{cell}**" if arm in best else cell
                    for arm, cell in zip(results.arms, cells, strict=True)
                ]
            lines.append(f"| {metric.title} | " + " | ".join(cells) + " |")
        lines.append("")
    return "\n".join(lines)
