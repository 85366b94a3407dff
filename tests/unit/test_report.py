"""The verb `report`: a page that needs nothing but itself and says what was measured."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from dipr1.cli import main
from dipr1.report.build import headline
from dipr1.report.curves import smooth, ticks
from dipr1.report.metrics import METRICS
from dipr1.report.overlays import path, shots, spread
from dipr1.report.results import Mean, Results, read_results
from dipr1.tables import ANNOTATIONS, SAMPLES, read_table, write_table
from tests.unit.experiment import RECIPES, annotation, files, make_experiment

SETS = (("crowdscenes.validation", "street"), ("crowdscenes_ood.validation", "night"))
VOID = {"meta", "img", "input", "br", "link"}


class Page(HTMLParser):
    """Checks that tags are closed in order, and collects what the page loads and names."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []
        self.ids: list[str] = []
        self.images: list[dict] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.loads += [found[name] for name in ("src", "href", "data") if name in found]
        self.ids += [found["id"]] if "id" in found else []
        self.images += [found] if tag == "img" else []
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))


def set_files(folder: Path, kind: str) -> dict[str, str]:
    return {".".join(Path(name).with_suffix("").parts[-2:]): name for name in files(folder, kind)}


def evaluate_all(folder: Path) -> None:
    for predictions in files(folder, "predictions"):
        of_set = {
            kind: set_files(folder, kind)[Path(predictions).stem]
            for kind in ("annotations", "prompts", "variance")
        }
        flags = [word for kind, name in of_set.items() for word in (f"--{kind}", name)]
        output = predictions.replace("/predictions/", "/metrics/")
        assert main(["evaluate", "--predictions", predictions, *flags, "--output", output]) == 0


def report(folder: Path, *flags: str, **other: list[str]) -> int:
    kinds = {
        "metrics": files(folder, "metrics"),
        "predictions": files(folder, "predictions"),
        "annotations": files(folder, "annotations"),
        "variance": files(folder, "variance"),
        "training-logs": files(folder, "policies"),
    }
    kinds |= {name.replace("_", "-"): names for name, names in other.items()}
    words = [word for name, names in kinds.items() for word in (f"--{name}", *names)]
    return main(["report", *words, "--output", str(folder / "page/index.html"), *flags])


@pytest.fixture(scope="module")
def experiment(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("experiment")
    make_experiment(folder, sets=SETS, seeds=(0, 1), num_images=8, updates=20)
    evaluate_all(folder)
    return folder


@pytest.fixture(scope="module")
def page(experiment) -> str:
    flags = ("--num-overlays", "4", "--trained-on", "crowdscenes.train")
    assert report(experiment, *flags) == 0
    return (experiment / "page/index.html").read_text(encoding="utf-8")


def test_the_page_loads_nothing(page):
    loads = Page(page).loads
    assert loads
    assert all(load.startswith("data:image/jpeg;base64,") for load in loads)
    assert "http://" not in page
    assert "https://" not in page
    assert "@import" not in page
    assert "url(" not in page
    assert "<script" not in page
    assert len(page.encode()) < 20e6


def test_ids_are_unique_and_every_image_has_a_text(page):
    found = Page(page)
    assert len(found.ids) == len(set(found.ids))
    assert len(found.images) == 4 * len(SETS) + 2
    assert all(image["alt"] for image in found.images)


def test_the_figures_on_the_page_are_those_of_the_artifacts(experiment, page):
    text = Page(page).text
    results = read_results(files(experiment, "metrics"), [])
    for arm in RECIPES:
        for name, metric in METRICS.items():
            values = [
                results.metrics[arm, seed, "crowdscenes.validation"][name]
                for seed in ((0,) if arm == "base" else (0, 1))
            ]
            shown = format(np.mean(values), metric.form)
            if len(values) > 1:
                shown += f" ± {format(np.std(values, ddof=1), metric.form)}"
            assert shown in text


def test_the_headline_is_computed(experiment, page):
    results = read_results(files(experiment, "metrics"), [])
    means = {arm: results.mean(arm, "crowdscenes.validation", "AP").value for arm in RECIPES}
    best = max(means, key=means.get)
    assert best != "base"
    sentence = re.search(r'<p class="headline">(.*?)</p>', page, re.DOTALL)[1]
    assert f"<b>{best}</b> is best on crowdscenes.validation" in sentence
    assert f"{means[best] - means['base']:+.3f}" in sentence


def test_the_summary_has_a_row_per_metric_and_the_best_in_bold(experiment, page):
    summary = (experiment / "page/summary.md").read_text(encoding="utf-8")
    assert summary.count("| AP |") == len(SETS)
    header, row = (
        next(line for line in summary.splitlines() if line.startswith(start)).split("|")[1:-1]
        for start in ("| metric |", "| F1 |")
    )
    results = read_results(files(experiment, "metrics"), [])
    best = results.best("crowdscenes.validation", "f1_50")
    bold = [arm.strip() for arm, cell in zip(header, row, strict=True) if "**" in cell]
    assert bold == best


def test_the_same_input_gives_the_same_page(experiment, page):
    assert report(experiment, "--num-overlays", "4", "--trained-on", "crowdscenes.train") == 0
    assert (experiment / "page/index.html").read_text(encoding="utf-8") == page


def test_the_training_section_tells_the_arms_apart(page):
    text = Page(page).text
    assert "supervised fine-tuning on reference answers, 20 updates" in text
    assert "with the reasoning + accuracy rewards, 20 updates" in text
    assert "with the reasoning + looking + accuracy rewards, 20 updates" in text


def test_names_and_responses_are_escaped(tmp_path):
    make_experiment(tmp_path, arms=("base",), num_images=2)
    predictions = files(tmp_path, "predictions")[0]
    table = read_table(predictions, "samples")
    texts = pa.array(["<script>alert(1)</script>"] * 2)
    write_table(table.set_column(2, "text", texts), predictions, "samples")
    evaluate_all(tmp_path)
    assert report(tmp_path, "--title", "<b>bold</b> & more", training_logs=[]) == 0
    page = (tmp_path / "page/index.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert "&lt;b&gt;bold&lt;/b&gt; &amp; more" in page


def test_one_arm_alone_without_logs_variance_or_overlays(tmp_path):
    make_experiment(tmp_path, arms=("base",), num_images=2)
    evaluate_all(tmp_path)
    flags = ("--num-overlays", "0")
    assert report(tmp_path, *flags, training_logs=[], variance=[]) == 0
    found = Page((tmp_path / "page/index.html").read_text(encoding="utf-8"))
    assert "there is no other arm to compare it with" in found.text
    assert found.images == []
    assert "training" not in found.ids


def test_the_base_may_win(experiment):
    results = read_results(files(experiment, "metrics"), [])
    for (arm, _, _), figures in results.metrics.items():
        figures["AP"] = 0.9 if arm == "base" else 0.2
    found = headline(results)
    assert (found.best, found.rival) == ("base", "sft")
    assert found.pair == ["base", "sft"]


def test_an_arm_without_a_value_is_never_best():
    results = Results(
        ["base", "sft"],
        ["a.b"],
        {("base", 0, "a.b"): {"AP": None}, ("sft", 0, "a.b"): {"AP": 0.1}},
        {},
    )
    assert results.best("a.b", "AP") == ["sft"]
    assert results.mean("base", "a.b", "AP") == Mean(None, None)


def test_equal_arms_are_all_best():
    figures = {
        ("a", 0, "d.s"): {"MR": 0.5},
        ("b", 0, "d.s"): {"MR": 0.5},
        ("c", 0, "d.s"): {"MR": 1},
    }
    results = Results(["a", "b", "c"], ["d.s"], figures, {})
    assert results.best("d.s", "MR", higher=False) == ["a", "b"]


@pytest.mark.parametrize(
    ("kind", "change", "message"),
    [
        ("metrics", lambda names: ["m.parquet"], "expected a path .../ARM/seedN/"),
        ("metrics", lambda names: names[:-1], "has no metrics of"),
        ("predictions", lambda names: names[:-1], "are missing; give their file too"),
        ("annotations", lambda names: names[:1], "are missing; give its file too"),
        ("training_logs", lambda names: ["x/log.parquet"], "training_log.parquet but got"),
        ("training_logs", lambda names: ["a/seed0/training_log.parquet"], "no such file"),
    ],
)
def test_a_wrong_file_is_named(experiment, capsys, kind, change, message):
    folder = {"training_logs": "policies"}.get(kind, kind)
    names = change(files(experiment, folder))
    if kind == "predictions":
        # the first seed of the last arm is what the pictures show
        names = [name for name in files(experiment, kind) if "dipr1/seed0" not in name]
    assert report(experiment, **{kind: names}) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert message in error


def test_an_image_that_is_gone_is_named(tmp_path, capsys):
    make_experiment(tmp_path, arms=("base",), num_images=2)
    evaluate_all(tmp_path)
    gone = next(tmp_path.rglob("*.jpg"))
    gone.unlink()
    assert report(tmp_path, training_logs=[]) == 1
    assert str(gone) in capsys.readouterr().err


# --- pieces ---------------------------------------------------------------------------------------


def table_of(texts_boxes: list) -> pa.Table:
    rows = [
        {"image_id": "0", "sample": 0, "text": "", "num_tokens": 1, "problems": [], "boxes": boxes}
        for boxes in texts_boxes
    ]
    return pa.Table.from_pylist(rows, SAMPLES)


def test_layers_tell_right_false_missed_and_ignored_apart(tmp_path):
    from PIL import Image

    file = tmp_path / "0.png"
    Image.new("RGB", (192, 144)).save(file)
    row = annotation(
        "0", [[0, 0, 10, 10], [50, 50, 60, 60]], [[100, 100, 140, 140]], image=str(file)
    )
    answered = [[0, 0, 10, 10], [80, 10, 90, 20], [101, 101, 110, 110], [5, 5, 5, 5]]
    tables = {"a": table_of([answered]), "b": table_of([None])}
    [shot] = shots(pa.Table.from_pylist([row], ANNOTATIONS), tables, None, 5)
    first, second = shot.answer("a"), shot.answer("b")
    assert (first.num_hits, first.num_false, first.num_missed) == (1, 2, 1)
    assert first.layers == {
        "look": "",
        "hit": "M0 0h10v10h-10z",
        "false": "M80 10h10v10h-10z",
        "skipped": "M101 101h9v9h-9z",
        "missed": "M50 50h10v10h-10z",
    }
    assert (second.readable, second.num_missed) == (False, 2)
    assert shot.layers["ignore"] == "M100 100h40v40h-40z"


def test_a_large_picture_is_made_smaller(tmp_path):
    import base64
    import io

    from PIL import Image

    from dipr1.report.overlays import data_uri

    Image.new("RGB", (3000, 1500), "red").save(tmp_path / "a.png")
    data = data_uri(str(tmp_path / "a.png")).partition("base64,")[2]
    assert Image.open(io.BytesIO(base64.b64decode(data))).size == (720, 360)


def test_path_leaves_out_boxes_that_cannot_be_drawn():
    nan = float("nan")
    assert path([[0, 0, 0, 5], [9, 9, 1, 1], [nan, 0, 1, 1], [1, 1, 2, 2]]) == "M1 1h1v1h-1z"
    assert path([]) == ""


@pytest.mark.parametrize(("count", "expected"), [(0, []), (1, [1]), (2, [1, 2]), (9, [1, 3, 0, 2])])
def test_spread_goes_from_the_emptiest_to_the_most_crowded(count, expected):
    assert spread([5, 0, 9, 2], count) == expected


@pytest.mark.parametrize(
    ("low", "high"), [(0, 1), (-0.3, 0.02), (5, 5), (0, 0), (1e-9, 3e-9), (1, 123456), (-7, -7)]
)
def test_ticks_hold_the_values_between_them(low, high):
    found = ticks(low, high, 5)
    assert found[0] <= low
    assert found[-1] >= high
    assert 2 <= len(found) <= 8


def test_smoothing_keeps_a_constant():
    assert smooth(np.full(7, 2.5), 5) == pytest.approx(np.full(7, 2.5))
