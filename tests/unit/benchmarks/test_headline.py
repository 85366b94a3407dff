"""The pages' tables are those of the committed figures."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from benchmarks.claim import CLAIM, DIFFERENCES
from benchmarks.headline import RESULTS, filled
from dipr1.artifacts.comparison import COMPARISON
from dipr1.artifacts.made import Made
from dipr1.errors import UserError

ON = "crowdscenes.validation"
PAGE = """# Found
<!-- claim-headline -->
old
<!-- end -->
between
<!-- claim-sources -->
<!-- end -->
<!-- claim-variants -->
<!-- end -->
<!-- claim-recalls -->
<!-- end -->
<!-- claim-goals -->
<!-- end -->
after
"""
FILLED = """# Found
<!-- claim-headline -->
| AP50 | base | sft | answer | grpo | dipr1 |
|---|---:|---:|---:|---:|---:|
| crowdscenes, one view | **0.300** |  |  |  | 0.250 |
| crowdscenes, own looks |  |  |  |  | **0.500** |
<!-- end -->
between
<!-- claim-sources -->
| what is looked at again | crops | tokens | base | dipr1 | dipr1, against one view | per crop |
|---|---:|---:|---:|---:|---:|---:|
| nothing: one view | 0.0 | 80 | 0.300 | 0.250 |  |  |
| **its own looks**, said in the response it gives anyway | 2.0 | 200 |  | 0.500 \
| +0.250 [+0.200, +0.300] | +0.125 |
| mine |  |  |  | 0.400 |  |  |
<!-- end -->
<!-- claim-variants -->
| arm | seeds | one view | own looks | crops | own looks, against dipr1 |
|---|---:|---:|---:|---:|---:|
| dipr1 | 1 | 0.250 | 0.500 | 2.0 |  |
| dipr1_miss | 1 |  | 0.450 |  | -0.050 [-0.100, +0.000] |
<!-- end -->
<!-- claim-recalls -->
| people | one view | own | variance | oracle |
|---|---:|---:|---:|---:|
| under 15 % of the image's height | 0.100 |  |  |  |
| 15 to 30 % of the image's height |  |  |  |  |
| 30 % of the image's height and more |  |  |  |  |
| less than 65 % visible |  |  |  |  |
| 65 to 90 % visible |  |  |  |  |
| 90 % visible and more |  |  |  |  |
<!-- end -->
<!-- claim-goals -->
| goal | asked for | crowdscenes.validation | reached |
|---|---|---|---|
| better | +0.15 | +0.250 [+0.150, +0.350], cost x 0.50: **met** |  |
<!-- end -->
after
"""


@pytest.fixture
def results(tmp_path) -> Path:
    """A few figures, through files."""
    values = [
        ("base", "none", 0, "AP50", 0.3),
        ("dipr1", "none", 0, "AP50", 0.2),
        ("dipr1", "none", 1, "AP50", 0.3),
        ("dipr1", "none", 0, "mean_crops", 0.0),
        ("dipr1", "none", 0, "mean_tokens", 80.0),
        ("dipr1", "none", 0, "recall_small", 0.1),
        ("dipr1", "own", 0, "AP50", 0.5),
        ("dipr1", "own", 0, "mean_crops", 2.0),
        ("dipr1", "own", 0, "mean_tokens", 200.0),
        ("dipr1", "own", 0, "gain_per_crop", 0.125),
        ("dipr1_miss", "own", 1, "AP50", 0.45),
        ("dipr1", "mine", 0, "AP50", 0.4),
        ("dipr1", "mine", 0, "mean_tokens", None),
    ]
    names = ["arm", "source", "seed", "metric", "value"]
    rows = [dict(zip(names, row, strict=True)) | {"set": ON} for row in values]
    CLAIM.write(pa.Table.from_pylist(rows, CLAIM.schema), tmp_path / "claim.parquet", Made())
    own = {"set": ON, "metric": "AP50", "a": "dipr1+own", "b": "dipr1", "difference": 0.25,
           "low": 0.2, "high": 0.3, "corrected_low": 0.15, "corrected_high": 0.35}  # fmt: skip
    better = own | {"goal": "better", "least": 0.15, "cost": 0.5, "met": True}
    miss = own | {"a": "dipr1_miss+own", "b": "dipr1+own", "difference": -0.05,
                  "low": -0.1, "high": 0.0}  # fmt: skip
    table = pa.Table.from_pylist([better, own, miss], DIFFERENCES.schema)
    DIFFERENCES.write(table, tmp_path / "claim_differences.parquet", Made())
    return tmp_path


def test_the_tables_stand_between_their_marks(results):
    assert filled(PAGE, results) == FILLED
    assert filled(FILLED, results) == FILLED


def test_a_page_without_marks_is_refused(results):
    with pytest.raises(UserError, match="no table is marked; write <!-- claim-headline -->"):
        filled("# Nothing\n", results)


def test_the_demo_s_tables_are_those_of_its_comparison(tmp_path):
    rows = [
        {"set": on, "arm": arm, "metric": metric, "value": value}
        for on, shift in ((ON, 0.0), ("night.validation", 0.25))
        for arm, ap50 in (("base", 0.5), ("dipr1+own", 0.625))
        for metric, value in (("AP50", ap50 - shift), ("MR", 1 - ap50 + shift))
    ]
    rows.append({"set": ON, "arm": "dipr1+own", "metric": "AP50", "baseline": "base",
                 "difference": 0.125, "difference_low": 0.1, "difference_high": 0.15})  # fmt: skip
    table = pa.Table.from_pylist(rows, COMPARISON.schema)
    COMPARISON.write(table, tmp_path / "demo.parquet", Made())
    marks = "".join(f"<!-- demo-{name} -->\n<!-- end -->\n" for name in ("out-of-domain", "gains"))
    text = filled(marks, tmp_path)
    assert "| AP50 | 0.250 | **0.375** |\n" in text
    assert "| MR⁻² | 0.750 | **0.625** |\n" in text
    assert "| crowdscenes | dipr1+own | base | +0.125 | [+0.100, +0.150] |\n" in text


def test_a_table_without_figures_says_so(tmp_path):
    page = "<!-- claim-goals -->\nold\n<!-- end -->\n"
    assert filled(page, tmp_path) == "<!-- claim-goals -->\nNot measured yet.\n<!-- end -->\n"


@pytest.mark.parametrize("name", ["README.md", "docs/looking-again.md"])
def test_the_pages_tell_what_the_committed_figures_say(root, name):
    text = (root / name).read_text(encoding="utf-8")
    assert filled(text, RESULTS) == text
