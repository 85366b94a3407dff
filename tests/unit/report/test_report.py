"""The verb `report`: a page that needs nothing but itself and says what was measured."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from dipr1.artifacts.annotations import ANNOTATIONS
from dipr1.artifacts.audit import AUDIT
from dipr1.artifacts.rejects import REJECTS
from dipr1.artifacts.samples import SAMPLES
from dipr1.cli import main
from dipr1.errors import UserError
from dipr1.evaluation.comparison import Compared
from dipr1.report.catalogue import METRICS
from dipr1.report.curves import smooth, ticks
from dipr1.report.figures import RECALLS, interpolated_precision
from dipr1.report.pictures import data_uri, open_picture
from dipr1.report.results import Mean, Results, read_results, with_intervals
from dipr1.report.suspects import crop, suspects
from dipr1.report.verdict import findings, headline, lead, state_of
from dipr1.report.viewer import FALSE, HIT, SKIPPED, EvaluationSet, as_json, choose, view
from tests.unit.experiment import annotation, files, make_experiment

SETS = (("crowdscenes.validation", "street"), ("crowdscenes_ood.validation", "night"))
VOID = {"meta", "img", "input", "br", "link"}


class Page(HTMLParser):
    """Checks that tags are closed in order, and collects what the page loads and names."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.scripts: list[dict] = []
        self.loads: list[str] = []
        self.jumps: list[str] = []
        self.ids: list[str] = []
        self.images: list[dict] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        links = [found[name] for name in ("src", "href", "data") if name in found]
        self.loads += [link for link in links if not link.startswith("#")]
        self.jumps += [link[1:] for link in links if link.startswith("#")]
        self.ids += [found["id"]] if "id" in found else []
        self.images += [found] if tag == "image" else []
        self.scripts += [found] if tag == "script" else []
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "script"):
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))


def set_files(folder: Path, kind: str) -> dict[str, str]:
    return {".".join(Path(name).with_suffix("").parts[-2:]): name for name in files(folder, kind)}


def metric_files(folder: Path) -> list[str]:
    return [name for name in files(folder, "metrics") if not name.endswith(".images.parquet")]


def image_files(folder: Path) -> list[str]:
    return [name for name in files(folder, "metrics") if name.endswith(".images.parquet")]


def evaluate_all(folder: Path) -> None:
    for predictions in files(folder, "predictions"):
        of_set = {
            kind: set_files(folder, kind)[Path(predictions).stem]
            for kind in ("annotations", "prompts", "variance")
        }
        flags = [word for kind, name in of_set.items() for word in (f"--{kind}", name)]
        output = predictions.replace("/predictions/", "/metrics/")
        flags += ["--images-output", output.replace(".parquet", ".images.parquet")]
        assert main(["evaluate", "--predictions", predictions, *flags, "--output", output]) == 0


def write_audit(folder: Path, kinds: dict[int, str]) -> None:
    """Call the first object of some images suspicious, by row of the annotations."""
    for dataset, name in set_files(folder, "annotations").items():
        table = ANNOTATIONS.read(name).to_pylist()
        rows = []
        for rank, (row, kind) in enumerate(kinds.items()):
            x1, y1, x2, y2 = box = next(iter(table[row]["boxes"]), [5, 5, 40, 60])
            rows.append(
                {
                    "rank": rank,
                    "image_id": table[row]["image_id"],
                    "image": table[row]["image"],
                    "kind": kind,
                    "region": 0,
                    "box": box,
                    "hull": [x1, y1, x2 + 9, y2],
                    "suggested_box": None if kind == "unsupported_label" else [x1, y1, x2 + 9, y2],
                    "support": 0.0 if kind == "unsupported_label" else 0.875,
                    "uncertainty": 0.6,
                    "score": 0.9 - rank / 10,
                }
            )
        path = folder / f"results/audit/{dataset.replace('.', '/')}.parquet"
        AUDIT.write(pa.Table.from_pylist(rows, AUDIT.schema), path)


def report(folder: Path, *flags: str, **other: list[str]) -> int:
    annotations = files(folder, "annotations")
    kinds = {
        "metrics": metric_files(folder),
        "images": image_files(folder),
        "predictions": files(folder, "predictions"),
        "annotations": [name for name in annotations if not name.endswith(".rejects.parquet")],
        "rejects": [name for name in annotations if name.endswith(".rejects.parquet")],
        "variance": files(folder, "variance"),
        "audit": files(folder, "audit"),
        "training-logs": files(folder, "policies"),
    }
    kinds |= {name.replace("_", "-"): names for name, names in other.items()}
    words = [word for name, names in kinds.items() for word in (f"--{name}", *names)]
    return main(["report", *words, "--output", str(folder / "page/index.html"), *flags])


KINDS = {1: "missing_label", 3: "unsupported_label", 5: "loose_label", 6: "uncertain"}
ARMS = ("base", "sft", "dipr1")
FLAGS = ("--num-images", "6", "--num-suspects", "6", "--resamples", "100")
FLAGS += ("--trained-on", "crowdscenes.train")


@pytest.fixture(scope="module")
def experiment(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("experiment")
    make_experiment(folder, sets=SETS, seeds=(0, 1), arms=ARMS, num_images=8, updates=20)
    evaluate_all(folder)
    write_audit(folder, KINDS)
    annotations = folder / "results/annotations/crowdscenes"
    shutil.copy(annotations / "validation.parquet", annotations / "train.parquet")
    rejects = [
        {"source": "a.json", "record": str(number), "reason": "no area <0>", "raw": ""}
        for number in range(3)
    ]
    table = pa.Table.from_pylist(rejects, REJECTS.schema)
    REJECTS.write(table, annotations / "validation.rejects.parquet")
    return folder


@pytest.fixture(scope="module")
def page(experiment) -> str:
    assert report(experiment, *FLAGS) == 0
    return (experiment / "page/index.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def shown(page) -> list[dict]:
    """The images that the viewer shows."""
    return json.loads(re.search(r'id="viewer-data">(.*?)</script>', page, re.DOTALL)[1])["images"]


def test_the_page_loads_nothing(page):
    found = Page(page)
    assert found.loads
    assert all(load.startswith("data:image/webp;base64,") for load in found.loads)
    assert "http://" not in page.replace("http://www.w3.org/2000/svg", "")
    assert "https://" not in page
    assert "@import" not in page
    assert "url(" not in page
    assert all("src" not in script for script in found.scripts)
    assert len(page.encode()) < 20e6


def test_the_policy_allows_this_script_and_nothing_else(page):
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1]
    [script] = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy == (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline';"
        f" script-src 'sha256-{digest}'"
    )


def test_ids_are_unique_and_every_jump_has_a_place(page):
    found = Page(page)
    assert len(found.ids) == len(set(found.ids))
    assert set(found.jumps) <= set(found.ids)


def test_the_figures_on_the_page_are_those_of_the_artifacts(experiment, page):
    text = Page(page).text
    results = read_results(metric_files(experiment), [])
    for arm in ARMS:
        for name, metric in METRICS.items():
            values = [
                results.metrics[arm, seed, "crowdscenes.validation"].get(name)
                for seed in ((0,) if arm == "base" else (0, 1))
            ]
            if None in values:
                continue
            shown = format(np.mean(values), metric.form)
            if len(values) > 1:
                shown += f" ± {format(np.std(values, ddof=1), metric.form)}"
            assert shown in text


def test_the_headline_is_computed(experiment, page):
    results = read_results(metric_files(experiment), [])
    means = {arm: results.mean(arm, "crowdscenes.validation", "AP").value for arm in ARMS}
    best = max(means, key=means.get)
    assert best != "base"
    sentence = re.search(r'<p class="headline">(.*?)</p>', page, re.DOTALL)[1]
    assert f"<b>{best}</b> is best on crowdscenes.validation" in sentence
    assert f"{means[best] - means['base']:+.3f}" in sentence


def test_every_interval_is_on_the_page(experiment, page):
    text = Page(page).text
    results = read_results(metric_files(experiment), files(experiment, "policies"))
    results = with_intervals(results, image_files(experiment), "crowdscenes.train", 100)
    assert results.baselines == ["base", "sft"]
    for row in results.compared:
        if row.baseline is None and row.low is not None and row.metric in METRICS:
            form = METRICS[row.metric].form
            assert f"{format(row.low, form)} to {format(row.high, form)}" in text
    assert text.count("not trained on this data set") == 2  # a sentence and a chart


def test_what_lies_beside_the_page(experiment, page):
    folder = experiment / "page"
    assert sorted(path.name for path in folder.iterdir()) == [
        "comparison.csv",
        "comparison.md",
        "comparison.parquet",
        "comparison.tex",
        "figures",
        "index.html",
        "summary.md",
    ]
    assert sorted(path.name for path in (folder / "figures").iterdir()) == [
        f"{name}.{suffix}"
        for name in ("comparison", "precision_recall", "training")
        for suffix in ("pdf", "png", "svg")
    ]


def test_the_summary_has_a_row_per_metric_and_the_best_in_bold(experiment, page):
    summary = (experiment / "page/summary.md").read_text(encoding="utf-8")
    assert summary.count("| AP |") == len(SETS)
    header, row = (
        next(line for line in summary.splitlines() if line.startswith(start)).split("|")[1:-1]
        for start in ("| metric |", "| F1 |")
    )
    results = read_results(metric_files(experiment), [])
    best = results.best("crowdscenes.validation", "f1_50")
    bold = [arm.strip() for arm, cell in zip(header, row, strict=True) if "**" in cell]
    assert bold == best


def test_the_same_input_gives_the_same_bytes(experiment, page):
    before = {path: path.read_bytes() for path in (experiment / "page").rglob("*.*")}
    assert report(experiment, *FLAGS) == 0
    assert {path: path.read_bytes() for path in (experiment / "page").rglob("*.*")} == before


def test_the_training_section_tells_the_arms_apart(page):
    text = Page(page).text
    assert "supervised fine-tuning on reference answers, 20 updates" in text
    assert "with the reasoning + looking + accuracy rewards, 20 updates" in text


def test_the_viewer_has_the_asked_number_of_images_and_a_picture_for_each(page, shown):
    pictures = re.findall(r'<script type="text/plain" id="picture-(\d+)">(.*?)</script>', page)
    assert len(shown) == 6 * len(SETS)
    assert [int(number) for number, _ in pictures] == list(range(len(shown)))
    assert {image["set"] for image in shown} == {name for name, _ in SETS}
    for image in shown:
        assert len(image["answers"]) == len(ARMS)
        assert image["why"]


def test_the_numbers_in_the_viewer_add_up(experiment, shown):
    objects = {
        (name, row["image_id"]): row["ignore"].count(False)
        for name, path in set_files(experiment, "annotations").items()
        if not name.endswith(".rejects")
        for row in ANNOTATIONS.read(path).to_pylist()
    }
    for image in shown:
        assert len(image["people"]) == objects[image["set"], image["id"]]
        for answer in image["answers"]:
            states = [box[4] for box in answer["boxes"]]
            assert states.count(HIT) == answer["hits"]
            assert states.count(FALSE) == answer["false"]
            assert answer["hits"] + len(answer["missed"]) == len(image["people"])


def test_the_data_are_described(experiment, page):
    text = Page(page).text
    table = ANNOTATIONS.read(set_files(experiment, "annotations")["crowdscenes.train"])
    ignored = [flag for flags in table["ignore"].to_pylist() for flag in flags]
    assert "the trained ones learnt from 8 images of crowdscenes.train" in text
    assert f"People {ignored.count(False)} " in text
    assert (
        f"Ignored boxes {ignored.count(True)} {100 * np.mean(ignored):.1f} % of all boxes" in text
    )
    assert "3 no area <0>" in text


def test_suspects_are_shown_with_crop_and_words(page):
    text = Page(page).text
    for words in (
        "A label may be missing 0.90 The model finds it",
        "A label may be wrong 0.80 Annotated, but the model finds it in none of its answers.",
        "Borders may be off 0.70",
    ):
        assert words.replace("The model finds it", "The model finds a box here") in text
    assert len(re.findall(r'aria-label="Crop of image', page)) == 3 * len(SETS)
    assert page.count('"kind":"uncertain"') == 0


def test_names_and_responses_are_escaped(tmp_path):
    make_experiment(tmp_path, arms=("base",), num_images=2)
    predictions = files(tmp_path, "predictions")[0]
    table = SAMPLES.read(predictions)
    texts = pa.array(["</script><script>alert(1)</script>"] * 2)
    SAMPLES.write(table.set_column(2, "text", texts), predictions)
    evaluate_all(tmp_path)
    flags = ("--title", "<b>bold</b> & more", "--resamples", "100")
    assert report(tmp_path, *flags, training_logs=[]) == 0
    page = (tmp_path / "page/index.html").read_text(encoding="utf-8")
    assert [script.get("type") for script in Page(page).scripts] == [
        "text/plain",
        "text/plain",
        "application/json",
        None,
    ]
    assert "alert(1)" in page
    assert "&lt;b&gt;bold&lt;/b&gt; &amp; more" in page


def test_one_arm_alone_without_logs_variance_intervals_or_images(tmp_path):
    make_experiment(tmp_path, arms=("base",), num_images=2)
    evaluate_all(tmp_path)
    flags = ("--num-images", "0")
    assert report(tmp_path, *flags, training_logs=[], variance=[], images=[]) == 0
    found = Page((tmp_path / "page/index.html").read_text(encoding="utf-8"))
    assert "there is no other arm to compare it with" in found.text
    assert "No intervals" in found.text
    assert found.images == []
    assert found.scripts == []
    assert "training" not in found.ids
    assert "viewer" not in found.ids
    assert sorted(path.name for path in (tmp_path / "page/figures").glob("*.svg")) == [
        "comparison.svg"
    ]


@pytest.mark.parametrize(
    ("kind", "change", "message"),
    [
        ("metrics", lambda names: ["m.parquet"], "expected a path .../ARM/seedN/"),
        ("metrics", lambda names: names[:-1], "has no metrics of"),
        ("predictions", lambda names: names[:-1], "are missing; give their file too"),
        ("annotations", lambda names: names[:1], "are missing; give its file too"),
        ("training_logs", lambda names: ["x/log.parquet"], "training_log.parquet but got"),
        ("training_logs", lambda names: ["a/seed0/training_log.parquet"], "no such file"),
        ("audit", lambda names: ["a/b.parquet"], "no such file"),
    ],
)
def test_a_wrong_file_is_named(experiment, capsys, kind, change, message):
    folder = {"training_logs": "policies"}.get(kind, kind)
    names = metric_files(experiment) if kind == "metrics" else files(experiment, folder)
    names = change(names)
    if kind == "predictions":
        # the first seed of the last arm is what the viewer shows
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


# --- what may be said -----------------------------------------------------------------------------


def compared(arm: str, value: float, baseline: str | None = None, **fields) -> Compared:
    known = {"set": "d.s", "in_domain": True, "metric": "AP", "score": "confidence"}
    known |= {"low": value - 0.1, "high": value + 0.1, "num_seeds": 1, "num_images": 9}
    return Compared(**(known | {"arm": arm, "value": value, "baseline": baseline} | fields))


def effect(arm: str, baseline: str, low: float, high: float, **fields) -> Compared:
    return compared(
        arm,
        0.5,
        baseline,
        difference=(low + high) / 2,
        difference_low=low,
        difference_high=high,
        p=0.5,
        **fields,
    )


def results_of(values: dict[str, float | None], rows: list[Compared] = (), **sets) -> Results:
    """One seed of each arm, AP on the set `d.s` and on others."""
    found = {("d.s" if name == "ds" else name): v for name, v in ({"ds": values} | sets).items()}
    metrics = {(arm, 0, name): {"AP": ap} for name, of in found.items() for arm, ap in of.items()}
    return Results(list(values), list(found), metrics, {}, list(rows))


NOUNS = {"one": "person", "many": "people"}


@pytest.mark.parametrize(
    ("low", "high", "better", "state"),
    [
        (0.01, 0.2, "AP", "better"),
        (-0.2, -0.01, "AP", "worse"),
        (-0.01, 0.2, "AP", "open"),
        (0.0, 0.2, "AP", "open"),
        (0.01, 0.2, "MR", "worse"),
        (-0.2, -0.01, "MR", "better"),
        (0.01, 0.2, "mean_boxes", ""),
    ],
)
def test_a_difference_is_clear_when_its_interval_leaves_out_zero(low, high, better, state):
    assert state_of(effect("a", "base", low, high), METRICS[better]) == state


def test_without_an_interval_nothing_is_clear():
    assert state_of(None, METRICS["AP"]) == ""


def test_the_headline_says_what_may_be_chance():
    values = {"base": 0.2, "dipr1": 0.3}
    rows = [effect("dipr1", "base", -0.01, 0.2)]
    results = results_of(values, rows)
    head = headline(results)
    assert "which may be chance" in lead(results, head, NOUNS)
    assert "chance" not in lead(results_of(values), head, NOUNS)
    [finding] = findings(results, head)
    assert (finding.state, finding.badge) == ("open", "may be chance")
    assert "95 % interval of the difference −0.010 to +0.200" in finding.text


def test_the_headline_says_where_the_best_arm_is_worse():
    values = {"base": 0.2, "dipr1": 0.3}
    elsewhere = {"x.s": {"base": 0.2, "dipr1": 0.1}}
    rows = [effect("dipr1", "base", 0.01, 0.2)]
    clear = [*rows, effect("dipr1", "base", -0.2, -0.01, set="x.s")]
    for results in (results_of(values, **elsewhere), results_of(values, clear, **elsewhere)):
        assert "on x.s it is worse" in lead(results, headline(results), NOUNS)
    unsure = [*rows, effect("dipr1", "base", -0.2, 0.01, set="x.s")]
    results = results_of(values, unsure, **elsewhere)
    assert "worse" not in lead(results, headline(results), NOUNS)
    assert [finding.state for finding in findings(results, headline(results))] == ["better", "open"]


def test_the_base_may_win():
    results = results_of({"base": 0.9, "sft": 0.4, "dipr1": 0.2})
    found = headline(results)
    assert (found.best, found.rival) == ("base", "sft")
    assert found.pair == ["base", "sft"]
    assert "No trained arm beats <b>base</b>" in lead(results, found, NOUNS)


def test_no_arm_may_have_a_value():
    results = results_of({"base": None, "dipr1": None})
    assert "no person is annotated there" in lead(results, headline(results), NOUNS)


def test_an_untrained_arm_of_another_name_is_the_base():
    steps = (np.array([1, 5]), np.array([0.1, 0.2]))
    logs = {("sft", 0): {"loss": steps}, ("ours", 0): {"rewards/accuracy_reward/mean": steps}}
    found = Results(["sft", "zero", "ours"], ["d.s"], {}, logs)
    assert found.base == "zero"
    assert found.baselines == ["zero", "sft"]


def test_an_arm_without_a_value_is_never_best():
    results = results_of({"base": None, "sft": 0.1})
    assert results.best("d.s", "AP") == ["sft"]
    assert results.mean("base", "d.s", "AP") == Mean(None, None)


def test_equal_arms_are_all_best():
    results = results_of({"a": 0.5, "b": 0.5, "c": 1.0})
    assert results.best("d.s", "AP", higher=False) == ["a", "b"]


# --- pieces ---------------------------------------------------------------------------------------


def table_of(texts_boxes: list) -> pa.Table:
    rows = [
        {
            "image_id": "0",
            "sample": 0,
            "text": "",
            "num_tokens": 1,
            "problems": [],
            "boxes": boxes,
            "confidence": None if boxes is None else [0.5] * len(boxes),
        }
        for boxes in texts_boxes
    ]
    return pa.Table.from_pylist(rows, SAMPLES.schema)


def one_image(tmp_path: Path, row: dict, answers: dict[str, list | None]) -> dict:
    """The viewer's record of one image with answers by arm."""
    tables = {arm: table_of([boxes]) for arm, boxes in answers.items()}
    one = EvaluationSet("d.s", pa.Table.from_pylist([row], ANNOTATIONS.schema), tables)
    [record] = view([one], list(answers)[-1:], 5).images
    return record


@pytest.fixture
def blank(tmp_path) -> str:
    Image.new("RGB", (192, 144)).save(tmp_path / "0.png")
    return str(tmp_path / "0.png")


def test_layers_tell_right_false_missed_and_ignored_apart(tmp_path, blank):
    row = annotation("0", [[0, 0, 10, 10], [50, 50, 60, 60]], [[100, 100, 140, 140]], image=blank)
    answered = [[0, 0, 10, 10], [80, 10, 90, 20], [101, 101, 110, 110], [5, 5, 5, 5]]
    record = one_image(tmp_path, row, {"a": answered, "b": None})
    first, second = record["answers"]
    assert [box[4] for box in first["boxes"]] == [HIT, FALSE, SKIPPED, FALSE]
    assert (first["hits"], first["false"], first["missed"]) == (1, 2, [1])
    assert first["boxes"][0] == [0.0, 0.0, 10.0, 10.0, HIT, 1.0, 0.5]
    assert (second["readable"], second["missed"]) == (False, [0, 1])
    assert record["ignore"] == [[100.0, 100.0, 140.0, 140.0]]
    assert record["people"][1] == [50.0, 50.0, 60.0, 60.0, None, "person"]


def test_a_box_that_is_not_finite_stays_a_miss_and_is_valid_json(tmp_path, blank):
    row = annotation("0", [[0, 0, 10, 10]], image=blank)
    record = one_image(tmp_path, row, {"a": [[float("nan"), 0, 10, float("inf")]]})
    assert record["answers"][0]["boxes"][0][:5] == [None, 0.0, 10.0, None, FALSE]
    assert json.loads(as_json(record)) == record


def test_with_several_labels_the_label_must_be_right(tmp_path, blank):
    row = annotation("0", [[0, 0, 10, 10], [50, 50, 60, 60]], image=blank)
    row["labels"] = ["person", "car"]
    text = (
        '<think>x</think><look>[]</look><answer>[{"bbox_2d": [0, 0, 10, 10], "label": "car"},'
        ' {"bbox_2d": [50, 50, 60, 60], "label": "car"}]</answer>'
    )
    table = table_of([[[0, 0, 10, 10], [50, 50, 60, 60]]])
    table = table.set_column(2, "text", pa.array([text]))
    one = EvaluationSet("d.s", pa.Table.from_pylist([row], ANNOTATIONS.schema), {"a": table})
    [record] = view([one], ["a"], 5).images
    assert [box[4] for box in record["answers"][0]["boxes"]] == [FALSE, HIT]


def test_a_missing_answer_is_named(tmp_path, blank):
    rows = [annotation(name, [], image=blank) for name in "01"]
    one = EvaluationSet(
        "d.s", pa.Table.from_pylist(rows, ANNOTATIONS.schema), {"a": table_of([[]])}
    )
    with pytest.raises(UserError, match="arm 'a' has no answer to image '1'"):
        view([one], ["a"], 5)


def test_all_sets_together_stay_within_the_bound(tmp_path, blank, monkeypatch):
    monkeypatch.setattr("dipr1.report.viewer.MOST_IMAGES", 4)
    rows = [annotation(str(number), [], image=blank) for number in range(9)]
    answers = pa.concat_tables(
        table_of([[]]).set_column(0, "image_id", pa.array([str(number)])) for number in range(9)
    )
    table = pa.Table.from_pylist(rows, ANNOTATIONS.schema)
    sets = [EvaluationSet(name, table, {"a": answers}) for name in ("d.s", "e.s")]
    assert [image["set"] for image in view(sets, ["a"], 60).images] == ["d.s"] * 2 + ["e.s"] * 2


def test_the_random_sample_does_not_depend_on_what_else_is_chosen():
    alone = [row for row, why in choose({}, 50, 10).items() if "random" in why]
    mixed = choose({"worst": alone[:5]}, 50, 10)
    assert len(mixed) == 10
    assert set(alone) <= {row for row, why in mixed.items() if "random" in why}
    assert all(why[0] == "worst" for row, why in mixed.items() if row in alone[:5])


@pytest.mark.parametrize("count", [0, 1, 3, 9])
def test_as_many_are_chosen_as_there_are_at_most(count):
    assert len(choose({"worst": [2, 0], "differ": []}, 3, count)) == min(count, 3)


def test_where_all_are_shown_all_are_in_the_random_sample():
    assert all("random" in why for why in choose({"worst": [2, 0, 1]}, 3, 3).values())


def test_a_large_picture_is_made_smaller_and_small_enough():
    noise = np.random.default_rng(0).integers(0, 256, (1500, 3000, 3), np.uint8)
    data = base64.b64decode(data_uri(Image.fromarray(noise)).partition("base64,")[2])
    assert len(data) <= 60_000
    with Image.open(io.BytesIO(data)) as image:
        assert max(image.size) <= 960
        assert image.width == pytest.approx(2 * image.height, abs=2)


def test_a_turned_picture_is_not_turned_away_from_its_boxes(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees when shown
    Image.new("RGB", (40, 20)).save(tmp_path / "a.jpg", exif=exif)
    assert open_picture(str(tmp_path / "a.jpg")).size == (40, 20)


@pytest.mark.parametrize("box", [[0, 0, 1, 1], [-50, -50, 300, 300], [190, 140, 191, 143]])
def test_a_crop_holds_the_box_and_lies_in_the_image(box):
    left, top, right, bottom = crop([box], (192, 144))
    inside = np.clip(box, 0, [192, 144, 192, 144])
    assert 0 <= left <= inside[0]
    assert 0 <= top <= inside[1]
    assert inside[2] <= right <= 192
    assert inside[3] <= bottom <= 144


def test_suspects_are_shared_between_the_sets(tmp_path, blank):
    row = {"rank": 0, "image_id": "0", "image": blank, "kind": "loose_label", "region": 0}
    row |= {"box": [5, 5, 9, 9], "hull": [5, 5, 9, 9], "suggested_box": None}
    row |= {"support": 0.5, "uncertainty": 1.0, "score": 0.5}
    table = pa.Table.from_pylist([row | {"rank": rank} for rank in (2, 0, 1)], AUDIT.schema)
    # being unsure says nothing against a label
    unsure = pa.Table.from_pylist([row | {"kind": "uncertain"}], AUDIT.schema)
    found = suspects({"a.s": table, "b.s": table, "c.s": unsure}, 6)
    assert {name: len(of_set) for name, of_set in found.items()} == {"a.s": 2, "b.s": 2}


def test_precision_is_interpolated_as_coco_does():
    rng = np.random.default_rng(0)
    hits, num_objects = rng.random(60) < 0.6, 50
    found = np.cumsum(hits)
    precision, recall = found / np.arange(1, 61), found / num_objects
    expected = [precision[recall >= at - 1e-12].max(initial=0.0) for at in RECALLS]
    assert interpolated_precision(hits, num_objects) == pytest.approx(expected)
    assert interpolated_precision(np.zeros(0, bool), 3).tolist() == [0.0] * 101


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
