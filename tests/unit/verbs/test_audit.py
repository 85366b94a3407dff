from __future__ import annotations

import subprocess
import sys

import numpy as np
import polars
import pytest

from dipr1.artifacts.audit import AUDIT
from dipr1.artifacts.audit_images import AUDIT_IMAGES
from dipr1.boxes import iou
from dipr1.cli import main
from tests.unit.sampled_splits import write_annotations, write_samples
from tests.unit.test_auditing import SIDE, A, B, C, D, planted_crowds


def audit(folder, samples: list[list], truth: list, ids: list[str], *more: str):
    """The rows of both artifacts; `samples` are one list of answers per image."""
    images = {
        name: (np.reshape(boxes, (-1, 4)).tolist(), [False] * len(boxes))
        for name, boxes in zip(ids, truth, strict=True)
    }
    annotations = write_annotations(folder / "annotations.parquet", images, SIDE, SIDE)
    rows = [
        (name, turn, np.reshape(answer, (-1, 4)).tolist())
        for name, answers in zip(ids, samples, strict=True)
        for turn, answer in enumerate(answers)
    ]
    shard = write_samples(folder / "0.parquet", rows)
    suspects, ranking = str(folder / "audit.parquet"), str(folder / "images.parquet")
    words = ["audit", shard, "--annotations", annotations, *more]
    assert main([*words, "--output", suspects, "--images-output", ranking]) == 0
    return AUDIT.read(suspects).to_pylist(), AUDIT_IMAGES.read(ranking).to_pylist()


def test_the_suspects_by_hand(tmp_path):
    [unsupported, missing], _ = audit(tmp_path, [[[A, B, D]] * 8], [[A, B, C]], ["x"])
    # Of the three places that are always found two are labelled; of three labels two are found.
    assert missing["kind"] == "missing_label"
    assert unsupported["kind"] == "unsupported_label"
    assert missing["score"] == unsupported["score"] == pytest.approx(2 / 3)
    assert (unsupported["rank"], unsupported["region"]) == (0, 2)
    assert (missing["rank"], missing["region"]) == (1, 3)
    assert missing["box"] == missing["hull"] == missing["suggested_box"] == D
    assert (unsupported["box"], unsupported["suggested_box"]) == (C, None)
    assert (missing["image_id"], missing["image"]) == ("x", "x.png")
    assert (missing["support"], unsupported["support"]) == (1.0, 0.0)


def test_equal_suspects_come_in_order_and_as_many_as_wanted(tmp_path):
    samples, truth = [[[A, B]] * 8] * 3, [[A, B, C]] * 3
    found, _ = audit(tmp_path, samples, truth, ["a", "b", "c"])
    assert [row["image_id"] for row in found] == ["a", "b", "c"]
    assert [row["rank"] for row in found] == [0, 1, 2]
    assert audit(tmp_path, samples, truth, ["a", "b", "c"], "--rows", "2")[0] == found[:2]


def test_images_with_more_to_correct_come_first(tmp_path):
    samples = [[[A, B]] * 8, [[A, B, C, D]] * 8, [[]] * 8, [[A, B, C]] * 4 + [[A, B]] * 4]
    truth = [[A, B, C], [A, B], [], [A, B]]
    _, images = audit(tmp_path, samples, truth, ["a", "b", "c", "d"])
    assert [row["image_id"] for row in images] == ["b", "a", "d", "c"]
    b, a, d, c = images
    assert (b["num_objects"], b["num_phantoms"], b["num_suspects"]) == (2, 2, 2)
    assert (d["num_suspects"], d["max_uncertainty"], d["score"]) == (1, 1.0, 0.0)
    assert a["score"] == pytest.approx((6 / 7) / (1 + 6 / 7))
    assert d["mean_uncertainty"] == pytest.approx((2 * 4 * (8.5 / 9) * (0.5 / 9) + 1) / 3)
    assert (c["num_objects"], c["mean_uncertainty"], c["max_uncertainty"]) == (0, None, None)


# --- planted errors ------------------------------------------------------------------------------


def test_planted_errors_are_ranked_first(tmp_path):
    samples, labels, removed, added = planted_crowds(0, num_images=300, found=0.92)
    audit(tmp_path, samples, labels, [f"{image:03d}" for image in range(300)])

    def is_planted(image_id: str, kind: str, region: int, box: list[float]) -> bool:
        if kind == "missing_label":
            return iou([box], removed[int(image_id)]).max(initial=0.0) >= 0.5
        return kind == "unsupported_label" and region in added[int(image_id)]

    table = polars.read_parquet(tmp_path / "audit.parquet")
    assert table["score"].is_sorted(descending=True)
    columns = (table[name].to_list() for name in ("image_id", "kind", "region", "box"))
    right = np.array([is_planted(*row) for row in zip(*columns, strict=True)])
    num_removed, num_added = sum(map(len, removed)), sum(map(len, added))
    assert right[: num_removed + num_added].mean() >= 0.8
    kinds = table["kind"].to_numpy()
    assert right[kinds == "missing_label"][:num_removed].mean() >= 0.8
    assert right[kinds == "unsupported_label"][:num_added].mean() >= 0.8
    ranked = polars.read_parquet(tmp_path / "images.parquet")["image_id"].to_list()
    faulty = [len(removed[int(name)]) + len(added[int(name)]) for name in ranked]
    assert np.mean(faulty[:30]) > 2 * np.mean(faulty)
    assert len(ranked) == 300


def test_the_cap_and_the_allowed_images(tmp_path, capsys):
    images = {name: ([A, C], [False, False]) for name in ("a", "b", "c")}
    annotations = write_annotations(tmp_path / "annotations.parquet", images, SIDE, SIDE)
    shard = write_samples(tmp_path / "0.parquet", [(n, t, [A]) for n in "ab" for t in range(8)])
    suspects, ranking = tmp_path / "audit.parquet", tmp_path / "images.parquet"
    words = ["audit", shard, "--annotations", annotations, "--allow-missing", "--rows", "1"]
    assert main([*words, "--output", str(suspects), "--images-output", str(ranking)]) == 0
    assert polars.read_parquet(suspects)["image"].to_list() == ["a.png"]
    assert polars.read_parquet(ranking)["image_id"].to_list() == ["a", "b"]
    assert "images in 3 = sampled 2 + without samples 1; " in capsys.readouterr().err


def test_what_cannot_be_read_is_held_against_no_label(tmp_path, capsys):
    images = {name: ([A, C], [False, False]) for name in ("a", "b")}
    annotations = write_annotations(tmp_path / "annotations.parquet", images, SIDE, SIDE)
    rows = [("a", turn, [A, C]) for turn in range(8)]
    rows += [("b", turn, None if turn else [A, C]) for turn in range(8)]
    words = ["audit", write_samples(tmp_path / "0.parquet", rows), "--annotations", annotations]
    words += ["--output", str(tmp_path / "s"), "--images-output", str(tmp_path / "i")]
    assert main(words) == 0
    assert "9 of 16 responses are readable (56.2%)" in capsys.readouterr().err
    assert polars.read_parquet(tmp_path / "i")["image_id"].to_list() == ["a"]
    assert main([*words, "--least-readable", "0.6"]) == 1


def test_no_images(tmp_path):
    assert audit(tmp_path, [], [], []) == ([], [])


def test_regions_are_those_of_the_variance_artifact(tmp_path):
    samples, labels, _, _ = planted_crowds(2, num_images=20, found=0.7)
    suspects, _ = audit(tmp_path, samples, labels, [f"{image:02d}" for image in range(20)])
    words = [str(tmp_path / "0.parquet"), "--annotations", str(tmp_path / "annotations.parquet")]
    assert main(["variance", *words, "--output", str(tmp_path / "variance.parquet")]) == 0
    regions = polars.read_parquet(tmp_path / "variance.parquet").rows_by_key(
        ["image_id", "region"], named=True, unique=True
    )
    assert len(suspects) > 50
    for row in suspects:
        region = regions[row["image_id"], row["region"]]
        for name in ("box", "hull", "support", "uncertainty"):
            assert row[name] == region[name]


def test_the_audit_is_no_part_of_what_training_waits_for():
    loaded = "import sys, dipr1.verbs.variance; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True)
    assert "dipr1.verbs.variance" in done.stdout.split()
    assert "dipr1.auditing" not in done.stdout.split()


@pytest.mark.parametrize("unseen", [0.0, 0.1, 0.5])
def test_suspects_say_about_what_they_are_worth(tmp_path, capsys, unseen):
    """One label in twenty stands where nobody is; `unseen` of the people are in no answer."""
    samples, labels, _, added = planted_crowds(1, num_images=80, found=1.0)
    rng = np.random.default_rng(0)
    for image, (boxes, of_image) in enumerate(zip(labels, added, strict=True)):
        hidden = boxes[: len(boxes) - len(of_image)]
        hidden = hidden[rng.random(len(hidden)) < unseen]
        samples[image] = [
            answer[iou(answer, hidden).max(axis=1, initial=0.0) < 0.5] for answer in samples[image]
        ]
    names = [f"{image:03d}" for image in range(80)]
    suspects, _ = audit(tmp_path, samples, labels, names)
    wrong = [row for row in suspects if row["kind"] == "unsupported_label"][:60]
    said = np.mean([row["error_share"] for row in wrong])
    true = np.mean([row["region"] in added[int(row["image_id"])] for row in wrong])
    # rather less, since the labels' own errors count as none among the planted ones
    assert 0.4 * true <= said <= 1.2 * true
    assert "planted errors: " in capsys.readouterr().err
    without, _ = audit(tmp_path, samples, labels, names, "--planted", "0")
    assert "error_share" not in without[0]
    assert [row["box"] for row in without] == [row["box"] for row in suspects]


def test_suspects_are_held_against_corrected_labels(tmp_path, capsys):
    right = {"a": ([A, B, D], [False] * 3), "c": ([A], [True])}  # of `b` nothing is said
    corrected = write_annotations(tmp_path / "right.parquet", right, SIDE, SIDE)
    samples, truth = [[[A, B, D]] * 8] * 2, [[A, B, C], [A, B, C]]
    rows, _ = audit(tmp_path, samples, truth, ["a", "b"], "--corrected", corrected)
    found = [(row["image_id"], row["confirmed"]) for row in rows]
    assert found == [("a", True), ("a", True), ("b", None), ("b", None)]
    assert "right.parquet: 2 of 2 suspects are errors by its labels" in capsys.readouterr().err


def test_corrected_labels_of_other_images_are_named(tmp_path, capsys):
    other = write_annotations(tmp_path / "other.parquet", {"x": ([A], [False])}, SIDE, SIDE)
    with pytest.raises(AssertionError):
        audit(tmp_path, [[[A]] * 8], [[A]], ["a"], "--corrected", other)
    assert "other.parquet: has none of the images" in capsys.readouterr().err


def test_swapped_labels_are_found_named_and_worth_about_what_is_said(tmp_path, capsys):
    """Of cars, vans and buses, one label in twenty has another's name."""
    samples, labels, _, _ = planted_crowds(3, num_images=200, found=0.9)
    rng = np.random.default_rng(0)
    names = np.array(["bus", "car", "van"])
    right = [rng.choice(3, len(boxes), p=[0.1, 0.6, 0.3]) for boxes in labels]
    wrong = [rng.random(len(boxes)) < 0.05 for boxes in labels]
    given = [
        (one + swap * rng.integers(1, 3, len(one))) % 3
        for one, swap in zip(right, wrong, strict=True)
    ]
    said = []
    for answers, boxes, classes in zip(samples, labels, right, strict=True):
        for answer in answers:
            overlaps = iou(answer, boxes)
            true = np.where(overlaps.max(axis=1) > 0.3, classes[overlaps.argmax(axis=1)], 1)
            # of ten vans three are called cars, and anything else is mistaken one time in twenty
            true = np.where((true == 2) & (rng.random(len(true)) < 0.3), 1, true)
            other = rng.integers(0, 3, len(true))
            said.append(names[np.where(rng.random(len(true)) < 0.05, other, true)].tolist())
    ids = [f"{image:03d}" for image in range(200)]
    images = {
        name: (boxes.tolist(), [False] * len(boxes))
        for name, boxes in zip(ids, labels, strict=True)
    }
    paths = [
        write_annotations(
            tmp_path / f"{file}.parquet", images, SIDE, SIDE, [names[one].tolist() for one in them]
        )
        for file, them in (("given", given), ("right", right))
    ]
    rows = [
        (name, turn, answer.tolist())
        for name, answers in zip(ids, samples, strict=True)
        for turn, answer in enumerate(answers)
    ]
    shard = write_samples(tmp_path / "0.parquet", rows, said)
    output = str(tmp_path / "audit.parquet")
    words = ["audit", shard, "--annotations", paths[0], "--corrected", paths[1]]
    assert main([*words, "--output", output, "--planted", "0.4"]) == 0
    found = [row for row in AUDIT.read(output).to_pylist() if row["kind"] == "swapped_label"]
    num_swapped = sum(int(one.sum()) for one in wrong)
    first = found[: num_swapped // 2]
    assert np.mean([row["confirmed"] for row in first]) >= 0.95
    assert sum(row["confirmed"] for row in found) >= 0.8 * num_swapped
    rights = {
        (name, box): str(names[one])
        for name, boxes, them in zip(ids, labels, right, strict=True)
        for box, one in zip(map(tuple, boxes.astype(np.float32).tolist()), them, strict=True)
    }
    hits = [row["suggested_label"] == rights[row["image_id"], tuple(row["box"])] for row in first]
    assert np.mean(hits) >= 0.95 and all(row["label"] != row["suggested_label"] for row in found)
    # a tenth more are planted: real errors, which count as none there, take a third of the worth
    true, worth = (np.mean([row[name] for row in found]) for name in ("confirmed", "error_share"))
    assert 0.5 * true <= worth <= 1.1 * true
