"""Write the page that compares the arms (verb ``report``).

The page needs nothing but itself: styles, script, drawings and pictures are inside, and its content
security policy forbids it to load anything. Summary, charts and tables work without the script.
Beside it lie ``summary.md`` (the tables as Markdown), ``figures/`` (SVG and PNG for papers) and the
comparison as Parquet, Markdown, CSV and LaTeX. The same inputs give the same bytes.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import pyarrow as pa
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from dipr1.artifacts.samples import SAMPLES
from dipr1.artifacts.variance import VARIANCE
from dipr1.errors import UserError
from dipr1.report.cards import Description
from dipr1.report.catalogue import GROUPS, LOOKING, METRICS, Metric, interval, number, show
from dipr1.report.curves import DASHES, panels, reliability_diagram
from dipr1.report.results import Results, run_of, set_of
from dipr1.report.suspects import Suspect
from dipr1.report.verdict import HEADLINE, WORDS, charts, findings, headline, lead, state_of
from dipr1.report.viewer import EvaluationSet, Viewer, as_json, view

TITLE = "DIP-R1: think, look, answer in crowded scenes"
CARDS = (
    "AP50",
    "f1_50",
    "count_error",
    "reward_reasoning",
    "reward_looking",
    "reward_accuracy",
)
SCORES = {
    "constant": "Here all boxes rank alike.",
    "order": "To rank boxes for the average precision, the first box of every answer comes first.",
    "confidence": "To rank boxes for the average precision, each gets its likelihood: the mean"
    " probability the model gave to the tokens of the box's four numbers.",
    "likelihood": "To rank boxes for the average precision, each gets its likelihood: the geometric"
    " mean of the probabilities the model gave to the tokens of the box's four numbers.",
    "consistency": "To rank boxes for the average precision, each gets the share of other sampled"
    " answers that have it too.",
}
ANSWER_COLUMNS = ["image_id", "text", "boxes", "look_boxes", "confidence"]


def _annotations(results: Results, every: dict[str, pa.Table]) -> dict[str, pa.Table]:
    """The annotations of each evaluation set."""
    for dataset in results.sets:
        if dataset not in every:
            raise UserError(f"--annotations: those of {dataset!r} are missing; give its file too")
    return {dataset: every[dataset] for dataset in results.sets}


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


def _viewer(
    results: Results,
    args: argparse.Namespace,
    annotations: dict[str, pa.Table],
    audits: dict[str, pa.Table],
    num_images: int,
) -> Viewer:
    """The images of each set, answered by the first seed of each arm."""
    if num_images == 0:
        return Viewer()
    predictions = {run_of(path): path for path in args.predictions}
    variance = {set_of(path): path for path in args.variance}
    sets = []
    for dataset in results.sets:
        tables: dict[str, pa.Table] = {}
        for arm in results.arms:
            key = (arm, results.seeds(arm)[0], dataset)
            if key not in predictions:
                raise UserError(
                    f"--predictions: those of arm {arm!r}, seed {key[1]} on {dataset!r} are"
                    " missing; give their file too"
                )
            tables[arm] = SAMPLES.read(predictions[key], ANSWER_COLUMNS)
        regions = VARIANCE.read(variance[dataset]) if dataset in variance else None
        sets.append(
            EvaluationSet(dataset, annotations[dataset], tables, regions, audits.get(dataset))
        )
    return view(sets, _pair(results), num_images)


def _pair(results: Results) -> list[str]:
    """The two arms shown side by side; one where it is alone."""
    return headline(results).pair or results.arms[:1]


def render(
    results: Results,
    viewer: Viewer,
    suspicious: dict[str, list[Suspect]],
    described: dict[str, Description],
    *,
    title: str,
    trained_on: str | None,
    nouns: dict[str, str],
) -> str:
    """The page as HTML.

    Args:
        results: all figures.
        viewer: the chosen images; may be empty.
        suspicious: likely label errors by set; may be empty.
        described: what is in each set, the one trained on too.
        title: of the page.
        trained_on: what the arms were trained on, in words.
        nouns: "one" and "many" of the things to find.
    """
    folder = Path(__file__).parent
    environment = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "metric": show,
        "number": number,
        "plural": plural,
        "named": lambda text: text.format(**nouns),
        "interval": lambda row, metric: interval(row.low, row.high, metric),
        "state": state_of,
        "short": short,
    }
    head = headline(results)
    script = (folder / "viewer.js").read_text(encoding="utf-8") if viewer.images else ""
    return environment.get_template("page.html.j2").render(
        title=title,
        nouns=nouns,
        trained_on=trained_on,
        results=results,
        headline=head,
        lead=lead(results, head, nouns),
        findings=findings(results, head),
        words=WORDS,
        cards=_cards(results, head.dataset, head.pair),
        charts=charts(results, head.pair[0] if len(head.pair) == 2 else None),
        headline_metric=METRICS[HEADLINE],
        groups=GROUPS,
        shown={name: _is_shown(results, name) for name in METRICS},
        shown_names=[name for name in METRICS if _is_shown(results, name)],
        scores=_scores(results),
        lift=METRICS["look_lift"],
        looking=_looking(results, head.dataset),
        reliability=Markup(reliability_diagram(results, head.dataset)),
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
        panels=[(panel, Markup(panel.svg)) for panel in panels(results)],
        viewer=viewer,
        viewer_data=Markup(_viewer_data(viewer, results, _pair(results), nouns)),
        position={(i["set"], i["id"]): index for index, i in enumerate(viewer.images)},
        criteria={why for image in viewer.images for why in image["why"]},
        suspicious=suspicious,
        described=described,
        style=Markup((folder / "page.css").read_text(encoding="utf-8")),
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )


def _viewer_data(
    viewer: Viewer, results: Results, pair: Sequence[str], nouns: dict[str, str]
) -> str:
    """What `viewer.js` reads."""
    positions = [results.arms.index(arm) for arm in pair]
    return as_json(
        {
            "arms": results.arms,
            "pair": positions,
            "shown": positions,
            "nouns": nouns,
            "images": viewer.images,
        }
    )


def _is_shown(results: Results, name: str) -> bool:
    return any(
        results.mean(arm, dataset, name).value is not None
        for arm in results.arms
        for dataset in results.sets
    )


def _scores(results: Results) -> str:
    """How boxes were ranked, in words."""
    used = {row.score for row in results.compared if row.score}
    return SCORES[used.pop()] if used else ""


def _cards(results: Results, dataset: str, pair: Sequence[str]) -> list[dict]:
    """From the first to the second arm of the pair, metric by metric."""
    cards = []
    for metric in (METRICS[name] for name in CARDS):
        means = [results.mean(arm, dataset, metric.name).value for arm in pair]
        if len(means) < 2 or None in means:
            continue
        gain = means[1] - means[0]
        effect = results.effect(pair[1], dataset, metric.name, pair[0])
        card = {"metric": metric, "before": means[0], "after": means[1], "gain": gain}
        card["state"] = state_of(effect, metric)
        card["trend"] = _trend(gain, metric)
        if effect is not None:
            ends = (effect.difference_low, effect.difference_high)
            card["ends"] = interval(*ends, metric, "+")
        cards.append(card)
    return cards


def _trend(gain: float, metric: Metric) -> str:
    if not gain:
        return "same"
    return "better" if (gain > 0) == (metric.better == "higher") else "worse"


def _looking(results: Results, dataset: str) -> list[dict]:
    """What looking did for each arm that looks, as numbers for a sentence and two bars."""
    rows = []
    for index, arm in enumerate(results.arms):
        means = {metric.name: results.mean(arm, dataset, metric.name).value for metric in LOOKING}
        if means["look_errors_caught"] is None or means["look_area_share"] is None:
            continue
        lift = results.interval(arm, dataset, "look_lift")
        rows.append({"arm": arm, "index": index, "lift_interval": lift} | means)
    return rows


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


def short(value: float | None) -> str:
    """A measured number of a data set with about three digits.

    >>> short(1234.5), short(12.34), short(0.123), short(None)
    ('1,234', '12', '0.12', '–')
    """
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:.2g}"


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
