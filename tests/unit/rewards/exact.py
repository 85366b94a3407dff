"""Responses whose rewards are known exactly: by a reference, or worked out by hand."""

from __future__ import annotations

import json
import re
from fractions import Fraction
from pathlib import Path

import numpy as np

from tests.unit.random_boxes import NAN

LABELS = ["person", "car"]


def response_of(looks, boxes, labels=None) -> str:
    """A response; `json` writes the coordinates that are not finite as NaN and Infinity."""
    answer = [{"bbox_2d": box, "label": "person"} for box in boxes]
    if labels is not None:
        answer = [
            {"bbox_2d": box} | ({} if label is None else {"label": label})
            for box, label in zip(boxes, labels, strict=True)
        ]
    look = json.dumps([{"bbox_2d": box} for box in looks])
    return f"<think>a crowd</think><look>{look}</look><answer>{json.dumps(answer)}</answer>"


def as_read(boxes) -> list[list[float]]:
    """A box with a coordinate that is not finite is read as none at all."""
    return [box if np.isfinite(box).all() else [NAN] * 4 for box in boxes]


def reward_and_metrics(reward, text: str, **columns) -> tuple[float, dict[str, float]]:
    metrics: dict[str, float] = {}
    [value] = reward([text], **columns, log_metric=metrics.__setitem__)
    return value, metrics


def batch(rows) -> dict[str, list]:
    return {name: [row["columns"][name] for row in rows] for name in rows[0]["columns"]}


GOLDEN = (Path(__file__).parent / "golden_rewards.md").read_text(encoding="utf-8")


def golden(section: str) -> list[dict[str, str]]:
    """The rows of a section's table."""
    lines = GOLDEN.split(f"## {section}\n")[1].split("\n## ")[0].splitlines()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if "|" in line]
    header, _, *rows = rows
    return [dict(zip(header, row, strict=True)) for row in rows]


def box_cell(cell: str) -> tuple[list[list[float]], list[str | None], list[float]]:
    """The boxes of a cell, their labels and their uncertainties."""
    boxes, labels, uncertainty = [], [], []
    for item in filter(None, cell.split(",")):
        label, box, u = re.fullmatch(r"\s*([a-z]+)?\s*([-\d ]+?)\s*(?:u ([\d.]+))?", item).groups()
        boxes.append([int(side) for side in box.split()])
        labels.append(label)
        uncertainty.append(float(u or 0))
    return boxes, labels, uncertainty


def fraction(expression: str) -> Fraction:
    numbers = re.sub(r"\d+(\.\d+)?", r"Fraction('\g<0>')", expression)
    return eval(numbers, {"__builtins__": {}, "Fraction": Fraction})


def by_hand(cell: str) -> dict[str, Fraction]:
    """The values of P, R and F, every step of their arithmetic checked."""
    values = {}
    for line in cell.split(";"):
        name, *steps = line.split("=")
        exact = {fraction(step) for step in steps}
        assert len(exact) == 1, f"the steps of {line!r} differ"
        values[name.strip()] = exact.pop()
    return values


def option_cell(cell: str) -> dict:
    return eval(f"dict({cell})", {"__builtins__": {"dict": dict}})


def check_by_hand(row, value, metrics, prefix) -> None:
    expected = by_hand(row["by hand"])
    assert fraction(row["reward"]) == expected["F"]
    assert abs(value - expected["F"]) < 1e-12
    assert abs(metrics[f"{prefix}/precision"] - expected["P"]) < 1e-12
    assert abs(metrics[f"{prefix}/recall"] - expected["R"]) < 1e-12
