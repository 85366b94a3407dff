"""Would a training come to anything? What is found on a few images, with a verdict in plain words.

Every function looks at one thing and gives findings. `wrong` is what makes a training pointless or
teaches something else than is meant; `doubtful` is worth a look first. The bounds are ours.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from dipr1.artifacts.prompts import frame_of
from dipr1.artifacts.variance import VARIANCE
from dipr1.boxes import iou
from dipr1.errors import UserError
from dipr1.policies.load import image_source, load_image, open_image
from dipr1.regions import LEAST_RESPONSES, box_variance
from dipr1.responses import parse_response
from dipr1.training.grpo import reward_functions
from dipr1.training.lessons import teacher_response
from dipr1.training.options import SftOptions

Verdict = Literal["fine", "doubtful", "wrong"]

LITTLE_READ, MOSTLY_READ = 0.5, 0.9
SOME_GROUPS, MOST_GROUPS = 0.2, 0.5
TRUTH_KNOWN = 0.9  # of what can be earned, by the truth
WORTH_OF_BOXES = 0.7  # of the truth's reward, what shuffled boxes may earn at most
CUT_LESSONS = 0.02
OTHER_FRAME = 1.5  # times the overlap that another reading of the numbers has to have
LEAST_OVERLAP = 0.2  # that it has to reach
EQUAL = 1e-6


@dataclass(frozen=True)
class Finding:
    """One line.

    Attributes:
        about: what was looked at.
        verdict: what it means for the training.
        found: figures.
        advice: what to do, where it is not fine.
    """

    about: str
    verdict: Verdict
    found: str
    advice: str = ""

    def __str__(self) -> str:
        advice = f"; {self.advice}" if self.verdict != "fine" and self.advice else ""
        return f"{self.verdict:<9}{self.about}: {self.found}{advice}"


def check_files(rows: Sequence[dict[str, Any]]) -> Finding:
    """Are the images as large as their annotations say? Boxes of resized copies lie elsewhere."""
    wrong = []
    for row in rows:
        if row.get("window") is None:
            size = open_image(row["image"], *([row["exif"]] if row.get("exif") else [])).size
            if size != (row["width"], row["height"]):
                wrong.append(f"{row['image']} is {size[0]} x {size[1]}")
    return Finding(
        "image files",
        "wrong" if wrong else "fine",
        f"{len(rows) - len(wrong)} of {len(rows)} are as large as annotated"
        + (f"; {wrong[0]}" if wrong else ""),
        "boxes of other sizes lie elsewhere: give the images that were annotated, convert again",
    )


def check_frames(rows: Sequence[dict[str, Any]], processor: Any) -> Finding:
    """Is an image in the policy's frame left as it is by the policy's own processor?

    Only absolute coordinates depend on it: thousandths mean the same at any size, as long as
    nothing is cut off, which no family's processor does.
    """
    image_processor, off = processor.image_processor, []
    for row in rows:
        image = load_image(*image_source(row))
        seen = image_processor(images=[image], return_tensors="np")
        if row["frame"] != "absolute" or "image_grid_thw" not in seen:
            continue
        _, down, across = (int(side) for side in seen["image_grid_thw"][0])
        size = across * image_processor.patch_size, down * image_processor.patch_size
        if size != (row["frame_width"], row["frame_height"]):
            off.append(f"{row['image_id']}: the processor makes {size[0]} x {size[1]} of it")
    kind = "pixels after the resize" if rows[0]["frame"] == "absolute" else "thousandths"
    return Finding(
        "frame",
        "wrong" if off else "fine",
        f"{kind}; the processor sees {len(rows) - len(off)} of {len(rows)} images as the boxes do"
        + (f"; {off[0]}" if off else ""),
        "the processor's files are not those that the prompts were made for: convert again",
    )


def check_answers_frame(rows: Sequence[dict[str, Any]], texts: Sequence[Sequence[str]]) -> Finding:
    """Would the base's numbers fit the people better if they were read in another frame?"""
    overlaps: dict[str, list[float]] = {}
    for row, answers in zip(rows, texts, strict=True):
        truth = np.reshape(row["gt_boxes"], (-1, 4))
        for text in answers if len(truth) else ():
            answer = parse_response(text).answer
            if answer is None or not len(answer.boxes):
                continue
            for name, factor in _readings(row).items():
                best = iou(truth, answer.boxes * factor).max(axis=1)
                overlaps.setdefault(name, []).append(float(best.mean()))
    if not overlaps:
        return Finding("base's coordinates", "doubtful", "no box to tell them by")
    means = {name: float(np.mean(values)) for name, values in overlaps.items()}
    own, best = means["own"], max(means, key=lambda name: means[name])
    other = best != "own" and means[best] > max(OTHER_FRAME * own, LEAST_OVERLAP)
    return Finding(
        "base's coordinates",
        "wrong" if other else "fine",
        f"people are covered by {own:.0%} as they are read"
        + (f", by {means[best]:.0%} if they were {best}" if other else ""),
        "the checkpoint answers in another frame than its family: set policy.frame, convert again",
    )


def _readings(row: dict[str, Any]) -> dict[str, np.ndarray]:
    """What to multiply a box by if its numbers meant something else than the row's frame says."""
    model = np.array([row["frame_width"], row["frame_height"]] * 2)
    image = np.array([row["width"], row["height"]] * 2)
    readings = {"own": np.ones(4), "pixels of the file": model / image}
    if row["frame"] == "absolute":
        readings["thousandths"] = model / 1000.0
    return readings | {"shares of the image": model}


def check_lessons(
    columns: dict[str, list[Any]],
    form: str,
    think: str,
    num_tokens: Callable[[str], int],
    longest: int,
    option: str,
) -> Finding:
    """Is there room for the whole truth in a response?"""
    lengths = [
        num_tokens(teacher_response(columns, row, think, form=form))
        for row in range(len(columns["gt_boxes"]))
    ]
    cut = float(np.mean(np.array(lengths) > longest))
    return Finding(
        f"length of the truth ({form}; {option})",
        "fine" if cut == 0 else "doubtful" if cut <= CUT_LESSONS else "wrong",
        f"{max(lengths)} tokens at most, of {longest} allowed; {cut:.1%} of the images have more",
        f"raise {option} to {max(lengths) + max(lengths) // 4}, or leave such images out",
    )


def check_readable(
    rows: Sequence[dict[str, Any]], texts: Sequence[Sequence[str]], least: float
) -> Finding:
    """Can the base's responses be read at all?"""
    problems: Counter[str] = Counter()
    read = total = 0
    for row, answers in zip(rows, texts, strict=True):
        for text in answers:
            response = parse_response(text, labels=row["labels"])
            total += 1
            read += response.answer is not None
            problems.update(response.problems)
    share = read / max(total, 1)
    common = ", ".join(name for name, _ in problems.most_common(3))
    verdict = "wrong" if share < least else "fine" if share >= MOSTLY_READ else "doubtful"
    return Finding(
        "readable samples of the base",
        verdict,
        f"{read} of {total} ({share:.0%})" + (f"; most often: {common}" if common else ""),
        f"below {least:.0%} `variance` stops: let responses be longer (sample.max_new_tokens), ask"
        " for `form: answer`, or let `sft` teach the form first (`start: sft`)",
    )


def variance_of(
    rows: Sequence[dict[str, Any]], texts: Sequence[Sequence[str]], match_iou: float, v0: float
) -> pa.Table:
    """The variance artifact of a few images, from their samples alone."""
    table = []
    for row, answers in zip(rows, texts, strict=True):
        frame = frame_of(row)
        read = [parse_response(text, labels=row["labels"]).answer for text in answers]
        boxes = [frame.to_image(answer.boxes) for answer in read if answer is not None]
        if len(boxes) < LEAST_RESPONSES:
            table.append({"image_id": row["image_id"], "num_samples": len(boxes)})
            continue
        truth, ignored = (frame.to_image(row[name]) for name in ("gt_boxes", "ignore_boxes"))
        regions = box_variance(boxes, truth, ignored, match_iou=match_iou, v0=v0)
        for number, region in enumerate(regions):
            values = {name: getattr(region, name, None) for name in VARIANCE.schema.names}
            sides = {name: np.asarray(getattr(region, name)).tolist() for name in ("box", "hull")}
            table.append(values | sides | {"image_id": row["image_id"], "region": number})
    return pa.Table.from_pylist(table, VARIANCE.schema)


def check_rewards(
    name: str, arm: Any, columns: dict[str, list[Any]], texts: Sequence[Sequence[str]]
) -> list[Finding]:
    """What an arm's rewards pay for the truth, for the base and for boxes of other images.

    Args:
        name: of the arm.
        arm: of method grpo.
        columns: of :func:`dipr1.artifacts.reward_columns.reward_columns`.
        texts: the base's responses to each image.
    """
    think = SftOptions().sft_think
    truths = [teacher_response(columns, row, think, form=arm.form) for row in range(len(texts))]
    base = totals(arm, columns, texts)
    # a group that holds the truth, since some rewards judge a response by the others of its group
    with_truth = [[truth, *answers] for truth, answers in zip(truths, texts, strict=True)]
    truth = np.array([group[0] for group in totals(arm, columns, with_truth)])
    shuffled = shuffled_columns(columns)
    others = [teacher_response(shuffled, row, think, form=arm.form) for row in range(len(texts))]
    with_others = [[other, *answers] for other, answers in zip(others, texts, strict=True)]
    wrong_boxes = np.array([group[0] for group in totals(arm, columns, with_others)])
    most = sum(arm.rewards.values())
    mean = float(np.mean(np.concatenate(base)))
    return [
        _truth(name, float(np.mean(truth)), most),
        _base(name, mean, float(np.mean(truth))),
        _shuffled(name, float(np.mean(wrong_boxes)), float(np.mean(truth))),
        _groups(name, base),
    ]


def _truth(name: str, truth: float, most: float) -> Finding:
    share = truth / most
    return Finding(
        f"{name}, reward of the truth",
        "fine" if share >= TRUTH_KNOWN else "doubtful" if share >= 0.5 else "wrong",
        f"{truth:.2f} of {most:.2f}",
        "a perfect answer is not paid for: look at labels, ignore regions and the frame",
    )


def _base(name: str, base: float, truth: float) -> Finding:
    left = truth - base
    return Finding(
        f"{name}, reward of the base",
        "wrong" if left <= 0 else "doubtful" if base <= 0.02 * truth else "fine",
        f"{base:.2f}, {left:.2f} below the truth",
        "nothing is left to learn"
        if left <= 0
        else "it earns nothing yet: begin with `start: sft`",
    )


def _shuffled(name: str, shuffled: float, truth: float) -> Finding:
    share = shuffled / truth if truth > 0 else 1.0
    return Finding(
        f"{name}, reward of shuffled boxes",
        "fine" if share < WORTH_OF_BOXES else "wrong",
        f"{shuffled:.2f}, which is {share:.0%} of the truth's",
        "boxes hardly count: give accuracy more weight, or look whether all images are alike",
    )


def _groups(name: str, groups: Sequence[np.ndarray]) -> Finding:
    spread = [float(np.std(group)) > EQUAL for group in groups if len(group) > 1]
    share = float(np.mean(spread)) if spread else 0.0
    return Finding(
        f"{name}, groups with reward variance",
        "fine" if share >= MOST_GROUPS else "doubtful" if share >= SOME_GROUPS else "wrong",
        f"{sum(spread)} of {len(spread)} ({share:.0%})",
        "nothing is learned where all samples of an image earn alike: raise `temperature` or"
        " `group_size`, choose images (`least_base_f1`, `most_base_f1`), begin with `start: sft`",
    )


def totals(
    arm: Any, columns: dict[str, list[Any]], texts: Sequence[Sequence[str]]
) -> list[np.ndarray]:
    """The weighted sum of an arm's rewards, of each image's responses, as at its first update.

    Where a reward has nothing to judge by, the others stand for it.
    """
    functions, weights = reward_functions(arm)
    for function in functions:
        if absent := [need for need in function.needs if need not in columns]:
            raise UserError(f"{function.__name__} needs {' and '.join(absent)}")
    image = [row for row, answers in enumerate(texts) for _ in answers]
    given = {name: [values[row] for row in image] for name, values in columns.items()}
    completions = [text for answers in texts for text in answers]
    state = SimpleNamespace(global_step=0, max_steps=max(arm.updates, 1))
    paid, judged = np.zeros(len(completions)), np.zeros(len(completions))
    for function, weight in zip(functions, weights, strict=True):
        values = function(completions, trainer_state=state, **given)
        known = np.array([value is not None for value in values])
        paid += weight * np.array([value or 0.0 for value in values])
        judged += weight * known
    paid *= np.divide(sum(weights), judged, out=np.zeros_like(judged), where=judged > 0)
    ends = np.cumsum([len(answers) for answers in texts])
    return np.split(paid, ends[:-1])


def shuffled_columns(columns: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """The columns with every image's boxes replaced by those of the next image that has any.

    They are brought into the image's own frame, so that they lie where people may well be.

    >>> both = {"gt_boxes": [[[0, 0, 5, 5]], [[2, 2, 4, 4]]], "gt_labels": [["a"], ["b"]]}
    >>> both |= {"frame_width": [10, 20], "frame_height": [10, 20]}
    >>> shuffled_columns(both)["gt_boxes"]
    [[[1.0, 1.0, 2.0, 2.0]], [[0.0, 0.0, 10.0, 10.0]]]
    """
    full = [row for row, boxes in enumerate(columns["gt_boxes"]) if len(boxes)]
    following = dict(zip(full, full[1:] + full[:1], strict=True))
    boxes, labels = [], []
    for row in range(len(columns["gt_boxes"])):
        other = following.get(row)
        if other is None or other == row:
            boxes.append([])
            labels.append([])
            continue
        scale = [
            columns[side][row] / columns[side][other] for side in ("frame_width", "frame_height")
        ]
        boxes.append((np.array(columns["gt_boxes"][other], float) * (scale * 2)).tolist())
        labels.append(list(columns["gt_labels"][other]))
    kept = {name: columns[name] for name in columns if not name.startswith("region_")}
    return kept | {"gt_boxes": boxes, "gt_labels": labels}


def worst(findings: Iterable[Finding]) -> Verdict:
    """The worst of the verdicts."""
    verdicts = {finding.verdict for finding in findings}
    return next((v for v in ("wrong", "doubtful") if v in verdicts), "fine")
