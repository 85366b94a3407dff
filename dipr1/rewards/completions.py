"""What the rewards share: a completion's text, its columns, F-beta, and metrics for the log."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np

from dipr1.responses import begun_in

LogMetric = Callable[[str, float], None]

LABELS = {"gt_labels", "ignore_labels", "labels"}
BOXES = {"gt_boxes", "ignore_boxes", "region_boxes"}
ONE_PER_BOX = {
    "gt_labels": "gt_boxes",
    "gt_uncertainty": "gt_boxes",
    "ignore_labels": "ignore_boxes",
    "region_uncertainty": "region_boxes",
}
"""Columns whose entries have one value for each box of another column."""

LISTS = {*LABELS, *BOXES, "gt_uncertainty", "region_uncertainty"}
PROMPT_END = "prompt_end"
_PLAIN = {list, str, int, float, dict}
_WHOLE = {int, str}


def completion_text(completion: str | Sequence[Mapping[str, Any]]) -> str:
    """The text of a completion: a string, or the last message of a conversation.

    >>> completion_text([{"role": "assistant", "content": [{"type": "text", "text": "hello"}]}])
    'hello'
    """
    if isinstance(completion, str):
        return completion
    content = as_lists(completion[-1]["content"]) if len(completion) else ""
    if isinstance(content, str):
        return content
    return "".join(part["text"] for part in content or () if part.get("type") == "text")


def as_lists(value: Any) -> Any:
    """Arrays, series and tuples as lists, to any depth; everything else as it is.

    >>> as_lists((np.array([[0, 1]]), "person", None))
    [[[0, 1]], 'person', None]
    """
    # Nothing to do for lists of plain values, or of lists: what most columns have.
    if type(value) is list and (not value or type(value[0]) in _PLAIN):
        return value
    if not isinstance(value, (list, tuple)):
        convert = getattr(value, "tolist", None) or getattr(value, "to_list", None)
        if convert is None:
            return value
        value = convert()
    return [as_lists(item) for item in value] if isinstance(value, (list, tuple)) else value


def rows(
    completions: Sequence[Any],
    columns: Mapping[str, Any],
    reward: str,
    *,
    required: Sequence[str] = (),
    optional: Sequence[str] = (),
) -> Iterator[tuple[Any, ...]]:
    """Each response with its entries of the required and of the optional columns, in that order.

    The response is the completion's text after the `<think>` in which the column `prompt_end` ends,
    if it does. An entry of an optional column that is not given is None, and so is one that is NaN,
    which is what data frames make of None. A string where labels are meant is one label.

    Raises:
        ValueError: a required column is not given, or a column has not one entry per completion, or
            an entry cannot be what it is for, or has not one value per box. The message names the
            column and the row.

    >>> list(rows(["yes"], {"gt_boxes": [[]]}, "mine", required=["gt_boxes"], optional=["labels"]))
    [('yes', [], None)]
    """
    if isinstance(completions, str):
        raise ValueError(f"{reward}: expected a list of completions but got one string")
    for name in required:
        if columns.get(name) is None:
            given = ", ".join(sorted(columns)) or "none"
            raise ValueError(f"{reward} needs the column {name!r}; the columns given are: {given}")
    absent = [None] * len(completions)
    read = {
        name: absent if columns.get(name) is None else _column(name, columns[name], len(absent))
        for name in (*required, *optional)
    }
    for name, boxes in ONE_PER_BOX.items():
        if boxes in read and read.get(name, absent) is not absent:
            _check_lengths(name, read[name], boxes, read[boxes])
    return zip(_responses(completions, columns), *read.values(), strict=True)


def _responses(completions: Sequence[Any], columns: Mapping[str, Any]) -> list[str]:
    """The text of each response, with what of it stands in the prompt already."""
    texts = [completion_text(completion) for completion in completions]
    if columns.get(PROMPT_END) is None:
        return texts
    ends = _column(PROMPT_END, columns[PROMPT_END], len(texts))
    return [begun_in(end or "") + text for end, text in zip(ends, texts, strict=True)]


def _column(name: str, column: Any, length: int) -> list[Any]:
    """The entries of a column, one per completion, each a list, a plain value or None."""
    if isinstance(column, str) and name in LABELS:
        return [[column]] * length
    if isinstance(column, str) and name == PROMPT_END:
        return [column] * length
    if isinstance(column, (str, dict)) or not hasattr(column, "__len__"):
        raise ValueError(f"{name}: expected one entry per completion but got {column!r:.60}")
    if len(column) != length:
        raise ValueError(
            f"{name}: expected {length} entries, one per completion, but got {len(column)}"
        )
    if _needs_no_look(name, column):
        return column
    return [_entry(name, row, value) for row, value in enumerate(column)]


def _needs_no_look(name: str, column: Any) -> bool:
    """Whether every entry is what :func:`_entry` would make of it, as most are: whole numbers or
    texts, and where lists are meant, lists. Seen together, that takes a third of the time."""
    if type(column) is not list:
        return False
    kinds = set(map(type, column))
    if name not in LISTS:
        return kinds <= ({str} if name == PROMPT_END else _WHOLE)
    if kinds != {list} or not {type(entry[0]) for entry in column if entry} <= _PLAIN:
        return False
    return name not in BOXES or _have_four_numbers(chain.from_iterable(column))


def _entry(name: str, row: int, value: Any) -> Any:
    value = as_lists(value)
    if value is None or value != value:
        return None
    if name == PROMPT_END and not isinstance(value, str):
        raise ValueError(f"{name}, row {row}: expected a text but got {value!r:.60}")
    if name not in LISTS:
        return value
    if isinstance(value, str) and name in LABELS:
        return [value]
    if not isinstance(value, list):
        raise ValueError(f"{name}, row {row}: expected a list but got {value!r:.60}")
    if name in BOXES and not _have_four_numbers(value):
        raise ValueError(f"{name}, row {row}: expected boxes of four numbers but got {value!r:.60}")
    return value


def _have_four_numbers(boxes: Iterable[Any]) -> bool:
    try:
        return {4}.issuperset(map(len, boxes))
    except TypeError:
        return False


def _check_lengths(name: str, column: list[Any], boxes: str, those: list[Any]) -> None:
    lengths = [None if values is None else len(values) for values in column]
    if lengths == [None if of is None else len(of) for of in those]:
        return
    for row, (values, of) in enumerate(zip(column, those, strict=True)):
        if values is not None and of is not None and len(values) != len(of):
            raise ValueError(
                f"{name}, row {row}: expected {len(of)} entries, one for each of {boxes}, but got"
                f" {len(values)}"
            )


def uncertainties(values: Sequence[float | None] | None, length: int) -> np.ndarray:
    """(length,) float64; None and NaN are 0: nothing is known of that box.

    >>> uncertainties([0.5, None], 2)
    array([0.5, 0. ])
    """
    if values is None:
        return np.zeros(length)
    known = np.array(values, dtype=np.float64)
    # By a comparison: one call less than asking for NaN.
    return np.where(known == known, known, 0.0)


def f_beta(precision: float, recall: float, beta: float) -> float:
    """F-beta of precision and recall; 0 where both are 0. beta > 1 favours recall.

    >>> f_beta(0.5, 1.0, 1.0)
    0.6666666666666666
    """
    denominator = beta * beta * precision + recall
    return (1.0 + beta * beta) * precision * recall / denominator if denominator > 0.0 else 0.0


def log_means(log_metric: LogMetric | None, metrics: Mapping[str, list[float]]) -> None:
    """Report the mean over the batch of each metric that has a value for some completion."""
    if log_metric is None:
        return
    for name, values in metrics.items():
        if values:
            log_metric(name, sum(values) / len(values))
