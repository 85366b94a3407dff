"""The figures for papers: the summary as Markdown, the comparison as Markdown, LaTeX and CSV.

Per set there is a table of values with their intervals, the best value bold, and one per baseline
of the differences, bold where the interval leaves out zero. The CSV has every row and every field.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from dipr1.artifacts.comparison import COMPARISON
from dipr1.artifacts.made import Made
from dipr1.artifacts.writing import MADE_BY, whole
from dipr1.evaluation.catalogue import METRICS, Metric, shown
from dipr1.evaluation.comparison import Compared, comparison_table
from dipr1.report.notation import show
from dipr1.report.results import Results

PRINTED = ("AP50", "AP75", "AP", "AP_crowdhuman", "MR", "JI", "f1_50", "count_error")
"""Metrics of the Markdown and LaTeX tables, which have to fit a page."""

STEM = "comparison"


@dataclass(frozen=True)
class Cell:
    """A figure with its interval.

    Attributes:
        value, low, high: as text; None for what is undefined.
        bold: the best value, or a difference whose interval leaves out zero.
    """

    value: str | None
    low: str | None
    high: str | None
    bold: bool


@dataclass(frozen=True)
class Table:
    """One printed table.

    Attributes:
        caption: what it shows, in one sentence.
        metrics: of the columns.
        arms: of the rows.
        cells: by arm, one per metric.
    """

    caption: str
    metrics: list[Metric]
    arms: list[str]
    cells: dict[str, list[Cell]]


def tables(rows: Sequence[Compared], printed: Sequence[str] = PRINTED) -> list[Table]:
    """The printed tables: per set the values, then the differences to each baseline.

    Args:
        rows: of :func:`dipr1.evaluation.comparison.compare`.
        printed: metrics in the order of the columns; those without a row are left out.
    """
    printable = []
    compared_with = {row.baseline for row in rows}
    baselines = [arm for arm in dict.fromkeys(row.arm for row in rows) if arm in compared_with]
    for name in dict.fromkeys(row.set for row in rows):
        for baseline in [None, *baselines]:
            chosen = [row for row in rows if row.set == name and row.baseline == baseline]
            by_key = {(row.arm, row.metric): row for row in chosen}
            metrics = [METRICS[m] for m in printed if any(row.metric == m for row in chosen)]
            arms = list(dict.fromkeys(row.arm for row in chosen))
            cell = _value_cells(by_key, arms) if baseline is None else _difference_cell
            cells = {arm: [cell(by_key[arm, m.name], m) for m in metrics] for arm in arms}
            if cells and metrics:
                printable.append(Table(_caption(chosen, baseline), metrics, arms, cells))
    return printable


def _value_cells(
    rows: dict[tuple[str, str], Compared], arms: Sequence[str]
) -> Callable[[Compared, Metric], Cell]:
    def cell(row: Compared, metric: Metric) -> Cell:
        values = [rows[arm, metric.name].value for arm in arms]
        known = [value for value in values if value is not None]
        best = {"higher": max, "lower": min}.get(metric.better)
        bold = best is not None and len(known) > 1 and row.value == best(known)
        return Cell(*(_text(v, metric.form) for v in (row.value, row.low, row.high)), bold)

    return cell


def _difference_cell(row: Compared, metric: Metric) -> Cell:
    low, high = row.difference_low, row.difference_high
    clear = low is not None and high is not None and (low > 0.0 or high < 0.0)
    form = "+" + metric.form
    return Cell(*(_text(v, form) for v in (row.difference, low, high)), clear)


def _text(value: float | None, form: str) -> str | None:
    return None if value is None or math.isnan(value) else format(value, form)


def _caption(rows: Sequence[Compared], baseline: str | None) -> str:
    """What the table shows and what its intervals are about."""
    first = rows[0]
    domain = {True: ", in domain", False: ", out of domain", None: ""}[first.in_domain]
    what = "Values" if baseline is None else f"Differences to {baseline}"
    marked = "bold: best" if baseline is None else "bold: the interval leaves out 0"
    seeds = max(row.num_seeds for row in rows)
    over = (
        f"{seeds} seeds and {first.num_images} images"
        if seeds > 1
        else f"{first.num_images} images; one seed, so not over trainings"
    )
    scores = dict.fromkeys(row.score for row in rows if row.score is not None)
    scored = f" Boxes ranked by {', '.join(scores)}." if scores else ""
    return f"{what} on {first.set}{domain}; {marked}; 95 % bootstrap intervals over {over}.{scored}"


# --- Markdown -----------------------------------------------------------------------------------


def summary(results: Results, title: str) -> str:
    """Every metric of every arm as Markdown, the best value of each row in bold."""
    lines = [f"# {title}", ""]
    for dataset in results.sets:
        lines += [f"## {dataset}", "", "| metric | " + " | ".join(results.arms) + " |"]
        lines += ["|---|" + "---:|" * len(results.arms)]
        for metric in filter(lambda metric: results.has(metric.name), shown()):
            best = results.best(dataset, metric)
            values = {
                arm: show(results.mean(arm, dataset, metric.name), metric) for arm in results.arms
            }
            cells = [f"**{value}**" if arm in best else value for arm, value in values.items()]
            lines.append(f"| {metric.title} | {' | '.join(cells)} |")
        lines.append("")
    lines += [f"<!-- {MADE_BY} -->", ""]
    return "\n".join(lines)


def markdown(rows: Sequence[Compared], printed: Sequence[str] = PRINTED) -> str:
    """The tables as Markdown."""
    parts = []
    for table in tables(rows, printed):
        lines = [f"{table.caption}", ""]
        lines.append("| arm | " + " | ".join(map(_title, table.metrics)) + " |")
        lines.append("|---|" + "---|" * len(table.metrics))
        for arm in table.arms:
            cells = " | ".join(map(_markdown_cell, table.cells[arm]))
            lines.append(f"| {_escape(arm, MARKDOWN)} | {cells} |")
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


MARKDOWN = {"_": r"\_", "|": r"\|"}


def _title(metric: Metric) -> str:
    arrow = {"higher": " ↑", "lower": " ↓"}.get(metric.better, "")
    return _escape(metric.title, MARKDOWN) + arrow


def _markdown_cell(cell: Cell) -> str:
    if cell.value is None:
        return "–"
    value = f"**{cell.value}**" if cell.bold else cell.value
    return value if cell.low is None else f"{value} [{cell.low}, {cell.high}]"


def _escape(text: str, characters: dict[str, str]) -> str:
    return "".join(characters.get(character, character) for character in text)


# --- LaTeX --------------------------------------------------------------------------------------

LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "⁻": r"\textsuperscript{--}",
    "²": r"\textsuperscript{2}",
}


def latex(rows: Sequence[Compared], printed: Sequence[str] = PRINTED) -> str:
    """The tables as LaTeX; they need the package ``booktabs`` and fit across two columns."""
    return "\n".join(map(_latex_table, tables(rows, printed)))


def _latex_table(table: Table) -> str:
    titles = " & ".join(
        _escape(metric.title, LATEX)
        + {"higher": r" $\uparrow$", "lower": r" $\downarrow$"}.get(metric.better, "")
        for metric in table.metrics
    )
    lines = [
        r"\begin{table*}",
        r"\centering",
        rf"\caption{{{_escape(table.caption, LATEX)}}}",
        rf"\begin{{tabular}}{{l{'c' * len(table.metrics)}}}",
        r"\toprule",
        rf"arm & {titles} \\",
        r"\midrule",
    ]
    for arm in table.arms:
        cells = table.cells[arm]
        lines.append(" & ".join([_escape(arm, LATEX), *map(_latex_value, cells)]) + r" \\")
        lines.append(" & ".join(["", *map(_latex_interval, cells)]) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table*}", ""])


def _latex_value(cell: Cell) -> str:
    if cell.value is None:
        return "--"
    value = _latex_number(cell.value)
    return rf"\textbf{{{value}}}" if cell.bold else value


def _latex_interval(cell: Cell) -> str:
    if cell.low is None or cell.high is None:
        return ""
    return rf"{{\scriptsize [{_latex_number(cell.low)}, {_latex_number(cell.high)}]}}"


def _latex_number(text: str) -> str:
    return _escape(text, LATEX).replace("-", "$-$")


# --- CSV and files ------------------------------------------------------------------------------


def csv_text(rows: Sequence[Compared]) -> str:
    """All rows and fields as CSV: floats with six decimals, nothing where there is no value."""
    table = pl.from_arrow(comparison_table(rows))
    # True and False as Python writes them
    flags = pl.col("in_domain").cast(pl.String).str.to_titlecase()
    return table.with_columns(flags).write_csv(float_precision=6)


def write_exports(rows: Sequence[Compared], folder: Path, made: Made | None = None) -> list[Path]:
    """Write ``comparison.parquet``, ``.md``, ``.csv`` and ``.tex`` into a folder.

    Returns:
        The four paths.
    """
    paths = [Path(folder) / f"{STEM}{suffix}" for suffix in (".parquet", ".md", ".csv", ".tex")]
    COMPARISON.write(comparison_table(rows), paths[0], made)
    for path, text in zip(paths[1:], (markdown(rows), csv_text(rows), latex(rows)), strict=True):
        with whole(path) as part:
            part.write_text(text, encoding="utf-8")
    return paths
