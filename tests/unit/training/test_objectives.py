"""What is optimised, against computations by hand."""

from __future__ import annotations

import pytest

from dipr1.policies.load import load_policy
from dipr1.training.grpo import lessons, trainer
from dipr1.training.objectives import OBJECTIVES, groups_weigh_alike, objective, weights_of_groups
from dipr1.training.options import GrpoArm
from tests.unit.scenes import scene_prompts

GROUP, LONGEST, CLIP, BETA = 3, 60, 0.01, 0.3


def arm(**chosen) -> GrpoArm:
    return GrpoArm(method="grpo", rewards={"accuracy": 1}, **chosen)


def test_what_an_arm_says_goes_before_its_objective():
    assert objective(arm())["loss_type"] == "dapo"
    assert objective(arm(objective="paper"))["beta"] == 0.04
    assert objective(arm(objective="paper", beta=0))["beta"] == 0
    assert objective(arm(objective="dr_grpo", scale_rewards="group"))["scale_rewards"] == "group"
    normalised = objective(arm(per_reward_normalisation=True))
    assert normalised["multi_objective_aggregation"] == "normalize_then_sum"


def test_only_a_loss_by_groups_weighs_them():
    assert [name for name in OBJECTIVES if groups_weigh_alike(arm(objective=name))] == ["paper"]
    assert groups_weigh_alike(arm(objective="dapo", loss_type="group"))


def test_groups_weigh_alike():
    torch = pytest.importorskip("torch")
    weights = weights_of_groups(torch.tensor([1, 1, 2, 4]), 2)
    torch.testing.assert_close(weights, torch.tensor([2, 2, 2 / 3, 2 / 3]))
    cut = weights_of_groups(torch.tensor([0, 0, 1, 1]), 2)  # nothing of a group is learned from
    assert cut.isfinite().all()
    assert cut[2:].tolist() == [0.5, 0.5]


def paper(logps, old, reference, advantages, mask):
    """(1 / sum |o_i|) sum min(...) - beta KL of each group, averaged over the groups; negated."""
    ratio = (logps - old).exp()
    gain = (ratio * advantages).minimum(ratio.clamp(1 - CLIP, 1 + CLIP) * advantages)
    kl = (reference - logps).exp() - (reference - logps) - 1
    tokens = (gain - BETA * kl) * mask
    groups = zip(tokens.split(GROUP), mask.split(GROUP), strict=True)
    of_groups = [gains.sum() / masks.sum() for gains, masks in groups]
    return -sum(of_groups) / len(of_groups)


def dr_grpo(logps, old, reference, advantages, mask):
    """The sum over tokens by the longest response's; no KL."""
    ratio = (logps - old).exp()
    gain = (ratio * advantages).minimum(ratio.clamp(1 - CLIP, 1 + CLIP) * advantages)
    return -(gain * mask).sum() / (len(mask) * LONGEST)


def gspo(logps, old, reference, advantages, mask):
    """One ratio of a response: the geometric mean of its tokens' ratios."""
    ratio = (((logps - old) * mask).sum(1) / mask.sum(1)).exp()
    advantages = advantages[:, 0]
    gain = (ratio * advantages).minimum(ratio.clamp(1 - CLIP, 1 + CLIP) * advantages)
    return -gain.mean()


def dapo(logps, old, reference, advantages, mask):
    """The sum over all tokens by their number, clipped later above; no KL."""
    ratio = (logps - old).exp()
    gain = (ratio * advantages).minimum(ratio.clamp(1 - CLIP, 1 + 2 * CLIP) * advantages)
    return -(gain * mask).sum() / mask.sum()


@pytest.mark.filterwarnings("ignore:.*gradient_checkpointing.*:FutureWarning")
@pytest.mark.parametrize(
    ("by_hand", "chosen"),
    [
        (paper, {"beta": BETA, "epsilon": CLIP, "epsilon_high": CLIP}),
        (dapo, {"epsilon": CLIP, "epsilon_high": 2 * CLIP}),
        (dr_grpo, {"epsilon": CLIP, "epsilon_high": CLIP}),
        (gspo, {"epsilon": CLIP, "epsilon_high": CLIP}),
    ],
)
def test_loss_and_gradient(tmp_path, by_hand, chosen):
    """In micro-batches that mix groups; the policy has moved since it answered."""
    torch = pytest.importorskip("torch")
    chosen |= {"objective": by_hand.__name__, "max_completion_length": LONGEST, "iterations": 2}
    sizes = {"prompts_per_update": 3, "group_size": GROUP, "micro_batch_size": GROUP}
    trained_arm = arm(**sizes, **chosen, updates=2, save_every=2)
    questions = lessons(trained_arm, scene_prompts(tmp_path, 3), None, fixed=True, seed=0)
    policy = load_policy("tiny", threads=1)
    trained = trainer(trained_arm, policy, questions, 0, tmp_path / "checkpoints")
    trained.current_gradient_accumulation_steps = 3
    rollouts, score = [], trained._generate_and_score_completions
    trained._generate_and_score_completions = lambda rows: (
        rollouts.append(score(rows)) or dict(rollouts[0])
    )
    policy.model.train()
    trained._prepare_inputs([row for row in questions for _ in range(GROUP)])
    moved(policy.model)

    loss = sum(trained._compute_loss(policy.model, part) for part in trained._buffered_inputs)
    loss.backward()
    [rollouts] = rollouts
    numbers = trained.images.numbers(rollouts["pixel_values"], rollouts["image_grid_thw"])
    rollouts["pixel_values"] = trained.images.pixels(numbers, like=rollouts["pixel_values"])
    model, mask = load_policy("tiny", threads=1).model, rollouts["completion_mask"]
    model.load_state_dict(policy.model.state_dict())
    expected = by_hand(
        log_probabilities(model.train(), rollouts),
        rollouts["old_per_token_logps"],
        rollouts.get("ref_per_token_logps"),
        rollouts["advantages"][:, None],
        mask,
    )
    expected.backward()
    assert len(set(mask.sum(1).tolist())) > 3  # responses of different lengths
    assert loss.item() == pytest.approx(expected.item(), abs=1e-5)
    theirs, ours = (
        torch.cat([weights.grad.flatten() for weights in one.parameters()])
        for one in (policy.model, model)
    )
    assert float((theirs - ours).norm() / ours.norm()) < 1e-5


def moved(model) -> None:
    """Move the weights as some updates would."""
    import torch

    torch.manual_seed(0)
    with torch.no_grad():
        for weights in model.parameters():
            weights += 1e-3 * torch.randn_like(weights) * weights.std()


def log_probabilities(model, rollouts):
    """(B, T) of each token of the responses, from the whole logits."""
    import torch

    tokens = torch.cat([rollouts["prompt_ids"], rollouts["completion_ids"]], 1)
    shown = ("pixel_values", "image_grid_thw", "mm_token_type_ids")
    logits = model(
        input_ids=tokens,
        attention_mask=torch.cat([rollouts["prompt_mask"], rollouts["completion_mask"]], 1),
        **{name: rollouts[name] for name in shown if name in rollouts},
    ).logits
    length = rollouts["completion_ids"].shape[1]
    logps = logits[:, -length - 1 : -1].log_softmax(-1)
    return logps.gather(2, rollouts["completion_ids"][..., None])[..., 0]
