"""Answers by vLLM: those of transformers, to the token, with the same probabilities."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from dipr1.artifacts.made import read_made
from dipr1.artifacts.prompts import PROMPTS
from dipr1.artifacts.samples import SAMPLES
from dipr1.cli import main
from dipr1.errors import UserError
from dipr1.frames import Bounds
from dipr1.policies.engines import transformers, vllm
from dipr1.policies.generated import box_confidence
from dipr1.policies.load import LoadedPolicy, load_policy, load_processor
from dipr1.policies.options import Sample
from dipr1.policies.sampling import sample
from dipr1.responses import parse_response
from tests.unit.miniatures import MAKERS, make_miniature
from tests.unit.qwen import make_prompts
from tests.unit.scenes import scene_prompts

NUM_IMAGES = 6
GREEDY = {"num_samples": 1, "temperature": 0.0, "max_new_tokens": 120, "seed": 0}
CLOSE = 1e-2  # of confidences


@pytest.fixture(scope="module")
def prompts(tmp_path_factory):
    return scene_prompts(tmp_path_factory.mktemp("scenes"), NUM_IMAGES)


@pytest.fixture(scope="module")
def rows(prompts):
    return prompts.to_pylist()


@pytest.fixture(scope="module")
def policy():
    return vllm.load("tiny", threads=1)


def texts(answers) -> list[list[str]]:
    return [[response.text for response in of_row] for of_row in answers]


def test_greedy_answers_are_those_of_transformers(policy, rows):
    theirs = vllm.respond(policy, rows, **GREEDY)
    ours = transformers.respond(load_policy("tiny", threads=1), rows, **GREEDY)
    assert policy.model.is_checked
    assert texts(theirs) == texts(ours)
    num_boxes = []
    for [their], [our] in zip(theirs, ours, strict=True):
        assert their.num_tokens == our.num_tokens
        assert their.token_ends.tolist() == our.token_ends.tolist()
        np.testing.assert_allclose(their.token_probabilities, our.token_probabilities, atol=1e-4)
        answer = parse_response(our.text, ["person"]).answer
        num_boxes.append(0 if answer is None else len(answer.boxes))
        confidences = [box_confidence(one, num_boxes[-1]) for one in (their, our)]
        np.testing.assert_allclose(*confidences, atol=CLOSE)
    assert sum(num_boxes) > 0


def test_the_same_seed_gives_the_same_responses(policy, rows):
    def sampled(seed, rows=rows[:3]):
        options = {"num_samples": 3, "temperature": 1.0, "max_new_tokens": 40}
        return texts(vllm.respond(policy, rows, **options, seed=seed))

    first = sampled(1)
    assert first == sampled(1) != sampled(2)
    assert len(set(first[0])) > 1
    by_row = sampled([5, 6, 7])
    assert sampled([7, 6], rows[2:0:-1]) == by_row[2:0:-1]


def test_sampling_has_the_probabilities_of_the_policy_itself(policy, rows):
    """Not those that the temperature makes of them."""
    hot = {"num_samples": 1, "temperature": 2.0, "max_new_tokens": 12, "seed": 3}
    [[response]] = vllm.respond(policy, rows[:1], **hot)
    own = load_policy("tiny", threads=1)
    tokens = own.processor.tokenizer(response.text)["input_ids"]
    if len(tokens) != len(response.token_probabilities):
        pytest.skip("drawn tokens are not those that the text is cut into")
    import torch

    inputs = transformers.model_inputs(own, rows[:1])
    ids = torch.cat([inputs["input_ids"], torch.tensor([tokens])], dim=1)
    inputs |= {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "mm_token_type_ids": (ids == own.model.config.image_token_id).int(),
    }
    with torch.no_grad():
        logits = own.model(**inputs).logits[0, -len(tokens) - 1 : -1]
    expected = torch.softmax(logits, -1)[torch.arange(len(tokens)), torch.tensor(tokens)]
    np.testing.assert_allclose(response.token_probabilities, expected, atol=1e-3)


@pytest.mark.parametrize("family", MAKERS)
def test_every_family_answers(family, tmp_path):
    """Weights at random, images of several shapes: the prompts are checked on the way."""
    folder = make_miniature(family, tmp_path / "policy")
    rows = make_prompts(folder, tmp_path)[:3]
    short = GREEDY | {"max_new_tokens": 12}
    theirs = vllm.respond(vllm.load(str(folder), threads=1), rows, **short)
    ours = transformers.respond(load_policy(str(folder), threads=1), rows, **short)
    assert texts(theirs) == texts(ours)
    for [their], [our] in zip(theirs, ours, strict=True):
        np.testing.assert_allclose(their.token_probabilities, our.token_probabilities, atol=CLOSE)


@pytest.mark.parametrize("max_pixels", [None, 56 * 56])
def test_images_that_are_shown_otherwise_are_refused(tmp_path, max_pixels):
    """Unless vLLM is loaded with the same bounds."""
    folder = make_miniature("qwen3_vl", tmp_path / "policy")
    rows, bounds = make_prompts(folder, tmp_path)[:1], Bounds(max_pixels=56 * 56)
    short = GREEDY | {"max_new_tokens": 3}
    served = vllm.load(str(folder), threads=1, bounds=Bounds(max_pixels=max_pixels))
    asking = LoadedPolicy(served.model, load_processor(str(folder), bounds))
    if max_pixels:
        assert len(vllm.respond(asking, rows, **short)) == 1
    else:
        with pytest.raises(UserError, match=r"image tokens where the policy's processor makes"):
            vllm.respond(asking, rows, **short)


def test_a_crash_loses_one_batch(policy, prompts, tmp_path):
    options = Sample(num_samples=2, temperature=1.0, max_new_tokens=20, batch_size=4)
    calls = []

    def once(policy, rows, **named):
        calls.append(len(rows))
        if len(calls) == 3:
            raise RuntimeError("the engine has died")
        return vllm.respond(policy, rows, **named)

    def sampled(respond, folder):
        folder.mkdir(exist_ok=True)
        engine = SimpleNamespace(respond=respond)
        where = {"seed": 1, "folder": folder, "engine": engine}
        return sample(prompts, lambda: policy, options, **where)

    with pytest.raises(RuntimeError, match="has died"):
        sampled(once, tmp_path / "parts")
    calls.clear()
    calls += [0] * 3  # it dies no more
    table = sampled(once, tmp_path / "parts")
    assert calls[3:] == [2]
    assert table == sampled(vllm.respond, tmp_path / "undisturbed")
    assert table["image_id"].to_pylist()[::2] == prompts["image_id"].to_pylist()


@pytest.fixture(scope="module")
def predicted(prompts, tmp_path_factory):
    """Predictions by both engines, and the prompts, as files."""
    folder = tmp_path_factory.mktemp("predicted")
    PROMPTS.write(prompts, folder / "prompts.parquet")
    for engine in ("transformers", "vllm"):
        run(folder, "predict", folder / "prompts.parquet", engine)
    return folder


def run(folder, verb, *words) -> None:
    *words, engine = map(str, words)
    output = ["--engine", engine, "--output", str(folder / f"{verb}.{engine}.parquet")]
    assert main([verb, *words, *output, "--threads", "1", "--max-new-tokens", "120"]) == 0


def check_alike(folder, verb) -> None:
    theirs, ours = (
        SAMPLES.read(folder / f"{verb}.{engine}.parquet") for engine in ("vllm", "transformers")
    )
    assert theirs["text"] == ours["text"]
    assert theirs["boxes"] == ours["boxes"]
    confidences = [
        np.concatenate(one["confidence"].to_numpy(zero_copy_only=False)) for one in (theirs, ours)
    ]
    assert len(confidences[0]) > 0
    np.testing.assert_allclose(*confidences, atol=CLOSE)
    assert read_made(folder / f"{verb}.vllm.parquet").options["engine"] == "vllm"
    assert "engine" not in read_made(folder / f"{verb}.transformers.parquet").options


def test_predict(predicted):
    check_alike(predicted, "predict")


def test_sample(predicted):
    for engine in ("transformers", "vllm"):
        words = ("--temperature", "0", "--num-samples", "1", "--seed", "3")
        run(predicted, "sample", predicted / "prompts.parquet", *words, engine)
    check_alike(predicted, "sample")


def test_inspect(predicted):
    for engine in ("transformers", "vllm"):
        words = ("--prompts", predicted / "prompts.parquet", "--source", "grid")
        run(predicted, "inspect", predicted / "predict.transformers.parquet", *words, engine)
    check_alike(predicted, "inspect")
    table = SAMPLES.read(predicted / "inspect.vllm.parquet")
    assert table["num_crops"].to_pylist() == [4] * NUM_IMAGES
    usual = SAMPLES.read(predicted / "inspect.transformers.parquet")
    assert table["crop_texts"] == usual["crop_texts"]
