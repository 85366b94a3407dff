"""The tiny policy's parts against the real processor and model, and the likelihood of boxes."""

from __future__ import annotations

import itertools
import json
from argparse import Namespace

import numpy as np
import pytest
from PIL import Image

from dipr1.demo import pretraining as pretrain
from dipr1.demo import tiny
from dipr1.demo.scenes import scene
from dipr1.errors import UserError
from dipr1.policies import load
from dipr1.policies.engines.transformers import Generated, box_confidence, box_log_likelihood
from dipr1.policies.sampling import claim, parse_shard
from dipr1.prompts import render_response
from dipr1.responses import parse_response
from dipr1.verbs import pretrain as verb

torch = pytest.importorskip("torch")


@pytest.fixture(scope="module")
def processor():
    return tiny.build_processor()


@pytest.fixture(scope="module")
def policy():
    return load.load_policy("tiny", threads=1)


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    rows = []
    for index in range(3):
        path = folder / f"{index}.png"
        scene(index, seed=3).image.save(path)
        rows.append(
            {
                "image": str(path),
                "frame": "absolute",
                "frame_width": 128.0,
                "frame_height": 128.0,
                "prompt": [{"role": "user", "content": "Find every person."}],
            }
        )
    return rows


def test_each_number_is_one_token(processor):
    ids = tiny.number_ids(processor.tokenizer)
    assert len(set(ids)) == tiny.SIDE + 1
    for number, token in enumerate(ids):
        assert processor.tokenizer(str(number))["input_ids"] == [token]


@pytest.mark.parametrize(
    "text", ["", "Ein Straßenbild – 人群 🙂\n\t<think>", "bbox_2d 12.75 129 x2y"]
)
def test_tokenizer_loses_nothing(processor, text):
    ids = processor.tokenizer(text)["input_ids"]
    assert processor.tokenizer.decode(ids) == text


def test_the_shipped_tokenizer_is_the_one_that_was_built(processor, policy):
    text = render_response("An 8 people street.", [[0, 1, 128, 9]], [[7, 8, 9, 100]], ["person"])
    ids = processor.tokenizer(text)["input_ids"]
    assert policy.processor.tokenizer(text)["input_ids"] == ids
    assert policy.processor.tokenizer.padding_side == "left"


def test_ten_people_fit_in_the_longest_response(processor):
    boxes = [[k, 10, k + 20, 90] for k in range(10)]
    text = render_response("A crowded street.", boxes, boxes, ["person"] * 10)
    assert len(processor.tokenizer(text)["input_ids"]) <= 180


def test_patches_are_those_of_the_processor(processor):
    pixels = np.random.default_rng(0).integers(0, 256, (2, 128, 128, 3), dtype=np.uint8)
    images = [Image.fromarray(image) for image in pixels]
    theirs = processor.image_processor(images=images, return_tensors="pt")
    ours = pretrain.patchify(torch.from_numpy(pixels))
    assert theirs["image_grid_thw"].tolist() == [[1, 16, 16]] * 2
    torch.testing.assert_close(ours, theirs["pixel_values"], atol=1e-6, rtol=0)


def test_pretraining_loss_is_the_model_s_own(processor):
    model = tiny.build_model(processor.tokenizer).eval()
    # a bridge that adds nothing would hide a mistake in how it is passed on
    torch.nn.init.normal_(model.model.visual.deepstack_merger_list[0].linear_fc2.weight, std=0.1)
    lessons = pretrain.Lessons(
        "language", 3, processor.tokenizer, pretrain.prompt_ids(processor), seed=0
    )
    batch = pretrain._collate(
        [lessons[k] for k in range(3)],
        pad=processor.tokenizer.pad_token_id,
        prompt_length=len(lessons.prefix),
    )
    grid = torch.tensor([[1, 16, 16]]).expand(3, 3)
    numbers = torch.tensor(tiny.number_ids(processor.tokenizer))
    ids = batch["input_ids"]
    with torch.no_grad():
        tower = model.model.visual(batch["pixel_values"], grid_thw=grid)
        ours = pretrain._language_loss(model, tower, batch, numbers, smear=0)
        theirs = model(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            pixel_values=batch["pixel_values"],
            image_grid_thw=grid,
            mm_token_type_ids=(ids == model.config.image_token_id).int(),
            labels=batch["labels"],
        ).loss
    torch.testing.assert_close(ours, theirs)


def test_teacher_is_well_formed_but_for_empty_streets():
    rng = np.random.default_rng(0)
    malformed = []
    for index in range(150):
        drawn = scene(index, seed=9)
        text, boxes = pretrain.teach(drawn, rng)
        parsed = parse_response(text, labels=["person"])
        assert parsed.well_formed or not len(drawn.boxes)
        malformed.append(not parsed.well_formed)
        assert len(boxes) == len(drawn.boxes)
    assert 0 < sum(malformed) < 15


def test_the_shipped_policy_is_small():
    folder = load.policy_folder("tiny")
    assert sum(file.stat().st_size for file in folder.iterdir()) <= 12e6
    assert json.loads((folder / "config.json").read_text())["model_type"] == "qwen3_vl"


def test_the_shipped_policy_has_at_most_five_million_parameters(policy):
    assert sum(p.numel() for p in policy.model.parameters()) <= 5e6


def test_same_seed_same_responses(policy, rows):
    from dipr1.policies.engines.transformers import respond

    def texts(seed):
        answers = respond(
            policy, rows, num_samples=2, temperature=1.0, max_new_tokens=40, seed=seed
        )
        return [[response.text for response in row] for row in answers]

    first = texts(1)
    assert [len(row) for row in first] == [2, 2, 2]
    assert first == texts(1)
    assert first != texts(2)


def test_probabilities_are_those_of_the_model(policy, rows):
    from dipr1.policies.engines.transformers import _inputs, respond

    (response,), *_ = respond(
        policy, rows[:1], num_samples=1, temperature=0, max_new_tokens=12, seed=0
    )
    tokens = policy.processor.tokenizer(response.text)["input_ids"]
    inputs = _inputs(policy, rows[:1])
    ids = torch.cat([inputs["input_ids"], torch.tensor([tokens])], dim=1)
    inputs |= {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "mm_token_type_ids": (ids == policy.model.config.image_token_id).int(),
    }
    with torch.no_grad():
        logits = policy.model(**inputs).logits[0, -len(tokens) - 1 : -1]
    expected = torch.softmax(logits, -1)[torch.arange(len(tokens)), torch.tensor(tokens)]
    np.testing.assert_allclose(response.token_probabilities, expected, atol=1e-4)
    assert response.token_ends[-1] == len(response.text)


def generated(pieces: list[str], probabilities: list[float]) -> Generated:
    ends = np.cumsum([len(piece) for piece in pieces])
    return Generated("".join(pieces), len(pieces), ends, np.array(probabilities))


def test_confidence_is_the_mean_over_the_numbers_of_each_box():
    pieces = ["<look> [] </look><answer> [[", "1", ", ", "2", ", ", "3", ", ", "4", "], ["]
    pieces += ["5", ", ", "6", "7", ", ", "8", ", ", "9", "]] </answer>"]
    chances = [0.0, 0.5, 0.0, 0.7, 0.0, 0.9, 0.0, 0.3, 0.0]
    chances += [0.2, 0.0, 0.4, 0.6, 0.0, 0.2, 0.0, 0.3, 0.0]
    found = box_confidence(generated(pieces, chances), 2)
    # the second box has a number of two tokens: their mean counts for it
    np.testing.assert_allclose(found, [0.6, (0.2 + 0.5 + 0.2 + 0.3) / 4], rtol=1e-6)


def test_confidence_without_boxes_or_with_boxes_that_needed_repair():
    response = generated(["<answer>", " [] ", "</answer>"], [0.5, 0.7, 0.9])
    assert box_confidence(response, 0).shape == (0,)
    np.testing.assert_allclose(box_confidence(response, 2), [0.7, 0.7])


def test_log_likelihood_is_the_mean_over_the_tokens_of_each_box():
    pieces = ["<answer> [[", "1", ", ", "2", "5", ", ", "3", ", ", "4", "]] </answer>"]
    chances = [0.0, 0.5, 0.0, 0.25, 1.0, 0.0, 0.125, 0.0, 1.0, 0.0]
    found = box_log_likelihood(generated(pieces, chances), 1)
    np.testing.assert_allclose(found, [np.log(2.0**-6) / 5], rtol=1e-6)
    assert box_log_likelihood(generated(pieces, chances), 0).shape == (0,)


def test_log_likelihood_of_boxes_that_needed_repair_is_that_of_the_response():
    response = generated(["<answer>", " [] ", "</answer>"], [0.5, 0.5, 0.25])
    np.testing.assert_allclose(box_log_likelihood(response, 2), [np.log(2.0**-4) / 3] * 2)
    never = generated(["<answer>", " [] "], [1.0, 0.0])
    assert np.isfinite(box_log_likelihood(never, 1)).all()


def test_work_under_another_mark_is_not_continued(tmp_path):
    folder = tmp_path / "parts"
    assert claim(folder, "a") == 0
    (folder / "000000.parquet").touch()
    assert claim(folder, "a") == 1
    assert claim(folder, "b") == 0


@pytest.mark.parametrize("text", ["", "1", "2/2", "a/b", "-1/2", "1/2/3"])
def test_wrong_shard(text):
    with pytest.raises(UserError, match="expected K/N"):
        parse_shard(text)


def test_unknown_policy():
    with pytest.raises(UserError, match=r"no config\.json"):
        load.policy_folder("no/such/folder")


def test_broken_image(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(b"not an image")
    with pytest.raises(UserError, match="cannot be read as an image"):
        load.load_image(str(path), "absolute", 128, 128)


@pytest.mark.parametrize("stop_before_step", [2, 4])
def test_pretraining_goes_on_where_it_stopped(tmp_path, monkeypatch, stop_before_step):
    """Two steps in each stage: the second stop is in the second stage."""
    monkeypatch.setattr(pretrain, "BATCH", {"tower": 4, "language": 4})
    monkeypatch.setattr(pretrain, "SAVE_EVERY", 1)

    def arguments(name: str) -> Namespace:
        output, parts = tmp_path / name, tmp_path / f"{name}.parts"
        return Namespace(output=output, checkpoints=parts, seed=0, threads=1, scale=2 / 800)

    steps = itertools.count(1)
    real = pretrain._losses

    def stop_or_go_on(*args, **kwargs):
        if next(steps) == stop_before_step:
            raise KeyboardInterrupt
        return real(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(pretrain, "_losses", stop_or_go_on)
        with pytest.raises(KeyboardInterrupt):
            verb.run(arguments("interrupted"))
    for name in ("interrupted", "whole"):
        verb.run(arguments(name))
    load.load_policy(str(tmp_path / "whole"), threads=1)
    interrupted, whole = (
        (tmp_path / name / "model.safetensors").read_bytes() for name in ("interrupted", "whole")
    )
    assert interrupted == whole
