"""Detection rewards of other trainers, restated from their public code to be compared with ours.

Each was read at the repository, path and commit that `Peer.source` names and written again in
numpy, quirks included: where the original swallows an exception and scores 0, so does this. Each
writes a `Reply` in its own format, so that nobody loses for want of our tags. Left out is what has
no part in detection: `math_verify` in Visual-RFT, logging, and the rewards of other tasks.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from hacks import FRAME_SIZE, Box, Crowd, Reply, tagged
from scipy.optimize import linear_sum_assignment

from dipr1.boxes import iou


@dataclass(frozen=True)
class Peer:
    """One reward.

    Attributes:
        name: short.
        source: repository, path and commit of what was read.
        measures: what is added up, and how much of each there is to have.
        write: a reply in the peer's format; None where it has no such thing.
        reward: of a text; NaN where the original raises.
    """

    name: str
    source: str
    measures: str
    write: Callable[[Reply], str | None]
    reward: Callable[[str, Crowd], float]


def _bare(_: str, text: str) -> str:
    return text


def _json_items(reply: Reply) -> list[dict]:
    return [
        {"bbox_2d": list(box)} | ({} if label is None else {"label": label})
        for box, label in reply.answer
    ]


_THINK_ANSWER = re.compile(r"<think>.*?</think>\s*<answer>.*?</answer>", re.DOTALL)


def _think_answer_format(text: str) -> float:
    """1 where the whole text is a think and an answer section, or several of them in a row."""
    return float(_THINK_ANSWER.fullmatch(text) is not None)


def _answers(text: str) -> list[str]:
    return [found.strip() for found in re.findall(r"<answer>(.*?)</answer>", text, re.DOTALL)]


# --- VLM-R1 -------------------------------------------------------------------------------------


def _write_vlm_r1(reply: Reply) -> str | None:
    answer = f"```json\n{json.dumps(_json_items(reply))}\n```"
    return reply.form({"think": reply.think, "answer": answer}, tagged)


def _vlm_r1(length_penalty: bool) -> Callable[[str, Crowd], float]:
    def reward(text: str, crowd: Crowd) -> float:
        answers = _answers(text)
        accuracy = _vlm_r1_accuracy(answers[-1], crowd, length_penalty) if answers else 0.0
        return accuracy + _think_answer_format(text)

    return reward


def _vlm_r1_accuracy(answer: str, crowd: Crowd, length_penalty: bool) -> float:
    fenced = re.findall(r"```json(.*?)```", answer, re.DOTALL)
    try:
        items = list(json.loads(fenced[-1].strip())) if fenced else []
    except (ValueError, TypeError):
        items = []
    num_people = len(crowd.people)
    if not items or not num_people:
        return float(len(items) == num_people)
    value = coco_map(items, crowd)
    return value * min(1.0, num_people / len(items)) if length_penalty else value


def coco_map(items: list, crowd: Crowd) -> float:
    """COCO's mAP at IoU .5:.95 of one image where all detections have the same score.

    The order of the answer is then the order of the scores, and what comes after the 100th of a
    label is not looked at.
    """
    averages = []
    for label in dict.fromkeys(crowd.labels):
        boxes = [
            item["bbox_2d"]
            for item in items
            if isinstance(item, dict) and item.get("label") == label and "bbox_2d" in item
        ]
        truth = crowd.people[[one == label for one in crowd.labels]]
        averages.append(_average_precision(np.array(boxes[:100], float).reshape(-1, 4), truth))
    return float(np.mean(averages))


def _average_precision(boxes: np.ndarray, truth: np.ndarray) -> float:
    with np.errstate(invalid="ignore"):
        areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    overlaps = iou(boxes, truth)
    values = []
    for threshold in np.arange(0.5, 1.0, 0.05).round(2):
        free, hits = np.ones(len(truth), bool), np.zeros(len(boxes), bool)
        for row, overlap in enumerate(overlaps):
            open_ones = np.where(free, overlap, -1.0)
            best = len(truth) - 1 - int(open_ones[::-1].argmax())
            hits[row] = open_ones[best] >= threshold
            free[best] &= not hits[row]
        # A detection of negative area lies outside the range of areas, so a miss is forgiven.
        counted = hits | ~(areas < 0.0)
        hits = np.cumsum(hits[counted])
        precision = hits / np.arange(1, len(hits) + 1)
        envelope = np.maximum.accumulate(precision[::-1])[::-1]
        first = np.searchsorted(hits / len(truth), np.linspace(0.0, 1.0, 101), side="left")
        values.append(np.append(envelope, 0.0)[first].mean())
    return float(np.mean(values))


# --- Visual-RFT ---------------------------------------------------------------------------------


def _write_visual_rft(reply: Reply) -> str | None:
    items = [{"Position": list(box), "Confidence": 1.0} for box, _ in reply.answer]
    answer = json.dumps(items) if items else "No Object"
    return reply.form({"think": reply.think, "answer": answer}, tagged)


def _visual_rft(text: str, crowd: Crowd) -> float:
    try:
        accuracy = _visual_rft_accuracy(text, crowd)
    except (ValueError, TypeError, KeyError, IndexError, ZeroDivisionError):
        accuracy = 0.0
    return accuracy + _think_answer_format(text)


def _visual_rft_accuracy(text: str, crowd: Crowd) -> float:
    # Without DOTALL: an answer over several lines is not found, and the whole text is read.
    found = re.search(r"<answer>(.*?)</answer>", text)
    answer = found.group(1).strip() if found else text.strip()
    for broken, mended in (("[[", "["), ("]]", "]"), ("\n", "")):
        answer = answer.replace(broken, mended)
    if "No Object" in answer and not len(crowd.people):
        return 2.0
    content = f"<answer>{answer}</answer>".split("<answer>", 1)[1].split("</answer>")[0]
    if not content.endswith("]"):
        content = content.rsplit("},", 1)[0] + "}]"
    items = json.loads(content.replace("'", '"'))
    unique = {tuple(item["Position"]): item["Confidence"] for item in reversed(items)}
    listed = dict.fromkeys(tuple(item["Position"]) for item in items)
    ranked = sorted(listed, key=lambda box: -unique[box])
    overlaps = iou(np.array(ranked, float).reshape(-1, 4), crowd.people)
    free = np.ones(len(crowd.people), bool)
    total_iou = total_confidence = 0.0
    for box, overlap in zip(ranked, overlaps, strict=True):
        best = int(np.where(free, overlap, 0.0).argmax())
        if free[best] and overlap[best] > 0.5:
            free[best] = False
            total_iou += overlap[best]
            total_confidence += unique[box]
        else:
            total_confidence += 1.0 - unique[box]
    by_iou = total_iou / max(len(ranked), len(crowd.people))
    by_confidence = min(max(total_confidence / len(ranked), 0.0), 1.0)
    return float(min(by_iou, 1.0) + by_confidence)


# --- Perception-R1 ------------------------------------------------------------------------------


def _write_json(reply: Reply) -> str | None:
    return reply.form({"answer": json.dumps(_json_items(reply))}, _bare)


_CATEGORIES = {"person": 1, "rider": 2, "car": 3}


def _perception_r1(text: str, crowd: Crowd) -> float:
    try:
        return _perception_r1_detection(text, crowd)
    except (ValueError, TypeError, AssertionError):
        return 0.0


def _perception_r1_detection(text: str, crowd: Crowd) -> float:
    items = json.loads(text.replace("```json", "").replace("```", ""))
    kept = [item for item in items if isinstance(item, dict) and item.get("label") in _CATEGORIES]
    if not kept:
        raise ValueError("an empty answer gives two values where three are unpacked")
    boxes = np.array([item["bbox_2d"] for item in kept], float).reshape(-1, 4)
    if not np.isfinite(boxes).all():
        raise ValueError("the assignment refuses costs that are not finite")
    form = len(kept) / len(items)
    if not len(crowd.people):
        return 0.25 * form
    apart = np.abs(_centre_form(boxes)[:, None] - _centre_form(crowd.people)).sum(axis=-1)
    rows, columns = linear_sum_assignment(5.0 * apart - 2.0 * giou(boxes, crowd.people))
    overlaps = iou(boxes, crowd.people)[rows, columns]
    hit = overlaps > 0.5
    if not hit.any():
        return 0.25 * form
    precision, recall = hit.sum() / len(boxes), hit.sum() / len(crowd.people)
    right = [
        kept[row]["label"] == crowd.labels[column]
        for row, column in zip(rows[hit], columns[hit], strict=True)
    ]
    reward = 0.25 * form + 0.75 * 2 * precision * recall / (precision + recall)
    reward += np.mean(right) + overlaps[hit].mean() - 0.5 * (2.0 - precision - recall)
    return float(np.clip(reward, 0.0, 3.0))


def _centre_form(boxes: np.ndarray) -> np.ndarray:
    """(N, 4) centre and size of each box."""
    lower, upper = boxes[:, :2], boxes[:, 2:]
    return np.concatenate([(lower + upper) / 2, upper - lower], axis=1)


def giou(boxes: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """(N, G) generalised IoU.

    Raises:
        AssertionError: a box is inverted.
    """
    assert (boxes[:, 2:] >= boxes[:, :2]).all()
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)[:, None]
    lower, upper = boxes[:, None, :2], boxes[:, None, 2:]
    inter = (np.minimum(upper, truth[:, 2:]) - np.maximum(lower, truth[:, :2])).clip(0).prod(-1)
    union = areas + (truth[:, 2:] - truth[:, :2]).prod(axis=1) - inter
    hull = (np.maximum(upper, truth[:, 2:]) - np.minimum(lower, truth[:, :2])).prod(-1)
    return inter / union - (hull - union) / hull


# --- VisionReasoner -----------------------------------------------------------------------------


def _write_vision_reasoner(reply: Reply) -> str | None:
    items = [{"bbox_2d": list(box), "point_2d": _centre(box)} for box, _ in reply.answer]
    return reply.form({"think": reply.think, "answer": json.dumps(items)}, tagged)


def _centre(box: Box) -> list[int]:
    centre = [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2]
    return [int(side) if math.isfinite(side) else 0 for side in centre]


def _vision_reasoner(text: str, crowd: Crowd) -> float:
    answers = _answers(text)
    try:
        items = json.loads(answers[0]) if answers else []
        form = sum(
            (len(item.get("bbox_2d", ())) == 4) + (len(item.get("point_2d", ())) == 2)
            for item in items
        ) / len(items)
        # Infinite coordinates give NaN, which is near nothing.
        with np.errstate(invalid="ignore"):
            accuracy = _vision_reasoner_accuracy(items, crowd)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, ZeroDivisionError):
        form = accuracy = 0.0
    return _think_answer_format(text) + form + accuracy + _no_repeats(text)


def _vision_reasoner_accuracy(items: list[dict], crowd: Crowd) -> float:
    if not len(crowd.people):
        return 0.0
    boxes = np.array([item["bbox_2d"] for item in items][:120], float)
    points = np.array([item["point_2d"] for item in items][:120], float)
    truth = crowd.people[:120]
    centres = (truth[:, :2] + truth[:, 2:]) / 2
    # Boxes are of whole pixels there, so one is added to every side.
    shared = np.minimum(boxes[:, None, 2:], truth[:, 2:]) - np.maximum(
        boxes[:, None, :2], truth[:, :2]
    )
    inter = (shared + 1).clip(0).prod(-1)
    areas = (boxes[:, 2:] - boxes[:, :2] + 1).prod(1)
    union = areas[:, None] + (truth[:, 2:] - truth[:, :2] + 1).prod(1) - inter
    inside = ((points >= boxes[:, :2]) & (points <= boxes[:, 2:])).all(axis=1)
    gain = (inter / union > 0.5).astype(float)
    gain += np.abs(boxes[:, None] - truth).mean(axis=-1) < 10
    gain += (np.linalg.norm(points[:, None] - centres, axis=-1) < 30) & inside[:, None]
    rows, columns = linear_sum_assignment(gain, maximize=True)
    return float(gain[rows, columns].sum() / max(len(boxes), len(truth)))


def _no_repeats(text: str) -> float:
    seen, repeats = set(), 0
    for sentence in filter(None, (part.strip() for part in text.split("."))):
        repeats += sentence in seen
        seen.add(sentence)
    return float(repeats < 2)


# --- Rex-Omni -----------------------------------------------------------------------------------


def _write_rex_omni(reply: Reply) -> str | None:
    size = np.array(FRAME_SIZE * 2)
    parts = []
    for label in dict.fromkeys(label for _, label in reply.answer):
        boxes = np.array([box for box, one in reply.answer if one == label], float)
        bins = np.nan_to_num(boxes / size * 1000.0, posinf=999.0).round().clip(0, 999).astype(int)
        listed = ",".join("".join(f"<{side}>" for side in box) for box in bins.tolist())
        name = "" if label is None else label
        parts.append(
            f"<|object_ref_start|>{name}<|object_ref_end|><|box_start|>{listed}<|box_end|>"
        )
    return reply.form({"answer": ", ".join(parts)}, _bare)


_REX_GROUP = re.compile(
    r"<\|object_ref_start\|>(.*?)<\|object_ref_end\|><\|box_start\|>(.*?)<\|box_end\|>"
)


def _rex_omni(text: str, crowd: Crowd) -> float:
    boxes, labels = [], []
    for label, listed in _REX_GROUP.findall(text.replace("\n", "").strip()):
        sides = [int(side) for side in re.findall(r"<(\d+)>", listed)]
        for start in range(0, len(sides) - 3, 4):
            x1, y1, x2, y2 = sides[start : start + 4]
            if x1 != x2 and y1 != y2:
                boxes.append([min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)])
                labels.append(label.strip())
    if not boxes or not len(crowd.people):
        return float(len(boxes) == len(crowd.people))
    overlaps = iou(np.array(boxes) / 1000.0 * (FRAME_SIZE * 2), crowd.people)
    overlaps *= np.array([[one == other for other in crowd.labels] for one in labels])
    # Not one to one: the best box counts for everybody, and everybody counts for each box.
    precision, recall = overlaps.max(axis=1).mean(), overlaps.max(axis=0).mean()
    both = precision + recall
    return float(2 * precision * recall / both) if both else 0.0


# --- Vision-R1 ----------------------------------------------------------------------------------

_VISION_R1_ITEM = re.compile(
    r'\{"bbox_2d": \[(\d{1,3}|1000), (\d{1,3}|1000), (\d{1,3}|1000), (\d{1,3}|1000)\],'
    r' "label": "([^"]+)"\}'
)


def _vision_r1(progressive: bool) -> Callable[[str, Crowd], float]:
    """The published trainer (`progressive`, first stage), or its successor on EasyR1."""

    def reward(text: str, crowd: Crowd) -> float:
        boxes, labels = _vision_r1_boxes(text)
        if not len(crowd.people):
            return float("nan") if boxes else 2.0 + (1.0 - _vision_r1_format(text))
        if not boxes:
            return _vision_r1_format(text)
        found = _vision_r1_matches(np.array(boxes, float), labels, crowd)
        recall = np.where(found == 0.5, 0.5, found > 0.5).sum() / len(crowd.people)
        if progressive:
            recall = 0.0 if recall < 0.5 else 1.0 if recall > 0.75 else recall
            # The mean is over matched boxes: boxes too many are in no pair and cost nothing.
            quality = np.where(found < 0.5, 0.0, np.where(found > 0.75, 1.0, found))
            precision = quality.mean()
        else:
            precision = found.clip(0.0).sum() / len(boxes)
        return float(precision + recall + _vision_r1_format(text))

    return reward


def _vision_r1_boxes(text: str) -> tuple[list[list[int]], list[str | None]]:
    """Boxes that have an area; the others are dropped."""
    try:
        listed = text.strip()
        if listed.startswith("```json"):
            listed = listed.split("\n", 1)[1]
        items = json.loads(listed.split("```")[0])
    except (ValueError, IndexError):
        items = []
    kept = []
    for item in items if isinstance(items, list) else []:
        try:
            box = [int(side) for side in item["bbox_2d"]]
        except (ValueError, TypeError, KeyError, OverflowError):
            continue
        kept.append((box, item.get("label")))
    if not kept:
        kept = [([int(side) for side in row[:4]], row[4]) for row in _VISION_R1_ITEM.findall(text)]
    kept = [(box, label) for box, label in kept if box[0] < box[2] and box[1] < box[3]]
    return [box for box, _ in kept], [label for _, label in kept]


def _vision_r1_matches(boxes: np.ndarray, labels: list, crowd: Crowd) -> np.ndarray:
    """GIoU of the pairs; there are as many as the shorter of the two lists has boxes."""
    cost = np.abs(boxes[:, None] - crowd.people).sum(axis=-1) - giou(boxes, crowd.people)
    cost -= np.array([[one == other for other in crowd.labels] for one in labels])
    return giou(boxes, crowd.people)[linear_sum_assignment(cost)]


def _vision_r1_format(text: str) -> float:
    try:
        items = json.loads(re.sub(r"```json\n|\n```", "", text).strip())
    except ValueError:
        return 0.0
    boxes = [
        item["bbox_2d"]
        for item in (items if isinstance(items, list) else [])
        if isinstance(item, dict) and "bbox_2d" in item and "label" in item
    ]
    return float(all(isinstance(box, list) and len(box) == 4 for box in boxes))


_VLM_R1_SOURCE = (
    "rfahrn/VLM-R1 (a copy of om-ai-lab/VLM-R1), src/open-r1-multimodal/src/open_r1/grpo_jsonl.py,"
    " 0e70b62; format_reward: yeyimilk/VLM-R1, the same path, 1b0a443"
)
_GRIFFON = "jefferyZhan/Griffon, Vision-R1/"

PEERS = (
    Peer(
        "VLM-R1 od_ap",
        _VLM_R1_SOURCE,
        "COCO mAP 1 + format 1",
        _write_vlm_r1,
        _vlm_r1(length_penalty=False),
    ),
    Peer(
        "VLM-R1 odLength",
        _VLM_R1_SOURCE,
        "COCO mAP times min(1, G / P) 1 + format 1",
        _write_vlm_r1,
        _vlm_r1(length_penalty=True),
    ),
    Peer(
        "Visual-RFT",
        "szu-niuma/Visual-RFT (a copy of Liuziyu77/Visual-RFT), src/virft/src/open_r1/grpo.py,"
        " a7d8894",
        "IoU 1 + confidence 1 + format 1",
        _write_visual_rft,
        _visual_rft,
    ),
    Peer(
        "Perception-R1",
        "philipmit/PR1 (a copy of linkangheng/PR1), src/open_r1/rewards.py and utils.py, accb7cb",
        "format 0.25 + F1 0.75 + label 1 + IoU 1, less half of misses and false detections",
        _write_json,
        _perception_r1,
    ),
    Peer(
        "VisionReasoner",
        "hq-King/Affordance-R1 (a copy), verl/utils/reward_score/vision_reasoner.py, bc7c2b7",
        "boxes and points 3 + format 3 + no repeats 1",
        _write_vision_reasoner,
        _vision_reasoner,
    ),
    Peer(
        "Rex-Omni",
        "word-ky/mmnips (a copy of IDEA-Research/Rex-Omni),"
        " finetuning/verl/configs/reward_func.py, 7c4c2eb",
        "F1 of best IoUs 1",
        _write_rex_omni,
        _rex_omni,
    ),
    Peer(
        "Vision-R1",
        _GRIFFON + "vision_r1/visionr1_qwen.py, 499aa8b (2025, the first 1,500 steps)",
        "precision 1 + recall 1 + format 1",
        _write_json,
        _vision_r1(progressive=True),
    ),
    Peer(
        "Vision-R1 on EasyR1",
        _GRIFFON + "EasyR1/examples/reward_function/visionr1.py, 33b0f5c (2026)",
        "precision 1 + recall 1 + format 1",
        _write_json,
        _vision_r1(progressive=False),
    ),
)
