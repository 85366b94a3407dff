"""The verb `evaluate`: its file, its order of rows, and its errors."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dipr1.cli import main
from dipr1.metrics.evaluate import NAMES
from dipr1.prompts import prompt_rows, render_response
from dipr1.rewards import accuracy_reward
from dipr1.tables import ANNOTATIONS, VARIANCE, read_table, write_table
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
        annotations = pa.Table.from_pylist(rows, ANNOTATIONS)
        write_table(annotations, folder / "annotations.parquet", "annotations")
        write_table(prompt_rows(annotations, labels, FRAME), folder / "prompts.parquet", "prompts")
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
        write_table(
            pa.Table.from_pylist(regions, VARIANCE.remove(9)).append_column(
                VARIANCE.field("box_variance"), pa.nulls(len(regions), pa.float64())
            ),
            folder / "variance.parquet",
            "variance",
        )

    def evaluate(self, texts: list[str], *flags: str) -> dict[str, float | None]:
        write_predictions(self.folder / "predictions.parquet", texts)
        assert self.run(*flags) == 0
        table = read_table(self.folder / "metrics.parquet", "metrics").to_pydict()
        return dict(zip(table["name"], table["value"], strict=True))

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
    assert tuple(values) == NAMES
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
    assert "reward_looking" not in unweighted
    assert tuple(unweighted) == tuple(name for name in NAMES if name != "reward_looking")
    # recall 1.25 / (1.25 + 2) against 1 / 2, precision 1
    assert weighted == pytest.approx((2 + 2 * 1.25 / (1.25 + 3.25)) / 3, abs=1e-5)
    assert unweighted["reward_accuracy"] == pytest.approx((2 + 2 / 3) / 3, abs=1e-5)


def test_the_reward_is_that_of_training(split):
    texts = [perfect(PEOPLE[0]), perfect(PEOPLE[1][1:]), perfect([])]
    prompts = read_table(split.folder / "prompts.parquet", "prompts")
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
    write_table(read_table(path, "samples").take([2, 0, 1]), path, "samples")
    assert split.run(*split.with_variance) == 0
    again = read_table(split.folder / "metrics.parquet", "metrics").to_pydict()
    assert dict(zip(again["name"], again["value"], strict=True)) == values


def test_the_same_input_gives_the_same_bytes(split):
    texts = [perfect(boxes) for boxes in PEOPLE]
    split.evaluate(texts, *split.with_variance)
    first = (split.folder / "metrics.parquet").read_bytes()
    split.evaluate(texts, *split.with_variance)
    assert (split.folder / "metrics.parquet").read_bytes() == first


def test_json_goes_to_standard_output(split, capsys):
    values = split.evaluate([perfect(boxes) for boxes in PEOPLE], "--json")
    assert json.loads(capsys.readouterr().out) == values


def fault(split: Split, capsys, change) -> str:
    """The message after `change` is applied to the predictions table."""
    split.evaluate([perfect(boxes) for boxes in PEOPLE])
    capsys.readouterr()
    path = split.folder / "predictions.parquet"
    write_table(change(read_table(path, "samples")), path, "samples")
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
