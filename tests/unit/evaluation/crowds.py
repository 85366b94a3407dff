"""Boxes of detections, people and areas to ignore, for all metrics of scored boxes."""

from __future__ import annotations

import numpy as np

NONE = np.empty((0, 4))
NO_DETECTION = np.empty((0, 5))
PERSON = np.array([[0.0, 0.0, 10.0, 10.0]])


def scored(*rows: list[float]) -> np.ndarray:
    return np.array(rows, float).reshape(-1, 5)


def random_set(seed: int, num_images: int = 30) -> tuple[list, list, list]:
    """Detections near and far from people, with equal scores among them, and ignore areas."""
    rng = np.random.default_rng(seed)
    detections, ground_truth, ignore = [], [], []
    for _ in range(num_images):
        corners = rng.uniform(0, 300, (rng.integers(0, 9), 2))
        people = np.hstack([corners, corners + rng.uniform(10, 80, corners.shape)])
        near = people.repeat(2, axis=0) + rng.normal(0, 4, (2 * len(people), 4))
        corners = rng.uniform(0, 300, (rng.integers(0, 6), 2))
        far = np.hstack([corners, corners + rng.uniform(10, 80, corners.shape)])
        boxes = np.vstack([near, far])
        boxes = boxes[(boxes[:, 2:] > boxes[:, :2]).all(axis=1)]
        scores = rng.integers(0, 12, len(boxes)) / 12
        detections.append(np.column_stack([boxes, scores]))
        corners = rng.uniform(0, 250, (rng.integers(0, 3), 2))
        ground_truth.append(people)
        ignore.append(np.hstack([corners, corners + rng.uniform(50, 150, corners.shape)]))
    return detections, ground_truth, ignore
