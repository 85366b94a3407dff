"""Label Studio: tasks to correct suspect labels, from an audit and its annotations.

Import the JSON into a project whose labelling interface is::

    <View><Image name="image" value="$image"/>
    <RectangleLabels name="label" toName="image"><Label value="person"/><Label value="person?"/>
    </RectangleLabels></View>

with all labels of the annotations, each with and without "?". Export it as JSON when it is done;
``dipr1 convert --corrections FILE`` takes it. `image` is the path: where Label Studio reads files
through its local storage, replace it by that address; images are known again by their `image_id`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from dipr1.exports.options import Exporting
from dipr1.exports.suspects import Shown, Task, doubts, tasks

READS = "audit"


def write(source: str, output: Path, options: Exporting) -> str:
    """One task per image, its boxes as a prediction.

    Raises:
        UserError: as :func:`dipr1.exports.suspects.tasks`.
    """
    found, _ = tasks(source, options)
    text = json.dumps([_written(task) for task in found], ensure_ascii=False, indent=1)
    output.write_text(f"{text}\n", encoding="utf-8")
    return f"{len(found)} images, {sum(1 for _ in doubts(found))} boxes in doubt"


def _written(task: Task) -> dict[str, Any]:
    results = [_result(task, shown, number) for number, shown in enumerate(task.boxes)]
    worth = max((shown.worth for shown in task.boxes), default=0.0)
    return {
        "data": {"image": task.image, "image_id": task.image_id},
        "predictions": [{"model_version": "dipr1 audit", "score": worth, "result": results}],
    }


def _result(task: Task, shown: Shown, number: int) -> dict[str, Any]:
    x1, y1, x2, y2 = shown.box
    value = {
        "x": 100 * x1 / task.width,
        "y": 100 * y1 / task.height,
        "width": 100 * (x2 - x1) / task.width,
        "height": 100 * (y2 - y1) / task.height,
        "rotation": 0,
        "rectanglelabels": [shown.label],
    }
    doubt = {"meta": {"text": [f"{shown.doubt}, {shown.worth:.2f}"]}} if shown.doubt else {}
    return {
        "id": f"box{number}",
        "type": "rectanglelabels",
        "from_name": "label",
        "to_name": "image",
        "original_width": task.width,
        "original_height": task.height,
        "image_rotation": 0,
        "value": value,
        **doubt,
    }
