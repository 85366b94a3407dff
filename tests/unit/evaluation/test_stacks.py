from __future__ import annotations

import numpy as np

from dipr1.evaluation.stacks import by_score, clip_to_image, order_by_score, rank_in_image, stack

DETECTIONS = [
    np.array([[0.0, 0, 2, 2, 0.1], [0, 0, 3, 3, 0.9], [0, 0, 4, 4, 0.9]]),
    np.empty((0, 5)),
    np.array([[-5.0, 1, 30, 4, 0.5]]),
]


def test_no_boxes():
    empty = stack([np.empty((0, 4))] * 2)
    assert (len(empty), empty.boxes.shape, empty.count(2).tolist()) == (0, (0, 4), [0, 0])
    assert rank_in_image(by_score(empty)).tolist() == []


def test_the_boxes_of_all_images():
    detections = stack(DETECTIONS)
    assert detections.image.tolist() == [0, 0, 0, 2]
    assert detections.score.tolist() == [0.1, 0.9, 0.9, 0.5]
    assert detections.area.tolist() == [4.0, 9.0, 16.0, 105.0]
    assert detections.count(3).tolist() == [3, 0, 1]
    assert stack([np.array([[0, 0, 1, 1]])]).score.tolist() == [0.0]


def test_clipped_to_their_images():
    sizes = np.array([[3, 3], [9, 9], [10, 10]])
    assert stack(DETECTIONS, sizes).boxes[3].tolist() == [0, 1, 10, 4]
    assert clip_to_image(np.array([[9.0, 9, 12, 12]]), sizes[2:]).tolist() == [[9, 9, 10, 10]]


def test_equal_scores_keep_their_order():
    detections = stack(DETECTIONS)
    assert order_by_score(detections).tolist() == [1, 2, 0, 3]
    ranked = by_score(detections)
    assert ranked.area.tolist() == [9.0, 16.0, 4.0, 105.0]
    assert rank_in_image(ranked).tolist() == [0, 1, 2, 0]
