"""Windows and the merging of views, worked out by hand, and what holds of all of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dipr1.boxes import iou
from dipr1.policies.looking_again import (
    Seen,
    from_window,
    fused,
    grid_windows,
    is_cut,
    lies_inside,
    merge_by_agreement,
    merge_by_ios,
    missed,
    random_windows,
    suppressed,
    windows_of,
)

SIZE = (200, 100)


def people(*rows, view: int = 0) -> Seen:
    """Boxes of people, each with its confidence last."""
    table = np.reshape(rows, (-1, 5)).astype(float)
    return Seen.of(table[:, :4], table[:, 4], labels=["person"] * len(table), view=view)


def rows(seen: Seen) -> list[tuple]:
    """Boxes, confidence, log-likelihood, label and view, in an order of their own."""
    table = zip(
        seen.boxes.round(6).tolist(),
        seen.confidence.round(6).tolist(),
        seen.log_likelihood.round(6).tolist(),
        map(str, seen.labels),
        seen.view.tolist(),
        strict=True,
    )
    return sorted((*box, *others) for box, *others in table)


# --- windows --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("region", "window"),
    [
        # 60 x 40 with a quarter on every side is 90 x 60, more than 80 x 40
        ([100, 30, 160, 70], [85, 20, 175, 80]),
        # 10 x 10 becomes the least share, about the middle
        ([100, 45, 110, 55], [65, 30, 145, 70]),
        # at the left upper corner, shifted inside
        ([0, 0, 10, 10], [0, 0, 80, 40]),
        ([195, 95, 200, 100], [120, 60, 200, 100]),
        # tall: the whole height
        ([100, 10, 110, 90], [65, 0, 145, 100]),
        # reaches out of the image: what lies inside counts
        ([190, 90, 400, 300], [120, 60, 200, 100]),
        # borders between pixels: outwards
        ([100.2, 30.2, 160.2, 70.2], [85, 20, 176, 81]),
    ],
)
def test_a_region_becomes_a_window(region, window):
    assert windows_of([region], SIZE).tolist() == [window]


def test_regions_outside_the_image_and_without_area_have_no_window():
    nan = float("nan")
    outside = [[250, 0, 300, 50], [-90, 0, -10, 50], [10, 10, 10, 60], [60, 10, 10, 60]]
    assert windows_of([*outside, [nan] * 4, [0, 0, float("inf"), 50]], SIZE).shape == (0, 4)
    assert windows_of([], SIZE).shape == (0, 4)


def test_the_whole_image_is_no_window():
    assert len(windows_of([[0, 0, 200, 100]], SIZE)) == 0
    assert len(windows_of([[30, 15, 170, 85]], SIZE)) == 0  # with its margin it is the whole
    assert windows_of([[0, 0, 1, 1]], (1, 1)).shape == (0, 4)


def test_windows_that_are_alike_are_one_and_the_first_stays():
    regions = [[0, 0, 10, 10], [20, 0, 30, 10], [100, 50, 110, 60]]
    # the second window begins at 0 too; the third is elsewhere
    assert windows_of(regions, SIZE).tolist() == [[0, 0, 80, 40], [65, 35, 145, 75]]
    assert windows_of(regions[::-1], SIZE).tolist() == [[65, 35, 145, 75], [0, 0, 80, 40]]


def test_three_hundred_looks_give_at_most_so_many_windows():
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 90, (300, 2))
    regions = np.concatenate([corners, corners + 10], axis=1)
    assert len(windows_of(regions, SIZE)) == 4
    assert len(windows_of(np.repeat(regions[:1], 300, axis=0), SIZE)) == 1


def test_what_was_looked_at_is_not_looked_at_again():
    regions = [[0, 0, 10, 10], [100, 50, 110, 60]]
    seen = windows_of(regions[:1], SIZE)
    assert windows_of(regions, SIZE, seen=seen).tolist() == [[65, 35, 145, 75]]


corner = st.floats(-50, 250)
boxes = st.lists(st.tuples(corner, corner, corner, corner), max_size=12)


@settings(deadline=None)
@given(boxes, st.integers(1, 300), st.integers(1, 300), st.integers(1, 5))
def test_windows_lie_inside_in_whole_pixels(regions, width, height, most):
    windows = windows_of(regions, (width, height), max_regions=most)
    assert len(windows) <= most
    assert (windows == windows.round()).all()
    assert (windows[:, :2] >= 0).all() and (windows[:, 2:] <= (width, height)).all()
    sides = windows[:, 2:] - windows[:, :2]
    assert (sides >= np.floor(np.array([0.4 * width, 0.4 * height]))).all()
    assert (sides >= 1).all() and (sides < (width, height)).any(axis=1).all()
    overlaps = iou(windows, windows)
    np.fill_diagonal(overlaps, 0)
    assert (overlaps <= 0.6).all()


def test_quarters_overlap_a_little():
    assert grid_windows((100, 60)).tolist() == [
        [0, 0, 55, 33], [45, 0, 100, 33], [0, 27, 55, 60], [45, 27, 100, 60],
    ]  # fmt: skip
    assert grid_windows((1, 1)).shape == (0, 4)
    assert grid_windows((1, 9)).tolist() == [[0, 0, 1, 5], [0, 4, 1, 9]]


@settings(deadline=None)
@given(boxes, st.integers(0, 9))
def test_random_windows_have_the_same_sizes_inside(regions, seed):
    windows = windows_of(regions, SIZE)
    drawn = random_windows(windows, SIZE, np.random.default_rng(seed))
    assert (drawn == drawn.round()).all()
    assert (drawn[:, :2] >= 0).all() and (drawn[:, 2:] <= SIZE).all()
    np.testing.assert_array_equal(drawn[:, 2:] - drawn[:, :2], windows[:, 2:] - windows[:, :2])
    np.testing.assert_array_equal(drawn, random_windows(windows, SIZE, np.random.default_rng(seed)))


def test_objects_are_missed_where_no_box_of_their_label_finds_them():
    objects = [[0, 0, 10, 10], [50, 0, 60, 10], [90, 0, 100, 10]]
    names = np.array(["person", "rider", "person"], object)
    found = people([0, 0, 10, 9, 0.5], [50, 0, 60, 10, 0.5])
    left = missed(found.boxes, objects, found.labels, names)
    assert left.tolist() == objects[1:]
    assert missed(np.empty((0, 4)), objects, np.empty(0, object), names).tolist() == objects


# --- views ----------------------------------------------------------------------------------------


def test_boxes_return_from_a_window_as_far_as_it_shows():
    window = np.array([50.0, 20.0, 130.0, 60.0])
    boxes = from_window([[0, 0, 10, 10], [70, 30, 90, 50]], window)
    assert boxes.tolist() == [[50, 20, 60, 30], [120, 50, 130, 60]]


def test_a_border_cuts_only_inside_the_image():
    window = np.array([0.0, 20.0, 100.0, 100.0])  # its left and lower borders are the image's
    cut = is_cut(
        np.array(
            [
                [0, 50, 10, 100],  # at the image's borders only
                [20, 20.5, 40, 60],  # nearly at the upper border
                [20, 21, 40, 60],  # a hundredth of the height is .8
                [90, 50, 100, 60],
                [90, 50, 98.9, 60],
            ]
        ),
        window,
        SIZE,
    )
    assert cut.tolist() == [False, True, False, True, False]


def test_inside_is_what_the_image_shows_of_a_box():
    window = np.array([0.0, 0.0, 80.0, 60.0])
    shown = np.array([[-5, -5, 10, 10], [70, 0, 81, 10], [0, 0, 80, 60], [-9, 0, -2, 9]])
    assert lies_inside(shown, window, SIZE).tolist() == [True, False, True, False]


def test_views_are_merged_by_agreement():
    first = people(
        [10, 10, 30, 50, 0.8],  # confirmed
        [50, 10, 60, 30, 0.6],  # denied
        [70, 10, 100, 50, 0.7],  # only partly inside
        [150, 10, 160, 30, 0.9],  # elsewhere
    )
    window = np.array([[0.0, 0.0, 80.0, 60.0]])
    crop = people(
        [10, 10, 30, 48, 0.5],  # confirms
        [35, 10, 45, 30, 0.4],  # new
        [70, 40, 80, 60, 0.99],  # cut at the right and below
        view=1,
    )
    merged = merge_by_agreement(first, [crop], window, SIZE)
    kept = people([50, 10, 60, 30, 0.3], [70, 10, 100, 50, 0.7], [150, 10, 160, 30, 0.9])
    entered = people([10, 10, 30, 48, 0.65], [35, 10, 45, 30, 0.4], view=1)
    assert rows(merged) == sorted(rows(kept) + rows(entered))


def test_log_likelihood_changes_with_the_score():
    seen = Seen.of([[0, 0, 1, 1]] * 3, [0.5, 0.9, 0.0], [-1.0, -0.05, -80.0])
    raised = seen.scaled(1.3)
    np.testing.assert_allclose(raised.confidence, [0.65, 1.0, 0.0])
    expected = [-1 + np.log(1.3), 0.0, -80 + np.log(1.3)]
    np.testing.assert_allclose(raised.log_likelihood, expected)


def test_one_window_that_confirms_outweighs_one_that_denies():
    first = people([40, 10, 60, 50, 0.8])
    windows = np.array([[0, 0, 80, 60], [20, 0, 100, 60]], float)
    confirms, denies = people([40, 10, 60, 50, 0.5], view=1), people(view=2)
    merged = merge_by_agreement(first, [confirms, denies], windows, SIZE)
    assert rows(merged) == rows(people([40, 10, 60, 50, 0.65], view=1))
    twice_denied = merge_by_agreement(first, [denies, denies], windows, SIZE)
    assert twice_denied.confidence.tolist() == [0.4]


def test_labels_do_not_meet():
    first, crop = people([10, 10, 30, 50, 0.8]), people([10, 10, 30, 50, 0.6], view=1)
    crop.labels[:] = "rider"
    merged = merge_by_agreement(first, [crop], np.array([[0.0, 0.0, 80.0, 60.0]]), SIZE)
    assert merged.confidence.tolist() == [0.4, 0.6]
    assert len(merge_by_ios(first, [crop])) == 2


def test_a_view_without_boxes_denies_what_it_shows():
    first = people([10, 10, 30, 50, 0.8], [150, 10, 160, 30, 0.9])
    merged = merge_by_agreement(first, [people()], np.array([[0.0, 0.0, 80.0, 60.0]]), SIZE)
    assert merged.confidence.tolist() == [0.4, 0.9]
    assert len(merge_by_agreement(people(), [people()], np.array([[0, 0, 80.0, 60]]), SIZE)) == 0


def test_the_lower_score_is_suppressed():
    seen = people([0, 0, 10, 10, 0.5], [0, 0, 10, 9, 0.6], [0, 0, 10, 5, 0.9])
    # IoU of the first two .9; of the second and third 5/9 = .556; of the first and third .5
    assert sorted(suppressed(seen, 0.55).confidence.tolist()) == [0.5, 0.9]


def test_sahi_merges_what_shares_half_of_the_smaller_box():
    first = people([0, 0, 20, 40, 0.5], [100, 0, 120, 40, 0.9])
    crop = people([0, 20, 20, 40, 0.8], [15, 0, 35, 40, 0.3], view=1)  # the lower half; a neighbour
    merged = merge_by_ios(first, [crop])
    assert rows(merged) == sorted(
        rows(people([100, 0, 120, 40, 0.9]))
        + rows(people([0, 0, 20, 40, 0.8], [15, 0, 35, 40, 0.3], view=1))
    )
    assert len(merge_by_ios(people(), [])) == 0


def test_answers_are_fused_where_they_agree():
    views = [people([0, 0, 10, 20, 0.8]), people([0, 0, 10, 22, 0.6], [50, 0, 60, 20, 0.5])]
    seen = fused([*views, people(), people()])
    assert seen.boxes.tolist() == [[0, 0, 10, 21], [50, 0, 60, 20]]
    np.testing.assert_allclose(seen.confidence, [0.5 * 0.7, 0.25 * 0.5])
    mean = (np.log(0.8) + np.log(0.6)) / 2
    np.testing.assert_allclose(seen.log_likelihood, np.log([0.5, 0.125]) + [mean, 0])
    assert len(fused([people()])) == 0


scored = st.lists(
    st.tuples(corner, corner, st.floats(1, 90), st.floats(1, 90), st.floats(0.01, 1)), max_size=6
).map(lambda given: people(*[(x, y, x + w, y + h, score) for x, y, w, h, score in given]))


@settings(deadline=None)
@given(scored)
def test_without_windows_the_first_view_stays(first):
    assert merge_by_agreement(first, [], np.empty((0, 4)), SIZE) is first


@settings(deadline=None)
@given(scored, boxes, st.data())
def test_the_order_of_the_windows_does_not_matter(first, regions, data):
    windows = windows_of(regions, SIZE)
    crops = [data.draw(scored) for _ in windows]
    merged = merge_by_agreement(first, crops, windows, SIZE)
    assert merged.confidence.max(initial=0) <= 1 and merged.log_likelihood.max(initial=0) <= 0
    overlaps = iou(merged.boxes, merged.boxes)
    np.fill_diagonal(overlaps, 0)
    assert not len(windows) or (overlaps <= 0.55).all()
    backwards = merge_by_agreement(first, crops[::-1], windows[::-1], SIZE)
    assert rows(merged) == rows(backwards)


@settings(deadline=None)
@given(scored, boxes)
def test_what_no_window_shows_is_as_it_was(first, regions):
    windows = windows_of(regions, SIZE)
    far = ~np.any([lies_inside(first.boxes, w, SIZE) for w in windows] or [np.zeros(len(first))], 0)
    merged = merge_by_agreement(first, [people()] * len(windows), windows, SIZE)
    if len(windows):
        assert {*rows(merged)} <= {*rows(first.take(far)), *rows(first.take(~far).scaled(0.5))}
