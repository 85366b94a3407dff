"""A wrong configuration is one line that says where, what was found and what is allowed."""

from __future__ import annotations

import pytest
import yaml

from dipr1.config import Config, check, load, machine_flags, train_flags
from dipr1.errors import UserError

SHORT = """
datasets:
  scenes:
    splits:
      train: {num_images: 4}
training: {dataset: scenes}
evaluation: {sets: [scenes.train]}
arms:
  base: {method: none}
"""


def config(**changes):
    values = yaml.safe_load(SHORT)
    for key, value in changes.items():
        part = values
        *above, last = key.split("__")
        for name in above:
            part = part.setdefault(name, {})
        part[last] = value
    return values


def fault(values) -> str:
    with pytest.raises(UserError) as raised:
        check(values, "mine.yaml")
    message = str(raised.value)
    assert "\n" not in message
    return message.removeprefix("mine.yaml: ")


def test_defaults_are_filled_in():
    checked = check(config())
    assert checked.sample.num_samples == 8
    assert checked.variance.v0 == 0.01
    assert checked.datasets["scenes"].splits["train"].num_images == 4


def test_a_misspelt_key_names_the_nearest_one():
    assert fault(config(training__learning_rat=1)).startswith(
        "unknown key 'training.learning_rat'; did you mean 'learning_rate'?"
    )
    assert "unknown key 'datasets.scenes.splits.train.num_image'" in fault(
        config(datasets__scenes__splits__train={"num_image": 3})
    )


def test_a_key_like_no_other_lists_what_is_allowed():
    message = fault(config(variance={"qqq": 1}))
    assert message == "unknown key 'variance.qqq'; allowed here: least_readable, match_iou, v0"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"training__updates": 0}, "training.updates: found 0; input should be greater than"),
        ({"training__updates": "many"}, "training.updates: found 'many'; input should be a valid"),
        ({"variance": {"match_iou": 1.5}}, "variance.match_iou: found 1.5; input should be less"),
        ({"arms": {}}, "arms: found {}; dictionary should have at least 1 item"),
        ({"seeds": []}, "seeds: found []; list should have at least 1 item"),
        ({"policy": {"dtype": "float16"}}, "policy.dtype: found 'float16'; input should be 'flo"),
        ({"arms": {"x": {"method": "ppo"}}}, "arms.x.method: found 'ppo'; input should be 'none"),
    ],
)
def test_a_value_out_of_bounds_is_shown_with_what_is_allowed(changes, message):
    assert fault(config(**changes)).startswith(message)


def test_a_missing_section_is_named():
    values = config()
    del values["arms"]
    assert fault(values) == "arms: field required"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"evaluation__sets": ["scenes.test"]}, "evaluation.sets: no data set 'scenes.test'"),
        ({"training__dataset": "street"}, "training: no data set 'street.train'"),
        ({"arms": {"a-b": {"method": "none"}}}, "arms: name 'a-b' may hold"),
        (
            {"arms": {"x": {"method": "grpo"}}},
            "arms.x: an arm of method 'grpo' needs at least one reward with a weight",
        ),
        (
            {"arms": {"x": {"method": "sft", "crops": 3}}, "crop": {"max_regions": 2}},
            "arms.x: crops is 3, but an image has 2 of them at most; raise crop.max_regions",
        ),
        (
            {"datasets__scenes__format": "coco"},
            "datasets.scenes: split 'train': num_images: means nothing for format coco",
        ),
    ],
)
def test_what_does_not_fit_together_is_named(changes, message):
    assert message in fault(config(**changes))


@pytest.mark.parametrize(
    ("arm", "message"),
    [
        (
            {"method": "sft", "rewards": {"accuracy": 1}},
            "unknown key 'arms.x.rewards'; allowed here: absent_labels, ask, ",
        ),
        (
            {"method": "none", "updates": 3},
            "unknown key 'arms.x.updates'; allowed here: form, look_again, method",
        ),
        (
            {"method": "grpo", "rewards": {"accuracy": 1}, "sft_think": "so"},
            "unknown key 'arms.x.sft_think'; allowed here: absent_labels, aggregate, ask, ",
        ),
        ({"method": "grpo", "rewards": {"accurate": 1}}, "arms.x.rewards.accurate: found 'accur"),
        ({"updates": 3}, "arms.x.method: field required"),
        (
            {"method": "grpo", "form": "answer", "rewards": {"accuracy": 1, "looking": 0.3}},
            "arms.x: form 'answer' asks for boxes alone, which the looking reward cannot judge;",
        ),
        (
            {"method": "grpo", "rewards": {"accuracy": 1}, "looking_source": "group"},
            "arms.x: looking_source is an option of the looking reward, which this arm does not",
        ),
        (
            {"method": "grpo", "rewards": {"looking": 1}}
            | {"looking_source": "group", "looking_target": "gain"},
            "arms.x: looking_target 'gain' is measured on crops, which looking_source 'group' has",
        ),
        (
            {"method": "grpo", "rewards": {"reasoning": 1}, "rollout_looks": 2},
            "arms.x: rollout_looks needs responses that look (form 'steps') and the accuracy",
        ),
        (
            {"method": "grpo", "rewards": {"accuracy": 1}, "rollout_control": "other_image"},
            "arms.x: rollout_control: nothing is looked at again; set rollout_looks",
        ),
        (
            {"method": "sft", "learning_rate": 1, "sft_learning_rate": 2},
            "arms.x: learning_rate and sft_learning_rate are the same; give one",
        ),
    ],
)
def test_an_arm_has_the_options_of_its_method_and_no_others(arm, message):
    assert fault(config(arms={"x": arm})).startswith(message)


def test_an_arm_overrides_what_training_says():
    checked = check(
        config(
            training__updates=9,
            training__temperature=0.5,
            training__sft_why="crowd",
            arms={
                "mine": {"method": "grpo", "rewards": {"accuracy": 1}, "updates": 3},
                "taught": {"method": "sft", "sft_why": None, "learning_rate": 0.1},
            },
        )
    )
    mine, taught = checked.arms["mine"], checked.arms["taught"]
    assert (mine.updates, mine.temperature) == (3, 0.5)
    assert (taught.updates, taught.sft_why, taught.sft_learning_rate) == (9, None, 0.1)
    assert check(checked.model_dump()) == checked


def test_an_arm_may_have_seeds_of_its_own():
    arms = {"base": {"method": "none"}, "sft": {"method": "sft"},
            "few": {"method": "sft", "seeds": [5]}}  # fmt: skip
    checked = check(config(seeds=[0, 1], arms=arms))
    assert [checked.seeds_of(arm) for arm in arms] == [[0], [0, 1], [5]]
    assert "seeds" not in train_flags(checked, "few")
    assert "base.seeds" in fault(config(arms={"base": {"method": "none", "seeds": [1]}}))


def test_seeds_are_the_same_in_any_order():
    arms = {"base": {"method": "none"}, "sft": {"method": "sft", "seeds": [3, 2, 3]}}
    checked = check(config(seeds=[1, 0, 1], arms=arms))
    assert [checked.seeds_of(arm) for arm in arms] == [[0], [2, 3]]


def test_only_what_an_arm_depends_on_is_told_to_its_training():
    arms = {
        "plain": {"method": "grpo", "rewards": {"accuracy": 1, "looking": 0}},
        "taught": {"method": "sft"},
        "brief": {"method": "sft", "form": "answer"},
    }
    before = check(config(arms=arms))
    for changes, changed in [
        ({"training__sft_learning_rate": 0.5}, {"taught", "brief"}),
        ({"training__sft_think": "So."}, {"taught"}),
        ({"training__group_size": 2}, {"plain"}),
        ({"training__updates": 7}, {"plain", "taught", "brief"}),
        ({"training__save_every": 7, "training__micro_batch_size": 7}, set()),
        ({"arms__plain__looking_source": "group"}, set()),
        ({"arms__plain__quality": "hard"}, {"plain"}),
        ({"arms__taught__look_again": {"source": "grid"}}, set()),
    ]:
        after = check(config(**({"arms": yaml.safe_load(yaml.safe_dump(arms))} | changes)))
        told = {arm for arm in arms if train_flags(before, arm) != train_flags(after, arm)}
        assert told == changed, changes


def test_what_suits_a_machine_is_told_apart():
    changes = {"training__save_every": 7, "training__rollout_memory": 0.5}
    checked = check(config(arms={"sft": {"method": "sft", "report_to": []}}, **changes))
    assert machine_flags(checked, "sft") == (
        "--micro-batch-size 64 --gradient-checkpointing False --save-every 7"
        " --keep-checkpoints False --report-to"
    )
    of_loss = {"method": "grpo", "rewards": {"accuracy": 1}, "loss_type": "bnpo"}
    checked = check(config(arms={"grpo": of_loss}, **changes))
    assert "--micro-batch-size" not in machine_flags(checked, "grpo")
    assert "--micro-batch-size" in train_flags(checked, "grpo")


def test_an_arm_looks_again_in_one_way_or_in_several():
    def looks(entry) -> list:
        checked = check(config(arms={"x": {"method": "none", "look_again": entry}}))
        assert check(checked.model_dump()) == checked
        return [(look.name, look.source) for look in checked.arms["x"].look_again]

    assert looks({"source": "grid"}) == [("grid", "grid")]
    assert looks([{}, {"name": "two", "rounds": 2}]) == [("own", "own"), ("two", "own")]
    assert looks([]) == []


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ([{}, {"rounds": 2}], "arms.x: look_again: 'own' is there twice; give one of them another"),
        ({"source": "eye"}, "arms.x.look_again.0.source: found 'eye'; input should be 'own'"),
        ({"name": "a+b"}, "arms.x.look_again.0.name: found 'a+b'; string should match pattern"),
        ({"regions": 3}, "unknown key 'arms.x.look_again.0.regions'; "),
    ],
)
def test_a_wrong_way_to_look_again_is_named(entry, message):
    assert fault(config(arms={"x": {"method": "none", "look_again": entry}})).startswith(message)


def test_a_file_that_is_not_there_or_not_yaml(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        load(tmp_path / "absent.yaml")
    broken = tmp_path / "broken.yaml"
    broken.write_text("arms: [")
    with pytest.raises(UserError, match="not YAML"):
        load(broken)
    broken.write_text("- a\n- list\n")
    with pytest.raises(UserError, match="expected keys and values but got list"):
        load(broken)


def test_the_configurations_that_ship_are_valid(root):
    files = [root / "config.yaml", *sorted((root / "workflow" / "configs").glob("*.yaml"))]
    assert len(files) >= 4
    for file in files:
        assert isinstance(load(file), Config)


def test_every_option_says_what_it_is():
    from pydantic import BaseModel

    from dipr1 import config as module

    models = [
        model
        for model in vars(module).values()
        if isinstance(model, type)
        and issubclass(model, BaseModel)
        and model is not BaseModel
        and model is not module.Section
    ]
    assert len(models) > 8
    undescribed = [
        f"{model.__name__}.{name}"
        for model in models
        for name, field in model.model_fields.items()
        if not field.description
    ]
    assert undescribed == []


def test_older_configurations_say_audit_rows_elsewhere():
    checked = check(config(variance={"audit_rows": 7, "v0": 0.02}))
    assert (checked.audit.rows, checked.variance.v0) == (7, 0.02)
    assert fault(config(variance={"audit_rows": -1})).startswith("audit.rows: found -1; ")
    both = config(variance={"audit_rows": 7}, audit={"rows": 8})
    assert fault(both) == "variance.audit_rows is now audit.rows; give one of the two only"


TRAINED = {"base": {"method": "none"}, "sft": {"method": "sft"}}


def started(seeds=None, **starts):
    """GRPO arms that start where they are told to."""
    arms = {
        name: {"method": "grpo", "rewards": {"accuracy": 1}, "start": start, "seeds": seeds}
        for name, start in starts.items()
    }
    return config(arms=TRAINED | arms)


def test_an_arm_starts_from_another():
    checked = check(started(second="first", first="sft"))
    assert checked.arms["second"].start == "first"
    assert "start" not in train_flags(checked, "second")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (started(a="base"), "arms.a: start is 'base', but the arms that train are sft, a"),
        (started(a="nobody"), "arms.a: start is 'nobody', but the arms that train are sft, a"),
        (started(a="a"), "arms.a: start is 'a', but that arm itself begins with 'a'"),
        (started(a="b", b="a"), "arms.b: start is 'a', but that arm itself begins with 'b'"),
        (started(seeds=[0, 3], a="sft"), "arms.a: start is 'sft', which has no seed 3; give it"),
    ],
)
def test_an_arm_that_cannot_start_there(values, message):
    assert fault(values).startswith(message)
