"""Looking again with a real policy: what is shown to it, what comes back, and nothing lost."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from dipr1.artifacts.annotations import ANNOTATIONS
from dipr1.artifacts.prompts import frame_of, prompt_rows, window_row
from dipr1.artifacts.samples import SAMPLES
from dipr1.demo.scenes import scene
from dipr1.frames import PolicyFrames
from dipr1.policies.engines import transformers
from dipr1.policies.families import read_policy_frames
from dipr1.policies.generated import Generated
from dipr1.policies.inspecting import images_of_a_block, inspect, seen
from dipr1.policies.load import load_policy
from dipr1.policies.options import Generation, LookAgain
from dipr1.policies.sampling import rows_of_shard, sample_row
from dipr1.prompts import render_response

TINY = PolicyFrames("absolute", fixed=(128, 128))
FAMILIES = [TINY, PolicyFrames("absolute"), PolicyFrames("thousandths")]
SHORT = Generation(max_new_tokens=60, batch_size=4)
LOOKS = [[20, 20, 60, 90], [300, 300, 400, 400], [100, 60, 128, 128]]  # the second is outside


def question(path: str, size: tuple[int, int], boxes=(), frames=TINY, name="a") -> dict:
    """The prompts artifact's row about an image."""
    row = {
        "image_id": name,
        "image": path,
        "width": size[0],
        "height": size[1],
        "boxes": [list(map(float, box)) for box in boxes],
        "labels": ["person"] * len(boxes),
        "ignore": [False] * len(boxes),
        "visibility": [None] * len(boxes),
    }
    table = pa.Table.from_pylist([row], ANNOTATIONS.schema)
    return prompt_rows(table, ["person"], frames).to_pylist()[0]


def answer(prompt: dict, text: str) -> dict:
    """A response as a row of the samples artifact."""
    generated = Generated(text, 7, np.arange(1, len(text) + 1), np.full(len(text), 0.5))
    return sample_row(prompt, 0, generated)


@pytest.fixture(scope="module")
def prompts(tmp_path_factory) -> list[dict]:
    folder = tmp_path_factory.mktemp("images")
    rows = []
    for index in range(4):
        drawn = scene(index, seed=3)
        path = folder / f"{index}.png"
        drawn.image.resize((192, 144)).save(path)
        scale = np.tile([192, 144], 2) / np.tile(drawn.image.size, 2)
        rows.append(question(str(path), (192, 144), drawn.boxes * scale, name=str(index)))
    return rows


@pytest.fixture(scope="module")
def predictions(prompts) -> list[dict]:
    """First views: one that looks, one that looks nowhere, one malformed, one that is empty."""
    looks = render_response("x", LOOKS, [[25, 25, 50, 80]], ["person"])
    texts = [
        looks,
        render_response("x", [], [[25, 25, 50, 80]], ["person"]),
        "<think> a crowd",
        render_response("x", LOOKS[:1], [], []),
    ]
    return [answer(prompt, text) for prompt, text in zip(prompts, texts, strict=True)]


@pytest.fixture(scope="module")
def policy():
    pytest.importorskip("torch")
    return load_policy("tiny", threads=1)


def never():
    raise AssertionError("the policy is loaded although every batch is there")


def looked_again(
    prompts, predictions, policy, folder, generation=SHORT, first=0, engine=transformers, **options
) -> list[dict]:
    """The rows of the improved predictions; `policy` None where it must not be needed."""
    table = inspect(
        pa.Table.from_pylist(prompts),
        pa.Table.from_pylist(predictions, SAMPLES.schema),
        never if policy is None else lambda: policy,
        read_policy_frames("tiny"),
        generation,
        LookAgain(**options),
        seed=0,
        folder=folder,
        first=first,
        engine=engine,
    )
    return table.to_pylist()


def test_own_looks_are_looked_at_again(prompts, predictions, policy, tmp_path):
    rows = looked_again(prompts, predictions, policy, tmp_path)
    assert [row["num_crops"] for row in rows] == [2, 0, 0, 1]
    # the look is 30 .. 90 and 22.5 .. 101.25; with its margin 15 .. 105 and 2.8 .. 120.9
    assert rows[0]["windows"][0] == [15, 2, 105, 121]
    assert len(rows[0]["crop_texts"]) == 2
    assert rows[0]["num_tokens"] > 7 + 2
    assert rows[0]["first_boxes"] == [[37.5, 28.125, 75, 90]]
    for row in rows[:1] + rows[3:]:
        lengths = {len(row[name]) for name in ("boxes", "view", "labels", "confidence")}
        assert len(lengths) == 1
        assert set(row["view"]) <= set(range(row["num_crops"] + 1))
    for row, first in zip(rows[1:3], predictions[1:3], strict=True):  # no look, or no form at all
        assert row["num_tokens"] == 7
        assert row["boxes"] == (None if first["boxes"] is None else [[37.5, 28.125, 75, 90]])
        assert row["text"] == first["text"]
    # what is done is kept: nothing is asked again
    assert looked_again(prompts, predictions, None, tmp_path) == rows


@pytest.mark.parametrize("source", ["own", "variance"])
def test_shards_have_the_batches_of_the_whole(prompts, predictions, tmp_path, source):
    generation = Generation(max_new_tokens=20, batch_size=2)
    asked, first = (
        [row | {"image_id": f"{k:02d}"} for k, row in enumerate(rows * 5)]
        for rows in (prompts, predictions)
    )

    def batches(parts):
        def respond(policy, rows, *, num_samples, seed, **_):
            done.append(([(row["image_id"], row.get("window")) for row in rows], seed))
            text = render_response("x", LOOKS[:1], [[25, 25, 50, 80]], ["person"])
            ends, chances = np.arange(1, len(text) + 1), np.full(len(text), 0.5)
            return [[Generated(text, 7, ends, chances)] * num_samples for _ in rows]

        done, rows = [], []
        for part in range(parts):
            folder = tmp_path / f"{part}-of-{parts}"
            folder.mkdir()
            of_shard = rows_of_shard(len(asked), images_of_a_block(generation), (part, parts))
            few = slice(of_shard.start, of_shard.stop)
            rows += looked_again(
                *(asked[few], first[few], object(), folder, generation),
                first=of_shard.start,
                engine=SimpleNamespace(respond=respond),
                **{"source": source, "rounds": 2, "num_samples": 2},
            )
        return sorted(done, key=str), rows

    whole = batches(1)
    assert len(whole[1]) == len(asked)
    assert len(whole[0]) > len(asked) / 4
    assert all(batches(parts) == whole for parts in (2, 3, 7))


@pytest.mark.parametrize("source", ["variance", "samples"])
def test_batches_do_not_change_what_is_sampled(prompts, predictions, policy, tmp_path, source):
    options = {"source": source, "num_samples": 2, "max_regions": 1}
    rows = []
    for size, chosen in ((16, slice(None)), (1, slice(2, 3))):
        folder = tmp_path / str(size)
        folder.mkdir()
        generation = Generation(max_new_tokens=40, batch_size=size)
        asked, first = prompts[chosen], predictions[chosen]
        rows.append(looked_again(asked, first, policy, folder, generation, **options))
    [alone] = rows[1]
    together = rows[0][2]
    assert together["windows"] == alone["windows"]
    np.testing.assert_allclose(np.array(together["boxes"] or []), np.array(alone["boxes"] or []))
    assert all(row["num_tokens"] > 7 for row in rows[0])
    if source == "samples":
        assert all(row["num_crops"] == 0 for row in rows[0])


def test_the_oracle_and_random_windows(prompts, predictions, policy, tmp_path):
    short = Generation(max_new_tokens=2, batch_size=16)
    windows = {}
    for source in ("own", "random", "oracle", "grid"):
        folder = tmp_path / source
        folder.mkdir()
        rows = looked_again(prompts, predictions, policy, folder, short, source=source)
        windows[source] = [np.reshape(row["windows"], (-1, 4)) for row in rows]
    for own, random in zip(windows["own"], windows["random"], strict=True):
        np.testing.assert_array_equal(random[:, 2:] - random[:, :2], own[:, 2:] - own[:, :2])
    assert any((o != r).any() for o, r in zip(windows["own"], windows["random"], strict=True))
    assert [len(grid) for grid in windows["grid"]] == [4, 4, 4, 4]
    for prompt, oracle in zip(prompts[2:], windows["oracle"][2:], strict=True):
        objects = frame_of(prompt).to_image(prompt["gt_boxes"])
        first = oracle[0]  # shows the first object, since the first view has none
        assert (objects[0, :2] >= first[:2]).all() and (objects[0, 2:] <= first[2:]).all()


def test_a_further_round_looks_where_the_windows_looked(prompts, predictions, policy, tmp_path):
    once, twice = tmp_path / "once", tmp_path / "twice"
    once.mkdir()
    twice.mkdir()
    options = {"least_share": 0.2, "margin": 0.0}
    [first] = looked_again(prompts[:1], predictions[:1], policy, once, **options)
    [second] = looked_again(prompts[:1], predictions[:1], policy, twice, rounds=2, **options)
    assert second["windows"][: first["num_crops"]] == first["windows"]
    assert second["num_tokens"] >= first["num_tokens"]
    assert second["num_crops"] <= 2 * 4


@pytest.mark.parametrize("frames", FAMILIES)
def test_boxes_come_back_in_every_family_s_frame(frames, tmp_path):
    whole = question("a.jpg", (640, 480), frames=frames)
    window = np.array([320.0, 100.0, 640.0, 420.0])
    row = window_row(whole, window, frames)
    expected = np.array([400.0, 150.0, 480.0, 300.0])
    written = frame_of(row).to_model(expected - np.tile(window[:2], 2)).tolist()
    text = f"<answer> {json.dumps([{'bbox_2d': written[0], 'label': 'person'}])} </answer>"
    back = seen(answer(row, text), ["person"], window, 2)
    np.testing.assert_allclose(back.boxes, expected[None], atol=1e-3)
    assert (back.labels.tolist(), back.view.tolist()) == (["person"], [2])


@pytest.mark.parametrize("size", [(1, 1), (2, 1), (3, 40), (7, 5)])
def test_images_smaller_than_a_window(policy, tmp_path, size):
    path = str(tmp_path / "a.png")
    Image.new("RGB", size, (90, 90, 90)).save(path)
    prompt = question(path, size)
    text = render_response("x", [[0, 0, 64, 64]] * 300, [[0, 0, 128, 128]], ["person"])
    short = Generation(max_new_tokens=2)
    parts = tmp_path / "parts"
    parts.mkdir()
    [row] = looked_again([prompt], [answer(prompt, text)], policy, parts, short)
    assert row["num_crops"] <= 1
    np.testing.assert_allclose(row["boxes"], [[0, 0, *size]])


def test_no_images_give_no_rows(prompts, predictions, tmp_path):
    table = inspect(
        pa.Table.from_pylist(prompts).slice(0, 0),
        SAMPLES.schema.empty_table(),
        never,
        TINY,
        SHORT,
        LookAgain(),
        seed=0,
        folder=tmp_path,
    )
    assert table.num_rows == 0


def test_another_family_looks_again(qwen, qwen_prompts, tmp_path):
    frames = read_policy_frames(str(qwen))
    texts = [render_response("x", [[0, 0, 40, 40]], [], [])] * len(qwen_prompts)
    table = inspect(
        pa.Table.from_pylist(qwen_prompts),
        pa.Table.from_pylist(list(map(answer, qwen_prompts, texts)), SAMPLES.schema),
        lambda: load_policy(str(qwen), threads=1),
        frames,
        Generation(max_new_tokens=3),
        LookAgain(source="grid"),
        seed=0,
        folder=tmp_path,
    )
    assert table["num_crops"].to_pylist() == [4] * len(qwen_prompts)
