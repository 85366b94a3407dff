"""The frame of each family is read from its checkpoint, and is that of the real processors.

Processors are built from their classes with the bounds of the published checkpoints (nothing is
downloaded), saved, and read back the way a checkpoint folder is.
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dipr1.errors import UserError
from dipr1.frames import MIN_PIXELS, Frame, PolicyFrames, policy_frame, smart_resize
from dipr1.policies.families import FAMILIES, read_policy_frames
from dipr1.policies.load import load_image

transformers = pytest.importorskip("transformers")
torch = pytest.importorskip("torch")

PATCH = 14
# min_pixels, max_pixels: of the published Qwen2(.5)-VL checkpoints; of the model cards' example
# for less memory; and so low that nearly everything shrinks
BOUNDS = [(3136, 12_845_056), (256 * 28 * 28, 1280 * 28 * 28), (56 * 56, 20 * 28 * 28)]


# --- what a checkpoint says -----------------------------------------------------------------------


def written(folder: Path, config: dict, **files: dict) -> str:
    """A checkpoint folder of JSON files alone."""
    (folder / "config.json").write_text(json.dumps(config))
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    return str(folder)


def test_tiny_has_the_same_square_for_every_image():
    for size in ((192, 144), (31, 4000)):
        frame = policy_frame(read_policy_frames("tiny"), *size)
        assert (frame.kind, frame.model_width, frame.model_height) == ("absolute", 128, 128)
        assert frame.fixed


def test_a_declared_frame_wins_over_the_family(tmp_path):
    config = {"model_type": "qwen3_vl", "dipr1_frame": {"width": 96, "height": 64}}
    policy = read_policy_frames(written(tmp_path, config))
    assert policy == PolicyFrames("absolute", fixed=(96, 64))


@pytest.mark.parametrize("model_type", ["qwen2_vl", "qwen3_vl", "qwen3_vl_moe", "internvl"])
def test_thousandths_families(tmp_path, model_type):
    policy = read_policy_frames(written(tmp_path, {"model_type": model_type}))
    frame = policy_frame(policy, 640, 480)
    assert (frame.kind, frame.model_width, frame.model_height) == ("thousandths", 1000, 1000)


@pytest.mark.parametrize(
    ("model_type", "frame", "kind"),
    [
        ("qwen2_vl", "absolute", "absolute"),
        ("qwen2_5_vl", "thousandths", "thousandths"),
        ("llava", "thousandths", "thousandths"),
        ("qwen2_5_vl", None, "absolute"),
    ],
)
def test_a_fine_tune_s_frame_wins_over_its_family_s(tmp_path, model_type, frame, kind):
    folder = written(tmp_path, {"model_type": model_type}, preprocessor_config=PIXELS)
    policy = read_policy_frames(folder, frame)
    assert policy.kind == kind
    assert policy.min_pixels == (256 * 28 * 28 if kind == "absolute" else MIN_PIXELS)


def test_a_fine_tune_s_frame_wins_over_a_declared_one():
    assert read_policy_frames("tiny", "absolute").fixed == (128, 128)
    assert read_policy_frames("tiny", "thousandths").kind == "thousandths"


def test_pixels_of_an_unknown_resize_are_refused(tmp_path):
    folder = written(tmp_path, {"model_type": "internvl"})
    with pytest.raises(UserError, match="'internvl' resizes .* --frame can only be thousandths"):
        read_policy_frames(folder, "absolute")


@pytest.mark.parametrize("model_type", ["qwen2_vl", "qwen2_5_vl", "qwen3_vl", "internvl"])
def test_the_processor_of_qwen_refuses_long_images(tmp_path, model_type):
    """In thousandths too, although no resize is computed; GOT-OCR's, of InternVL, does not."""
    policy = read_policy_frames(written(tmp_path, {"model_type": model_type}))
    assert policy_frame(policy, 2000, 10).width == 2000
    if model_type == "internvl":
        assert policy_frame(policy, 2010, 10).width == 2010
    else:
        with pytest.raises(ValueError, match="at most 200 times but got 2010 x 10"):
            policy_frame(policy, 2010, 10)


PIXELS = {"min_pixels": 256 * 28 * 28, "max_pixels": 512 * 28 * 28}
EDGES = {"size": {"shortest_edge": 256 * 28 * 28, "longest_edge": 512 * 28 * 28}}
BOTH = {"size": {"shortest_edge": 1, "longest_edge": 2}} | PIXELS


@pytest.mark.parametrize("settings", [PIXELS, EDGES, BOTH])
@pytest.mark.parametrize("nested", [False, True])
def test_both_spellings_of_the_pixel_bounds(tmp_path, settings, nested):
    settings = settings | {"patch_size": 14, "merge_size": 2}
    files = (
        {"processor_config": {"image_processor": settings}}
        if nested
        else {"preprocessor_config": settings}
    )
    policy = read_policy_frames(written(tmp_path, {"model_type": "qwen2_5_vl"}, **files))
    assert policy == PolicyFrames("absolute", None, 28, 256 * 28 * 28, 512 * 28 * 28)
    frame = policy_frame(policy, 1920, 1080)
    assert (frame.model_width, frame.model_height) == (840, 448)


def test_a_processor_saved_by_transformers_is_read(tmp_path):
    processor = transformers.Qwen2VLImageProcessor(patch_size=16, min_pixels=4096, max_pixels=65536)
    processor.save_pretrained(tmp_path)
    policy = read_policy_frames(written(tmp_path, {"model_type": "qwen2_5_vl"}))
    assert policy == PolicyFrames("absolute", None, 32, 4096, 65536)
    image = np.zeros((100, 300, 3), np.uint8)
    _, rows, columns = processor(images=image, return_tensors="np")["image_grid_thw"][0]
    frame = policy_frame(policy, 300, 100)
    assert (frame.model_width, frame.model_height) == (columns * 16, rows * 16)


def test_defaults_are_those_of_the_processor_class(tmp_path):
    processor = transformers.Qwen2VLImageProcessor()
    policy = read_policy_frames(written(tmp_path, {"model_type": "qwen2_5_vl"}))
    assert policy.factor == processor.patch_size * processor.merge_size
    assert policy.min_pixels == processor.size["shortest_edge"]
    assert policy.max_pixels == processor.size["longest_edge"]


def test_an_unknown_family_is_named_with_the_known_ones(tmp_path):
    folder = written(tmp_path, {"model_type": "llava"})
    with pytest.raises(UserError, match="'llava'; known families: " + ", ".join(FAMILIES)):
        read_policy_frames(folder)


def test_a_form_that_transformers_does_not_load_is_told(tmp_path):
    folder = written(tmp_path, {"model_type": "internvl_chat"})
    with pytest.raises(UserError, match="'internvl_chat' needs code of its own.* -HF at the end"):
        read_policy_frames(folder)


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match="no such file; --policy takes `tiny` or the folder"):
        read_policy_frames(str(tmp_path / "missing"))


@pytest.mark.parametrize("text", ["{", "[]"])
def test_a_config_that_is_no_json_object(tmp_path, text):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(UserError, match="config.json: "):
        read_policy_frames(str(tmp_path))


# --- what the processors make ---------------------------------------------------------------------


def random_sizes(count: int, largest_area: int, seed: int = 0) -> list[tuple[int, int]]:
    """Widths and heights from 4 to 4000 pixels, up to the aspect ratio that is still accepted."""
    rng = np.random.default_rng(seed)
    sizes = [(200 * 12, 12), (12, 200 * 12), (1, 200), (28, 28), (27, 29), (4, 4)]
    while len(sizes) < count:
        width, height = np.exp(rng.uniform(np.log(4), np.log(4000), 2)).astype(int).tolist()
        if width * height <= largest_area and max(width, height) <= 200 * min(width, height):
            sizes.append((width, height))
    return sizes


def checkpoint(folder: Path, model_type: str, processor, kind=None) -> PolicyFrames:
    processor.save_pretrained(folder)
    (folder / "config.json").write_text(json.dumps({"model_type": model_type}))
    return read_policy_frames(str(folder), kind)


def processed(processor, image: Image.Image) -> tuple[torch.Tensor, tuple[int, int]]:
    """The processor's patches and the (width, height) in pixels that they make up."""
    inputs = processor(images=[image], return_tensors="pt")
    _, down, across = inputs["image_grid_thw"][0].tolist()
    patch = processor.patch_size
    return inputs["pixel_values"], (across * patch, down * patch)


@pytest.mark.parametrize("kind", [None, "absolute"])  # of Qwen2.5-VL; of a fine-tune of Qwen2-VL
@pytest.mark.parametrize("bounds", BOUNDS)
def test_the_frame_is_the_size_that_the_processor_makes(tmp_path, kind, bounds):
    least, most = bounds
    processor = transformers.Qwen2VLImageProcessor(
        size={"shortest_edge": least, "longest_edge": most}
    )
    policy = checkpoint(tmp_path, "qwen2_vl" if kind else "qwen2_5_vl", processor, kind)
    count = 200 if kind is None and bounds == BOUNDS[2] else 30
    for width, height in random_sizes(count, largest_area=60_000):
        frame = policy_frame(policy, width, height)
        size = (frame.model_width, frame.model_height)
        # what training and sampling hand over is resized already: the processor leaves it alone
        assert processed(processor, Image.new("RGB", size))[1] == size
        if not is_strip(width, height, most):
            assert processed(processor, Image.new("RGB", (width, height)))[1] == size


def is_strip(width: int, height: int, most: int, factor: int = 2 * PATCH) -> bool:
    """Whether an image is so long that its short side, one `factor` high, is too many pixels."""
    return max(width, height) / min(width, height) * factor**2 > most


@pytest.mark.parametrize("bounds", BOUNDS)
@pytest.mark.parametrize("factor", [28, 32])
def test_the_processor_leaves_every_frame_alone(bounds, factor):
    """The processor's own function, on 2000 sizes that would take long to resize."""
    from transformers.models.qwen2_vl.image_processing_qwen2_vl import smart_resize as reference

    num_strips = 0
    policy = PolicyFrames("absolute", None, factor, *bounds)
    for width, height in random_sizes(2000, largest_area=10**8, seed=1):
        frame = policy_frame(policy, width, height)
        size = (frame.model_height, frame.model_width)
        assert reference(*size, factor, *bounds) == size
        once = reference(height, width, factor, *bounds)
        assert smart_resize(height, width, factor, *bounds) == once
        if once != size:
            num_strips += 1
            assert is_strip(width, height, bounds[1], factor)
    assert bool(num_strips) == (bounds == BOUNDS[2])


def test_bounds_that_leave_no_size_are_told():
    policy = PolicyFrames("absolute", None, 28, 15_000, 15_600)
    with pytest.raises(ValueError, match="no size that the processor leaves alone has 15000 to"):
        policy_frame(policy, 2400, 12)


def test_qwen2_5_vl_with_the_shipped_templates_patch(tmp_path):
    """Patches of another size, as the tiny policy's, come from the checkpoint's own files."""
    processor = transformers.Qwen2VLImageProcessor(
        patch_size=8, merge_size=2, size={"shortest_edge": 64 * 64, "longest_edge": 256 * 256}
    )
    policy = checkpoint(tmp_path, "qwen2_5_vl", processor)
    for width, height in random_sizes(50, largest_area=60_000):
        frame = policy_frame(policy, width, height)
        size = processed(processor, Image.new("RGB", (width, height)))[1]
        assert size == (frame.model_width, frame.model_height)


def test_the_tiny_policys_processor_leaves_its_frame_alone(root):
    folder = root / "dipr1" / "demo" / "checkpoint"
    processor = transformers.AutoImageProcessor.from_pretrained(folder)
    policy = read_policy_frames("tiny")
    for width, height in random_sizes(20, largest_area=60_000):
        frame = policy_frame(policy, width, height)
        size = (frame.model_width, frame.model_height)
        assert processed(processor, Image.new("RGB", size))[1] == size


def frames_of_all_families(tmp_path: Path) -> list[PolicyFrames]:
    thousandths = []
    for model_type in ("qwen3_vl", "internvl"):
        folder = tmp_path / model_type
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps({"model_type": model_type}))
        thousandths.append(read_policy_frames(str(folder)))
    absolute = [PolicyFrames("absolute", None, 28, *bounds) for bounds in BOUNDS]
    return [*absolute, *thousandths, read_policy_frames("tiny")]


def test_there_and_back_through_whole_numbers_is_within_half_a_model_pixel(tmp_path):
    """A model writes integers: what is lost is the rounding, and never more."""
    rng = np.random.default_rng(2)
    for policy in frames_of_all_families(tmp_path):
        for width, height in random_sizes(200, largest_area=10**7, seed=3):
            frame = policy_frame(policy, width, height)
            boxes = rng.uniform(0, 1, (8, 4)) * (width, height, width, height)
            back = frame.to_image(frame.to_model(boxes).round())
            pixel = np.array([width / frame.model_width, height / frame.model_height] * 2)
            assert (np.abs(back - boxes) <= 0.5 * pixel * (1 + 1e-9)).all()


# --- where things lie -----------------------------------------------------------------------------

SIZES = [(640, 480), (333, 517), (97, 1200), (1600, 90), (64, 64), (1021, 767)]


def marked(width: int, height: int) -> tuple[Image.Image, list[float]]:
    """A black image with a white box, and the box."""
    box = [round(width * 0.3), round(height * 0.2), round(width * 0.72), round(height * 0.66)]
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[box[1] : box[3], box[0] : box[2]] = 255
    return Image.fromarray(pixels), box


def box_seen(pixels: np.ndarray) -> np.ndarray:
    """The white box's borders in an image, between pixels: a border's pixel is partly covered."""
    grey = (pixels - pixels.min()) / (pixels.max() - pixels.min())
    borders = []
    for axis in (0, 1):
        # the middle of the box along the other axis, away from its corners
        inside = np.flatnonzero(grey.max(axis=1 - axis) > 0.5)
        borders.append((inside[0], inside[-1] + 1))
    (y1, y2), (x1, x2) = borders
    return np.array([x1, y1, x2, y2], float)


def assembled(patches: torch.Tensor, size: tuple[int, int], processor) -> np.ndarray:
    """The image that Qwen's patches were cut from, (height, width)."""
    width, height = size
    patch, merge, frames = processor.patch_size, processor.merge_size, processor.temporal_patch_size
    blocks = patches.reshape(
        height // patch // merge, width // patch // merge, merge, merge, 3, frames, patch, patch
    )
    image = blocks[:, :, :, :, 0, 0].permute(0, 2, 4, 1, 3, 5)
    return image.reshape(height, width).numpy()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("bounds", BOUNDS[1:])
def test_absolute_frames_say_where_the_model_sees_a_box(tmp_path, size, bounds):
    least, most = bounds
    processor = transformers.Qwen2VLImageProcessor(
        size={"shortest_edge": least, "longest_edge": most}
    )
    frame = policy_frame(PolicyFrames("absolute", None, 28, least, most), *size)
    image, box = marked(*size)
    image.save(tmp_path / "image.png")
    handed = load_image(
        str(tmp_path / "image.png"), "absolute", frame.model_width, frame.model_height
    )
    for given in (image, handed):
        patches, seen_size = processed(processor, given)
        seen = box_seen(assembled(patches, seen_size, processor))
        assert np.abs(seen - frame.to_model([box])[0]).max() <= 0.5 + 1e-6


@pytest.mark.parametrize("size", SIZES)
def test_thousandths_say_where_qwen3_vl_sees_a_box(size):
    processor = transformers.Qwen2VLImageProcessor(
        patch_size=16, size={"shortest_edge": 65_536, "longest_edge": 1_048_576}
    )
    image, box = marked(*size)
    patches, (width, height) = processed(processor, image)
    seen = box_seen(assembled(patches, (width, height), processor))
    expected = Frame.thousandths(*size).to_model([box])[0] * (width, height, width, height) / 1000
    assert np.abs(seen - expected).max() <= 0.5 + 1e-6


@pytest.mark.parametrize("tiled", [False, True])
@pytest.mark.parametrize("size", SIZES)
def test_thousandths_say_where_internvl_sees_a_box(size, tiled):
    """Its last tile is the whole image, stretched to a square; nothing is cropped or padded."""
    side = 448
    processor = transformers.GotOcr2ImageProcessor(
        size={"height": side, "width": side}, crop_to_patches=tiled, max_patches=12
    )
    image, box = marked(*size)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tiles = processor(images=[image], return_tensors="pt")["pixel_values"]
    seen = box_seen(tiles[-1, 0].numpy())
    expected = Frame.thousandths(*size).to_model([box])[0] * side / 1000
    assert np.abs(seen - expected).max() <= 0.5 + 1e-6
