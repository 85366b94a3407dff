"""Bounds of the pixels that a policy is shown."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from dipr1.artifacts.made import Made
from dipr1.artifacts.prompts import PROMPTS, window_row
from dipr1.cli import main
from dipr1.errors import UserError
from dipr1.frames import Bounds, policy_frame, window_frame
from dipr1.policies.bounding import bounded_settings, check_bounds
from dipr1.policies.families import FAMILIES, read_policy_frames
from dipr1.policies.load import image_source, load_image, load_processor
from tests.unit.miniatures import make_miniature
from tests.unit.two_images import prompts

# of the miniatures, whose own bounds are 784 to 15680 pixels, for Qwen3-VL 1024 to 20480, and for
# InternVL four tiles of 56 x 56 with one of the whole image
BOUNDS = Bounds(4 * 56 * 56, 6 * 56 * 56)
SIZES = [(640, 480), (333, 517), (97, 400), (28, 28)]


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, str]:
    pytest.importorskip("torchvision")
    root = tmp_path_factory.mktemp("families")
    return {family: str(make_miniature(family, root / family)) for family in FAMILIES}


def pixels_seen(processor, image: Image.Image) -> int:
    seen = processor.image_processor(images=[image], return_tensors="pt")
    if "image_grid_thw" in seen:
        patch = processor.image_processor.patch_size
        return int(seen["image_grid_thw"].prod()) * patch**2
    seen = processor.image_processor(images=[image], crop_to_patches=True, return_tensors="pt")
    return seen["pixel_values"].numel() // 3


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_keeps_to_bounds(folders, family):
    own, bounded = load_processor(folders[family]), load_processor(folders[family], BOUNDS)
    for size in SIZES:
        image = Image.new("RGB", size)
        assert pixels_seen(bounded, image) <= BOUNDS.max_pixels
        # the narrow strip cannot have both its shape and tiles of one size
        assert pixels_seen(bounded, image) >= 0.5 * BOUNDS.min_pixels
    large = Image.new("RGB", (640, 480))
    smaller = load_processor(folders[family], Bounds(max_pixels=2 * 56 * 56))
    assert pixels_seen(smaller, large) < pixels_seen(own, large)


@pytest.mark.parametrize("family", FAMILIES)
def test_without_bounds_nothing_changes(folders, family):
    assert bounded_settings(load_processor(folders[family]), Bounds()) == {}
    assert read_policy_frames(folders[family], bounds=Bounds()) == read_policy_frames(
        folders[family]
    )


def test_frames_and_the_processor_agree_under_bounds(folders):
    """And an image that was brought into its frame is left alone by the processor."""
    processor = load_processor(folders["qwen2_5_vl"], BOUNDS)
    frames = read_policy_frames(folders["qwen2_5_vl"], bounds=BOUNDS)
    for size in SIZES:
        frame = policy_frame(frames, *size)
        shown = Image.new("RGB", (frame.model_width, frame.model_height))
        area = frame.model_width * frame.model_height
        assert pixels_seen(processor, shown) == area
        assert pixels_seen(processor, Image.new("RGB", size)) == pytest.approx(area, rel=0.15)


def test_a_window_keeps_its_detail_and_costs_what_the_bound_says(folders, tmp_path):
    """A window as small as the bound is shown pixel by pixel, however large the picture is."""
    bounds = Bounds(max_pixels=112 * 112)
    frames = read_policy_frames(folders["qwen2_5_vl"], bounds=bounds)
    greys = np.random.default_rng(0).integers(0, 256, (448, 448), np.uint8)
    path = str(tmp_path / "a.png")
    Image.fromarray(greys).save(path)
    frame = policy_frame(frames, 448, 448)
    assert (frame.model_width, frame.model_height) == (112, 112)
    assert window_frame(frames, 112, 112, 112 * 112).model_width == 112
    row = prompts().slice(0, 1).to_pylist()[0] | {"image": path, "width": 448, "height": 448}
    row |= {"frame_width": 112.0, "frame_height": 112.0}
    window = window_row(row, [56, 112, 168, 224], frames)
    shown = np.asarray(load_image(*image_source(window)))[..., 0]
    np.testing.assert_array_equal(shown, greys[112:224, 56:168])


@pytest.mark.parametrize(
    ("family", "bounds", "told"),
    [
        ("qwen2_5_vl", Bounds(max_pixels=700), "max_pixels 700: 784 pixels at least and 700 "),
        (
            "qwen2_5_vl",
            Bounds(min_pixels=16000),
            "min_pixels 16000: 16000 pixels at least and 15680",
        ),
        ("internvl", Bounds(max_pixels=3000), "sees 3136 pixels at least, one tile, but 3000"),
        ("internvl", Bounds(min_pixels=20 * 3136), "asks for 19 tiles, but there are 4"),
    ],
)
def test_bounds_that_cannot_be_kept(folders, family, bounds, told):
    with pytest.raises(UserError, match=told):
        load_processor(folders[family], bounds)


def test_a_policy_with_one_size_has_no_bounds():
    with pytest.raises(
        UserError, match="max_pixels 5000: the policy sees every image at 128 x 128"
    ):
        read_policy_frames("tiny", bounds=Bounds(max_pixels=5000))


def test_a_processor_of_another_kind_is_told():
    class Other:
        size = {"height": 2, "width": 2}

    class Processor:
        image_processor = Other()

    with pytest.raises(UserError, match="max_pixels 5: how Other bounds images is not known"):
        bounded_settings(Processor(), Bounds(max_pixels=5))


def test_prompts_of_other_bounds_are_refused(tmp_path, capsys):
    """In every verb that reads them; in prompts of another tool nothing is said of them."""
    bounded, own, foreign = (tmp_path / f"{name}.parquet" for name in ("bounded", "own", "foreign"))
    PROMPTS.write(prompts(), bounded, Made(options={"max_pixels": 5000}))
    PROMPTS.write(prompts(), own, Made(options={}))
    pa.parquet.write_table(prompts(), foreign)
    check_bounds(Bounds(max_pixels=5000), bounded, foreign, None)
    check_bounds(Bounds(), own, foreign)
    told = (
        "bounded.parquet: was made for max_pixels 5000, but the policy has the checkpoint's own b"
    )
    with pytest.raises(UserError, match=told):
        check_bounds(Bounds(), bounded)
    with pytest.raises(
        UserError, match="own b.* but the policy has min_pixels 9 and max_pixels 10"
    ):
        check_bounds(Bounds(9, 10), own)
    output = ("--output", tmp_path / "out.parquet")
    for words in (
        ("sample", bounded, *output),
        ("predict", bounded, *output),
        ("crop", bounded, "--variance", own, *output),
        (
            "train",
            "--arm",
            "a",
            "--method",
            "sft",
            "--prompts",
            bounded,
            "--output",
            tmp_path / "p",
        ),
    ):
        assert main([str(word) for word in words]) == 1
        assert told in capsys.readouterr().err.splitlines()[-1]
