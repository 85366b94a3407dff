"""How long the detection metrics take beside the official programs' way, and how that grows.

    python benchmarks/metrics.py [--num-images 4370] [--hotcoco-python PYTHON]

Synthetic crowds of CrowdHuman's validation size: on each image about 23 people in clusters, two
areas to ignore, and 60 detections, two near most people and the rest elsewhere, some scores equal.

The baselines compute the same figures, which are compared first:

- CrowdHuman's AP and MR as its program does, one pair of boxes after the other in Python
  (`plain_evaluators.py`), but on one core;
- its JI likewise, every image matched anew at each of ten scores with maximum-weight matching of
  general graphs in pure Python (networkx has the code that the official program has);
- COCO's AP and AR by pycocotools, the official program itself.

A baseline runs on the first images only (`--num-compared`), and its time is scaled by their number.
Times are of the process, the best of three rounds for ours and one for the baselines.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
import plain_evaluators

from dipr1.evaluation.answers import judge
from dipr1.evaluation.coco_ap import coco_ranked
from dipr1.evaluation.jaccard import jaccard_counts, jaccard_index, jaccard_of
from dipr1.evaluation.miss_rate import crowdhuman_ranked
from dipr1.evaluation.ranked import coco_ap, crowdhuman_ap, log_average_miss_rate_of
from dipr1.metrics import coco_metrics, official_figures

WIDTH, HEIGHT = 1920, 1080
PEOPLE, AREAS, DETECTIONS = 23, 2, 60
ROUNDS = 3
COMMAND_ROUNDS = 7

Boxes = tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray], np.ndarray]


def main() -> None:
    """Print a Markdown section with the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--num-images", type=int, default=4370)
    parser.add_argument("--num-compared", type=int, default=200)
    parser.add_argument("--hotcoco-python", help="a Python that has hotcoco")
    args = parser.parse_args()
    warm_up(crowds(20))
    boxes = crowds(args.num_images)
    print(head(args))
    compare(boxes, args.num_compared)
    print(growth(args.num_images))
    print(resamples(boxes))
    print(files(boxes))
    print(coco_files(boxes, args.hotcoco_python))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"\nPeak memory of all this, inputs and baselines included: {peak:.2f} GiB.")


def crowds(num_images: int, seed: int = 0) -> Boxes:
    """Detections, people and areas to ignore per image, and the sizes of the images."""
    rng = np.random.default_rng(seed)
    images = [crowd(rng) for _ in range(num_images)]
    detections, people, ignore = (list(part) for part in zip(*images, strict=True))
    return detections, people, ignore, np.tile([float(WIDTH), float(HEIGHT)], (num_images, 1))


def crowd(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One image: (60, 5) detections, (n, 4) people, (k, 4) areas."""
    count = int(rng.poisson(PEOPLE))
    heights = rng.lognormal(4.8, 0.7, count)
    widths = heights * rng.uniform(0.3, 0.5, count)
    cluster = rng.integers(0, max(1, count // 6), count)
    centres = rng.uniform([0, 200], [WIDTH, HEIGHT], (max(1, count // 6), 2))[cluster]
    corners = centres + rng.normal(0, 1, (count, 2)) * np.column_stack([widths, 0.3 * heights])
    people = np.hstack([corners, corners + np.column_stack([widths, heights])]).round()
    near = people.repeat(2, axis=0)
    near += rng.normal(0, 0.07, near.shape) * np.tile(near[:, 2:] - near[:, :2], 2)
    far = max(0, DETECTIONS - len(near))
    corners, sides = rng.uniform(0, [WIDTH, HEIGHT], (far, 2)), rng.lognormal(4.8, 0.7, (far, 1))
    found = np.vstack([near, np.hstack([corners, corners + sides * [0.4, 1.0]])])
    scores = np.concatenate([rng.beta(3, 2, len(near)), rng.beta(1, 6, far)])
    scores[::20] = scores[::20].round(1)
    kept = rng.permutation(len(found))[:DETECTIONS]
    corners = rng.uniform(0, [WIDTH - 200, HEIGHT - 200], (int(rng.poisson(AREAS)), 2))
    areas = np.hstack([corners, corners + rng.uniform(20, 300, corners.shape)])
    return np.column_stack([found, scores])[kept], people, areas


# --- what is measured -----------------------------------------------------------------------------


def ap_mr(boxes: Boxes) -> list[float]:
    ranked = crowdhuman_ranked(*boxes)
    return [crowdhuman_ap(ranked), log_average_miss_rate_of(ranked)]


def ji(boxes: Boxes) -> list[float]:
    return [jaccard_index(*boxes)]


def coco(boxes: Boxes) -> list[float]:
    return list(coco_metrics(*boxes[:3]).values())


def answers(boxes: Boxes) -> list[float]:
    judged = [
        judge(scored[:, :4], people, areas, thresholds=(0.5, 0.75))
        for scored, people, areas in zip(*boxes[:3], strict=True)
    ]
    num_people = sum(map(len, boxes[1]))
    figures = []
    for at in zip(*judged, strict=True):
        hits, counted = sum(one.hits for one in at), sum(one.num_counted for one in at)
        wrong = [abs(one.num_counted - len(one.found)) for one in at]
        f1 = 2 * hits / (counted + num_people)
        figures += [hits / counted, hits / num_people, f1, float(np.mean(wrong))]
    return figures


def all_figures(boxes: Boxes) -> list[float]:
    return ap_mr(boxes) + ji(boxes) + coco(boxes) + answers(boxes)


def plain_ap_mr(boxes: Boxes) -> list[float]:
    return list(plain_evaluators.crowdhuman_ap_mr(*as_lists(boxes)))


def plain_ji(boxes: Boxes) -> list[float]:
    return [plain_evaluators.crowdhuman_ji(*as_lists(boxes))]


def as_lists(boxes: Boxes) -> list[list]:
    return [[rows.tolist() for rows in part] for part in boxes]


def coco_documents(boxes: Boxes) -> tuple[dict, list[dict]]:
    """Ground truth and results as COCO's files have them."""
    annotations, results = [], []
    for image_id, (found, people, areas) in enumerate(zip(*boxes[:3], strict=True), start=1):
        for is_crowd, rows in enumerate((people, areas)):
            for x1, y1, x2, y2 in rows.tolist():
                box = [x1, y1, x2 - x1, y2 - y1]
                row = {"id": len(annotations) + 1, "image_id": image_id, "category_id": 1}
                row |= {"bbox": box, "area": box[2] * box[3], "iscrowd": is_crowd}
                annotations.append(row)
        for x1, y1, x2, y2, score in found.tolist():
            row = {"image_id": image_id, "category_id": 1, "bbox": [x1, y1, x2 - x1, y2 - y1]}
            results.append(row | {"score": score})
    images = [{"id": number + 1} for number in range(len(boxes[0]))]
    document = {"info": {}, "images": images, "categories": [{"id": 1, "name": "person"}]}
    return document | {"annotations": annotations}, results


def pycocotools_coco(boxes: Boxes) -> list[float]:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    truth_document, results = coco_documents(boxes)
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = truth_document
        truth.createIndex()
        evaluator = COCOeval(truth, truth.loadRes(results), "bbox")
        # one range of areas, and no limit that 60 detections could reach: what ours computes
        evaluator.params.areaRng, evaluator.params.areaRngLbl = [[0, 1e10]], ["all"]
        evaluator.evaluate()
        evaluator.accumulate()
    precision = evaluator.eval["precision"][:, :, 0, 0, -1]
    recall = evaluator.eval["recall"][:, 0, 0, -1]
    return [precision.mean(), precision[0].mean(), precision[5].mean(), recall.mean()]


# --- the section ----------------------------------------------------------------------------------


def head(args: argparse.Namespace) -> str:
    libraries = ", ".join(f"{name} {version(name)}" for name in ("numpy", "scipy", "pycocotools"))
    return (
        f"## Detection metrics: {args.num_images} images, about {PEOPLE} people and"
        f" {DETECTIONS} detections each\n\n"
        f"{os.cpu_count()} cores ({platform.machine()}), of which these use one; Python"
        f" {platform.python_version()}, {libraries}. Baselines on {args.num_compared} images,"
        " scaled; their figures equal ours to 1e-9 there.\n"
    )


def compare(boxes: Boxes, num_compared: int) -> None:
    """Print a table of times, ours and the baselines', once the figures are the same."""
    some: Boxes = tuple(part[:num_compared] for part in boxes)  # type: ignore[assignment]
    scale = len(boxes[0]) / num_compared
    print("| figures | ours, s | baseline, s | ratio | baseline |\n|---|---|---|---|---|")
    total_ours = total_plain = 0.0
    for name, ours, plain, what in (
        ("CrowdHuman AP, MR", ap_mr, plain_ap_mr, "plain loops"),
        ("CrowdHuman JI", ji, plain_ji, "plain loops, networkx"),
        ("COCO AP, AP50, AP75, AR", coco, pycocotools_coco, "pycocotools"),
    ):
        time_plain, expected = timed(plain, some, rounds=1)
        np.testing.assert_allclose(ours(some), expected, atol=1e-9)
        time_ours, _ = timed(ours, boxes)
        total_ours, total_plain = total_ours + time_ours, total_plain + time_plain * scale
        print(row_of(name, time_ours, time_plain * scale, what), flush=True)
    print(row_of("these together", total_ours, total_plain, ""))
    time_answers, _ = timed(answers, boxes)
    print(f"| precision, recall, F1 at 0.5 and 0.75, count error | {time_answers:.2f} | | | |")
    print(f"| all figures | {total_ours + time_answers:.2f} | | | |", flush=True)


def row_of(name: str, ours: float, plain: float, what: str) -> str:
    return f"| {name} | {ours:.2f} | {plain:.1f} | {plain / ours:.0f} | {what} |"


def growth(num_images: int) -> str:
    """A table of times by number of images."""
    rows = ["", "| images | all figures, s | ms per image |", "|---|---|---|"]
    for count in (num_images // 4, num_images // 2, num_images, 2 * num_images):
        seconds, _ = timed(all_figures, crowds(count, seed=1))
        rows.append(f"| {count} | {seconds:.2f} | {1000 * seconds / count:.2f} |")
    return "\n".join(rows)


def resamples(boxes: Boxes) -> str:
    """Milliseconds per bootstrap resample of the images, matched once."""
    num_images = len(boxes[0])
    ranked, counts = crowdhuman_ranked(*boxes), jaccard_counts(*boxes)
    rankings = coco_ranked(*boxes[:3])
    weights = np.random.default_rng(0).multinomial(num_images, np.full(num_images, 1 / num_images))
    parts = []
    for name, figure in (
        ("AP (CrowdHuman)", lambda: crowdhuman_ap(ranked, weights)),
        ("MR", lambda: log_average_miss_rate_of(ranked, weights)),
        ("JI", lambda: jaccard_of(counts, weights)),
        ("AP (COCO, ten IoUs)", lambda: [coco_ap(each, weights) for each in rankings]),
    ):
        seconds, _ = timed(lambda _, figure=figure: [figure() for _ in range(20)], boxes)
        parts.append(f"{name} {1000 * seconds / 20:.1f} ms")
    return "\nOne resample of the images, without new matching: " + ", ".join(parts) + "."


def files(boxes: Boxes) -> str:
    """Seconds for CrowdHuman's figures from its files."""
    with tempfile.TemporaryDirectory() as folder:
        truth, found = Path(folder) / "gt.odgt", Path(folder) / "dt.odgt"
        with truth.open("w") as truth_file, found.open("w") as found_file:
            for number, (rows, people, areas) in enumerate(zip(*boxes[:3], strict=True)):
                gtboxes = [{"tag": "person", "fbox": box} for box in xywh(people)]
                gtboxes += [{"tag": "mask", "fbox": box} for box in xywh(areas)]
                truth_file.write(json.dumps({"ID": str(number), "gtboxes": gtboxes}) + "\n")
                scores = rows[:, 4].tolist()
                dtboxes = [
                    {"box": box, "score": score, "tag": 1}
                    for box, score in zip(xywh(rows), scores, strict=True)
                ]
                record = {"ID": str(number), "width": WIDTH, "height": HEIGHT, "dtboxes": dtboxes}
                found_file.write(json.dumps(record) + "\n")
        megabytes = (truth.stat().st_size + found.stat().st_size) / 1e6
        seconds, _ = timed(
            lambda _: list(official_figures("crowdhuman", str(truth), str(found)).values()), boxes
        )
    return (
        f"\n`dipr1 official crowdhuman` without its start: {seconds:.2f} s from files of"
        f" {megabytes:.0f} MB (AP, MR, JI)."
    )


HOTCOCO = """
import sys
from hotcoco import COCO, COCOeval
truth = COCO(sys.argv[1])
evaluator = COCOeval(truth, truth.load_res(sys.argv[2]), "bbox")
evaluator.evaluate(), evaluator.accumulate(), evaluator.summarize()
print([float(value) for value in evaluator.stats])
"""


def coco_files(boxes: Boxes, hotcoco_python: str | None) -> str:
    """Seconds of the whole command from COCO's files, beside hotcoco's where it is there."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [str(Path(folder) / name) for name in ("gt.json", "dt.json")]
        for path, document in zip(paths, coco_documents(boxes), strict=True):
            Path(path).write_text(json.dumps(document))
        command = "import sys; from dipr1.cli import main; sys.exit(main())"
        ours = [sys.executable, "-c", command, "official", "coco", "--json"]
        ours += ["--ground-truth", paths[0], "--detections", paths[1]]
        commands = {"`dipr1 official coco`": ours}
        if hotcoco_python:
            commands["hotcoco"] = [hotcoco_python, "-c", HOTCOCO, *paths]
        runs = [{name: run(each) for name, each in commands.items()} for _ in range(COMMAND_ROUNDS)]
        megabytes = sum(Path(path).stat().st_size for path in paths) / 1e6
    if hotcoco_python:
        last = runs[-1]
        expected = json.loads(last["hotcoco"][2].splitlines()[-1])
        figures = list(json.loads(last["`dipr1 official coco`"][2]).values())
        np.testing.assert_allclose(figures, expected, atol=1e-9)
    rows = [f"\nCOCO's twelve figures from JSON, {megabytes:.0f} MB, start included:\n"]
    rows += ["| command | elapsed, s | CPU, s |", "|---|---|---|"]
    for name in commands:
        best = [min(one[name][part] for one in runs) for part in (0, 1)]
        rows.append(f"| {name} | {best[0]:.2f} | {best[1]:.2f} |")
    return "\n".join(rows)


def run(command: list[str]) -> tuple[float, float, str]:
    """Elapsed and CPU seconds of a command, and what it printed."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    elapsed, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return elapsed, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, text


def xywh(boxes: np.ndarray) -> list[list[float]]:
    return np.hstack([boxes[:, :2], boxes[:, 2:4] - boxes[:, :2]]).round(2).tolist()


def timed(
    figures: Callable[[Boxes], list], boxes: Boxes, rounds: int = ROUNDS
) -> tuple[float, list]:
    """Seconds of the process, the best of the rounds, and the figures."""
    seconds = []
    for _ in range(rounds):
        start = time.process_time()
        values = figures(boxes)
        seconds.append(time.process_time() - start)
    return min(seconds), values


def warm_up(boxes: Boxes) -> None:
    """Import what is imported on demand, so that no round pays for it."""
    all_figures(boxes), plain_ji(boxes), pycocotools_coco(boxes)


if __name__ == "__main__":
    main()
