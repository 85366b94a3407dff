"""The verb `evaluate`: its files, its order of rows, and its errors."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dipr1.artifacts.annotations import ANNOTATIONS
from dipr1.artifacts.images import IMAGES
from dipr1.artifacts.metrics import METRICS
from dipr1.artifacts.prompts import PROMPTS, prompt_rows
from dipr1.artifacts.samples import SAMPLES
from dipr1.artifacts.variance import VARIANCE
from dipr1.cli import main
from dipr1.evaluation.catalogue import METRICS as CATALOGUE
from dipr1.prompts import render_response
from dipr1.rewards import accuracy_reward
from tests.unit.experiment import FRAME, annotation, write_predictions

PEOPLE = [[[30.0, 36, 60, 108]], [[75, 36, 105, 108], [120, 36, 150, 108]], []]
# the same in the model frame: 128 / 192 and 128 / 144 of the image frame
SCALE = np.array([128 / 192, 128 / 144] * 2)


def perfect(boxes: list) -> str:
    return response(np.reshape(boxes, (-1, 4)) * SCALE)


def response(boxes: np.ndarray, label: str = "person") -> str:
    return render_response("Some people.", [], boxes, [label] * len(boxes), digits=6)


class Split:
    """A split of three images under `folder`."""

    def __init__(self, folder: Path, labels: tuple[str, ...] = ("person",)) -> None:
        self.folder = folder
        rows = [annotation(str(index), boxes) for index, boxes in enumerate(PEOPLE)]
        annotations = pa.Table.from_pylist(rows, ANNOTATIONS.schema)
        ANNOTATIONS.write(annotations, folder / "annotations.parquet")
        PROMPTS.write(prompt_rows(annotations, labels, FRAME), folder / "prompts.parquet")
        regions = [
            {
                "image_id": str(image_id),
                "region": region,
                "kind": "object",
                "gt_index": region,
                "box": box,
                "hull": box,
                "support": 0.5,
                "num_samples": 8,
                "existence_variance": 1.0,
                "uncertainty": 0.25 + 0.75 * region,
            }
            for image_id, boxes in enumerate(PEOPLE)
            for region, box in enumerate(boxes)
        ]
        VARIANCE.write(
            pa.Table.from_pylist(regions, VARIANCE.schema.remove(9)).append_column(
                VARIANCE.schema.field("box_variance"), pa.nulls(len(regions), pa.float64())
            ),
            folder / "variance.parquet",
        )

    def evaluate(self, texts: list[str], *flags: str) -> dict[str, float | None]:
        write_predictions(self.folder / "predictions.parquet", texts)
        assert self.run(*flags) == 0
        table = METRICS.read(self.folder / "metrics.parquet").to_pydict()
        return dict(zip(table["name"], table["value"], strict=True))

    def images(self, texts: list[str], *flags: str) -> dict[str, list]:
        """The images artifact as columns."""
        path = str(self.folder / "images.parquet")
        self.evaluate(texts, "--images-output", path, *flags)
        return IMAGES.read(path).to_pydict()

    def run(self, *flags: str) -> int:
        names = ("predictions", "annotations", "prompts")
        files = [word for name in names for word in (f"--{name}", f"{self.folder / name}.parquet")]
        return main(["evaluate", *files, "--output", str(self.folder / "metrics.parquet"), *flags])

    @property
    def with_variance(self) -> tuple[str, str]:
        return "--variance", str(self.folder / "variance.parquet")


@pytest.fixture
def split(tmp_path) -> Split:
    return Split(tmp_path)


def test_perfect_answers(split):
    values = split.evaluate([perfect(boxes) for boxes in PEOPLE], *split.with_variance)
    assert list(values) == list(CATALOGUE)
    ones = ["AP", "AP50", "AP75", "AR", "JI", "precision50", "recall50", "f1_50"]
    ones += ["well_formed_rate", "reward_reasoning"]
    assert [values[name] for name in ones] == pytest.approx([1.0] * len(ones))
    assert values["reward_accuracy"] == pytest.approx(1.0, abs=1e-5)
    zeros = ["MR", "count_error", "parse_failure_rate", "mean_look_boxes"]
    assert [values[name] for name in zeros] == [0.0] * len(zeros)
    assert (values["mean_boxes"], values["num_images"], values["num_objects"]) == (1.0, 3.0, 3.0)
    # the second image alone has a region of uncertainty >= 0.5, and nobody looks at it
    assert values["reward_looking"] == pytest.approx(2 / 3)


def test_answers_by_hand(split):
    texts = [
        response(np.array([[30, 36, 60, 108], [160, 10, 180, 30]]) * SCALE),  # 1 right, 1 false
        "<think> I do not know. </think> <look> [] </look> <answer> none </answer>",
        perfect([]),
    ]
    values = split.evaluate(texts, *split.with_variance)
    assert values["precision50"] == 1 / 2
    assert values["recall50"] == 1 / 3
    assert values["f1_50"] == 2 / 5
    assert values["count_error"] == (1 + 2 + 0) / 3
    assert values["parse_failure_rate"] == 1 / 3
    assert values["well_formed_rate"] == 2 / 3
    assert values["mean_boxes"] == 2 / 3
    assert values["reward_accuracy"] == pytest.approx((2 / 3 + 0 + 1) / 3, abs=1e-5)


def test_the_accuracy_reward_is_weighted_only_with_variance(split):
    texts = [perfect(PEOPLE[0]), perfect(PEOPLE[1][:1]), perfect([])]
    weighted = split.evaluate(texts, *split.with_variance)["reward_accuracy"]
    unweighted = split.evaluate(texts)
    assert list(unweighted) == [
        name for name, metric in CATALOGUE.items() if not metric.needs_variance
    ]
    # recall 1.25 / (1.25 + 2) against 1 / 2, precision 1
    assert weighted == pytest.approx((2 + 2 * 1.25 / (1.25 + 3.25)) / 3, abs=1e-5)
    assert unweighted["reward_accuracy"] == pytest.approx((2 + 2 / 3) / 3, abs=1e-5)


def test_the_reward_is_that_of_training(split):
    texts = [perfect(PEOPLE[0]), perfect(PEOPLE[1][1:]), perfect([])]
    prompts = PROMPTS.read(split.folder / "prompts.parquet")
    columns = {name: prompts[name].to_pylist() for name in ("gt_boxes", "gt_labels")}
    expected = np.mean(accuracy_reward(texts, **columns))
    assert split.evaluate(texts)["reward_accuracy"] == pytest.approx(expected, abs=1e-12)


def test_a_box_of_another_label_is_wrong(split):
    texts = [response(np.array(boxes).reshape(-1, 4) * SCALE, "car") for boxes in PEOPLE]
    values = split.evaluate(texts)
    assert (values["precision50"], values["recall50"], values["AP"]) == (0.0, 0.0, 0.0)
    assert values["parse_failure_rate"] == 0.0


def test_boxes_of_labels_that_are_not_asked_for_are_not_to_be_found(tmp_path):
    values = Split(tmp_path, labels=("car",)).evaluate([perfect([])] * 3)
    assert values["num_objects"] == 0.0
    undefined = ["AP", "AP50", "AP75", "AR", "AP_crowdhuman", "MR", "JI", "recall50", "precision50"]
    assert [values[name] for name in undefined] == [None] * len(undefined)
    assert values["reward_accuracy"] == 1.0


def test_no_answer_can_be_read(split):
    values = split.evaluate(["nobody?"] * 3, *split.with_variance)
    assert values["parse_failure_rate"] == 1.0
    assert (values["AP"], values["AR"], values["JI"], values["MR"]) == (0.0, 0.0, 0.0, 1.0)
    assert values["precision50"] is None
    assert values["recall50"] == 0.0


def test_the_order_of_the_predictions_does_not_matter(split):
    texts = [perfect(PEOPLE[0]), perfect(PEOPLE[1][1:]), response(np.array([[1, 2, 30, 40]]))]
    values = split.evaluate(texts, *split.with_variance)
    path = split.folder / "predictions.parquet"
    SAMPLES.write(SAMPLES.read(path).take([2, 0, 1]), path)
    assert split.run(*split.with_variance) == 0
    again = METRICS.read(split.folder / "metrics.parquet").to_pydict()
    assert dict(zip(again["name"], again["value"], strict=True)) == values


def test_the_same_input_gives_the_same_bytes(split):
    texts = [perfect(boxes) for boxes in PEOPLE]
    split.evaluate(texts, *split.with_variance)
    first = (split.folder / "metrics.parquet").read_bytes()
    split.evaluate(texts, *split.with_variance)
    assert (split.folder / "metrics.parquet").read_bytes() == first


def test_the_images_artifact_by_hand(split):
    texts = [
        # 1 right, 1 false; it looks at the false one, whose centre is (170, 20) of 192 x 144
        render_response(
            "People.",
            np.array([[160, 0, 192, 36]]) * SCALE,
            np.array([[30, 36, 60, 108], [160, 10, 180, 30]]) * SCALE,
            ["person"] * 2,
            ["dark"],
            digits=6,
        ),
        "<think> I do not know. </think> <look> none </look> <answer> none </answer>",
        perfect([]),
    ]
    rows = split.images(texts, *split.with_variance)
    assert rows["image_id"] == ["0", "1", "2"]
    assert rows["readable"] == [True, False, True]
    assert rows["well_formed"] == [True, False, True]
    assert rows["num_objects"] == [1, 2, 0]
    assert rows["num_counted"] == rows["num_boxes"] == [2, 0, 0]
    assert rows["hits50"] == rows["hits75"] == [1, 0, 0]
    assert rows["errors"] == [1, 2, 0]
    assert rows["look_share"] == pytest.approx([32 * 36 / (192 * 144), 0, 0], abs=1e-6)
    figures = ("hits", "false", "missed")
    assert [rows[f"look_{name}"][0] for name in figures] == [0, 1, 0]
    # 32 x 36: x = 170 is held from 138 to 160, y = 20 from 0 to 20
    assert rows["look_by_chance"][0] == pytest.approx(22 / 160 * 20 / 108, rel=1e-4)
    # only the second image has a region of u >= 0.5
    assert rows["look_recall"] == [None, 0.0, None]
    assert rows["region_uncertainty"] == [[0.25], [0.25, 1.0], []]
    assert rows["region_erred"] == [[False], [True, True], []]
    assert rows["region_is_object"] == [[True], [True, True], []]
    assert rows["object_found"] == [[True], [False, False], []]
    assert rows["label_objects"] == [[1], [2], [0]]
    assert sorted(rows["box_crowdhuman"][0]) == [0, 1]
    assert [len(verdicts) for verdicts in rows["box_coco"]] == [2, 0, 0]
    assert rows["label_jaccard"][1:] == [[[0.0] * 10], [[pytest.approx(np.nan, nan_ok=True)] * 10]]
    assert set(rows["score"]) == {"confidence"}


def test_where_the_answer_looked(split):
    hit, false = [30, 36, 60, 108], [160, 10, 180, 30]
    texts = [
        render_response(
            "", np.array([hit]) * SCALE, np.array([hit, false]) * SCALE, ["person"] * 2, digits=6
        ),
        perfect([]),
        perfect([]),
    ]
    values = split.evaluate(texts, *split.with_variance)
    assert values["look_errors_caught"] == 0.0
    assert values["look_lift"] == 0.0
    assert [values[f"{name}_looked"] for name in ("precision50", "recall50", "f1_50")] == [1.0] * 3
    elsewhere = [values[f"{name}_elsewhere"] for name in ("precision50", "recall50", "f1_50")]
    assert elsewhere == [0.0, 0.0, 0.0]  # 1 false box, 2 missed people
    assert values["look_recall"] == 0.0
    assert values["look_area_share"] == pytest.approx(30 * 72 / (192 * 144) / 3, rel=1e-4)
    # u of the missed: 0.25 and 1, of the found one: 0.25
    assert values["u_auc"] == values["u_auc_objects"] == 0.75
    assert values["u_auc_phantoms"] is None
    assert values["u_ece"] == pytest.approx((2 * abs(0.25 - 0.5) + 0) / 3)


def test_nothing_looked_at_leaves_the_lift_undefined(split):
    values = split.evaluate([perfect([])] * 3, *split.with_variance)
    assert values["look_errors_caught"] == 0.0
    assert values["look_lift"] is None
    assert values["precision50_looked"] is None
    perfect_values = split.evaluate([perfect(boxes) for boxes in PEOPLE], *split.with_variance)
    assert perfect_values["look_errors_caught"] is None
    assert perfect_values["u_auc"] is None


# --- scores and flags ---------------------------------------------------------------------------


def test_ranked_metrics_say_what_ranked_the_boxes(split):
    texts = [perfect(boxes) for boxes in PEOPLE]
    split.evaluate(texts, "--score", "order")
    table = METRICS.read(split.folder / "metrics.parquet").to_pydict()
    score = dict(zip(table["name"], table["score"], strict=True))
    assert {name for name in score if score[name] == "order"} == {
        *("AP", "AP50", "AP75", "AR", "AP_crowdhuman", "MR", "JI")
    }
    assert {*score.values()} == {"order", None}
    assert set(split.images(texts)["score"]) == {"confidence"}


def test_consistency_reads_the_samples(split):
    texts = [perfect(PEOPLE[0]), response(np.array([[75, 36, 105, 108], [1, 1, 9, 9]]) * SCALE)]
    texts.append(perfect([]))
    shards = []
    for number, part in enumerate(([0, 1], [2, 1])):
        shards.append(str(split.folder / f"{number}.parquet"))
        write_predictions(Path(shards[-1]), [perfect(boxes) for boxes in PEOPLE])
        SAMPLES.write(SAMPLES.read(shards[-1]).take(part), shards[-1])
    rows = split.images(texts, "--score", "consistency", "--consistency-samples", *shards)
    # the second image has two samples: the first box is in both, the other in none
    assert rows["box_score"] == [[0.75], [2.5 / 3, 0.5 / 3], []]


@pytest.mark.parametrize(
    "flags", [("--score", "consistency"), ("--consistency-samples", "samples.parquet")]
)
def test_consistency_and_its_samples_belong_together(split, capsys, flags):
    write_predictions(split.folder / "predictions.parquet", [perfect(boxes) for boxes in PEOPLE])
    assert split.run(*flags) == 1
    error = capsys.readouterr().err
    assert "--consistency-samples and --score consistency belong together" in error
    assert error.count("\n") == 1


def test_json_goes_to_standard_output(split, capsys):
    values = split.evaluate([perfect(boxes) for boxes in PEOPLE], "--json")
    assert json.loads(capsys.readouterr().out) == values


def fault(split: Split, capsys, change) -> str:
    """The message after `change` is applied to the predictions table."""
    split.evaluate([perfect(boxes) for boxes in PEOPLE])
    capsys.readouterr()
    path = split.folder / "predictions.parquet"
    SAMPLES.write(change(SAMPLES.read(path)), path)
    assert split.run() == 1
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    return message


def test_a_missing_image_is_named(split, capsys):
    message = fault(split, capsys, lambda table: table.slice(0, 1))
    assert "image '1'" in message
    assert "missing (2 such images)" in message


def test_an_unknown_image_is_named(split, capsys):
    def rename(table: pa.Table) -> pa.Table:
        return table.set_column(0, "image_id", pa.array(["0", "1", "x"]))

    message = fault(split, capsys, rename)
    assert "image 'x' is not in" in message
    assert "(1 such images)" in message


def test_a_second_response_to_an_image_is_named(split, capsys):
    message = fault(split, capsys, lambda table: pa.concat_tables([table, table.slice(1, 1)]))
    assert "image '1' is there more than once" in message


def test_a_box_without_a_confidence_is_named(split, capsys):
    def cut(table: pa.Table) -> pa.Table:
        confidence = pa.array([[0.5], [0.5], []], pa.list_(pa.float32()))
        at = table.schema.get_field_index("confidence")
        return table.set_column(at, "confidence", confidence)

    message = fault(split, capsys, cut)
    assert "image '1': expected one confidence per box but got 1 for 2 boxes" in message


def test_an_answer_alone_is_not_judged_by_what_was_not_asked_for(split):
    texts = [perfect(boxes).partition("</look>\n")[2] for boxes in PEOPLE]
    texts[2] = f"<think> Nobody. </think> {texts[2]}"
    as_steps = split.evaluate(texts, *split.with_variance)
    assert (as_steps["well_formed_rate"], as_steps["mean_look_boxes"]) == (0.0, 0.0)
    path = split.folder / "predictions.parquet"
    predictions = SAMPLES.read(path)
    SAMPLES.write(predictions.append_column("form", pa.array(["answer"] * 3)), path)
    assert split.run(*split.with_variance) == 0
    table = METRICS.read(split.folder / "metrics.parquet").to_pydict()
    values = dict(zip(table["name"], table["value"], strict=True))
    assert values["well_formed_rate"] == pytest.approx(2 / 3)
    without = {name for name, value in values.items() if value is None}
    looking = {name for name in values if "look" in name or "elsewhere" in name}
    assert without == looking | {"reward_reasoning"} | undefined(as_steps)
    assert {name: value for name, value in values.items() if name not in without} == {
        name: value for name, value in as_steps.items() if name not in without
    } | {"well_formed_rate": values["well_formed_rate"]}


def undefined(values: dict[str, float | None]) -> set[str]:
    return {name for name, value in values.items() if value is None}


def test_evaluate_runs_without_torch(split):
    split.evaluate([perfect(boxes) for boxes in PEOPLE])
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from dipr1.cli import main\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    names = ("predictions", "annotations", "prompts")
    files = [word for name in names for word in (f"--{name}", f"{split.folder / name}.parquet")]
    output = split.folder / "again.parquet"
    done = subprocess.run(
        [sys.executable, "-c", code, "evaluate", *files, "--output", str(output)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert pq.read_table(output).equals(pq.read_table(split.folder / "metrics.parquet"))
