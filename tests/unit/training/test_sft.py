"""Supervised fine-tuning: what an arm is shown."""

from __future__ import annotations

import pyarrow as pa
import pytest
from PIL import Image

from dipr1.policies.load import load_policy
from dipr1.responses import parse_response
from dipr1.training.options import SftArm
from dipr1.training.sft import lessons, trainer
from tests.unit.scenes import scene_prompts
from tests.unit.thinking import BEGUN, make_thinking
from tests.unit.two_images import prompts, variance


def test_an_arm_chooses_the_words_of_its_teacher():
    pytest.importorskip("datasets")
    arm = SftArm(method="sft", sft_think="So many: {count}.", sft_why="crowd", ask="both")
    rows = lessons(arm, prompts(), variance(), fixed=True, seed=0)
    crowd, nobody = (turn["content"] for [turn] in rows.data["completion"].to_pylist())
    assert "<think> So many: 2. </think>" in crowd
    assert crowd.count('"why": "crowd"') == 2
    assert "<think> So many: 0. </think>" in nobody


def test_an_arm_that_asks_for_boxes_alone_is_shown_boxes_alone():
    pytest.importorskip("datasets")
    arm = SftArm(method="sft", form="answer")
    rows = lessons(arm, prompts(), variance(), fixed=True, seed=0)
    questions = {turn["content"] for [turn] in rows.data["prompt"].to_pylist()}
    assert questions == {"Find every person. Boxes only."}
    for [turn] in rows.data["completion"].to_pylist():
        assert parse_response(turn["content"], ["person", "rider"]).in_form("answer")


# TRL 1.16 still uses the old name of an argument that transformers 5.23 has renamed
@pytest.mark.filterwarnings("ignore:.*gradient_checkpointing.*:FutureWarning")
@pytest.mark.parametrize("form", ["steps", "answer"])
@pytest.mark.parametrize("answers", [None, "as they are", "set anew"])
def test_a_response_is_taught_from_where_the_prompt_ends(tmp_path, answers, form):
    pytest.importorskip("trl")
    folder = make_thinking(tmp_path / "policy", answers) if answers else "tiny"
    policy, begun = load_policy(str(folder), threads=1), BEGUN if answers else ""
    image = tmp_path / "a.png"
    Image.new("RGB", (200, 100)).save(image)
    asked = prompts().set_column(1, "image", pa.array([str(image)] * 2))
    arm = SftArm(method="sft", prompts_per_update=2, form=form)
    shown = lessons(arm, asked, variance(), fixed=True, seed=0, begun=begun)
    batch = trainer(arm, policy, shown, 0, tmp_path / "checkpoints").data_collator(list(shown))
    for tokens, labels in zip(batch["input_ids"], batch["labels"], strict=True):
        first = (labels != -100).nonzero()[0]
        asked = policy.processor.tokenizer.decode(tokens[:first])
        assert asked.endswith(f"<|im_start|>assistant\n{begun}")
        taught = policy.text(labels[labels != -100].tolist())
        assert parse_response(begun + taught, ["person"]).in_form(form)


@pytest.mark.filterwarnings("ignore:.*gradient_checkpointing.*:FutureWarning")
def test_an_update_is_the_same_in_micro_batches(tmp_path):
    pytest.importorskip("trl")
    asked = scene_prompts(tmp_path, 2)
    logged = []
    for size in (2, 1):
        arm = SftArm(method="sft", prompts_per_update=2, micro_batch_size=size, updates=1)
        shown = lessons(arm, asked, None, fixed=True, seed=0)
        trained = trainer(arm, load_policy("tiny", threads=1), shown, 0, tmp_path / str(size))
        trained.train()
        assert trained.args.per_device_train_batch_size == size
        log = trained.state.log_history
        logged += [[log[0][name] for name in ("loss", "grad_norm")]]
    assert logged[0] == pytest.approx(logged[1], rel=1e-4)
