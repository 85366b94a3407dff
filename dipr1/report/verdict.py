"""What the comparison says, in words and as a chart: never more than the intervals allow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from markupsafe import Markup

from dipr1.evaluation.catalogue import METRICS, Metric
from dipr1.evaluation.comparison import Compared
from dipr1.report.curves import tick_label, ticks
from dipr1.report.notation import interval, number
from dipr1.report.results import Results, is_told

HEADLINE = "AP"
WORDS = {"better": "clearly better", "worse": "clearly worse", "open": "may be chance", "": ""}


@dataclass(frozen=True)
class Headline:
    """What the page is about.

    Attributes:
        dataset: the first evaluation set.
        best: the arm with the best AP; None where AP is undefined everywhere.
        rival: what it is compared with: the base, or where that is the best, the best other arm.
        pair: the two arms shown side by side, the better trained one last.
    """

    dataset: str
    best: str | None
    rival: str | None
    pair: list[str]


@dataclass(frozen=True)
class Finding:
    """One sentence with how sure it is.

    Attributes:
        state: "better", "worse", "open" (may be chance) or "" (no interval).
        text: HTML.
    """

    state: str
    text: Markup


def headline(results: Results) -> Headline:
    """Which arm is best on the first set, and against what; none that was told where to look."""
    dataset = results.sets[0]
    arms = [arm for arm in results.arms if not is_told(arm)] or results.arms
    best = next(iter(results.best(dataset, METRICS[HEADLINE], arms)), None)
    others = [arm for arm in arms if arm != best]
    others.sort(key=lambda arm: -(results.mean(arm, dataset, HEADLINE).value or 0.0))
    base = results.base
    rival = base if base in others else next(iter(others), None)
    pair = [arm for arm in (rival, best) if arm is not None]
    return Headline(dataset, best, rival, [base, rival] if best == base and rival else pair)


def state_of(effect: Compared | None, metric: Metric) -> str:
    """Whether a difference is clear: "better", "worse", "open" or "" where it has no interval.

    Clear is a difference whose 95 % interval lies on one side of zero.
    """
    if effect is None or not metric.better:
        return ""
    if effect.difference_low <= 0.0 <= effect.difference_high:
        return "open"
    return "better" if (effect.difference > 0.0) == (metric.better == "higher") else "worse"


def lead(results: Results, head: Headline, nouns: dict[str, str]) -> Markup:
    """The first sentence of the page."""
    name, best, rival = head.dataset, head.best, head.rival
    if best is None:
        return Markup("No arm has an average precision on {}: no {} is annotated there.").format(
            name, nouns["one"]
        )
    if rival is None:
        return Markup(
            "<b>{}</b> reaches AP <b>{}</b> on {}; there is no other arm to compare it with."
        ).format(best, _value(results, best, name), name)
    if best == results.base:
        return Markup(
            "No trained arm beats <b>{}</b>: on {} it reaches AP <b>{}</b>, the best trained arm,"
            " {}, {}."
        ).format(best, name, _value(results, best, name), rival, _value(results, rival, name))
    text = Markup("<b>{}</b> is best on {}: AP <b>{}</b>").format(
        best, name, _value(results, best, name)
    )
    return text + _against(results, head) + "."


def _value(results: Results, arm: str, dataset: str) -> str:
    value = results.mean(arm, dataset, HEADLINE).value
    return "none" if value is None else number(value, METRICS[HEADLINE])


def _against(results: Results, head: Headline) -> Markup:
    """By how much the best arm is better than its rival, and on which other sets it is worse."""
    metric, name = METRICS[HEADLINE], head.dataset
    gain, state = _gain(results, head, name)
    if gain is None:
        return Markup("")
    text = Markup(" against {} for {} ({})").format(
        _value(results, head.rival, name), head.rival, number(gain, metric, "+")
    )
    text += Markup(", <b>which may be chance</b>") if state == "open" else ""
    gains = {name: _gain(results, head, name) for name in results.sets}
    worse = [name for name, (gain, state) in gains.items() if (gain or 0) < 0 and state != "open"]
    if not worse:
        return text
    return text + Markup("; <b>on {} it is worse</b> than {}").format(
        " and ".join(worse), head.rival
    )


def _gain(results: Results, head: Headline, dataset: str) -> tuple[float | None, str]:
    """The best arm's gain on its rival on a set, and whether it is clear."""
    best, rival = (results.mean(arm, dataset, HEADLINE).value for arm in (head.best, head.rival))
    effect = results.effect(head.best, dataset, HEADLINE, head.rival)
    gain = None if None in (best, rival) else best - rival
    return gain, state_of(effect, METRICS[HEADLINE])


def findings(results: Results, head: Headline) -> list[Finding]:
    """The pair's differences: on the first set against each baseline, then on the other sets."""
    if len(head.pair) < 2:
        return []
    arm = head.pair[1]
    baselines = dict.fromkeys([head.pair[0], *results.baselines])
    wanted = [(head.dataset, HEADLINE, baseline) for baseline in baselines if baseline != arm]
    wanted.append((head.dataset, "f1_50", head.pair[0]))
    wanted += [(name, HEADLINE, head.pair[0]) for name in results.sets[1:]]
    every = [_finding(results, arm, *which) for which in wanted]
    return [finding for finding in every if finding is not None]


def _finding(results: Results, arm: str, dataset: str, name: str, baseline: str) -> Finding | None:
    metric, effect = METRICS[name], results.effect(arm, dataset, name, baseline)
    after, before = (results.mean(one, dataset, name).value for one in (arm, baseline))
    if after is None or before is None:
        return None
    row = results.interval(arm, dataset, name)
    elsewhere = " (not trained on this data set)" if row and row.in_domain is False else ""
    text = Markup("<b>{} {}</b> against {} on {}{}: from {} to {}").format(
        number(after - before, metric, "+"),
        metric.title,
        baseline,
        dataset,
        elsewhere,
        number(before, metric),
        number(after, metric),
    )
    if effect is not None:
        ends = interval(effect.difference_low, effect.difference_high, metric, "+")
        text += Markup("; 95 % interval of the difference {}").format(ends)
    return Finding(state_of(effect, metric), text + ".")


@dataclass(frozen=True)
class Row:
    """One arm in a chart; positions are in percent of the axis.

    Attributes:
        arm, index: the arm and its place among all.
        value: as text.
        ends: its interval as text; "" where there is none.
        at: where the value lies.
        start, width: where the interval lies; None where there is none.
        effect: difference to the rival as text; "" for the rival itself.
        state: of the difference.
        best: the arm with the best value.
    """

    arm: str
    index: int
    value: str
    ends: str
    at: float | None
    start: float | None
    width: float | None
    effect: str
    state: str
    best: bool


@dataclass(frozen=True)
class Chart:
    """A metric of all arms on one set, with intervals.

    Attributes:
        metric: what is shown.
        dataset: `dataset.split`.
        rows: one per arm.
        ticks: (position in percent, label).
        out_of_domain: the set is of another data set than the one trained on.
    """

    metric: Metric
    dataset: str
    rows: list[Row]
    ticks: list[tuple[float, str]]
    out_of_domain: bool


def charts(results: Results, rival: str | None) -> list[Chart]:
    """The headline's metric on each set where it is defined."""
    every = [_chart(results, dataset, METRICS[HEADLINE], rival) for dataset in results.sets]
    return [chart for chart in every if chart is not None]


def _chart(results: Results, dataset: str, metric: Metric, rival: str | None) -> Chart | None:
    means = [results.mean(arm, dataset, metric.name).value for arm in results.arms]
    spans = [results.interval(arm, dataset, metric.name) for arm in results.arms]
    spans = [span for span in spans if span]
    shown = [value for value in means if value is not None]
    if not shown:
        return None
    shown += [end for span in spans for end in (span.low, span.high)]
    low, high = min(shown), max(shown)
    margin = 0.08 * (high - low) or 0.05
    marks = ticks(max(0.0, low - margin), min(1.0, high + margin), 4)

    def at(value: float) -> float:
        return round(100 * (value - marks[0]) / (marks[-1] - marks[0]), 2)

    return Chart(
        metric,
        dataset,
        [_row(results, arm, dataset, metric, rival, at) for arm in results.arms],
        [(at(mark), tick_label(mark, marks)) for mark in marks],
        bool(spans) and spans[0].in_domain is False,
    )


def _row(
    results: Results,
    arm: str,
    dataset: str,
    metric: Metric,
    rival: str | None,
    at: Callable[[float], float],
) -> Row:
    value = results.mean(arm, dataset, metric.name).value
    span = results.interval(arm, dataset, metric.name)
    effect = results.effect(arm, dataset, metric.name, rival)
    return Row(
        arm=arm,
        index=results.arms.index(arm),
        value="–" if value is None else number(value, metric),
        ends=interval(span.low, span.high, metric) if span else "",
        at=None if value is None else at(value),
        start=at(span.low) if span else None,
        width=round(at(span.high) - at(span.low), 2) if span else None,
        effect=number(effect.difference, metric, "+") if effect else "",
        state=state_of(effect, metric),
        best=arm in results.best(dataset, metric),
    )
