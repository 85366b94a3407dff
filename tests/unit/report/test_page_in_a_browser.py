"""The page in a real browser: it opens offline, its viewer works, light and dark, on a phone.

Needs Chromium (`chromium`, `google-chrome`) and playwright's Python package, which drives the
browser that is there and downloads none. Where one is missing the tests are skipped, unless
DIPR1_REQUIRE_BROWSER=1 says that they must run.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pyarrow as pa
import pytest

from dipr1.artifacts.made import read_made
from dipr1.artifacts.samples import SAMPLES
from tests.unit.experiment import files, make_experiment
from tests.unit.report.reporting import (
    HOSTILE,
    KINDS,
    SETS,
    evaluate_all,
    look_again,
    report,
    write_audit,
)

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
NUM_IMAGES = 16


def absent(what: str) -> None:
    message = f"{what} is missing; the page is not tested in a browser"
    if os.environ.get("DIPR1_REQUIRE_BROWSER", "0") != "0":
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture(scope="module")
def browser():
    executable = next(filter(None, map(shutil.which, BROWSERS)), None)
    if executable is None:
        absent("Chromium")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        absent("the Python package playwright")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=executable, args=FLAGS)
        yield started
        started.close()


@pytest.fixture(scope="module")
def built(browser, tmp_path_factory) -> Path:
    """A page about drawn scenes; one response is hostile."""
    folder = tmp_path_factory.mktemp("page")
    make_experiment(folder, sets=SETS, arms=("base", "dipr1"), num_images=NUM_IMAGES)
    predictions = next(name for name in files(folder, "predictions") if "base/seed0" in name)
    table = SAMPLES.read(predictions)
    texts = [HOSTILE, *table["text"].to_pylist()[1:]]
    table = table.set_column(2, "text", pa.array(texts))
    SAMPLES.write(table, predictions, read_made(predictions))
    evaluate_all(folder)
    write_audit(folder, KINDS)
    flags = ("--trained-on", "crowdscenes.train", "--resamples", "100", "--num-images", "16")
    assert report(folder, *flags) == 0
    return folder / "page/index.html"


class Opened:
    """The page in one window, with all that it complained about and asked for."""

    def __init__(self, browser, built: Path, **context) -> None:
        self.context = browser.new_context(**context)
        self.page = self.context.new_page()
        self.faults: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.faults.append(message.text))
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(built.as_uri())

    def to_viewer(self) -> None:
        self.page.locator("#viewer").scroll_into_view_if_needed()
        # the observer has told the viewer that the keys are its own
        self.page.locator("#viewer[data-keys=on]").wait_for()

    def shown(self) -> str:
        return self.page.locator("#stages").get_attribute("data-image")

    def where(self) -> str:
        return self.page.locator("#viewer-where").inner_text()

    def listed(self) -> list[str]:
        labels = self.page.locator("#viewer-strip button").evaluate_all(
            "buttons => buttons.map(button => button.ariaLabel)"
        )
        return [label.partition(":")[0].removeprefix("Image ") for label in labels]

    def data(self) -> list[dict]:
        return json.loads(self.page.locator("#viewer-data").text_content())["images"]

    def evaluate(self, script: str):
        return self.page.evaluate(script)


@pytest.fixture
def opened(browser, built):
    window = Opened(browser, built, viewport={"width": 1200, "height": 900})
    yield window
    assert window.faults == []
    window.context.close()


def test_it_asks_for_nothing_but_itself(opened, built):
    opened.to_viewer()
    opened.page.keyboard.press("j")
    outside = [url for url in opened.requests if not url.startswith("data:")]
    assert outside == [built.as_uri()]


def test_the_first_picture_is_painted(opened):
    width = opened.evaluate(
        """() => { const image = new Image();
        image.src = document.querySelector('#stages image').getAttribute('href');
        return image.decode().then(() => image.naturalWidth); }"""
    )
    assert width == 192


@pytest.mark.parametrize(("layer", "key"), [("hit", "r"), ("missed", "m"), ("ignore", "i")])
def test_a_layer_is_switched_by_its_box_and_by_its_key(opened, layer, key):
    opened.page.select_option("#viewer-order", "crowded")
    marks = opened.page.locator(f"#stages g.{layer}")
    for _ in range(NUM_IMAGES):
        if marks.count():
            break
        opened.page.locator("#viewer-next").click()
    assert marks.first.is_visible()
    opened.page.locator(f"[data-layer={layer}]").click()
    assert not marks.first.is_visible()
    opened.to_viewer()
    opened.page.keyboard.press(key)
    assert marks.first.is_visible()
    assert opened.page.locator(f"[data-layer={layer}]").is_checked()


def test_keys_step_through_the_images(opened):
    opened.to_viewer()
    listed = opened.listed()
    assert len(listed) == NUM_IMAGES
    assert opened.shown() == listed[0]
    for key, expected in [("j", 1), ("ArrowRight", 2), ("k", 1), ("ArrowLeft", 0), ("k", -1)]:
        opened.page.keyboard.press(key)
        assert opened.shown() == listed[expected]
    opened.page.keyboard.press("Home")
    assert (opened.shown(), opened.where()) == (listed[0], f"1 of {NUM_IMAGES}")


def test_above_the_viewer_the_keys_belong_to_the_page(opened):
    before = opened.shown()
    opened.page.keyboard.press("j")
    assert opened.shown() == before


def test_filters_change_the_list(opened):
    images = [image for image in opened.data() if image["set"] == SETS[0][0]]
    for criterion in ("worst", "uncertain", "differ", "random"):
        opened.page.select_option("#viewer-filter", criterion)
        expected = {image["id"] for image in images if criterion in image["why"]}
        assert set(opened.listed()) == expected
        assert opened.where().endswith(f"of {len(expected)}")
    opened.page.select_option("#viewer-filter", "suspect")
    assert len(opened.listed()) == len(KINDS) - 1  # being uncertain is no suspicion
    assert opened.page.locator("#stages g.suspect").first.is_visible()
    opened.page.select_option("#viewer-filter", "")
    opened.page.select_option("#viewer-set", "")
    assert len(opened.listed()) == NUM_IMAGES * len(SETS)


def test_a_filter_that_nothing_passes_says_so(opened):
    opened.page.select_option("#viewer-set", SETS[1][0])
    opened.page.select_option("#viewer-filter", "unreadable")
    opened.page.locator("[data-arm='0']").set_checked(False)
    assert opened.listed() == []
    assert opened.page.locator("#viewer-empty").is_visible()
    opened.to_viewer()
    for key in ("j", "+", "0", "o"):
        opened.page.keyboard.press(key)
    opened.page.select_option("#viewer-filter", "")
    assert opened.page.locator("#stages svg").count() == 1


def test_the_order_is_the_one_asked_for(opened):
    by_id = {image["id"]: image for image in opened.data() if image["set"] == SETS[0][0]}
    for order, key in [
        ("worst", lambda image: image["answers"][1]["quality"]),
        ("best", lambda image: -image["answers"][1]["quality"]),
        ("uncertain", lambda image: -image["uncertainty"]),
        ("crowded", lambda image: -len(image["people"])),
    ]:
        opened.page.select_option("#viewer-order", order)
        values = [key(by_id[name]) for name in opened.listed()]
        assert values == sorted(values)


def test_arms_stand_side_by_side_or_alone(opened):
    opened.to_viewer()
    captions = opened.page.locator("#stages figcaption b")
    assert captions.all_inner_texts() == ["base", "dipr1"]
    opened.page.keyboard.press("2")
    assert captions.all_inner_texts() == ["dipr1"]
    opened.page.keyboard.press("Shift+Digit1")
    assert captions.all_inner_texts() == ["base", "dipr1"]
    opened.page.locator("[data-arm='1']").click()
    opened.page.locator("[data-arm='0']").click()  # the last one stays
    assert captions.all_inner_texts() == ["base"]


def test_all_panels_zoom_together(opened):
    opened.to_viewer()
    boxes = "[...document.querySelectorAll('#stages svg')].map(svg => svg.getAttribute('viewBox'))"
    assert opened.evaluate(boxes) == ["0 0 192 144"] * 2
    opened.page.keyboard.press("+")
    assert opened.evaluate(boxes) == ["32 24 128 96"] * 2
    opened.page.keyboard.press("0")
    opened.page.locator("#stages svg").first.dblclick(position={"x": 30, "y": 30})
    first, second = opened.evaluate(boxes)
    assert first == second
    assert [float(number) for number in first.split()][2:] == [96, 72]
    opened.page.keyboard.press("j")
    assert opened.evaluate(boxes) == ["0 0 192 144"] * 2


def test_a_box_says_what_it_is(opened):
    opened.page.select_option("#viewer-order", "best")
    opened.page.locator("[data-layer=look]").set_checked(False)
    opened.page.locator("#stages g.hit").first.hover(force=True)
    words = opened.page.locator("#viewer-info").inner_text()
    assert words.startswith(("Right box: overlap", "False box: overlap"))


def test_help_opens_and_closes(opened):
    opened.page.keyboard.press("?")
    assert opened.page.locator("#viewer-help").is_visible()
    before = opened.shown()
    opened.page.keyboard.press("j")
    opened.page.keyboard.press("Escape")
    assert not opened.page.locator("#viewer-help").is_visible()
    assert opened.shown() == before


def test_a_suspect_opens_its_image(opened):
    link = opened.page.locator("#suspects ~ .crops a").first
    link.click()
    assert "image " + opened.shown() == link.inner_text()
    assert opened.page.locator("#stages g.suspect").first.is_visible()


def test_a_hostile_response_is_text(opened):
    opened.page.select_option("#viewer-order", "file")
    [at] = [n for n, image in enumerate(opened.data()) if HOSTILE in image["answers"][0]["text"]]
    opened.page.locator("#viewer-strip button").nth(at).click()
    opened.page.locator("#stages summary").first.click()
    assert opened.page.locator("#stages pre").first.inner_text() == HOSTILE
    assert opened.evaluate("window.hacked") is None


def brightness(window: Opened, what: str) -> float:
    colour = window.evaluate(f"getComputedStyle(document.body).{what}")
    return sum(int(part) for part in colour.removeprefix("rgb(").removesuffix(")").split(",")) / 3


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_scheme_is_the_readers(browser, built, scheme):
    window = Opened(browser, built, color_scheme=scheme)
    ink, paper = brightness(window, "color"), brightness(window, "backgroundColor")
    assert (ink > paper + 150) if scheme == "dark" else (paper > ink + 150)
    assert window.faults == []
    window.context.close()


def test_a_phone_need_not_scroll_sideways_and_decodes_what_it_shows(browser, built):
    size = {"width": 360, "height": 740}
    window = Opened(browser, built, viewport=size, has_touch=True, is_mobile=True)
    for details in window.page.locator("details").all():
        details.evaluate("details => { details.open = true; }")
    assert window.evaluate("document.documentElement.scrollWidth") == 360
    assert window.page.locator("#stages svg").count() == 1
    window.to_viewer()
    window.page.locator("#viewer-next").tap()
    assert window.where() == f"2 of {NUM_IMAGES}"
    decoded = window.page.locator("#viewer-strip img[src]")
    decoded.first.wait_for()
    assert decoded.count() < NUM_IMAGES
    assert window.faults == []
    window.context.close()


def test_without_a_script_the_summary_and_the_tables_are_there(browser, built):
    window = Opened(browser, built, java_script_enabled=False)
    page = window.page
    assert page.locator(".headline").is_visible()
    assert page.locator("section:has(> #figures) .metrics").count() == len(SETS)
    assert page.get_by_text("The viewer needs JavaScript").is_visible()
    assert not page.locator("#viewer").is_visible()
    window.context.close()


# --- the second look ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def looked(browser, tmp_path_factory) -> Path:
    """A page on which `dipr1` also looks again."""
    folder = tmp_path_factory.mktemp("looked")
    make_experiment(folder, arms=("base", "dipr1"), num_images=NUM_IMAGES)
    look_again(folder, "dipr1")
    evaluate_all(folder)
    assert report(folder, "--resamples", "100", "--num-images", "16") == 0
    return folder / "page/index.html"


@pytest.fixture
def again(browser, looked):
    window = Opened(browser, looked, viewport={"width": 1200, "height": 900})
    yield window
    assert window.faults == []
    window.context.close()


def found_by(window: Opened) -> list[int]:
    """Of each listed image, how many people the second look found."""
    records = {image["id"]: image["answers"][-1]["again"] for image in window.data()}
    return [len(records[name]["found"]) for name in window.listed()]


def caption(window: Opened) -> str:
    return window.page.locator("#stages .panel > figcaption").last.inner_text()


def test_it_opens_where_the_second_look_found_most(again):
    arms = again.page.locator("#stages .panel > figcaption b").all_inner_texts()
    assert arms == ["dipr1", "dipr1+own"]
    counts = found_by(again)
    assert counts[0] > 0
    assert counts == sorted(counts, reverse=True)
    assert again.page.locator("#stages .picture g.found").count() == counts[0]
    assert f"{counts[0]} of them by the second look" in caption(again)


def test_keys_step_through_the_second_look(again):
    record = next(image for image in again.data() if image["id"] == again.shown())
    answer = record["answers"][-1]
    second = answer["again"]
    again.to_viewer()
    stage = again.page.locator("#stages .panel").last
    drawn = ".picture g:is(.hit, .false, .skipped)"

    def shown() -> tuple[int, ...]:
        layers = (
            drawn,
            ".picture g.look",
            ".picture g.window",
            ".windows svg",
            ".windows g.of-new",
        )
        return tuple(stage.locator(layer).count() for layer in layers)

    num_new = second["state"].count(3)
    in_window = sum(view > 0 for view in second["view"])
    assert num_new > 0
    assert shown() == (len(answer["boxes"]), 0, 1, 1, num_new)
    again.page.keyboard.press("p")
    assert shown() == (in_window, 0, 1, 1, num_new)
    again.page.keyboard.press("p")
    num_first = len(second["first"]["boxes"])
    assert shown() == (num_first, len(answer["looks"]), 1, 1, 0)
    again.page.keyboard.press("p")
    assert shown() == (num_first, 0, 0, 0, 0)
    assert f"found {second['first']['hits']} of" in caption(again)
    again.page.keyboard.press("p")  # there is nothing before the first view
    again.page.keyboard.press("n")
    assert again.page.locator("[data-step][aria-pressed=true]").get_attribute("data-step") == "1"
    again.page.locator("[data-step='3']").click()
    again.page.keyboard.press("3")
    assert again.page.locator("#stages .panel").count() == 1
    assert shown() == (len(answer["boxes"]), 0, 1, 1, num_new)


def test_stepping_keeps_the_zoom_and_windows_stay_as_they_are(again):
    again.to_viewer()
    again.page.keyboard.press("+")
    again.page.keyboard.press("p")
    script = "[...document.querySelectorAll('#stages svg')].map(svg => svg.getAttribute('viewBox'))"
    assert again.evaluate(script) == ["32 24 128 96"] * 2 + ["0 0 120 144"]


def test_boxes_are_coloured_by_their_view(again):
    colours = {
        of: again.evaluate(
            f"getComputedStyle(document.querySelector('#second-look .of-{of} .line')).stroke"
        )
        for of in ("kept", "confirmed", "new", "denied")
    }
    assert len(set(colours.values())) == 4
    box = "getComputedStyle(document.querySelector('#stages .windows .of-new .line')).stroke"
    assert again.evaluate(box) == colours["new"]


def test_a_box_of_a_window_says_so_and_what_it_wrote_is_text(again):
    again.to_viewer()
    again.page.keyboard.press("3")
    again.page.keyboard.press("d")  # a box may be just the person's that it finds
    again.page.locator("#stages .windows g.of-new").first.hover(force=True)
    assert again.page.locator("#viewer-info").inner_text().endswith("found in window 1")
    again.page.locator("#stages summary").click()
    text = again.page.locator("#stages pre").inner_text()
    assert text.endswith("--- window 1 ---\n" + HOSTILE)
    assert again.evaluate("window.hacked") is None


def test_the_steps_are_there_where_an_arm_looked_again(again):
    again.to_viewer()
    steps = again.page.locator("#second-look")
    assert steps.is_visible()
    again.page.keyboard.press("1")
    assert not steps.is_visible()
    again.page.keyboard.press("n")
    assert again.page.locator("#stages .panel").count() == 1


def test_on_a_phone_the_windows_stand_below_the_picture(browser, looked):
    size = {"width": 360, "height": 740}
    window = Opened(browser, looked, viewport=size, has_touch=True, is_mobile=True)
    assert window.evaluate("document.documentElement.scrollWidth") == 360
    assert caption(window).startswith("dipr1+own")
    picture = window.page.locator("#stages .picture").bounding_box()
    below = window.page.locator("#stages .windows svg").first.bounding_box()
    assert below["y"] >= picture["y"] + picture["height"]
    assert window.faults == []
    window.context.close()


def test_what_looking_again_costs_needs_no_script(browser, looked):
    window = Opened(browser, looked, java_script_enabled=False)
    table = window.page.get_by_role("region", name="What looking again gains and costs")
    rows = table.locator("tbody tr").all()
    cells = [
        (row.locator("th").inner_text(), row.locator("td").nth(2).inner_text()) for row in rows
    ]
    assert cells == [("dipr1", "0"), ("dipr1+own", "1.00")]
    window.context.close()
