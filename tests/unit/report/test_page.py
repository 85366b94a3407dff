"""The page: it needs nothing but itself and says what was measured."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import numpy as np
import pyarrow as pa
import pytest

from dipr1.artifacts.annotations import ANNOTATIONS
from dipr1.artifacts.made import read_made
from dipr1.artifacts.samples import SAMPLES
from dipr1.evaluation import catalogue
from dipr1.evaluation.catalogue import METRICS
from dipr1.report.results import read_results, with_intervals
from dipr1.report.viewer import FALSE, HIT
from tests.unit.experiment import files, make_experiment
from tests.unit.report.reporting import (
    ARMS,
    SETS,
    evaluate_all,
    image_files,
    metric_files,
    report,
    set_files,
)

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


def test_a_page_of_arms_of_one_view_has_nothing_of_a_second_look(page):
    assert "second look" not in Page(page).text
    assert "const secondLook" not in page
    assert ".of-kept" not in page


def test_ids_are_unique_and_every_jump_has_a_place(page):
    found = Page(page)
    assert len(found.ids) == len(set(found.ids))
    assert set(found.jumps) <= set(found.ids)


def test_the_figures_on_the_page_are_those_of_the_artifacts(experiment, page):
    text = Page(page).text
    results = read_results(metric_files(experiment), [])
    for arm in ARMS:
        for metric in catalogue.shown():
            of_seeds = results.figures.filter(
                arm=arm, set="crowdscenes.validation", name=metric.name
            )
            values = of_seeds["value"].to_list()
            assert len(values) == (1 if arm == "base" else 2)
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
    SAMPLES.write(table.set_column(2, "text", texts), predictions, read_made(predictions))
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
    shown = Page((tmp_path / "page/index.html").read_text(encoding="utf-8"))
    assert "there is no other arm to compare it with" in shown.text
    assert "No intervals" in shown.text
    assert shown.images == []
    assert shown.scripts == []
    assert "training" not in shown.ids
    assert "viewer" not in shown.ids
    assert sorted(path.name for path in (tmp_path / "page/figures").glob("*.svg")) == [
        "comparison.svg"
    ]
