"""Built-in scenes: reproducible, what was asked for, and with boxes that fit what is drawn."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dipr1.demo.drawing import Canvas, Dice, draw_person
from dipr1.demo.scenes import STYLES, Scene, _draw_things, _Placed, scene, write_scenes

GREY = (128, 128, 128)


@pytest.fixture(scope="module")
def street() -> list[Scene]:
    return [scene(index, seed=5, style="street") for index in range(300)]


@pytest.fixture(scope="module")
def square() -> list[Scene]:
    return [scene(index, seed=5) for index in range(200)]


def as_bytes(drawn: Scene) -> tuple[bytes, ...]:
    arrays = (drawn.boxes, drawn.visibility, drawn.ignore_boxes)
    return (drawn.image.tobytes(), *(array.tobytes() for array in arrays))


@pytest.mark.parametrize("style", STYLES)
def test_same_arguments_give_the_same_bytes_in_any_order(style):
    forwards = [as_bytes(scene(index, seed=3, style=style)) for index in (0, 1, 2)]
    backwards = [as_bytes(scene(index, seed=3, style=style)) for index in (2, 1, 0)]
    assert forwards == backwards[::-1]


def test_every_argument_changes_the_scene():
    arguments = {"index": 4, "seed": 3, "style": "street", "crowding": 1.0, "occlusion": 1.0}
    other = {"index": 5, "seed": 4, "style": "night", "crowding": 3.0, "occlusion": 3.0}
    plain = as_bytes(scene(**arguments))
    for name, value in other.items():
        assert as_bytes(scene(**arguments | {name: value})) != plain, name


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("size", [(192, 144), (97, 75), (640, 600)])
def test_boxes_lie_in_the_image_and_have_an_area(style, size):
    for index in range(15):
        drawn = scene(index, seed=1, style=style, width=size[0], height=size[1])
        assert drawn.image.size == size
        assert drawn.image.mode == "RGB"
        assert drawn.visibility.shape == (len(drawn.boxes),)
        for boxes in (drawn.boxes, drawn.ignore_boxes):
            assert boxes.dtype == np.float32
            assert boxes.shape[1:] == (4,)
            assert (boxes[:, :2] >= 0).all()
            assert (boxes[:, 2:] <= size).all()
            assert (boxes[:, 2:] > boxes[:, :2]).all()


def test_a_street_is_as_crowded_as_described(street):
    counts = np.array([len(drawn.boxes) for drawn in street])
    visibility = np.concatenate([drawn.visibility for drawn in street])
    boxes = np.concatenate([drawn.boxes for drawn in street])
    assert 0.02 < (counts == 0).mean() < 0.10
    assert 4.0 < counts.mean() < 5.0
    assert counts.max() <= 9
    assert visibility.min() >= 0.2 and visibility.max() <= 1.0
    assert 0.3 < (visibility < 0.95).mean() < 0.6
    assert (boxes[:, 3] - boxes[:, 1]).max() <= 118
    assert 0.1 < np.mean([len(drawn.ignore_boxes) for drawn in street]) < 0.35


def heights(scenes: list[Scene]) -> np.ndarray:
    """Of the people, where pictures are 128 high, as the tiny policy sees them."""
    shares = [(d.boxes[:, 3] - d.boxes[:, 1]) / d.image.size[1] for d in scenes]
    return 128 * np.concatenate(shares)


def hidden(scenes: list[Scene]) -> float:
    """The share of people of whom 40 % or more is hidden."""
    return (np.concatenate([drawn.visibility for drawn in scenes]) < 0.6).mean()


def brightness(scenes: list[Scene]) -> float:
    return np.mean([np.asarray(drawn.image).mean() for drawn in scenes])


def test_a_square_holds_more_and_smaller_people_on_a_larger_picture(street, square):
    counts = np.array([len(drawn.boxes) for drawn in square])
    assert {drawn.image.size for drawn in square} == {(384, 288)}
    assert 8.0 < counts.mean() < 9.5
    assert 12 < counts.max() <= 16
    assert 30 < np.median(heights(square)) < 37
    assert np.median(heights(street)) > 55
    assert heights(square).min() > 3 and heights(square).max() < 66


def test_each_shift_is_what_it_says(square):
    shifted = {
        style: [scene(index, seed=5, style=style) for index in range(60)]
        for style in ("night", "far", "dusk")
    }
    assert brightness(shifted["night"]) < 0.7 * brightness(square)
    assert brightness(shifted["dusk"]) < 0.8 * brightness(square)
    assert np.median(heights(shifted["far"])) < 0.75 * np.median(heights(square))


@pytest.mark.parametrize("style", ["street", "square"])
def test_crowding_brings_people_together(style):
    loose, usual, tight = (
        [scene(index, seed=5, style=style, crowding=crowding) for index in range(60)]
        for crowding in (0.3, 1.0, 3.0)
    )
    assert hidden(tight) > hidden(usual) > hidden(loose)


def test_twice_the_occlusion_hides_about_twice_as_many(square):
    occluded = [scene(index, seed=5, occlusion=2.0) for index in range(200)]
    assert 1.6 < hidden(occluded) / hidden(square) < 2.4


def drawn_alone(dice: Dice, person: _Placed) -> np.ndarray:
    """(H, W) bool: the canvas pixels of a person with nobody in front."""
    canvas = Canvas(200, 200, GREY)
    canvas.owner = 1
    look = STYLES["street"]
    draw_person(
        canvas, dice, look.clothes, look.trousers,
        x=person.x, foot=person.foot, height=person.height, light=1,
    )  # fmt: skip
    dice.roll()  # the one that decides on an umbrella
    return np.asarray(canvas.image.getchannel("X")) == 1


@pytest.mark.parametrize("distance", [0.0, 15.0, 30.0, 90.0])
def test_visibility_is_the_share_that_the_nearer_person_leaves(distance):
    far, near = _Placed(foot=150, x=60, height=100), _Placed(foot=170, x=60 + distance, height=120)
    dice = Dice(np.random.default_rng(0))
    far_pixels, near_pixels = drawn_alone(dice, far), drawn_alone(dice, near)
    expected = 1 - (far_pixels & near_pixels).sum() / far_pixels.sum()

    canvas = Canvas(200, 200, GREY)
    dice = Dice(np.random.default_rng(0))
    boxes, visibility, hidden = _draw_things(canvas, dice, STYLES["street"], [far, near], 1)

    assert visibility[-1] == 1.0
    if expected < 0.2:
        assert len(boxes) == 1 and len(hidden) == 1
    else:
        assert visibility[0] == pytest.approx(expected, abs=1e-6)
    if distance == 90.0:
        assert visibility.tolist() == [1.0, 1.0]
    ys, xs = near_pixels.nonzero()
    full_body = np.array([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]) / 2
    np.testing.assert_array_equal(boxes[-1], full_body)


def test_a_hidden_person_keeps_the_full_body_box():
    far, near = _Placed(foot=150, x=60, height=100), _Placed(foot=170, x=75, height=120)
    pixels = drawn_alone(Dice(np.random.default_rng(0)), far)
    ys, xs = pixels.nonzero()
    canvas, dice = Canvas(200, 200, GREY), Dice(np.random.default_rng(0))
    boxes, visibility, _ = _draw_things(canvas, dice, STYLES["street"], [far, near], 1)
    assert visibility[0] < 0.9
    full_body = np.array([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]) / 2
    np.testing.assert_array_equal(boxes[0], full_body)


def test_a_thing_in_front_hides_a_person():
    person, car = _Placed(foot=150, x=100, height=100), _Placed(160, 100, 80, prop="car")
    canvas, dice = Canvas(200, 200, GREY), Dice(np.random.default_rng(0))
    _, visibility, hidden = _draw_things(canvas, dice, STYLES["street"], [person, car], 1)
    assert len(hidden) == 1 or visibility[0] < 0.8


def test_written_scenes_are_coco_and_the_same_each_time(tmp_path: Path):
    done = []
    for name in ("a", "b"):
        write_scenes(tmp_path / name, num_images=12, seed=2, on_progress=done.append)
    assert done == [*range(1, 13)] * 2
    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*.*"))
    assert [file.suffix for file in files] == ["", ".json", *[".jpg"] * 12]
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()

    document = json.loads((tmp_path / "a" / "annotations.json").read_text())
    assert document["categories"] == [{"id": 1, "name": "person"}]
    for index, image in enumerate(document["images"]):
        drawn = scene(index, seed=2)
        records = [a for a in document["annotations"] if a["image_id"] == image["id"]]
        boxes = np.array([a["bbox"] for a in records], np.float32).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        expected = np.concatenate([drawn.boxes, drawn.ignore_boxes])
        np.testing.assert_allclose(boxes, expected, atol=1e-4)
        crowd = [a["iscrowd"] for a in records]
        assert crowd == [0] * len(drawn.boxes) + [1] * len(drawn.ignore_boxes)
        assert all(("visibility" in a) == (not a["iscrowd"]) for a in records)
        with Image.open(tmp_path / "a" / "images" / image["file_name"]) as written:
            assert written.size == (image["width"], image["height"]) == (384, 288)


def test_a_broken_off_writing_leaves_nothing(tmp_path: Path):
    def stop(done: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_scenes(tmp_path / "a", num_images=5, seed=2, on_progress=stop)
    assert list(tmp_path.iterdir()) == []


def test_errors_are_planted_in_the_labels_alone(tmp_path):
    write_scenes(tmp_path / "right", num_images=20, seed=2)
    write_scenes(tmp_path / "wrong", num_images=20, seed=2, wrong_labels=0.15)
    for file in (tmp_path / "right" / "images").iterdir():
        assert file.read_bytes() == (tmp_path / "wrong" / "images" / file.name).read_bytes()
    right, wrong = (
        json.loads((tmp_path / name / "annotations.json").read_text())["annotations"]
        for name in ("right", "wrong")
    )
    assert [one["id"] for one in wrong] == [*range(1, len(right) + 1)]
    assert [one["image_id"] for one in wrong] == sorted(one["image_id"] for one in wrong)
    people = sum(not one["iscrowd"] for one in right)
    each = int(0.15 * people / 3)
    kept = [_without_id(one) for one in right if _without_id(one) in map(_without_id, wrong)]
    assert len(right) - len(kept) == 2 * each and each > 3
    assert [one for one in kept if one["iscrowd"]] == [
        _without_id(one) for one in right if one["iscrowd"]
    ]
    assert sum(not one["iscrowd"] and "visibility" not in one for one in wrong) == each
    for one in wrong:
        x, y, width, height = one["bbox"]
        assert min(x, y) >= 0 and min(width, height) > 0
        assert x + width <= 384 + 1e-3 and y + height <= 288 + 1e-3


def _without_id(record: dict) -> dict:
    return {name: value for name, value in record.items() if name != "id"}
