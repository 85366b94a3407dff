"""The page that compares the arms.

It needs nothing but itself: styles, script, drawings and pictures are inside, and its content
security policy forbids it to load anything. Summary, charts and tables work without the script.
The same inputs give the same bytes.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable, Sequence

from markupsafe import Markup

from dipr1.evaluation.catalogue import LOOKING, METRICS, REWARD, Metric, by_group
from dipr1.report.colours import DARK, LIGHT
from dipr1.report.completions import Completion, symptoms
from dipr1.report.crops import KINDS, Suspects
from dipr1.report.curves import DASHES, MAIN, MORE, panels, score_diagram, warning_diagram
from dipr1.report.describing import Description
from dipr1.report.notation import interval, number, plural, short, show
from dipr1.report.results import Results, one_view
from dipr1.report.templates import FOLDER, fill
from dipr1.report.verdict import WORDS, Headline, charts, findings, headline, lead, state_of
from dipr1.report.viewer import Viewer, as_json

TITLE = "DIP-R1: think, look, answer in crowded scenes"
GAIN, COSTS = "AP50", ("mean_crops", "mean_tokens")  # of looking again
CARDS = ("AP50", "f1_50", "count_error", *(metric.name for metric in by_group()[REWARD]))
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


def render(
    results: Results,
    viewer: Viewer,
    suspects: dict[str, Suspects],
    described: dict[str, Description],
    *,
    title: str,
    trained_on: str | None,
    completions: dict[str, list[Completion]] | None = None,
) -> str:
    """The page as HTML.

    Args:
        results: all figures.
        viewer: the chosen images; may be empty.
        suspects: likely label errors by set; may be empty.
        described: what is in each set, the one trained on too.
        title: of the page.
        trained_on: the `dataset.split` that the arms were trained on.
        completions: responses in training by arm, if any were kept.
    """
    head = headline(results)
    nouns = _nouns(described[name] for name in results.sets)
    second_look = bool(viewer.looked)
    scripts = ["second_look.js"] * second_look + ["viewer.js"] * bool(viewer.images)
    script = "".join(map(_read, scripts))
    return fill(
        "page.html.j2",
        _filters(nouns),
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
        groups=_shown_groups(results),
        scores=_scores(results),
        metrics=METRICS,
        looking=_looking(results, head.dataset),
        looked_again=_looked_again(results, head.dataset),
        warning=warning_diagram(results, head.dataset),
        reliability=score_diagram(results, head.dataset),
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
        panels=panels(MAIN, results),
        more_panels=panels(MORE, results),
        symptoms=symptoms(results),
        completions=completions,
        viewer=viewer,
        viewer_data=Markup(_viewer_data(viewer, results, head, nouns)),
        position={(i["set"], i["id"]): index for index, i in enumerate(viewer.images)},
        criteria={why for image in viewer.images for why in image["why"]},
        suspects=suspects,
        described=described,
        light=LIGHT,
        dark=DARK,
        style=Markup("".join(map(_read, ["page.css"] + ["second_look.css"] * second_look))),
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )


def _read(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def _filters(nouns: dict[str, str]) -> dict[str, Callable]:
    """How the template writes values."""
    return {
        "metric": show,
        "number": number,
        "plural": plural,
        "named": lambda text: text.format(**nouns),
        "interval": lambda row, metric: interval(row.low, row.high, metric),
        "state": state_of,
        "short": short,
    }


def _nouns(described: Iterable[Description]) -> dict[str, str]:
    """What one and many of the things to find are called."""
    if {label for card in described for label in card.labels} <= {"person"}:
        return {"one": "person", "many": "people"}
    return {"one": "object", "many": "objects"}


def _viewer_data(viewer: Viewer, results: Results, head: Headline, nouns: dict[str, str]) -> str:
    """What `viewer.js` reads, and `second_look.js` where an arm looked again."""
    index = results.arms.index
    looking = {"looked": [index(arm) for arm in viewer.looked]} if viewer.looked else {}
    if viewer.opens:
        one = one_view(viewer.opens)
        looking["opens"] = [index(arm) for arm in (one, viewer.opens) if arm in results.arms]
    return as_json(
        {
            "arms": results.arms,
            "numColours": len(LIGHT),
            "pair": [index(arm) for arm in head.pair],
            "nouns": nouns,
            "kinds": {kind: title.lower() for kind, (title, _) in KINDS.items()},
            "images": viewer.images,
        }
        | looking
    )


def _shown_groups(results: Results) -> dict[str, list[Metric]]:
    """The metrics that some arm has a value of, by their groups."""
    shown = {
        title: [metric for metric in metrics if results.has(metric.name)]
        for title, metrics in by_group().items()
    }
    return {title: metrics for title, metrics in shown.items() if metrics}


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
    rows, names = [], [metric.name for metric in by_group()[LOOKING]]
    for index, arm in enumerate(results.arms):
        means = {name: results.mean(arm, dataset, name).value for name in names}
        if means["look_errors_caught"] is None or means["look_area_share"] is None:
            continue
        lift = results.interval(arm, dataset, "look_lift")
        rows.append({"arm": arm, "index": index, "lift_interval": lift} | means)
    return rows


def _looked_again(results: Results, dataset: str) -> list[dict]:
    """What looking again gains and costs: each arm in one view, and below it each way to look."""
    views = dict.fromkeys(one_view(arm) for arm in results.arms if arm != one_view(arm))
    arms = [arm for view in views for arm in results.arms if one_view(arm) == view]
    rows = []
    for arm in arms:
        row = {name: results.mean(arm, dataset, name) for name in (GAIN, *COSTS)}
        effect = results.effect(arm, dataset, GAIN, one_view(arm))
        if effect is not None:
            ends = (effect.difference_low, effect.difference_high)
            row["ends"] = interval(*ends, METRICS[GAIN], "+")
        rows.append({"arm": arm, "again": arm != one_view(arm), "effect": effect} | row)
    return rows


def about(results: Results, arm: str) -> str:
    """What was done to make an arm, as its training log tells."""
    if (view := one_view(arm)) != arm:
        return f"the answers of {view}, looking again ({arm.partition('+')[2]})"
    updates, rewards = results.updates(arm), results.rewards(arm)
    if not updates:
        return "the policy that the others start from, not trained here"
    training = plural(updates, "update")
    if not rewards:
        return f"supervised fine-tuning on reference answers, {training}"
    noun = "reward" if len(rewards) == 1 else "rewards"
    return f"GRPO reinforcement learning with the {' + '.join(rewards)} {noun}, {training}"
