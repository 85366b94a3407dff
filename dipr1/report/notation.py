"""How the page writes numbers: figures of metrics, differences, intervals, counts."""

from __future__ import annotations

from dipr1.evaluation.catalogue import Metric
from dipr1.report.results import Mean


def number(value: float, metric: Metric, sign: str = "") -> str:
    """A value as the page writes it; `sign` "+" makes it a difference.

    >>> from dipr1.evaluation.catalogue import METRICS
    >>> number(-0.25, METRICS["AP"], "+")
    '−0.250'
    >>> number(0.031, METRICS["well_formed_rate"], "+")
    '+3.1 points'
    """
    written = format(value, sign + metric.form).replace("-", "−")
    return written.replace("%", " points") if sign else written


def interval(low: float, high: float, metric: Metric, sign: str = "") -> str:
    """An interval as the page writes it.

    >>> from dipr1.evaluation.catalogue import METRICS
    >>> interval(-0.01, 0.25, METRICS["AP"], "+")
    '−0.010 to +0.250'
    """
    ends = [format(end, sign + metric.form).replace("-", "−") for end in (low, high)]
    return " to ".join(ends)


def show(mean: Mean, metric: Metric) -> str:
    """A mean with its spread, or a dash where it is undefined.

    >>> from dipr1.evaluation.catalogue import METRICS
    >>> show(Mean(0.5, 0.01), METRICS["AP"]), show(Mean(None, None), METRICS["AP"])
    ('0.500 ± 0.010', '–')
    """
    if mean.value is None:
        return "–"
    value = number(mean.value, metric)
    return value if mean.spread is None else f"{value} ± {number(mean.spread, metric)}"


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
