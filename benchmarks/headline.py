"""Write what the experiments found into the pages that tell of it.

    python -m benchmarks.headline README.md docs/looking-again.md

Each page has marks, `<!-- claim-headline -->` or another of `TABLES`, then `<!-- end -->`; what
stands between them is written anew from `docs/results/*.parquet`: `demo.parquet` is
`results/demo/report/comparison.parquet` of `make demo`, the others are made by benchmarks/claim.py.
Figures are means over the seeds; the first set of the files is the one that was trained for.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from benchmarks.claim import CLAIM, DIFFERENCES, HEADLINE, NONE, goal_lines, joined
from dipr1.artifacts.comparison import COMPARISON
from dipr1.errors import UserError
from dipr1.evaluation.catalogue import METRICS

UNKNOWN = "Not measured yet."
RESULTS = Path(__file__).parents[1] / "docs" / "results"
ARMS = ("base", "sft", "answer", "grpo", "dipr1")
SOURCES = {
    NONE: "nothing: one view",
    "samples": "nothing, but further samples of the whole view, fused",
    "random": "as many windows as its own looks give, anywhere",
    "grid": "the four quarters of the image",
    "own": "**its own looks**, said in the response it gives anyway",
    "variance": "regions whose boxes vary over its samples, no labels used",
    "oracle": "the people it missed (oracle)",
}
DEMO = (
    *("AP", "AP50", "AP75", "MR", "JI", "precision50", "recall50", "f1_50"),
    *("recall_small", "recall_hidden", "well_formed_rate"),
)
RECALLS = {
    "recall_small": "under 15 % of the image's height",
    "recall_medium": "15 to 30 % of the image's height",
    "recall_tall": "30 % of the image's height and more",
    "recall_hidden": "less than 65 % visible",
    "recall_partly": "65 to 90 % visible",
    "recall_free": "90 % visible and more",
}


@dataclass(frozen=True)
class Claim:
    """The two tables.

    Attributes:
        values: a figure of a run per row.
        differences: a comparison per row.
    """

    values: pl.DataFrame
    differences: pl.DataFrame

    @classmethod
    def read(cls, folder: Path) -> Claim:
        """Those in a folder."""
        tables = (CLAIM.read(folder / f"{CLAIM.name}.parquet"),
                  DIFFERENCES.read(folder / f"{DIFFERENCES.name}.parquet"))  # fmt: skip
        return cls(*map(pl.from_arrow, tables))

    @property
    def sets(self) -> list[str]:
        """`dataset.split`, the one that was trained for first."""
        return self.values["set"].unique(maintain_order=True).to_list()

    def mean(self, on: str, arm: str, source: str, metric: str) -> float | None:
        """Of the seeds; None where it was not measured."""
        rows = self.values.filter(set=on, arm=arm, source=source, metric=metric)
        return rows["value"].mean() if rows["value"].null_count() == 0 else None


def headline(claim: Claim) -> str:
    """AP50 of every arm on every set, in one view and looking again at its own looks."""
    lines = [*_head(HEADLINE, *ARMS)]
    for on in claim.sets:
        for source, words in ((NONE, "one view"), ("own", "own looks")):
            means = [claim.mean(on, arm, source, HEADLINE) for arm in ARMS]
            known = [mean for mean in means if mean is not None]
            if known:
                cells = [_best(mean, max(known)) for mean in means]
                lines.append(_row(f"{_shortly(on)}, {words}", *cells))
    return "\n".join(lines)


def sources(claim: Claim) -> str:
    """What each source costs and gives, for the base and for dipr1, in domain."""
    on = claim.sets[0]
    lines = [*_head("what is looked at again", "crops", "tokens", "base", "dipr1",
                    "dipr1, against one view", "per crop")]  # fmt: skip
    named = claim.values.filter(set=on, arm="dipr1")["source"].unique(maintain_order=True)
    for source in [*SOURCES, *(name for name in named if name not in SOURCES)]:
        if source in named:
            figures = [
                _figure(claim.mean(on, "dipr1", source, "mean_crops"), ".1f"),
                _figure(claim.mean(on, "dipr1", source, "mean_tokens"), ".0f"),
                *(_figure(claim.mean(on, arm, source, HEADLINE)) for arm in ("base", "dipr1")),
                _difference(claim, on, joined("dipr1", source), "dipr1"),
                _figure(claim.mean(on, "dipr1", source, "gain_per_crop"), "+.3f"),
            ]
            lines.append(_row(SOURCES.get(source, source), *figures))
    return "\n".join(lines)


def variants(claim: Claim) -> str:
    """The arms that change one thing, in domain, on the seeds that each of them has."""
    on = claim.sets[0]
    lines = _head("arm", "seeds", "one view", "own looks", "crops", "own looks, against dipr1")
    for arm in claim.values["arm"].unique(maintain_order=True):
        seeds = claim.values.filter(set=on, arm=arm, source="own", metric=HEADLINE)["seed"]
        if arm != "base" and len(seeds):
            figures = [
                str(len(seeds)),
                *(_figure(claim.mean(on, arm, source, HEADLINE)) for source in (NONE, "own")),
                _figure(claim.mean(on, arm, "own", "mean_crops"), ".1f"),
                _difference(claim, on, f"{arm}+own", "dipr1+own"),
            ]
            lines.append(_row(arm, *figures))
    return "\n".join(lines)


def recalls(claim: Claim) -> str:
    """Whom dipr1 finds, by height and by visibility, in domain."""
    on, there = claim.sets[0], (NONE, "own", "variance", "oracle")
    lines = [*_head("people", "one view", *there[1:])]
    for metric, words in RECALLS.items():
        cells = [_figure(claim.mean(on, "dipr1", source, metric)) for source in there]
        lines.append(_row(words, *cells))
    return "\n".join(lines)


def goals(claim: Claim) -> str:
    """Each goal on each set."""
    return "\n".join(goal_lines(claim.differences.to_dicts()))


def demo(place: int) -> Callable[[Path], str]:
    """The figures of `make demo` on its first set, 0, or on its second, 1."""

    def table(results: Path) -> str:
        rows = pl.from_arrow(COMPARISON.read(results / "demo.parquet"))
        values = rows.filter(pl.col("baseline").is_null())
        on = values["set"].unique(maintain_order=True)[place]
        arms = values["arm"].unique(maintain_order=True).to_list()
        lines = _head("metric", *arms)
        for name in DEMO:
            cells = [_only(values.filter(set=on, arm=arm, metric=name)["value"]) for arm in arms]
            lines.append(_row(METRICS[name].title, *_marked(cells, METRICS[name])))
        return "\n".join(lines)

    return table


def demo_gains(results: Path) -> str:
    """By how much AP50 differs from the base's, and from that of one view, with intervals."""
    rows = pl.from_arrow(COMPARISON.read(results / "demo.parquet"))
    arm, baseline = pl.col("arm"), pl.col("baseline")
    one_view = arm.str.split("+").list.first() == baseline
    rows = rows.filter((baseline == "base") | one_view, metric=HEADLINE)
    lines = [_row("set", "arm", "against", "AP50", "95 % interval"), "|---|---|---|---:|---:|"]
    for row in rows.iter_rows(named=True):
        low, high = row["difference_low"], row["difference_high"]
        lines.append(
            _row(_shortly(row["set"]), row["arm"], row["baseline"],
                 f"{row['difference']:+.3f}", f"[{low:+.3f}, {high:+.3f}]")
        )  # fmt: skip
    return "\n".join(lines)


def _only(values: pl.Series) -> float | None:
    return values[0] if len(values) else None


def _marked(values: list[float | None], metric) -> list[str]:
    """Cells, the best one bold where one is better than another."""
    known = [value for value in values if value is not None]
    best = (
        (min if metric.better == "lower" else max)(known, default=None) if metric.better else None
    )
    texts = [_figure(value, metric.form) for value in values]
    return [
        f"**{text}**" if metric.better and value is not None and value == best else text
        for text, value in zip(texts, values, strict=True)
    ]


def of_claim(table: Callable[[Claim], str]) -> Callable[[Path], str]:
    """A table of the experiment, from the folder of the results."""
    return lambda results: table(Claim.read(results))


TABLES: dict[str, Callable[[Path], str]] = {
    "claim-headline": of_claim(headline),
    "claim-sources": of_claim(sources),
    "claim-variants": of_claim(variants),
    "claim-recalls": of_claim(recalls),
    "claim-goals": of_claim(goals),
    "demo-in-domain": demo(0),
    "demo-out-of-domain": demo(1),
    "demo-gains": demo_gains,
}


def filled(page: str, results: Path) -> str:
    """The page with its tables written anew.

    Args:
        page: its text.
        results: folder of the figures; a table whose file is not there says so.

    Raises:
        UserError: it has no mark of any table.
    """
    marked = [name for name in TABLES if f"<!-- {name} -->" in page]
    if not marked:
        name = next(iter(TABLES))
        raise UserError(f"no table is marked; write <!-- {name} --> and <!-- end -->")
    for name in marked:
        file = results / f"{name.split('-')[0]}.parquet"
        text = TABLES[name](results) if file.exists() else UNKNOWN
        marks = rf"(<!-- {name} -->\n).*?(<!-- end -->)"
        page = re.sub(marks, lambda match, text=text: f"{match[1]}{text}\n{match[2]}", page,
                      flags=re.S)  # fmt: skip
    return page


def main() -> None:
    """Fill the pages."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pages", nargs="+", type=Path)
    parser.add_argument("--results", type=Path, default=RESULTS)
    args = parser.parse_args()
    for path in args.pages:
        try:
            path.write_text(
                filled(path.read_text(encoding="utf-8"), args.results), encoding="utf-8"
            )
        except UserError as error:
            parser.error(f"{path}: {error}")


def _difference(claim: Claim, on: str, a: str, b: str) -> str:
    """In AP50, with its interval; nothing where it was not measured."""
    rows = claim.differences.filter(pl.col("goal").is_null(), set=on, metric=HEADLINE, a=a, b=b)
    if not len(rows) or rows["difference"][0] is None:
        return ""
    row = rows.row(0, named=True)
    return f"{row['difference']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}]"


def _best(value: float | None, best: float) -> str:
    text = _figure(value)
    return f"**{text}**" if value == best else text


def _figure(value: float | None, form: str = ".3f") -> str:
    return "" if value is None else format(value, form)


def _shortly(on: str) -> str:
    return on.removesuffix(".validation")


def _head(*titles: str) -> list[str]:
    return [_row(*titles), "|---|" + "---:|" * (len(titles) - 1)]


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
