"""Rollouts that look again: the accuracy reward is for the boxes that looking led to.

A rollout is a usual response: it thinks, looks and answers. Its own look boxes become windows, the
policy that is trained answers about each once, greedily, and the views are merged by agreement, as
`inspect` does it after training (docs: the method, section 9). So looking is paid by what it finds,
and only the tokens of the first view are trained on.

The published alternative, which TRL 1.16 can run, are tools that return images: the policy calls
one, sees the crop and goes on writing. It needs a chat template that knows tool messages with
images (those of several families lose them, that of the embedded policy has none), and a policy
that calls tools, which none begins to do by itself. Here the look section is the call, so that any
policy can be trained which answers in the usual form.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa

from dipr1.artifacts.prompts import frame_of, window_row
from dipr1.boxes import area
from dipr1.policies.generated import Generated, box_confidence
from dipr1.policies.load import IMAGE_COLUMNS
from dipr1.policies.looking_again import (
    Seen,
    from_window,
    joined,
    merge_by_agreement,
    suppressed,
    windows_of,
)
from dipr1.prompts import render_response
from dipr1.responses import Answer, parse_response
from dipr1.rewards.completions import PROMPT_END, log_means, rows
from dipr1.training.greedy import greedy_responses

if TYPE_CHECKING:
    from dipr1.frames import PolicyFrames
    from dipr1.policies.load import LoadedPolicy

QUESTION = "question"  # the column that says what each response is about
SUPPRESSION_IOU = 0.55
DIGITS = 3  # of the merged boxes, model frame

# A window is asked about without its ground truth.
_NOTHING_KNOWN = {"gt_boxes": [], "gt_labels": [], "ignore_boxes": []}


def questions(prompts: pa.Table) -> list[dict[str, Any]]:
    """What is needed of each prompt to ask about a part of its image."""
    names = {*IMAGE_COLUMNS, "image_id", "width", "height", "labels", "prompt"}
    known = [name for name in prompts.column_names if name in names]
    return [row | _NOTHING_KNOWN for row in prompts.select(known).to_pylist()]


def of_final_boxes(reward: Callable, second_look: SecondLook) -> Callable:
    """`reward` of what a response answers once it has looked again.

    Logged besides: `again/first`, the mean reward of the first views, `again/gain`, by how much
    that of the final boxes is higher, `again/crops`, the crops of a response, and `again/asked`,
    how many were asked about, equal ones once.
    """

    @functools.wraps(reward, assigned=["__name__"], updated=[])
    def rewarded(completions: Sequence[str], **columns: Any) -> list[float | None]:
        texts = [text for (text,) in rows(completions, columns, reward.__name__)]
        columns[PROMPT_END] = None  # the texts have what stands in the prompt
        final, counts = second_look(texts, columns[QUESTION])
        rewards = reward(final, **columns)
        first = reward(texts, **columns | {"log_metric": None})
        pairs = zip(first, rewards, strict=True)
        known = [(before, after) for before, after in pairs if after is not None]
        log_means(
            columns.get("log_metric"),
            counts
            | {
                "again/first": [before for before, _ in known],
                "again/gain": [after - before for before, after in known],
            },
        )
        return rewards

    return rewarded


@dataclass(frozen=True)
class _View:
    """A window of a response, and what is shown for it.

    Attributes:
        window: (4,) of the response's image.
        key: what is shown: the same for windows that show the same.
        row: of the prompts artifact, about what is shown.
    """

    window: np.ndarray
    key: tuple
    row: dict[str, Any]


@dataclass(frozen=True)
class SecondLook:
    """Lets a policy look again at what its responses look at.

    Attributes:
        policy: the one that is trained; its weights are those of the moment.
        frames: whose model frame the windows are brought into.
        max_regions: windows of a response, at most.
        max_new_tokens: of the answer about a window.
        batch_size: windows that are asked about together.
        control: `other_image` shows the same part of another image of the batch: a policy that
            gains by that does not look at what it is shown.
    """

    policy: LoadedPolicy
    frames: PolicyFrames
    max_regions: int
    max_new_tokens: int
    batch_size: int
    control: Literal["none", "other_image"] = "none"

    def __call__(
        self, texts: Sequence[str], asked: Sequence[dict[str, Any]]
    ) -> tuple[list[str], dict[str, list[float]]]:
        """Responses with the boxes that looking again led to, and figures for the log.

        Args:
            texts: B responses.
            asked: B rows of :func:`questions`.

        Returns:
            B texts: the answer alone where windows were asked about, the response as it is
            elsewhere, or where its answer cannot be read.
        """
        responses = [
            parse_response(text, row["labels"]) for text, row in zip(texts, asked, strict=True)
        ]
        views = [
            []
            if response.answer is None or response.look is None
            else list(self._views(response.look.boxes, row, other))
            for response, row, other in zip(responses, asked, _others(asked), strict=True)
        ]
        rows = {view.key: view.row for of_response in views for view in of_response}
        seen = dict(zip(rows, self._answers(list(rows.values())), strict=True))
        final = [
            _merged(response.answer, row, [(view, seen[view.key]) for view in of_response])
            if of_response
            else text
            for text, response, row, of_response in zip(texts, responses, asked, views, strict=True)
        ]
        counts = {
            "again/crops": [len(of_response) for of_response in views],
            "again/asked": [len(rows) / max(len(texts), 1)],
        }
        return final, counts

    def _views(
        self, look_boxes: np.ndarray, row: dict[str, Any], other: dict[str, Any] | None
    ) -> Iterator[_View]:
        """The windows of one response's looks, which are in the model frame."""
        size = row["width"], row["height"]
        regions = frame_of(row).to_image(look_boxes)
        shown = other if self.control == "other_image" else row
        if shown is None:
            return
        scale = np.tile([shown["width"] / size[0], shown["height"] / size[1]], 2)
        for window in windows_of(regions, size, max_regions=self.max_regions):
            try:
                part = window_row(shown, window * scale, self.frames)
            except ValueError:  # of a shape that the policy cannot see
                continue
            yield _View(window, (part["image"], *part["window"]), part)

    def _answers(self, rows: list[dict[str, Any]]) -> list[Seen]:
        """What the policy answers about each row, boxes as shares of what it was shown."""
        responses = greedy_responses(
            self.policy, rows, batch_size=self.batch_size, max_new_tokens=self.max_new_tokens
        )
        return [_shares(row, response) for row, response in zip(rows, responses, strict=True)]


def _others(asked: Sequence[dict[str, Any]]) -> list[dict[str, Any] | None]:
    """For each row one about the next other image of the batch, the first after the last."""
    first = {row["image"]: row for row in reversed(asked)}
    images = list(dict.fromkeys(row["image"] for row in asked))
    after = dict(zip(images, [*images[1:], images[0]], strict=True)) if len(images) > 1 else {}
    return [first.get(after.get(row["image"])) for row in asked]


def _shares(row: dict[str, Any], response: Generated) -> Seen:
    """The boxes of a response about a window, as shares of it."""
    answer = parse_response(response.text, row["labels"]).answer
    if answer is None:
        return Seen.of([], [])
    boxes = frame_of(row).to_image(answer.boxes) / np.tile([row["width"], row["height"]], 2)
    usable = area(boxes) > 0.0
    confidence = box_confidence(response, len(boxes))
    return Seen.of(boxes, confidence, labels=answer.labels).take(usable)


def _merged(answer: Answer, row: dict[str, Any], views: list[tuple[_View, Seen]]) -> str:
    """An answer with what its windows show.

    The boxes of the first view have the score 1, since a trainer does not tell their probabilities.
    Those that a window denies leave the answer. What is no box, or a copy of another box, stays: it
    costs what it costs without looking.
    """
    frame, size = frame_of(row), (row["width"], row["height"])
    every = Seen.of(frame.to_image(answer.boxes), np.ones(len(answer.boxes)), labels=answer.labels)
    first = replace(every, view=np.arange(len(every))).take(area(every.boxes) > 0.0)
    once = suppressed(first, SUPPRESSION_IOU)
    merged = merge_by_agreement(
        once,
        [_placed(seen, view.window) for view, seen in views],
        np.array([view.window for view, _ in views]),
        size,
        suppression_iou=SUPPRESSION_IOU,
    )
    denied = (merged.view >= 0) & (merged.confidence < 1.0)
    left_alone = every.take(np.setdiff1d(np.arange(len(every)), once.view))
    final = joined([merged.take(~denied), left_alone])
    boxes = np.nan_to_num(frame.to_model(final.boxes))
    return render_response("", [], boxes, final.labels, digits=DIGITS, form="answer")


def _placed(shares: Seen, window: np.ndarray) -> Seen:
    """Boxes of a window, which are shares of it, in the image frame; their view is none."""
    sides = np.tile(window[2:] - window[:2], 2)
    boxes = from_window(shares.boxes * sides, window)
    return replace(shares, boxes=boxes, view=np.full(len(boxes), -1))
